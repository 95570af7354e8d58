//! The manual pages say what the program does: each verb, each option, each key; and mandoc finds no fault with them.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use qbackd::config::{UNBUILT, accepted_keys};

/// The pages, by file.
const VERBS: &str = include_str!("../man/qbackd.8");
const KEYS: &str = include_str!("../man/qbackd.toml.5");

type Words = BTreeSet<String>;

/// What `qbackd ARGS` prints.
fn printed(args: &[&str]) -> String {
    let out = Command::new(env!("CARGO_BIN_EXE_qbackd")).args(args).env("NO_COLOR", "1").output().unwrap();
    assert!(out.status.success(), "qbackd {}: {}", args.join(" "), String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// The verbs that `qbackd --help` lists, at least one.
fn verbs_of_the_program() -> Words {
    let verbs = verbs_of_help(&printed(&["--help"]));
    assert!(!verbs.is_empty(), "qbackd --help lists no verbs");
    verbs
}

/// The verbs that a help text lists, without clap's own `help`.
fn verbs_of_help(help: &str) -> Words {
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let verbs = list.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    verbs.filter_map(|line| line.split_whitespace().next()).filter(|verb| *verb != "help").map(str::to_owned).collect()
}

/// The options, as typed (`-n`, `--number`), that a help text lists.
fn options_of_the_program(help: &str) -> Words {
    let lines = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    lines
        .flat_map(|line| line.split([' ', ',', '=']).take_while(|word| word.is_empty() || word.starts_with('-')))
        .map(|word| word.trim_end_matches("...").to_owned())
        // An empty word comes from a comma and a blank, a bare dash begins the entry of a list.
        .filter(|word| word.len() > 1)
        .collect()
}

/// The parts of a page: the title of every `.Sh` and `.Ss`, and its lines.
fn parts(page: &'static str) -> BTreeMap<String, Vec<&'static str>> {
    let mut parts: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut title = String::new();
    for line in page.lines() {
        match line.strip_prefix(".Sh ").or_else(|| line.strip_prefix(".Ss ")) {
            Some(next) => next.clone_into(&mut title),
            None => parts.entry(title.clone()).or_default().push(line),
        }
    }
    parts
}

/// The options that have an entry among `lines`: `.It Fl n Ar number , Fl -number Ar number`.
fn options_of_the_page(lines: &[&str]) -> Words {
    let entries = lines.iter().filter_map(|line| line.strip_prefix(".It Fl "));
    entries
        .flat_map(|entry| entry.split(" Fl "))
        .filter_map(|option| option.split_whitespace().next())
        .map(|option| format!("-{option}"))
        .collect()
}

/// The verbs of the page: the subsections of VERBS.
fn verbs_of_the_page() -> Words {
    let verbs =
        VERBS.lines().skip_while(|line| *line != ".Sh VERBS").skip(1).take_while(|line| !line.starts_with(".Sh"));
    verbs.filter_map(|line| line.strip_prefix(".Ss ")).map(str::to_owned).collect()
}

#[test]
fn mandoc_finds_no_fault() {
    for page in ["man/qbackd.8", "man/qbackd.toml.5"] {
        let out = Command::new("mandoc")
            .args(["-T", "lint", "-W", "warning", page])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success() && said.is_empty(), "{said}");
    }
}

#[test]
fn a_help_text_is_read_as_clap_writes_it() {
    let help = "Back up\n\nUsage: qbackd [OPTIONS] <COMMAND>\n\nCommands:\n  try     Prove it\n          on one screen\n  backup  Now\n  \
                help    Print this\n\nOptions:\n  -n, --number <N>       At most [default: 50]\n      --identity <FILE>...\n          A file\n  \
                -f, --follow\n      --level=<LEVEL>  How - much\n          - decode: all\n";
    assert_eq!(Vec::from_iter(verbs_of_help(help)), ["backup", "try"]);
    assert_eq!(
        Vec::from_iter(options_of_the_program(help)),
        ["--follow", "--identity", "--level", "--number", "-f", "-n"]
    );
}

#[test]
fn the_manual_has_the_verbs_of_the_program_and_no_others() {
    assert_eq!(verbs_of_the_page(), verbs_of_the_program());
}

#[test]
fn the_manual_has_the_options_of_each_verb_and_no_others() {
    let parts = parts(VERBS);
    let everywhere = options_of_the_page(&parts["OPTIONS"]);
    let mut wrong = Vec::new();
    for verb in verbs_of_the_program() {
        let help = printed(&[&verb, "--help"]);
        let mut program = options_of_the_program(&help);
        for second in verbs_of_help(&help) {
            program.extend(options_of_the_program(&printed(&[&verb, &second, "--help"])));
        }
        let page = parts.get(&verb).map(|lines| options_of_the_page(lines)).unwrap_or_default();
        for missing in program.iter().filter(|option| !page.contains(*option) && !everywhere.contains(*option)) {
            wrong.push(format!("{verb} {missing}: not in man/qbackd.8"));
        }
        for gone in page.difference(&program) {
            wrong.push(format!("{verb} {gone}: in man/qbackd.8, but the program does not know it"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// A key of the page: its example, whether it is marked as not acting yet, and whether type and default are told.
#[derive(Debug, Default)]
struct Entry {
    example: String,
    later: bool,
    described: bool,
}

/// The keys of the page by table: the entries of each section called `[TABLE]` or `[TABLE.NAME]`.
fn keys_of_the_page() -> BTreeMap<(String, String), Entry> {
    let mut keys = BTreeMap::new();
    for (title, lines) in parts(KEYS) {
        let Some(table) = title.strip_prefix('[').and_then(|t| t.strip_suffix(']')) else { continue };
        let table = table.trim_end_matches(".NAME").to_owned();
        let mut key: Option<(String, String)> = None;
        let mut literal = false;
        for line in lines {
            if let Some(name) = line.strip_prefix(".It Ic ") {
                key = Some((table.clone(), name.to_owned()));
                keys.insert((table.clone(), name.to_owned()), Entry::default());
                continue;
            }
            let Some(entry) = key.as_ref().and_then(|key| keys.get_mut(key)) else { continue };
            match line {
                _ if line.starts_with(".Bd -literal") => literal = true,
                ".Ed" => literal = false,
                _ if literal => entry.example += &format!("{line}\n"),
                _ if line.starts_with(".Pq ") && !entry.described => {
                    (entry.described, entry.later) = (true, line.ends_with("; later"));
                }
                _ => {}
            }
        }
    }
    keys
}

/// The tables that have a section of their own; the others are tables within their keys.
const SECTIONS: [&str; 7] = ["daemon", "destination", "encryption", "signing", "policy", "database", "notify"];

/// The keys the configuration accepts, by table, and whether they are without an effect. What a way to notify takes hangs on its
/// `type`, and is told there.
fn keys_of_the_program() -> BTreeMap<(String, String), bool> {
    let later = |table, key| UNBUILT.iter().any(|(t, k, _)| *t == table && (*k == key || *k == "*"));
    let keys = accepted_keys().into_iter().chain([("notify", "type")]);
    let keys = keys.filter(|(table, _)| SECTIONS.contains(table));
    keys.map(|(table, key)| ((table.to_owned(), key.to_owned()), later(table, key))).collect()
}

#[test]
fn the_manual_has_every_key_and_says_which_do_not_act_yet() {
    let page = keys_of_the_page();
    let program = keys_of_the_program();
    let mut wrong = Vec::new();
    for ((table, key), later) in &program {
        match page.get(&(table.clone(), key.clone())) {
            None => wrong.push(format!("[{table}] {key} is not in man/qbackd.toml.5")),
            Some(entry) if entry.later != *later => wrong.push(format!("[{table}] {key}: `later` is {}", entry.later)),
            Some(entry) if !entry.described => wrong.push(format!("[{table}] {key}: no type and default in `.Pq`")),
            Some(_) => {}
        }
    }
    for (table, key) in page.keys().filter(|key| !program.contains_key(*key)) {
        wrong.push(format!("[{table}] {key} is in man/qbackd.toml.5, but no such key exists"));
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn the_manual_names_the_keys_of_tables_within_tables() {
    let named: Words =
        KEYS.lines().filter(|line| line.starts_with('.')).flat_map(str::split_whitespace).map(str::to_owned).collect();
    let missing: Vec<_> = accepted_keys().into_iter().filter(|(_, key)| !named.contains(*key)).collect();
    assert_eq!(missing, []);
}

#[test]
fn every_key_has_an_example_that_is_toml_and_sets_it() {
    for ((table, key), entry) in keys_of_the_page() {
        let example: toml::Table = entry.example.parse().unwrap_or_else(|e| panic!("[{table}] {key}: {e}"));
        assert!(example.contains_key(&key), "[{table}] {key}: its example is\n{}", entry.example);
    }
}
