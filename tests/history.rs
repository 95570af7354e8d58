//! The history file: migrations, one writer, dead runs, damage.
