//! The shape of the code: floors, circles, sizes, what ARCHITECTURE.md cites.
//!
//! The tables below are the law; `architecture/rules.rs` applies them, `architecture/proofs.rs` shows that each can be broken.

mod lex;
mod proofs;
mod rules;
mod scan;
mod words;

use std::path::Path;

use rules::{House, Tree, Violation};

/// A room, its floor, and what its place is good for.
struct Row {
    room: &'static str,
    floor: u8,
    why: &'static str,
}

const fn row(floor: u8, room: &'static str, why: &'static str) -> Row {
    Row { room, floor, why }
}

/// A file imports only from lower floors; rooms of one floor do not import each other.
const TABLE: &[Row] = &[
    row(0, "error", "everybody returns errors, so they know nobody"),
    row(0, "model", "the words of the design mean the same to everybody, so they depend on nothing that may change"),
    row(1, "schedule", "the calendar is pure: whoever asks brings the time, so that every case can be tested"),
    row(1, "retention", "what may be deleted is a pure function of backups, rules and time, so that it can be proven"),
    row(1, "engine", "an engine hands over plain streams and knows no destination, so that a new engine is one folder"),
    row(1, "stage", "a stage sees bytes, not databases or buckets, so that any stream can pass it"),
    row(1, "store", "a destination stores objects and knows no backups, so that a new one is one arm of open()"),
    row(
        1,
        "history",
        "a damaged record must never stand in the way of a backup or a restore, so nothing is built on it",
    ),
    row(1, "notify", "a message is sent, whatever it says"),
    row(1, "control", "the wire is spoken by the daemon and by the verbs, so it belongs to neither"),
    row(2, "config", "it composes the options that each room owns, and starts nothing"),
    row(2, "repository", "the format at a destination joins stages and store; another format can come beside it"),
    row(3, "job", "each piece of work is a straight line over what is below, whoever started it"),
    row(4, "cli", "a verb reads arguments and shows results; what it does can be done without it"),
    row(4, "daemon", "it decides when; what is done is a job, so that it can be done without a daemon"),
    row(5, "lib", "the map; whatever a room needs of another it names by the room"),
    row(5, "main", "the program is thin, so that all of it can be tested"),
];

/// Rooms of one floor where one stands below the other all the same: upper, lower, why.
const BELOW: &[(&str, &str, &str)] = &[("model", "error", "reading a word can fail like anything else")];

/// Why there are no circles.
const ALONE: &str =
    "files that need each other are one file in pieces: none can be read, tested or moved without the others";

/// A crate or a call that is named in few places.
struct OnlyHere {
    /// The first segments of a path; the last ones if it begins with `::`.
    path: &'static str,
    /// Files the rule is about.
    within: &'static str,
    /// Where it may be named.
    places: &'static [&'static str],
    why: &'static str,
}

const ONLY_HERE: &[OnlyHere] = &[
    OnlyHere {
        path: "opendal",
        within: "src/",
        places: &["src/store/"],
        why: "its errors, retries and half-written objects are tamed in one room; nobody else meets them",
    },
    OnlyHere {
        path: "opendal::services",
        within: "src/",
        places: &["src/store/open.rs"],
        why: "a new destination is one arm in one function",
    },
    OnlyHere {
        path: "clap",
        within: "src/",
        places: &["src/cli/"],
        why: "what can be typed is one room's business; a job takes typed requests",
    },
    OnlyHere {
        path: "rusqlite",
        within: "src/",
        places: &["src/history/", "src/engine/sqlite/"],
        why: "two rooms open SQLite files, the record and the engine; who else wants rows asks them",
    },
    OnlyHere {
        path: "toml",
        within: "src/",
        places: &["src/config/"],
        why: "files are read on one path, with every error at its line",
    },
    OnlyHere {
        path: "::sleep",
        within: "tests/",
        // A random moment is what kill.rs tries; there is no event to wait for.
        places: &["tests/support/", "tests/kill.rs"],
        why: "a test that sleeps is slow on a fast machine and fails on a slow one: wait for the event, with a limit",
    },
];

/// Lines of a Rust file at most, and their median over `src/`.
const MAX_LINES: usize = 400;
const MAX_MEDIAN: usize = 250;

/// The project on the disk.
fn project() -> Tree {
    fn add(root: &Path, below: &Path, tree: &mut Tree) {
        for entry in std::fs::read_dir(root.join(below)).unwrap_or_else(|e| panic!("{}: {e}", below.display())) {
            let path = below.join(entry.unwrap().file_name());
            if root.join(&path).is_dir() {
                add(root, &path, tree);
            } else {
                let bytes = std::fs::read(root.join(&path)).unwrap();
                tree.insert(path.to_str().unwrap().to_owned(), String::from_utf8_lossy(&bytes).into_owned());
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tree = Tree::new();
    for entry in std::fs::read_dir(root).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        match name.as_str() {
            ".git" | "target" | "qbackd-try" => {}
            _ if root.join(&name).is_dir() => add(root, Path::new(&name), &mut tree),
            _ => {
                drop(tree.insert(
                    name.clone(),
                    String::from_utf8_lossy(&std::fs::read(root.join(&name)).unwrap()).into_owned(),
                ))
            }
        }
    }
    tree
}

fn assert_clean(violations: &[Violation]) {
    let list: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(list.is_empty(), "\n{}\n", list.join("\n"));
}

#[test]
fn files_import_only_from_lower_floors() {
    let (house, broken) = House::read(&project());
    assert_clean(&broken);
    assert_clean(&house.floors());
}

#[test]
fn no_files_of_a_room_need_each_other() {
    assert_clean(&House::read(&project()).0.cycles());
}

#[test]
fn crates_and_calls_stay_where_they_belong() {
    assert_clean(&House::read(&project()).0.only_here());
}

#[test]
fn every_file_says_what_belongs_there() {
    assert_clean(&words::heads(&project()));
}

#[test]
fn files_stay_small() {
    assert_clean(&words::sizes(&project(), MAX_LINES, MAX_MEDIAN));
}

#[test]
fn the_map_of_lib_rs_shows_every_room_on_its_floor() {
    assert_clean(&words::map(&project(), TABLE));
}

#[test]
fn every_path_that_architecture_md_names_exists() {
    assert_clean(&words::cited(&project(), "ARCHITECTURE.md"));
}
