//! Stages of the pipeline: count and hash, zstd, age. One shape, each in a thread of its own, each leaves a result.

pub mod options;
