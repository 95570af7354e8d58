//! Every suite in one binary: linking dominates the time of a test build.

mod support;

mod architecture;
mod by_hand;
mod command_line;
mod configuration;
mod destination;
mod documents;
mod engines;
mod history;
mod keys;
mod kill;
