//! The local record of runs, in SQLite under `state_dir`.
