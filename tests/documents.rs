//! Every fenced TOML in our documents and every file under etc/ passes check.
//!
//! A block is a whole configuration, or a fragment: tables that go with the first TOML of README.md, where a table of the
//! fragment stands for the one of the same name there. Paths are laid under a root of the test's own, so that nothing depends on
//! what this host has; then nothing may be said about a block but that a key or an engine is not built yet.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use qbackd::config::{Level, accepted_keys};

use crate::configuration::Dir;

/// One piece of TOML and where it is from.
struct Block {
    from: String,
    text: String,
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files below a folder with one of these endings; none where there is no folder.
fn files(below: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir(below).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    let (folders, files): (Vec<_>, Vec<_>) = found.into_iter().partition(|path| path.is_dir());
    let known = |path: &PathBuf| path.extension().is_some_and(|end| endings.iter().any(|e| end == *e));
    let below = folders.iter().flat_map(|folder| self::files(folder, endings));
    files.into_iter().filter(known).chain(below).collect()
}

fn documents() -> Vec<PathBuf> {
    let mut found: Vec<_> = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"].map(|name| project().join(name)).into();
    found.extend(files(&project().join("docs"), &["md"]));
    found.extend(files(&project().join("man"), &["md", "5", "8"]));
    found.retain(|path| path.exists());
    found
}

/// The TOML of a document: fenced as ```toml in Markdown; in a manual page each literal display with a table's header.
fn blocks(path: &Path) -> Vec<Block> {
    let text = std::fs::read_to_string(path).unwrap();
    let manual = path.extension().is_some_and(|end| end != "md");
    let opens = |line: &str| if manual { line.starts_with(".Bd -literal") } else { line == "```toml" };
    let closes = |line: &str| if manual { line == ".Ed" } else { line == "```" };
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        match &mut open {
            None if opens(trimmed) => {
                open = Some(Block { from: format!("{}:{}", path.display(), number + 1), text: String::new() });
            }
            Some(_) if closes(trimmed) => blocks.extend(open.take()),
            Some(block) => block.text += &format!("{line}\n"),
            None => {}
        }
    }
    assert!(open.is_none(), "{} has a block without an end", path.display());
    blocks.retain(|block| !manual || block.text.lines().any(|line| line.starts_with('[')));
    blocks
}

/// The first configuration of the README, or the one under etc/ where the README has none.
fn first() -> String {
    let readme = project().join("README.md");
    let first = if readme.exists() { blocks(&readme).into_iter().next() } else { None };
    first
        .map_or_else(|| std::fs::read_to_string(project().join("etc/qbackd/example.toml")).unwrap(), |block| block.text)
}

/// A text without the tables whose headers `other` has.
fn without_tables_of(text: &str, other: &str) -> String {
    let headers: BTreeSet<_> = other.lines().map(str::trim).filter(|line| line.starts_with('[')).collect();
    let mut keep = true;
    let mut out = String::new();
    for line in text.lines() {
        if line.trim().starts_with('[') {
            keep = !headers.contains(line.trim());
        }
        if keep {
            out += &format!("{line}\n");
        }
    }
    out
}

/// What is wrong with these files as one configuration, once their paths are laid under a root and exist there.
fn wrong(texts: &[&str]) -> Option<String> {
    let root = tempfile::tempdir().unwrap();
    let shown = root.path().display();
    let laid: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(i, text)| {
            let text = text.replace("\"/", &format!("\"{shown}/")).replace("sqlite:/", &format!("sqlite:{shown}/"));
            (format!("{i}.toml"), text)
        })
        .collect();
    let dir = Dir::with(&laid.iter().map(|(name, text)| (name.as_str(), text)).collect::<Vec<_>>());
    loop {
        let report = dir.report();
        let absent = report.diagnostics().iter().find_map(|d| d.message.strip_suffix(" does not exist"));
        if let Some(path) = absent.map(Path::new).filter(|path| path.starts_with(root.path())) {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
            continue;
        }
        let expected = |message: &str| {
            message.ends_with("has no effect yet") || message.ends_with("is not built into this qbackd")
        };
        let said = report.diagnostics().iter().any(|d| d.level == Level::Error || !expected(&d.message));
        return said.then(|| report.render(false));
    }
}

/// What is wrong with a block of a document, alone and as a fragment.
fn wrong_block(block: &Block, first: &str) -> Option<String> {
    let alone = wrong(&[&block.text])?;
    let together = wrong(&[&without_tables_of(first, &block.text), &block.text])?;
    Some(format!("{}\nalone:\n{alone}\nwith the first configuration of README.md:\n{together}\n", block.from))
}

#[test]
fn every_fenced_toml_of_the_documents_passes_check() {
    let first = first();
    let wrong: Vec<_> =
        documents().iter().flat_map(|path| blocks(path)).filter_map(|block| wrong_block(&block, &first)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_under_etc_passes_check() {
    let files = files(&project().join("etc"), &["toml"]);
    assert!(files.len() >= 6, "{files:?}");
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        if let Some(said) = wrong(&[&text]) {
            panic!("{}\n{said}", path.display());
        }
    }
}

#[test]
fn a_document_that_does_not_pass_is_found() {
    let first = first();
    let block = |text: &str| Block { from: String::new(), text: text.to_owned() };
    assert!(wrong_block(&block("[policy.nightly]\nful = \"02:00\"\n"), &first).is_some());
    assert!(wrong_block(&block("full = \"02:00\"\n"), &first).is_some());
    assert!(
        wrong_block(&block("[database.x]\nengine = \"command\"\ndump = [\"/x\"]\npolicy = \"nightly\"\n"), &first)
            .is_some()
    );
    // A fragment that changes a table of the first configuration and builds on the others.
    let fragment = "[database.shop]\nurl = \"sqlite:/srv/other.db\"\npolicy = \"nightly\"\n";
    assert_eq!(wrong_block(&block(fragment), &first), None);
}

/// A line of everything.toml that is a key behind a comment sign: the key and the line without the sign.
fn commented(line: &str) -> Option<(&str, &str)> {
    let rest = line.strip_prefix("# ")?;
    let key = rest.split_once(" = ")?.0;
    (!key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || matches!(b, b'_' | b'0'..=b'9')))
        .then_some((key, rest))
}

#[test]
fn everything_toml_has_every_key_and_each_can_be_taken_out_of_its_comment() {
    let text = std::fs::read_to_string(project().join("etc/examples/everything.toml")).unwrap();
    let mut kind = String::new();
    let mut seen = BTreeSet::new();
    for (number, line) in text.lines().enumerate() {
        if let Some(header) = line.strip_prefix('[') {
            header.trim_end_matches(']').split('.').next().unwrap().clone_into(&mut kind);
        } else if let Some((key, live)) = commented(line) {
            seen.insert((kind.clone(), key.to_owned()));
            let mut lines: Vec<_> = text.lines().collect();
            lines[number] = live;
            if let Some(said) = wrong(&[&lines.join("\n")]) {
                panic!("line {}: {live}\n{said}", number + 1);
            }
        } else if let Some((key, _)) = line.split_once(" = ") {
            seen.insert((kind.clone(), key.to_owned()));
            if key == "type" {
                // The keys of a way to notify are known by its type.
                line.trim_start_matches("type = \"").trim_end_matches('"').clone_into(&mut kind);
            }
        }
    }
    let within = ["keep", "retry", "hooks", "tls"];
    let missing: Vec<_> = accepted_keys()
        .into_iter()
        .filter(|(table, key)| match within.contains(table) {
            true => !text.contains(key),
            false => !seen.contains(&((*table).to_owned(), (*key).to_owned())),
        })
        .collect();
    assert_eq!(missing, []);
}
