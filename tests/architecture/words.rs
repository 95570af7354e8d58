//! What can be told from the text of a file alone: its head, its length, the map, the paths a document cites.

use std::collections::BTreeSet;

use super::Row;
use super::rules::{Tree, Violation, room, violation};

fn rust(tree: &Tree) -> impl Iterator<Item = (&String, &String)> {
    let ours = |file: &str| ["src/", "tests/", "benches/"].iter().any(|folder| file.starts_with(folder));
    tree.iter().filter(move |(file, _)| ours(file) && file.ends_with(".rs"))
}

/// Files that do not begin with `//!`.
pub fn heads(tree: &Tree) -> Vec<Violation> {
    rust(tree)
        .filter(|(_, text)| !text.lines().next().is_some_and(|line| line.starts_with("//! ") && line.len() > 12))
        .map(|(file, _)| {
            let why = "who looks for the place of a new function reads the first line of each file, nothing else";
            violation(file, 1, "does not begin with `//!` and what belongs there".into(), why)
        })
        .collect()
}

/// Files over `max` lines, and a median over `src/` above `median`.
pub fn sizes(tree: &Tree, max: usize, median: usize) -> Vec<Violation> {
    let why = "a file that nobody can read in one go is the file that everybody fears";
    let mut found: Vec<Violation> = rust(tree)
        .filter(|(_, text)| text.lines().count() > max)
        .map(|(file, text)| violation(file, max + 1, format!("has {} lines, {max} at most", text.lines().count()), why))
        .collect();
    let mut lines: Vec<usize> =
        rust(tree).filter(|(file, _)| file.starts_with("src/")).map(|(_, text)| text.lines().count()).collect();
    lines.sort_unstable();
    let middle = lines.get(lines.len() / 2).copied().unwrap_or(0);
    if middle > median {
        found.push(violation("src", 1, format!("the median of lines is {middle}, {median} at most"), why));
    }
    found
}

/// Differences between the map of `src/lib.rs` (rows `| floor | [`room`], … | … |`), its modules, and the table of floors.
pub fn map(tree: &Tree, table: &[Row]) -> Vec<Violation> {
    let why = "the map is the first thing a newcomer reads; a wrong map is worse than none";
    let Some(text) = tree.get("src/lib.rs") else {
        return vec![violation("src/lib.rs", 1, "is not there".into(), why)];
    };
    let mut found = Vec::new();
    let mut shown = BTreeSet::new();
    for (number, line) in text.lines().enumerate() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let (true, [_, floor, rooms, _what, _]) = (line.starts_with("//! |"), cells.as_slice()) else { continue };
        let Ok(floor) = floor.parse::<u8>() else { continue };
        for name in rooms.split(',').map(|room| room.trim().trim_matches(['[', ']', '`'])) {
            shown.insert(name.to_owned());
            match table.iter().find(|row| row.room == name) {
                Some(row) if row.floor == floor => {}
                Some(row) => {
                    found.push(violation("src/lib.rs", number + 1, format!("{name} is on floor {}", row.floor), why))
                }
                None => found.push(violation("src/lib.rs", number + 1, format!("{name} is on no floor"), why)),
            }
        }
    }
    let rooms: BTreeSet<String> = rust(tree)
        .filter(|(file, _)| file.starts_with("src/"))
        .map(|(file, _)| room(file).to_owned())
        .filter(|room| room != "lib" && room != "main")
        .collect();
    for missing in rooms.difference(&shown) {
        found.push(violation("src/lib.rs", 1, format!("the map does not show `{missing}`"), why));
    }
    for gone in shown.difference(&rooms) {
        found.push(violation("src/lib.rs", 1, format!("the map shows `{gone}`, which is not there"), why));
    }
    found
}

/// Paths in backticks or as targets of links in `document` that the tree does not hold.
pub fn cited(tree: &Tree, document: &str) -> Vec<Violation> {
    let why = "a document that points at nothing sends its reader astray and is not believed again";
    let Some(text) = tree.get(document) else {
        return vec![violation(document, 1, "is not there".into(), why)];
    };
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let quoted = line.split('`').skip(1).step_by(2);
        let linked = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for path in quoted.chain(linked).filter(|word| looks_like_a_path(word)) {
            let path = path.split('#').next().unwrap_or(path);
            let folder = format!("{}/", path.trim_end_matches('/'));
            if !tree.contains_key(path) && !tree.keys().any(|file| file.starts_with(&folder)) {
                found.push(violation(document, number + 1, format!("names `{path}`, which does not exist"), why));
            }
        }
    }
    found
}

/// `src/store/open.rs`, `tests/run`, `deny.toml`, `docs/`: relative, without blanks or placeholders. Not `/etc/qbackd`, `a::b`, `age -d`.
fn looks_like_a_path(word: &str) -> bool {
    let plain = word.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/#".contains(&b));
    let ending = [".rs", ".md", ".toml", ".sh", ".lock"].iter().any(|end| word.ends_with(end));
    plain && !word.starts_with('/') && (word.contains('/') || ending)
}
