//! The rules of the house over a tree of files, real or made up. What each rule is good for stands beside it in `TABLE`,
//! `ONLY_HERE` and the constants, and is printed with every violation.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::scan::{Source, scan};
use super::{ALONE, BELOW, ONLY_HERE, TABLE};

/// Files by path, relative to the project's root.
pub type Tree = BTreeMap<String, String>;

/// A rule that a file breaks.
#[derive(Debug, PartialEq, Eq)]
pub struct Violation {
    /// `src/engine/mod.rs:12`
    pub place: String,
    /// What stands there.
    pub what: String,
    /// Why it must not.
    pub why: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n    why: {}", self.place, self.what, self.why)
    }
}

/// The source of a tree, read.
pub struct House {
    /// Module path below the crate's root -> file.
    modules: BTreeMap<Vec<String>, String>,
    /// File -> what it names.
    sources: BTreeMap<String, Source>,
    /// Module and name -> the path it is re-exported from, made absolute.
    exports: BTreeMap<(Vec<String>, String), Vec<String>>,
    /// Files that exist for tests only.
    tests: BTreeSet<String>,
}

/// `src/engine/sqlite/mod.rs` -> `engine`; `src/error.rs` -> `error`; `src/main.rs` -> `main`.
pub fn room(file: &str) -> &str {
    let inner = file.strip_prefix("src/").unwrap_or(file);
    inner.split_once('/').map_or_else(|| inner.trim_end_matches(".rs"), |(room, _)| room)
}

fn floor(room: &str) -> Option<u8> {
    TABLE.iter().find(|row| row.room == room).map(|row| row.floor)
}

fn module_of(file: &str) -> Vec<String> {
    let inner = file.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    if inner == "lib" { Vec::new() } else { inner.split('/').map(str::to_owned).collect() }
}

impl House {
    /// Reads every Rust file of `tree`. Files that are no Rust are violations.
    pub fn read(tree: &Tree) -> (Self, Vec<Violation>) {
        let mut house = Self {
            modules: BTreeMap::new(),
            sources: BTreeMap::new(),
            exports: BTreeMap::new(),
            tests: BTreeSet::new(),
        };
        let mut broken = Vec::new();
        for (file, text) in tree.iter().filter(|(file, _)| file.ends_with(".rs")) {
            match scan(text, &module_of(file)) {
                Ok(source) => drop(house.sources.insert(file.clone(), source)),
                Err(error) => broken.push(violation(
                    file,
                    1,
                    format!("cannot be read: {error}"),
                    "what cannot be read cannot be checked",
                )),
            }
            if file.starts_with("src/") {
                house.modules.insert(module_of(file), file.clone());
            }
        }
        for (file, source) in &house.sources {
            for child in source.children.iter().filter(|child| child.test) {
                let mut module = module_of(file);
                module.push(child.name.clone());
                house.tests.extend(house.modules.get(&module).cloned());
            }
            for named in &source.paths {
                if let (Some(name), Some(path)) = (&named.exported, house.absolute(&named.module, &named.segments)) {
                    house.exports.insert((named.module.clone(), name.clone()), path);
                }
            }
        }
        (house, broken)
    }

    /// The path from the crate's root, or `None` if it leads into another crate.
    fn absolute(&self, module: &[String], segments: &[String]) -> Option<Vec<String>> {
        let mut base = module.to_vec();
        let mut rest = segments;
        match rest.first()?.as_str() {
            "crate" | "qbackd" => base.clear(),
            "self" => {}
            "super" => {
                while let Some("super") = rest.first().map(String::as_str) {
                    base.pop();
                    rest = &rest[1..];
                }
                base.extend_from_slice(rest);
                return Some(base);
            }
            child => {
                base.push(child.to_owned());
                self.modules.get(&base)?;
            }
        }
        base.extend_from_slice(&rest[1..]);
        Some(base)
    }

    /// The file that defines what `path` names, through re-exports.
    fn home(&self, path: &[String]) -> Option<&String> {
        let mut path = path.to_vec();
        // A chain of re-exports longer than this is a circle.
        for _ in 0..8 {
            let depth = (0..=path.len()).rev().find(|n| self.modules.contains_key(&path[..*n]))?;
            let exported = path.get(depth).and_then(|name| self.exports.get(&(path[..depth].to_vec(), name.clone())));
            match exported {
                Some(target) => path = [target.as_slice(), &path[depth + 1..]].concat(),
                None => return self.modules.get(&path[..depth]),
            }
        }
        None
    }

    /// Imports that go up or sideways, and rooms that have no floor.
    pub fn floors(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        for (file, source) in self.sources.iter().filter(|(file, _)| file.starts_with("src/")) {
            let own = room(file);
            let Some(own_floor) = floor(own) else {
                found.push(violation(
                    file,
                    1,
                    format!("the room `{own}` is on no floor"),
                    "who reads lib.rs and tests/architecture.rs knows every room",
                ));
                continue;
            };
            for named in &source.paths {
                let target =
                    self.absolute(&named.module, &named.segments).and_then(|path| Some((self.home(&path)?, path)));
                let Some((home, path)) = target else { continue };
                let written = path.first().filter(|first| floor(first).is_some()).map(String::as_str);
                let other = written.unwrap_or_else(|| room(home));
                let (Some(other_floor), false) = (floor(other), other == own) else { continue };
                let allowed = BELOW.iter().any(|(upper, lower, _)| (*upper, *lower) == (own, other));
                if other_floor < own_floor || allowed {
                    continue;
                }
                let (way, rule) = match other_floor == own_floor {
                    true => (
                        "sideways",
                        "rooms of one floor do not know each other, so that each can be changed and tested alone",
                    ),
                    false => (
                        "upwards",
                        "a file imports only from lower floors, so that it can be read without what is built on it",
                    ),
                };
                let reason = TABLE.iter().find(|row| row.room == own).map_or("", |row| row.why);
                let what = format!(
                    "{own} (floor {own_floor}) imports {other} (floor {other_floor}), {way}: `{}`",
                    named.segments.join("::")
                );
                found.push(violation(file, named.line, what, &format!("{rule}; {own}: {reason}")));
            }
        }
        found
    }

    /// Files of one room that need each other. A folder's `mod.rs` is made of its children, so that it may name them and they
    /// may name it: that is one module in several files. Children that need each other, directly or by a detour, are a circle.
    pub fn cycles(&self) -> Vec<Violation> {
        let mut needs: BTreeMap<&String, BTreeMap<&String, usize>> = BTreeMap::new();
        for (file, source) in
            self.sources.iter().filter(|(file, _)| file.starts_with("src/") && !self.tests.contains(*file))
        {
            for named in source.paths.iter().filter(|named| !named.test) {
                let Some(path) = self.absolute(&named.module, &named.segments) else { continue };
                match self.home(&path) {
                    Some(home) if room(home) == room(file) && !module_of(home).starts_with(&module_of(file)) => {
                        needs.entry(file).or_default().entry(home).or_insert(named.line);
                    }
                    _ => {}
                }
            }
        }
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for start in needs.keys() {
            let Some(circle) = shortest_circle(&needs, start) else { continue };
            if seen.insert(circle.iter().copied().collect::<BTreeSet<_>>()) {
                let names: Vec<&str> = circle.iter().chain([start]).map(|file| file.as_str()).collect();
                let line = needs[start][circle.get(1).unwrap_or(start)];
                found.push(violation(start, line, format!("a circle of imports: {}", names.join(" -> ")), ALONE));
            }
        }
        found
    }

    /// Crates and calls that belong to one place and are named elsewhere.
    pub fn only_here(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        for (file, source) in &self.sources {
            for named in &source.paths {
                let text = named.segments.join("::");
                for rule in ONLY_HERE.iter().filter(|rule| file.starts_with(rule.within)) {
                    let hit = if rule.path.starts_with("::") {
                        text.ends_with(rule.path)
                    } else {
                        text == rule.path || text.starts_with(&format!("{}::", rule.path))
                    };
                    let ours = self.absolute(&named.module, &named.segments).is_some();
                    let test = rule.within == "src/" && (named.test || self.tests.contains(file));
                    if hit && !ours && !test && !rule.places.iter().any(|place| file.starts_with(place)) {
                        found.push(violation(file, named.line, format!("names `{text}`"), rule.why));
                    }
                }
            }
        }
        found
    }
}

/// The shortest way from `start` back to itself, without the return.
fn shortest_circle<'a>(
    needs: &BTreeMap<&'a String, BTreeMap<&'a String, usize>>,
    start: &'a String,
) -> Option<Vec<&'a String>> {
    let mut ways: Vec<Vec<&String>> = vec![vec![start]];
    let mut visited = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for next in way.last().and_then(|last| needs.get(*last)).into_iter().flat_map(BTreeMap::keys) {
                if *next == start {
                    return Some(way);
                }
                if visited.insert(*next) {
                    longer.push(way.iter().copied().chain([*next]).collect());
                }
            }
        }
        ways = longer;
    }
    None
}

/// A violation at a line of a file.
pub fn violation(file: &str, line: usize, what: String, why: &str) -> Violation {
    Violation { place: format!("{file}:{line}"), what, why: why.to_owned() }
}
