//! Each rule of the house can be broken: made-up trees with one fault each, and the report they get.

use super::rules::{House, Tree, Violation};
use super::{MAX_LINES, MAX_MEDIAN, TABLE, words};

fn tree(files: &[(&str, &str)]) -> Tree {
    files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect()
}

fn house(files: &[(&str, &str)]) -> House {
    let (house, broken) = House::read(&tree(files));
    assert_eq!(broken, []);
    house
}

/// Places and what is said of them, without the reasons, which must be there.
fn told(violations: &[Violation]) -> Vec<String> {
    assert!(violations.iter().all(|v| v.why.len() > 20), "a rule without its reason: {violations:?}");
    violations.iter().map(|v| format!("{}: {}", v.place, v.what)).collect()
}

#[test]
fn an_import_from_a_higher_floor_is_found_with_file_line_and_reason() {
    let found = house(&[
        ("src/stage/mod.rs", "//! s\nuse std::fmt;\nuse crate::job::Backup;\n"),
        ("src/job/mod.rs", "//! j\nuse crate::stage::Zstd;\n"),
    ])
    .floors();
    assert_eq!(
        told(&found),
        ["src/stage/mod.rs:3: stage (floor 1) imports job (floor 3), upwards: `crate::job::Backup`"]
    );
    assert!(found[0].to_string().contains("why: a file imports only from lower floors"), "{}", found[0]);
}

#[test]
fn an_import_from_the_room_next_door_is_found() {
    let found = house(&[
        ("src/engine/mod.rs", ""),
        (
            "src/engine/sqlite/mod.rs",
            "fn f() -> u8 {\n    // crate::job::no\n    super::super::store::open(\"crate::job\")\n}",
        ),
        ("src/store/mod.rs", "pub fn open() {}"),
    ])
    .floors();
    assert_eq!(
        told(&found),
        ["src/engine/sqlite/mod.rs:3: engine (floor 1) imports store (floor 1), sideways: `super::super::store::open`"]
    );
}

#[test]
fn imports_are_found_however_they_are_written() {
    let spellings = [
        "use crate::job;",
        "use crate::{error::Error, job::{self, backup as b}};",
        "use super::job::*;",
        "fn f(x: &crate::job::Backup<'_>) {}",
        "macro_rules! m { () => { $crate::job::run() } }",
        "#[derive(crate::job::Derive)] struct A;",
        "mod inner { use super::super::job::Backup; }",
        "#[cfg(test)] mod tests { use crate::job::Backup; }",
        "fn f<'a>(c: char) -> bool { c == '\"' || c == '\\'' || crate::job::is(c, 'a', b'x', 1..2, \"\\\"\") }",
    ];
    for text in spellings {
        let found = house(&[("src/store/mod.rs", text), ("src/job/mod.rs", ""), ("src/error.rs", "")]).floors();
        assert!(!found.is_empty() && found.iter().all(|v| v.what.contains("imports job")), "{text}: {found:?}");
    }
    let fine = [
        "use crate::error::Error; use crate::model::Name;",
        "// use crate::job::Backup;\nconst A: &str = \"crate::job\";",
        "/* a /* b */ use crate::job::A; */ fn f<'a>(x: &'a str) -> char { '\"' } // \"\nconst B: char = '\\'';",
        "const A: &str = r#\"\" use crate::job::A; \"#; const B: &[u8] = b\"crate::job::A \\\" crate::job::B\";",
        "mod job { pub struct A; } use self::job::A;",
        "use job::Other;",
    ];
    for text in fine {
        let files =
            [("src/store/mod.rs", text), ("src/job/mod.rs", ""), ("src/error.rs", ""), ("src/model/mod.rs", "")];
        assert_eq!(house(&files).floors(), [], "{text}");
    }
}

#[test]
fn a_room_that_nobody_planned_is_found() {
    let found = house(&[("src/utils/mod.rs", "//! u")]).floors();
    assert_eq!(told(&found), ["src/utils/mod.rs:1: the room `utils` is on no floor"]);
}

#[test]
fn nobody_imports_from_the_map() {
    let files = [("src/lib.rs", "pub use model::Name; pub mod model;"), ("src/model/mod.rs", "pub struct Name;")];
    let found = house(&[files.as_slice(), &[("src/job/mod.rs", "use crate::helper;")]].concat()).floors();
    assert_eq!(told(&found), ["src/job/mod.rs:1: job (floor 3) imports lib (floor 5), upwards: `crate::helper`"]);
}

#[test]
fn files_that_need_each_other_are_found_through_re_exports() {
    let found = house(&[
        ("src/model/mod.rs", "mod a;\nmod b;\nmod c;\npub use a::A;\npub use b::B;\npub use c::C;"),
        ("src/model/a.rs", "//! a\nuse super::B;\npub struct A;"),
        ("src/model/b.rs", "//! b\nuse crate::model::C;\npub struct B;"),
        ("src/model/c.rs", "//! c\npub struct C(super::a::A);"),
    ])
    .cycles();
    let circle = "src/model/a.rs -> src/model/b.rs -> src/model/c.rs -> src/model/a.rs";
    assert_eq!(told(&found), [format!("src/model/a.rs:2: a circle of imports: {circle}")]);
}

#[test]
fn a_folder_and_its_children_are_one_module_but_children_stand_alone() {
    let parent =
        "pub mod child;\npub use child::Child;\npub trait Shape {}\npub fn make() -> child::Child { other::Other; }\n";
    let child = "use super::Shape;\npub struct Child;\n#[cfg(test)]\nmod tests { use super::super::deep; }";
    let mut files = vec![
        ("src/engine/mod.rs", parent),
        ("src/engine/child.rs", child),
        ("src/engine/deep/mod.rs", "use super::child::Child;\nfn f() { inner::g() }"),
        ("src/engine/deep/inner.rs", "use super::super::{Child, Shape};"),
    ];
    assert_eq!(house(&files).cycles(), []);
    files.push(("src/engine/other.rs", "use super::deep::inner::g;"));
    files[1].1 = "use super::Shape;\nuse super::other;\npub struct Child;";
    assert_eq!(
        told(&house(&files).cycles()),
        [
            "src/engine/child.rs:2: a circle of imports: src/engine/child.rs -> src/engine/other.rs -> src/engine/deep/inner.rs -> src/engine/child.rs"
        ]
    );
}

#[test]
fn crates_and_calls_out_of_their_place_are_found() {
    let faults = [
        ("src/repository/plain.rs", "use opendal::Operator;"),
        ("src/store/layers.rs", "use opendal::services::Fs;"),
        ("src/job/backup.rs", "#[derive(clap::Args)] struct A;"),
        ("src/job/restore.rs", "fn f() { rusqlite::Connection::open(1) }"),
        ("src/cli/init.rs", "use toml as t;"),
        ("tests/keys.rs", "fn f() { std::thread::sleep(d) }"),
        ("tests/engines.rs", "use tokio::time::{self, sleep};"),
    ];
    for fault in faults {
        let found = house(&[fault]).only_here();
        assert_eq!(found.len(), 1, "{fault:?}: {found:?}");
        told(&found);
    }
    let fine = [
        ("src/store/open.rs", "use opendal::services::Fs; use opendal::Operator;"),
        ("src/cli/backup.rs", "use clap::Args;"),
        ("src/engine/sqlite/dump.rs", "use rusqlite::Connection;"),
        ("src/job/restore.rs", "#[cfg(test)] mod tests { use rusqlite::Connection; }"),
        ("tests/engines.rs", "use rusqlite::Connection; const A: &str = \"sleep 1\";"),
        ("tests/support/mod.rs", "use std::thread::sleep;"),
    ];
    assert_eq!(house(&fine).only_here(), []);
}

#[test]
fn a_file_for_tests_alone_may_open_what_it_checks() {
    let parent = ("src/job/mod.rs", "#[cfg(test)]\nmod proof;\nmod work;");
    let names = "use rusqlite::Connection;";
    assert_eq!(house(&[parent, ("src/job/proof.rs", names)]).only_here(), []);
    assert_eq!(house(&[parent, ("src/job/work.rs", names)]).only_here().len(), 1);
}

#[test]
fn a_file_that_is_no_rust_is_reported_and_not_passed_over() {
    let (_, broken) =
        House::read(&tree(&[("src/job/mod.rs", "fn f( {"), ("src/job/a.rs", "}"), ("src/job/b.rs", "( ]")]));
    assert_eq!(told(&broken).len(), 3);
}

#[test]
fn a_file_without_a_head_and_a_file_too_long_are_found() {
    let long = format!("//! All of it is here.\n{}", "x\n".repeat(MAX_LINES));
    let files = tree(&[("src/a.rs", "use b;"), ("tests/b.rs", "//!\n"), ("src/c.rs", &long), ("docs/d.rs", "")]);
    assert_eq!(told(&words::heads(&files)).len(), 2);
    let found = words::sizes(&files, MAX_LINES, MAX_MEDIAN);
    assert_eq!(told(&found)[0], "src/c.rs:401: has 401 lines, 400 at most");
    let many = tree(&[("src/a.rs", &"x\n".repeat(251)), ("src/b.rs", &"x\n".repeat(251)), ("src/c.rs", "")]);
    assert_eq!(told(&words::sizes(&many, MAX_LINES, MAX_MEDIAN)), ["src:1: the median of lines is 251, 250 at most"]);
}

#[test]
fn a_map_that_differs_from_the_rooms_is_found() {
    let lib = "//! | floor | room | what |\n//! | --- | --- | --- |\n//! | 0 | [`error`], [`model`] | words |\n//! | 2 | [`store`] | s |\n//! | 3 | [`job`] | j |\n";
    let files = tree(&[
        ("src/lib.rs", lib),
        ("src/error.rs", ""),
        ("src/model/mod.rs", ""),
        ("src/store/mod.rs", ""),
        ("src/cli/mod.rs", ""),
    ]);
    assert_eq!(
        told(&words::map(&files, TABLE)),
        [
            "src/lib.rs:4: store is on floor 1",
            "src/lib.rs:1: the map does not show `cli`",
            "src/lib.rs:1: the map shows `job`, which is not there",
        ]
    );
}

#[test]
fn a_document_that_names_what_is_not_there_is_found() {
    let text = "Open `src/store/open.rs`, `src/store/`, `deny.toml`, [that](docs/gone.md#part).\nNot `/etc/qbackd/a.toml`, `age -d`, `src/*/mod.rs`, `a::b`.\n`src/gone.rs` and `src/sto/`";
    let files = tree(&[("A.md", text), ("src/store/open.rs", ""), ("deny.toml", "")]);
    assert_eq!(
        told(&words::cited(&files, "A.md")),
        [
            "A.md:1: names `docs/gone.md`, which does not exist",
            "A.md:3: names `src/gone.rs`, which does not exist",
            "A.md:3: names `src/sto/`, which does not exist",
        ]
    );
    assert_eq!(told(&words::cited(&files, "B.md")), ["B.md:1: is not there"]);
}
