//! Every way in which files change is seen by itself, by an event, not by the look once a minute.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::{bench, daemon, database};
use crate::support::daemon::Daemon;

/// What the log says where an event was missing.
const LOOKED: &str = "was found by looking";

fn seen_by_events(daemon: &Daemon) {
    assert!(!daemon.log().iter().any(|line| line.contains(LOOKED)), "{}", daemon.log().join("\n"));
}

/// Puts a link in place of what is there, in one step.
fn turn(link: &Path, to: &str) {
    let beside = link.with_file_name("..beside");
    symlink(to, &beside).unwrap();
    fs::rename(&beside, link).unwrap();
}

#[test]
fn a_file_that_comes_is_written_over_renamed_or_goes_is_taken_over() {
    let bench = bench();
    let daemon = daemon(&bench);
    let more = bench.path("etc/more.toml");
    fs::write(&more, database("made", "")).unwrap();
    daemon.says("configuration accepted: added database made");
    fs::write(&more, database("in-place", "")).unwrap();
    daemon.says("configuration accepted: added database in-place; removed database made");
    let mut end = fs::OpenOptions::new().append(true).open(&more).unwrap();
    end.write_all(database("appended", "").as_bytes()).unwrap();
    drop(end);
    daemon.says("configuration accepted: added database appended");
    fs::write(bench.path("etc/.more.toml.swp"), database("renamed", "")).unwrap();
    fs::rename(bench.path("etc/.more.toml.swp"), &more).unwrap();
    daemon.says("added database renamed; removed database appended, database in-place");
    fs::rename(&more, bench.path("etc/more.toml~")).unwrap();
    fs::write(&more, database("with-backup", "")).unwrap();
    daemon.says("added database with-backup");
    fs::remove_file(&more).unwrap();
    daemon.says("configuration accepted: removed database with-backup");
    seen_by_events(&daemon);
}

#[test]
fn a_mounted_config_map_is_taken_over_when_it_is_swapped() {
    let bench = bench();
    let etc = bench.path("etc");
    let mount = |version: &str, text: &str| {
        fs::create_dir(etc.join(version)).unwrap();
        fs::write(etc.join(version).join("map.toml"), text).unwrap();
        turn(&etc.join("..data"), version);
    };
    mount("..2026_1", &database("first", ""));
    symlink("..data/map.toml", etc.join("map.toml")).unwrap();
    let daemon = daemon(&bench);
    for (before, now) in [("first", "second"), ("second", "third")] {
        mount(&format!("..2026_{now}"), &database(now, ""));
        daemon.says(&format!("configuration accepted: added database {now}; removed database {before}"));
    }
    // The kubelet removes the old folder after the swap.
    fs::remove_dir_all(etc.join("..2026_1")).unwrap();
    mount("..2026_last", &database("last", ""));
    daemon.says("added database last");
    seen_by_events(&daemon);
}

#[test]
fn a_folder_that_is_replaced_is_taken_over_and_so_are_edits_in_the_new_one() {
    let bench = bench();
    let daemon = daemon(&bench);
    for round in ["a", "b"] {
        let (etc, new) = (bench.path("etc"), bench.path("new"));
        fs::create_dir(&new).unwrap();
        fs::copy(etc.join("qbackd.toml"), new.join("qbackd.toml")).unwrap();
        fs::write(new.join("more.toml"), database(&format!("new-{round}"), "")).unwrap();
        fs::rename(&etc, bench.path(format!("old-{round}"))).unwrap();
        fs::rename(&new, &etc).unwrap();
        daemon.says(&format!("added database new-{round}"));
        fs::write(etc.join("more.toml"), database(&format!("edited-{round}"), "")).unwrap();
        daemon.says(&format!("added database edited-{round}; removed database new-{round}"));
    }
    fs::remove_dir_all(bench.path("etc")).unwrap();
    daemon.says("the configuration was rejected");
    fs::rename(bench.path("old-b"), bench.path("etc")).unwrap();
    daemon.says("the files are whole again");
    seen_by_events(&daemon);
}

#[test]
fn a_folder_behind_links_is_taken_over_when_one_of_them_is_turned() {
    let bench = bench();
    for name in ["one", "two"] {
        fs::create_dir_all(bench.path(name).join("etc")).unwrap();
        fs::copy(bench.path("etc/qbackd.toml"), bench.path(name).join("etc/qbackd.toml")).unwrap();
        fs::write(bench.path(name).join("etc/more.toml"), database(name, "")).unwrap();
    }
    fs::remove_dir_all(bench.path("etc")).unwrap();
    symlink("one", bench.path("way")).unwrap();
    symlink("way/etc", bench.path("etc")).unwrap();
    let daemon = daemon(&bench);
    turn(&bench.path("way"), "two");
    daemon.says("configuration accepted: added database two; removed database one");
    fs::write(bench.path("two/etc/more.toml"), database("edited", "")).unwrap();
    daemon.says("configuration accepted: added database edited; removed database two");
    fs::remove_file(bench.path("etc")).unwrap();
    symlink("one/etc", bench.path("etc")).unwrap();
    daemon.says("added database one");
    seen_by_events(&daemon);
}

#[test]
fn a_file_that_is_a_link_is_taken_over_when_what_it_leads_to_is_edited() {
    let bench = bench();
    let kept = bench.path("kept");
    fs::create_dir(&kept).unwrap();
    fs::write(kept.join("v1"), database("start", "")).unwrap();
    symlink("v1", kept.join("current")).unwrap();
    symlink("../kept/current", bench.path("etc/far.toml")).unwrap();
    let daemon = daemon(&bench);
    fs::write(kept.join("v1"), database("in-place", "")).unwrap();
    daemon.says("configuration accepted: added database in-place; removed database start");
    fs::write(kept.join("beside"), database("by-rename", "")).unwrap();
    fs::rename(kept.join("beside"), kept.join("v1")).unwrap();
    daemon.says("configuration accepted: added database by-rename; removed database in-place");
    fs::write(kept.join("v2"), database("turned", "")).unwrap();
    turn(&kept.join("current"), "v2");
    daemon.says("configuration accepted: added database turned; removed database by-rename");
    fs::remove_file(kept.join("v2")).unwrap();
    daemon.says("the configuration was rejected");
    fs::write(kept.join("v2"), database("again", "")).unwrap();
    daemon.says("configuration accepted: added database again; removed database turned; the files are whole again");
    seen_by_events(&daemon);
}

#[test]
fn of_a_burst_of_writes_the_last_one_wins_with_few_reloads() {
    let bench = bench();
    let daemon = daemon(&bench);
    for n in 0..100 {
        fs::write(bench.path("etc/more.toml"), database(&format!("n{n}"), "")).unwrap();
    }
    daemon.says("added database n99");
    let reloads = daemon.log().iter().filter(|line| line.contains("configuration accepted")).count();
    assert!(reloads <= 10, "{reloads} reloads");
    seen_by_events(&daemon);
}

#[test]
fn a_file_that_stays_half_written_is_rejected_and_taken_over_when_it_is_whole() {
    let bench = bench();
    let daemon = daemon(&bench);
    let (text, mut file) = (database("whole", ""), fs::File::create(bench.path("etc/more.toml")).unwrap());
    let (half, rest) = text.as_bytes().split_at(text.len() / 2);
    file.write_all(half).unwrap();
    daemon.says("the configuration was rejected, the one before stays");
    file.write_all(rest).unwrap();
    drop(file);
    daemon.says("configuration accepted: added database whole; the files are whole again");
    seen_by_events(&daemon);
}
