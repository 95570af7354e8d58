//! `/metrics` and `/healthz` of a real daemon.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use super::{Desk, amend, break_it, desk};
use crate::support::daemon::{Daemon, SOON, until};
use crate::support::scrape::{free_port, get, promtool_likes};

/// The value of a row of the page; none if there is no such row.
fn value(page: &str, row: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(row)?.strip_prefix(' ')?.parse().ok())
}

/// A database that is well, one that fails, one that is paused; and where the daemon listens.
fn measured() -> (Desk, u16) {
    let port = free_port();
    let tables = "[database.blog]\nengine = 'command'\npolicy = 'plain'\nfull = '*/2 * * * * *'\ndump = ['false']\n\
                  pause_after = 0\nretry = { attempts = 1 }\n\
                  [database.held]\nengine = 'command'\npolicy = 'plain'\ndump = ['echo', 'x']\n";
    let bench = desk("full = '02:00'\n", tables);
    bench.edit("[daemon]", &format!("[daemon]\nlisten = '127.0.0.1:{port}'"));
    (bench, port)
}

#[test]
fn metrics_and_health_are_served_where_listen_says() {
    let (bench, port) = measured();
    let daemon = Daemon::start(&bench);
    daemon.says("shop: ok: ");
    daemon.says_times("blog: backup failed", 2);
    bench.ok(&["pause", "held"]);
    bench.ok(&["verify", "shop"]);
    let (code, page) = get(port, "/metrics");
    assert_eq!(code, "200");
    let at = "{database=\"shop\",destination=\"local\",type=\"full\"}";
    let know = |row: &str| value(&page, row).unwrap_or_else(|| panic!("{row} is not in\n{page}"));
    for (row, expected) in [
        (format!("qbackd_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")), 1.0),
        ("qbackd_configuration_accepted".into(), 1.0),
        ("qbackd_problems".into(), 0.0),
        ("qbackd_databases{state=\"active\"}".into(), 1.0),
        ("qbackd_databases{state=\"failing\"}".into(), 1.0),
        ("qbackd_databases{state=\"paused\"}".into(), 1.0),
        ("qbackd_database_failing{database=\"blog\"}".into(), 1.0),
        ("qbackd_database_paused{database=\"held\"}".into(), 1.0),
        ("qbackd_database_stale_after_seconds{database=\"shop\"}".into(), 172_800.0),
        ("qbackd_runs_total{database=\"shop\",kind=\"backup\",outcome=\"succeeded\"}".into(), 1.0),
        (format!("qbackd_last_success_plain_bytes{at}"), 5.0),
    ] {
        assert_eq!(know(&row), expected, "{row}\n{page}");
    }
    let now = jiff::Timestamp::now().as_second() as f64;
    assert!((0.0..600.0).contains(&know(&format!("qbackd_last_success_age_seconds{at}"))));
    assert!((now - know(&format!("qbackd_last_success_timestamp_seconds{at}"))) < 600.0);
    assert!(know(&format!("qbackd_last_success_duration_seconds{at}")) < 600.0);
    assert!(know(&format!("qbackd_last_success_bytes_per_second{at}")) > 0.0);
    assert!(know(&format!("qbackd_last_success_stored_bytes{at}")) > 5.0, "it is encrypted");
    assert_eq!(
        Some(know(&format!("qbackd_last_success_stored_bytes{at}"))),
        value(&page, "qbackd_stored_bytes_total{database=\"shop\"}")
    );
    assert!(know("qbackd_database_next_run_timestamp_seconds{database=\"shop\"}") > now);
    assert!(value(&page, "qbackd_database_next_run_timestamp_seconds{database=\"held\"}").is_none(), "it is paused");
    let failed = know("qbackd_runs_total{database=\"blog\",kind=\"backup\",outcome=\"failed\"}");
    assert!(failed >= 2.0 && know("qbackd_database_failures{database=\"blog\"}") >= 2.0);
    promtool_likes(&page);
    what_rules_and_dashboard_name_is_served(&page);
    let (code, line) = get(port, "/healthz");
    assert!(code == "200" && line.starts_with("ok: 3 databases"), "backups that fail are no reason to restart: {line}");

    // Counters outlive a reload; an edit that is refused is seen.
    let sound = bench.configuration();
    bench.set_configuration(&sound.replace("'02:00'", "'03:00'"));
    bench.ok(&["reload"]);
    let (_, page) = get(port, "/metrics");
    assert!(value(&page, "qbackd_runs_total{database=\"blog\",kind=\"backup\",outcome=\"failed\"}") >= Some(failed));
    assert_eq!(value(&page, "qbackd_runs_total{database=\"shop\",kind=\"backup\",outcome=\"succeeded\"}"), Some(1.0));
    bench.set_configuration(&sound.replace("'02:00'", "'at tea time'"));
    bench.fails(78, &["reload"]);
    let (_, page) = get(port, "/metrics");
    assert_eq!(
        (value(&page, "qbackd_configuration_accepted"), value(&page, "qbackd_problems")),
        (Some(0.0), Some(1.0))
    );
    assert!(get(port, "/healthz").1.starts_with("ok: degraded: 3 databases"));

    // Without its history the daemon cannot work.
    amend(&bench, "ALTER TABLE databases RENAME TO away");
    let (code, text) = get(port, "/healthz");
    assert!(code == "503" && text.starts_with("cannot read the history"), "{code} {text}");
    assert_eq!(get(port, "/metrics").0, "503");
    amend(&bench, "ALTER TABLE away RENAME TO databases");
    assert_eq!(get(port, "/healthz").0, "200");
    assert!(daemon.stop().success());
}

fn what_rules_and_dashboard_name_is_served(page: &str) {
    let served: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    for file in ["packaging/prometheus/qbackd.rules.yml", "packaging/grafana/qbackd.json"] {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        let words = text.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
        let named: BTreeSet<&str> = words.filter(|word| word.starts_with("qbackd_")).collect();
        let missing: Vec<_> = named.difference(&served).collect();
        assert!(!named.is_empty() && missing.is_empty(), "{file} uses {missing:?}");
    }
}

#[test]
fn a_port_that_is_taken_is_an_error_at_the_start_that_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let bench = desk("", "");
    bench.edit("[daemon]", &format!("[daemon]\nlisten = '{address}'"));
    let said = bench.fails(1, &["daemon"]);
    assert!(said.contains(&format!("cannot listen on {address} for metrics")), "{said}");
    assert!(said.contains("hint: another program listens there") && said.contains("`listen` in [daemon]"), "{said}");
}

#[test]
fn many_and_slow_scrapers_delay_no_run_and_are_cut_off() {
    let port = free_port();
    let bench = desk("full = '*/2 * * * * *'\n", "");
    bench.edit("[daemon]", &format!("[daemon]\nlisten = '127.0.0.1:{port}'"));
    let daemon = Daemon::start(&bench);
    // More than are served at a time: some say nothing, some half of a request, some read nothing.
    let mut callers: Vec<TcpStream> = (0..60)
        .map(|n| {
            let mut caller = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let head = [
                "",
                "GET /metr",
                "GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ",
                "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
            ];
            caller.write_all(head[n % head.len()].as_bytes()).unwrap();
            caller
        })
        .collect();
    let before = daemon.log().iter().filter(|line| line.contains("shop: ok: ")).count();
    daemon.says_times("shop: ok: ", before + 3);
    bench.ok(&["status"]);
    for caller in &mut callers {
        caller.set_read_timeout(Some(SOON)).unwrap();
        let mut said = Vec::new();
        // One that was cut off in the middle of its request may see a reset.
        let _ = caller.read_to_end(&mut said);
    }
    until("a scrape is answered", || (get(port, "/metrics").0 == "200").then_some(()));
    assert!(daemon.stop().success());
}

#[test]
fn a_failure_is_on_the_page_until_it_is_mended() {
    let port = free_port();
    let bench = desk("retry = { attempts = 1 }\n", "");
    bench.edit("[daemon]", &format!("[daemon]\nlisten = '127.0.0.1:{port}'"));
    break_it(&bench);
    let daemon = Daemon::start(&bench);
    let failures = || {
        let page = get(port, "/metrics").1;
        let row = |name: &str| value(&page, &format!("qbackd_database_{name}{{database=\"shop\"}}"));
        (row("failing"), row("failures"))
    };
    assert_eq!(failures(), (Some(0.0), Some(0.0)));
    bench.fails(1, &["backup", "shop"]);
    assert_eq!(failures(), (Some(1.0), Some(1.0)));
    super::mend_it(&bench);
    bench.ok(&["backup", "shop"]);
    assert_eq!(failures(), (Some(0.0), Some(0.0)));
    assert!(daemon.stop().success());
}
