//! Every fenced TOML in our documents and every file under etc/ passes check.
