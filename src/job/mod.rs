//! Work as straight lines: backup, restore, verify, delete.
