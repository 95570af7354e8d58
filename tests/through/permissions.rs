//! Who may do what to a real daemon that root runs, as several users.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use super::{QUICK, Shop};
use crate::support::daemon::Daemon;
use crate::support::users::{self, ADA, ALICE, EVE, NOBODY, ROOT};

/// A bench that other users can reach, with shop for alice and blog for nobody.
pub fn open_house(keys: &str) -> Shop {
    let bench = Shop::with_keys(&format!("{keys}owner = 'shopkeepers'\n"));
    bench.also("blog", QUICK);
    std::fs::copy(env!("CARGO_BIN_EXE_qbackd"), bench.path("qbackd")).unwrap();
    std::fs::set_permissions(bench.path(""), PermissionsExt::from_mode(0o755)).unwrap();
    bench
}

/// A verb typed by a user.
pub fn typed(bench: &Shop, user: &[&str], args: &[&str]) -> Output {
    let mut command = Command::new("setpriv");
    command.args(user).args(["--inh-caps=-all", "--"]).arg(bench.path("qbackd")).arg("--config").arg(bench.path("etc"));
    command.args(args).stdin(std::process::Stdio::null()).current_dir("/").env("TMPDIR", "/tmp").output().unwrap()
}

fn code(bench: &Shop, user: &[&str], args: &[&str]) -> i32 {
    typed(bench, user, args).status.code().unwrap()
}

#[test]
fn an_owner_may_act_on_their_own_databases_and_no_other() {
    if !users::among_users("through::permissions::an_owner_may_act_on_their_own_databases_and_no_other") {
        return;
    }
    let bench = open_house(QUICK);
    let _daemon = Daemon::start(&bench);
    // What root, ada (of the group qbackd), alice (of the owner group), eve and one without a name get.
    let table: [(&[&str], [i32; 5]); 16] = [
        (&["backup", "shop"], [0, 0, 0, 77, 0]),
        (&["backup", "blog"], [0, 0, 77, 77, 77]),
        (&["backup", "--all"], [0, 0, 77, 77, 77]),
        (&["cancel", "shop"], [1, 1, 1, 77, 1]),
        (&["cancel", "blog"], [1, 1, 77, 77, 77]),
        (&["pause", "shop", "--reason", "x"], [0, 0, 0, 77, 0]),
        (&["resume", "shop"], [0, 0, 0, 77, 0]),
        (&["reset-failed", "blog"], [0, 0, 77, 77, 77]),
        (&["prune", "shop", "--dry-run"], [0, 0, 0, 77, 0]),
        (&["prune", "--dry-run"], [0, 0, 77, 77, 77]),
        (&["reload"], [0, 0, 77, 77, 77]),
        (&["diff"], [0, 0, 77, 77, 77]),
        (&["history", "shop"], [0, 0, 0, 77, 0]),
        (&["history", "blog"], [0, 0, 77, 77, 77]),
        (&["history"], [0, 0, 0, 77, 0]),
        (&["status"], [0, 0, 0, 0, 0]),
    ];
    for (args, expected) in table {
        let got = [ROOT, ADA, ALICE, EVE, NOBODY].map(|user| code(&bench, user, args));
        assert_eq!(got, expected, "{args:?}");
    }
    let said = typed(&bench, EVE, &["backup", "shop"]);
    let said = String::from_utf8_lossy(&said.stderr);
    assert!(said.contains("eve (uid 4244) may not act on shop"), "{said}");
    assert!(said.contains("members of the groups `shopkeepers` and `qbackd` may, and root"), "{said}");
    // A run of another's database is no more to be seen by its id than by its name.
    let blog = bench.json(&["history", "blog"])["runs"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!([ADA, ALICE, EVE].map(|user| code(&bench, user, &["history", &blog])), [0, 77, 77]);
    let seen = typed(&bench, ALICE, &["history", "--json"]);
    let seen: serde_json::Value = serde_json::from_slice(&seen.stdout).unwrap();
    let runs = seen["runs"].as_array().unwrap();
    assert!(!runs.is_empty() && runs.iter().all(|run| run["database"] == "shop"), "{seen}");
    let watch = |user: &[&str], what: &str| {
        let socket = bench.path("run/control.sock");
        let mut command = Command::new("setpriv");
        command
            .args(user)
            .args(["--inh-caps=-all", "--", "curl", "-sS", "--max-time", "30", "--unix-socket"])
            .arg(socket);
        let url = format!("http://qbackd/v1/runs/{what}/progress");
        let output = command.args(["-o", "/dev/null", "-w", "%{http_code}", &url]).current_dir("/").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    for what in ["blog", &blog] {
        assert_eq!([ADA, ALICE, EVE].map(|user| watch(user, what)), ["200", "403", "403"], "{what}");
    }
    let made = bench.listed();
    let of = |name: &str| made.iter().rfind(|id| id.starts_with(name)).unwrap().clone();
    let (shop, blog) = (of("shop/"), of("blog/"));
    assert_eq!([ALICE, EVE].map(|user| code(&bench, user, &["delete", &blog, "--yes"])), [77, 77]);
    // Not even whether there is such a backup is told.
    assert_eq!(code(&bench, EVE, &["delete", "2026", "--yes"]), 77);
    assert_eq!([EVE, ALICE].map(|user| code(&bench, user, &["delete", &shop, "--yes"])), [77, 0]);
    assert_eq!(bench.runs("delete")[0]["initiated_by"], "alice (uid 4242)");
}

#[test]
fn with_status_owners_others_see_nothing() {
    if !users::among_users("through::permissions::with_status_owners_others_see_nothing") {
        return;
    }
    let bench = open_house(QUICK);
    bench.edit("[daemon]", "[daemon]\nstatus = \"owners\"");
    let _daemon = Daemon::start(&bench);
    let seen = |user: &[&str]| {
        let output = typed(&bench, user, &["status", "--json"]);
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let names = status["databases"].as_array().into_iter().flatten();
        (output.status.code().unwrap(), names.map(|one| one["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>())
    };
    let both = || vec!["blog".to_owned(), "shop".to_owned()];
    assert_eq!([ROOT, ADA, ALICE].map(seen), [(0, both()), (0, both()), (0, vec!["shop".to_owned()])]);
    assert_eq!(seen(EVE), (77, Vec::new()));
    assert_eq!([ALICE, EVE].map(|user| code(&bench, user, &["status", "blog"])), [77, 77]);
    assert_eq!(code(&bench, EVE, &["history"]), 77);
}

#[test]
fn everything_that_is_done_is_recorded_with_who_did_it() {
    if !users::among_users("through::permissions::everything_that_is_done_is_recorded_with_who_did_it") {
        return;
    }
    let bench = open_house(QUICK);
    let daemon = Daemon::start(&bench);
    assert_eq!(code(&bench, ALICE, &["backup", "shop"]), 0);
    assert_eq!(code(&bench, NOBODY, &["pause", "shop", "--reason", "moving"]), 0);
    assert_eq!(code(&bench, ADA, &["resume", "shop"]), 0);
    assert_eq!(code(&bench, ALICE, &["reset-failed", "shop"]), 0);
    assert_eq!(code(&bench, ADA, &["reload"]), 0);
    assert_eq!(bench.last_run()["initiated_by"], "alice (uid 4242)");
    daemon.says("shop: backup started, asked for by alice (uid 4242)");
    assert!(daemon.stop().success());
    let state = std::sync::Arc::new(qbackd::history::StateDir::prepare(&bench.path("state")).unwrap());
    let reader = qbackd::history::Reader::open(&state).unwrap().unwrap();
    let mut actions = reader.events(&qbackd::history::EventFilter::default(), 100).unwrap();
    actions.reverse();
    let actions: Vec<_> = actions
        .iter()
        .filter_map(|entry| Some((entry.word.as_str(), entry.who.as_deref()?)))
        .filter(|(_, who)| who.contains("uid"))
        .collect();
    let expected = [
        ("pause", "uid 4245"),
        ("resume", "ada (uid 4243)"),
        ("reset-failed", "alice (uid 4242)"),
        ("reload", "ada (uid 4243)"),
    ];
    assert_eq!(actions, expected);
}
