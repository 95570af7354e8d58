//! `tests/counts` keeps tests from going silently: made-up lists and reports, and what it says of them.

use std::path::Path;
use std::process::Command;

/// Runs `tests/counts` over one suite `kill` in tests/ and one test in src/; gives back whether it passed, and all it said.
fn counts(expected: &str, kill: &[(&str, bool)], ran: &[&str]) -> (bool, String) {
    let dir = tempfile::tempdir().unwrap();
    let cases: serde_json::Map<_, _> = kill
        .iter()
        .map(|(name, ignored)| ((*name).to_owned(), serde_json::json!({ "kind": "test", "ignored": ignored })))
        .collect();
    let list = serde_json::json!({ "rust-suites": {
        "p": { "binary-id": "p", "kind": "lib", "testcases": { "model::tests::a": { "kind": "test", "ignored": false } } },
        "p::all": { "binary-id": "p::all", "kind": "test", "testcases": cases },
    }});
    let report: String = ran
        .iter()
        .map(|test| test.split_once(' ').unwrap())
        .map(|(binary, name)| format!("<testcase name=\"{name}\" classname=\"{binary}\" time=\"0\">\n</testcase>\n"))
        .collect();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let out = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/counts"))
        .args([file("expected", expected), file("list", &list.to_string()), file("junit", &report)])
        .output()
        .unwrap();
    (out.status.success(), [out.stdout, out.stderr].concat().iter().map(|b| char::from(*b)).collect())
}

const ALL: &[&str] = &["p model::tests::a", "p::all kill::one", "p::all kill::two"];
const TWO: &[(&str, bool)] = &[("kill::one", false), ("kill::two", false)];

#[test]
fn the_expected_number_passes_and_more_is_noted() {
    let (passed, said) = counts("# suites\nunit 1\nkill 2\n", TWO, ALL);
    assert!(passed && said.contains("3 tests in 2 suites"), "{said}");
    let (passed, said) = counts("unit 1\nkill 1", TWO, ALL);
    assert!(passed && said.contains("note: kill has 2 tests, 1 are expected"), "{said}");
}

#[test]
fn a_lost_test_an_unknown_suite_and_a_lost_suite_fail() {
    for (expected, complaint) in [
        ("unit 1\nkill 3", "kill has 2 tests, 3 are expected"),
        ("unit 1", "kill has 2 tests and no line"),
        ("unit 1\nkill 2\nkeys 1", "keys has 0 tests, 1 are expected"),
        ("unit 1\nkill two", "cannot read the line of `kill`"),
    ] {
        let (passed, said) = counts(expected, TWO, ALL);
        assert!(!passed && said.contains(complaint), "{expected}: {said}");
    }
}

#[test]
fn an_ignored_test_and_one_that_did_not_run_fail() {
    let (passed, said) = counts("unit 1\nkill 2", &[("kill::one", false), ("kill::two", true)], ALL);
    assert!(!passed && said.contains("p::all kill::two is ignored"), "{said}");
    let (passed, said) = counts("unit 1\nkill 2", TWO, &ALL[..2]);
    assert!(!passed && said.contains("p::all kill::two is there and did not run"), "{said}");
}
