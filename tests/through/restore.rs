//! A restore by the daemon, for an owner who may not read the keys: into the database's own place and nowhere else.

use super::Shop;
use super::permissions::{open_house, typed};
use crate::support::bench::names;
use crate::support::daemon::Daemon;
use crate::support::mounts;
use crate::support::users::{self, ALICE, EVE};

const KEYS: &str = "dump = ['echo', 'hello']\nrestore = ['sh', '-c', 'cat > $HERE/data/restored']\n";

/// What the daemon answers root.
fn post(bench: &Shop, path: &str, body: &[&str]) -> String {
    let mut command = std::process::Command::new("curl");
    command.args(["-sS", "--max-time", "30", "--unix-socket"]).arg(bench.path("run/control.sock")).args(body);
    String::from_utf8(command.arg(format!("http://qbackd/v1/{path}")).output().unwrap().stdout).unwrap()
}

#[test]
fn an_owner_without_the_keys_has_the_daemon_restore_their_database_and_no_other() {
    let test = "through::restore::an_owner_without_the_keys_has_the_daemon_restore_their_database_and_no_other";
    if !users::among_users(test) {
        return;
    }
    let bench = open_house(KEYS);
    let daemon = Daemon::start(&bench);
    bench.ok(&["backup", "shop", "blog"]);
    let restored = bench.path("data/restored");
    let text = |output: &std::process::Output| {
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    let plan = typed(&bench, ALICE, &["restore", "shop", "--dry-run"]);
    assert!(plan.status.success() && text(&plan).contains("nothing was changed"), "{}", text(&plan));
    assert!(!restored.exists() && bench.runs("restore").is_empty());

    let said = typed(&bench, ALICE, &["restore", "shop", "--yes"]);
    assert!(said.status.success(), "{}", text(&said));
    assert!(text(&said).contains("by       the daemon") && text(&said).contains("restored shop/"), "{}", text(&said));
    assert_eq!(std::fs::read_to_string(&restored).unwrap(), "hello\n");
    let run = &bench.runs("restore")[0];
    assert_eq!((&run["outcome"], &run["initiated_by"]), (&"succeeded".into(), &"alice (uid 4242)".into()));
    daemon.says("shop: restore started, asked for by alice (uid 4242)");
    let document = typed(&bench, ALICE, &["restore", "shop", "--yes", "--json"]);
    let document: serde_json::Value = serde_json::from_slice(&document.stdout).unwrap();
    assert!(document["backup"].as_str().unwrap().starts_with("shop/"), "{document}");

    // What was agreed to is not what would be replaced by now.
    let begun =
        post(&bench, "restore", &["-d", r#"{"what": "shop", "overwrite": true, "agreed": ["something else"]}"#]);
    let begun: serde_json::Value = serde_json::from_str(&begun).unwrap();
    let followed = post(&bench, &format!("runs/{}/progress", begun["run"].as_str().unwrap()), &[]);
    let last = followed.lines().last().unwrap();
    assert!(last.contains("\"try-again\"") && last.contains("is not what it was a moment ago"), "{followed}");

    // Neither another's database nor another place, nor somebody who owns nothing.
    assert_eq!(typed(&bench, ALICE, &["restore", "blog", "--yes"]).status.code(), Some(77));
    assert_eq!(typed(&bench, EVE, &["restore", "shop", "--yes"]).status.code(), Some(77));
    let said = typed(&bench, ALICE, &["restore", "shop", "--to", "/tmp/elsewhere", "--yes"]);
    assert!(!said.status.success() && !std::path::Path::new("/tmp/elsewhere").exists(), "{}", text(&said));
    assert_eq!(bench.runs("restore").len(), 2);
}

#[test]
fn a_restore_that_fails_in_the_daemon_ends_the_verb_with_its_error() {
    let test = "through::restore::a_restore_that_fails_in_the_daemon_ends_the_verb_with_its_error";
    if !users::among_users(test) {
        return;
    }
    let bench =
        open_house("dump = ['echo', 'hello']\nrestore = ['sh', '-c', 'cat >/dev/null; echo no room >&2; exit 4']\n");
    let _daemon = Daemon::start(&bench);
    bench.ok(&["backup", "shop"]);
    let said = typed(&bench, ALICE, &["restore", "shop", "--yes"]);
    let err = String::from_utf8_lossy(&said.stderr);
    assert_eq!(said.status.code(), Some(1), "{err}");
    assert!(err.contains("no room"), "{err}");
    assert_eq!(bench.runs("restore")[0]["outcome"], "failed");
}

#[test]
fn a_restore_that_does_not_fit_is_refused_by_the_daemon_before_and_after_the_question() {
    let test = "through::restore::a_restore_that_does_not_fit_is_refused_by_the_daemon_before_and_after_the_question";
    if !users::among_users(test) {
        return;
    }
    let bench = open_house("dump = ['cat', '$HERE/www/large']\n");
    bench.edit(
        "engine = \"command\"\npolicy = \"plain\"\ndump = ['cat', '",
        "engine = \"files\"\npolicy = \"plain\"\nfiles = ['",
    );
    let www = bench.path("www");
    std::fs::create_dir(&www).unwrap();
    std::fs::write(www.join("large"), vec![7; 300_000]).unwrap();
    let _daemon = Daemon::start(&bench);
    bench.ok(&["backup", "shop"]);
    // The disk was replaced by a smaller one.
    mounts::tmpfs(&www, "size=64k");
    let lacking = format!("not enough space in {}: 293.0 KiB are needed, 64.0 KiB are free", www.display());
    for flag in ["--dry-run", "--yes"] {
        let said = typed(&bench, ALICE, &["restore", "shop", flag]);
        let (out, err) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
        assert_eq!(said.status.code(), Some(1), "{err}");
        assert!(err.contains(&lacking) && out.contains("needs    293.0 KiB in "), "{out}\n{err}");
    }
    assert!(bench.runs("restore").is_empty(), "nobody was asked yet");
    // Whoever does not look at the plan first is refused all the same, as a run that failed.
    let begun = post(&bench, "restore", &["-d", r#"{"what": "shop", "overwrite": true, "backup_first": true}"#]);
    let begun: serde_json::Value = serde_json::from_str(&begun).unwrap();
    let followed = post(&bench, &format!("runs/{}/progress", begun["run"].as_str().unwrap()), &[]);
    assert!(followed.lines().last().unwrap().contains(&lacking), "{followed}");
    assert_eq!(bench.runs("restore")[0]["outcome"], "failed");
    assert_eq!((bench.runs("backup").len(), names(&www)), (1, vec![]));
}
