//! From files to a plan: find, read, check everything, resolve. One path for `check`, verbs and the daemon.
