//! The daemon as a process: it does by itself what its files say, and survives what happens to it.

mod schedule;
