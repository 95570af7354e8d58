//! packaging/catalog/qbackd.catalog: for each event what happened and what to do.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::str::FromStr;

use qbackd::model::{Event, Moment};

use crate::support::systemd::Machine;

const CATALOG: &str = include_str!("../../packaging/catalog/qbackd.catalog");

/// Every id of the program, with its word.
fn of_the_program() -> BTreeMap<&'static str, &'static str> {
    let events = Event::WORDS.iter().map(|word| (Event::from_str(word).unwrap().message_id(), *word));
    let moments = Moment::WORDS.iter().map(|word| (Moment::from_str(word).unwrap().message_id(), *word));
    let all: Vec<_> = events.chain(moments).collect();
    let ids: BTreeMap<_, _> = all.iter().copied().collect();
    assert_eq!(ids.len(), all.len(), "two events with one id: {all:?}");
    ids
}

#[test]
fn the_catalog_explains_every_event_of_the_program_and_nothing_else() {
    let mut explained: Vec<_> = CATALOG.lines().filter_map(|line| line.strip_prefix("-- ")).collect();
    explained.sort_unstable();
    assert_eq!(explained, of_the_program().into_keys().collect::<Vec<_>>());
}

#[test]
fn what_the_catalog_says_to_type_can_be_typed() {
    let after = |line: &'static str| line.split("qbackd ").nth(1).and_then(|rest| rest.split_whitespace().next());
    let lines = CATALOG.lines().filter(|line| line.contains("  qbackd "));
    let verbs: BTreeSet<_> = lines.filter_map(after).collect();
    assert!(verbs.len() >= 8, "{verbs:?}");
    for verb in verbs {
        let help = Command::new(env!("CARGO_BIN_EXE_qbackd")).args([verb, "--help"]).output().unwrap();
        assert!(help.status.success(), "qbackd {verb}: {}", String::from_utf8_lossy(&help.stderr));
    }
}

#[test]
fn journalctl_explains_a_line_by_the_catalog() {
    let machine = Machine::installed();
    let output = machine.try_run(&["journalctl", "--update-catalog"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    for (id, word) in of_the_program() {
        let listed = machine.run(&["journalctl", "--list-catalog", id]);
        assert!(listed.contains(" qbackd: "), "{word}: {listed}");
    }
    let stale = Event::Stale.message_id();
    machine.sh(&format!(
        "printf 'MESSAGE_ID={stale}\\nMESSAGE=shop: no success for 50h\\nQBACKD_DATABASE=shop\\n' | logger --journald"
    ));
    machine.journal(&[]);
    let said = machine.run(&["journalctl", "--no-pager", "-x", &format!("MESSAGE_ID={stale}")]);
    assert!(said.contains("Subject: shop has no recent backup"), "{said}");
    assert!(said.contains("qbackd backup shop"), "{said}");
}
