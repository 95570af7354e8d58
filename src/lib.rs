//! The map of qbackd. Rooms stand on floors; a file imports only from lower floors (`tests/architecture.rs`).
//!
//! | floor | room | what it is |
//! | --- | --- | --- |
//! | 0 | [`error`], [`model`] | the one error type; the words of the design as types |
//! | 1 | [`engine`] | what knows a kind of database |
//! | 1 | [`stage`] | count, hash, zstd, age: one shape, concurrent |
//! | 1 | [`store`] | destinations, over OpenDAL |
//! | 1 | [`history`] | the local record of runs |
//! | 1 | [`schedule`], [`retention`] | when something is due, what may go: pure |
//! | 1 | [`notify`] | telling people |
//! | 1 | [`control`] | what the daemon and the verbs say to each other |
//! | 2 | [`config`] | files to a plan, with every error at its place |
//! | 2 | [`repository`] | the format at a destination: put, publish, list, read |
//! | 3 | [`job`] | backup, restore, verify, download, delete, prune: each a straight line |
//! | 4 | [`cli`] | one file a verb |
//! | 4 | [`daemon`] | when what is done, and who may ask for it |

#![cfg_attr(
    test,
    allow(
        clippy::cast_possible_truncation,
        clippy::disallowed_methods,
        reason = "a unit test may die of what it made itself, and may look at the real clock"
    )
)]

pub mod cli;
pub mod config;
pub mod control;
pub mod daemon;
pub mod engine;
pub mod error;
pub mod history;
pub mod job;
pub mod model;
pub mod notify;
pub mod repository;
pub mod retention;
pub mod schedule;
pub mod stage;
pub mod store;
