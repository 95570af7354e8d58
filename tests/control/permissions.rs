//! Who may do what, as several users with groups of their own.

use std::path::Path;

use qbackd::daemon::control::Limits;

use super::House;
use crate::support::users::{self, ADA, ALICE, EVE, GROUP, NOBODY, ROOT};

fn among_users(test: &str) -> bool {
    users::among_users(&format!("control::permissions::{test}"))
}

/// A request, and the status each of root, ada, alice, eve and the one without a name gets.
type Row = (&'static [&'static str], [u16; 5]);

const TABLE: &[Row] = &[
    (&["version"], [200, 200, 200, 200, 200]),
    (&["status"], [200, 200, 200, 200, 200]),
    (&["backup", "-d", r#"{"names": ["shop"]}"#], [202, 202, 202, 403, 202]),
    (&["backup", "-d", r#"{"names": ["shop", "blog"]}"#], [202, 202, 403, 403, 403]),
    (&["backup", "-d", r#"{"all": true}"#], [202, 202, 403, 403, 403]),
    (&["databases/shop/pause", "-X", "POST"], [200, 200, 200, 403, 200]),
    (&["databases/shop/resume", "-X", "POST"], [200, 200, 200, 403, 200]),
    (&["databases/shop/reset-failed", "-X", "POST"], [200, 200, 200, 403, 200]),
    (&["databases/blog/pause", "-X", "POST"], [200, 200, 403, 403, 403]),
    (&["databases/nosuch/pause", "-X", "POST"], [404, 404, 403, 403, 403]),
    (&["databases/blog/cancel", "-X", "POST"], [200, 200, 403, 403, 403]),
    (&["runs/blog/progress"], [200, 200, 403, 403, 403]),
    (&["reload", "-X", "POST"], [200, 200, 403, 403, 403]),
    (&["diff"], [200, 200, 403, 403, 403]),
    (&["prune", "-d", r#"{"names": ["shop"]}"#], [200, 200, 200, 403, 200]),
    (&["prune", "-d", r#"{"dry_run": true}"#], [200, 200, 403, 403, 403]),
    (&["delete", "-d", r#"{"id": "shop/2026"}"#], [200, 200, 200, 403, 200]),
    (&["delete", "-d", r#"{"id": "blog/2026"}"#], [200, 200, 403, 403, 403]),
];

#[tokio::test(flavor = "multi_thread")]
async fn groups_decide_who_may_act_and_the_hint_names_the_group() {
    if !among_users("groups_decide_who_may_act_and_the_hint_names_the_group") {
        return;
    }
    let house = House::new().await;
    house.desk.end_at_once();
    for (request, statuses) in TABLE {
        for (user, expected) in [ROOT, ADA, ALICE, EVE, NOBODY].iter().zip(statuses) {
            // What is streamed is lines; only the status is looked at.
            let output = house.curl_command(user, request).output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            let status = text.rsplit('\n').next().unwrap_or_default();
            assert_eq!(status, expected.to_string(), "{user:?} {request:?}: {text}");
        }
    }
    let hint = |user, request: &[&str]| house.curl(user, request).1["error"].clone();
    let refused = hint(EVE, &["databases/shop/pause", "-X", "POST"]);
    let expected = serde_json::json!({
        "kind": "not-permitted", "code": 77, "message": "eve (uid 4244) may not act on shop",
        "hint": "members of the groups `shopkeepers` and `qbackd` may, and root",
    });
    assert_eq!(refused, expected);
    let refused = hint(ALICE, &["reload", "-X", "POST"]);
    assert_eq!(refused["hint"], "members of the group `qbackd` may, and root");
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_desk_is_told_who_asked() {
    if !among_users("the_desk_is_told_who_asked") {
        return;
    }
    let house = House::new().await;
    for user in [ROOT, ADA, ALICE, NOBODY] {
        assert_eq!(house.curl(user, &["databases/shop/pause", "-X", "POST"]).0, 200);
    }
    let by = ["root (uid 0)", "ada (uid 4243)", "alice (uid 4242)", "uid 4245"];
    assert_eq!(house.desk.told(), by.map(|who| format!("pause shop by {who}")));
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn status_for_owners_shows_each_their_own_and_others_nothing() {
    if !among_users("status_for_owners_shows_each_their_own_and_others_nothing") {
        return;
    }
    let house = House::with("status = \"owners\"", "shopkeepers", Limits::default()).await;
    let seen = |user, request| house.curl(user, &[request]);
    let names = |user| {
        let (status, body) = seen(user, "status");
        assert_eq!(status, 200, "{body}");
        let databases = body["databases"].as_array().unwrap().clone();
        databases.into_iter().map(|database| database["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((names(ROOT), names(ADA)), (vec!["blog".into(), "shop".into()], vec!["blog".into(), "shop".into()]));
    assert_eq!(names(ALICE), ["shop"]);
    assert_eq!(seen(ALICE, "status?names=shop").0, 200);
    assert_eq!(seen(ALICE, "status?names=shop,blog").0, 403);
    // What exists is not told either.
    assert_eq!(seen(EVE, "status?names=blog").0, 403);
    assert_eq!(seen(EVE, "status?names=nosuch").0, 403);
    let (status, body) = seen(EVE, "status");
    assert_eq!((status, &body["error"]["code"]), (403, &77.into()), "{body}");
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_asked_for_at_each_request() {
    if !among_users("groups_are_asked_for_at_each_request") {
        return;
    }
    let house = House::new().await;
    let pause = &["databases/shop/pause", "-X", "POST"];
    assert_eq!(house.curl(EVE, pause).0, 403);
    std::fs::write(Path::new("/etc/group"), GROUP.replace("shopkeepers:x:4301:alice", "shopkeepers:x:4301:eve"))
        .unwrap();
    assert_eq!((house.curl(EVE, pause).0, house.curl(ALICE, pause).0), (200, 403));
    house.end().await;
}
