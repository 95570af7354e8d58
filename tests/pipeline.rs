//! The program from configuration to restored data, on every kind of data it knows: what a sysadmin types, and what comes of it.

/// Makes a test of each generic function for each engine.
macro_rules! on_every_engine {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $( #[test] fn $test() { super::$test::<crate::support::fixture::SqliteFixture>() } )+
        }
        mod files {
            $( #[test] fn $test() { super::$test::<crate::support::fixture::FilesFixture>() } )+
        }
        mod command {
            $( #[test] fn $test() { super::$test::<crate::support::fixture::CommandFixture>() } )+
        }
    };
}

mod comes_back;
mod delete;
mod download;
mod elsewhere;
mod json;
mod levels;
mod replacing;
mod room;
mod several;
mod verify;
