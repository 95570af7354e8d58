//! The program. Everything it does is a verb of `cli`.

fn main() {}
