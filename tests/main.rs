//! Every suite in one binary: linking dominates the time of a test build.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::cast_possible_truncation,
    clippy::cloned_ref_to_slice_refs,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::significant_drop_in_scrutinee,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test fails by a panic, prints for the one who looks into it, and is its own documentation"
)]

mod support;

mod alarms;
mod architecture;
mod bad_input;
mod by_hand;
mod calendar;
mod command_line;
mod configuration;
mod control;
mod counting;
mod daemon;
mod destination;
mod documents;
mod engines;
mod history;
mod hooks;
mod keys;
mod kill;
mod manifest;
mod manual;
mod metrics;
mod notify;
mod order;
mod pipeline;
mod plugin;
mod reload;
mod retention;
mod secrets;
mod status;
mod systemd;
mod through;
mod try_out;
