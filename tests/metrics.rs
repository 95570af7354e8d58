//! `/metrics` and `/healthz`, as Prometheus, curl and promtool see them; the dashboard and the alert rules that go with them.

use std::collections::BTreeSet;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use qbackd::control::{Build, Status};
use qbackd::daemon::metrics::{Configuration, Counters, Figures, Source, bind, render, serve};
use qbackd::error::{Error, Result};
use qbackd::model::{Outcome, RunKind};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::fixture::sh;
use crate::support::scrape::promtool_likes;

const LIMIT: Duration = Duration::from_secs(30);

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Two databases: shop was backed up and is at it again, blog never was, and is paused.
fn figures() -> Figures {
    let shop = json!({
        "name": "shop", "engine": "sqlite", "state": "active", "stale": false, "stale_after": 172_800,
        "last_full": {
            "id": "20261120T020000Z-full-k3f9x2ab", "run": "20261120T020000Z-db1-k3f9x2ab",
            "started": "2026-11-20T02:00:00Z", "finished": "2026-11-20T02:00:50Z",
            "plain_bytes": 1_000_000, "stored_bytes": 250_000, "destinations": ["local", "offsite"],
        },
        "next": "2026-11-21T02:00:00Z",
        "running": { "run": "r2", "kind": "backup", "started": "2026-11-20T13:59:00Z" },
        "failures": 0,
        "proven": { "how": "verify", "run": "r0", "at": "2026-11-19T00:00:00Z" },
    });
    let blog = json!({ "name": "blog", "state": "paused", "stale": true, "failures": 3 });
    let status = json!({
        "at": "2026-11-20T14:00:00Z", "problems": ["the configuration was refused"], "databases": [blog, shop],
    });
    let mut status: Status = serde_json::from_value(status).unwrap();
    let started = Timestamp::from_second(1_700_000_000).unwrap();
    status.daemon = Some(Build { version: "1.2.3".into(), api: "v1".into(), pid: 1, config: None, started });
    let mut counters = Counters::default();
    let [shop, blog] = ["shop", "blog"].map(|name| name.parse().unwrap());
    counters.ended(&shop, RunKind::Backup, Outcome::Succeeded, 250_000);
    counters.ended(&shop, RunKind::Backup, Outcome::Succeeded, 250_000);
    counters.ended(&blog, RunKind::Backup, Outcome::TimedOut, 0);
    Figures { status, configuration: Configuration { accepted: false, since: started }, counters }
}

/// The names of the families of a page.
fn families(page: &str) -> BTreeSet<String> {
    page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn every_database_is_shown_with_age_duration_sizes_rate_failures_pause_and_next_run() {
    let page = render(&figures());
    let at = "database=\"shop\",destination=\"offsite\",type=\"full\"";
    for row in [
        "qbackd_build_info{version=\"1.2.3\"} 1".to_owned(),
        "qbackd_start_time_seconds 1700000000".to_owned(),
        "qbackd_configuration_accepted 0".to_owned(),
        "qbackd_problems 1".to_owned(),
        "qbackd_databases{state=\"paused\"} 1".to_owned(),
        "qbackd_databases{state=\"failing\"} 0".to_owned(),
        "qbackd_database_paused{database=\"blog\"} 1".to_owned(),
        "qbackd_database_paused{database=\"shop\"} 0".to_owned(),
        "qbackd_database_stale{database=\"blog\"} 1".to_owned(),
        "qbackd_database_running{database=\"shop\"} 1".to_owned(),
        "qbackd_database_failures{database=\"blog\"} 3".to_owned(),
        "qbackd_database_stale_after_seconds{database=\"shop\"} 172800".to_owned(),
        "qbackd_database_next_run_timestamp_seconds{database=\"shop\"} 1795226400".to_owned(),
        "qbackd_database_proven_timestamp_seconds{database=\"shop\"} 1795046400".to_owned(),
        format!("qbackd_last_success_timestamp_seconds{{{at}}} 1795140050"),
        format!("qbackd_last_success_age_seconds{{{at}}} 43200"),
        format!("qbackd_last_success_duration_seconds{{{at}}} 50"),
        format!("qbackd_last_success_plain_bytes{{{at}}} 1000000"),
        format!("qbackd_last_success_stored_bytes{{{at}}} 250000"),
        format!("qbackd_last_success_bytes_per_second{{{at}}} 20000"),
        "qbackd_runs_total{database=\"shop\",kind=\"backup\",outcome=\"succeeded\"} 2".to_owned(),
        "qbackd_runs_total{database=\"blog\",kind=\"backup\",outcome=\"timed out\"} 1".to_owned(),
        "qbackd_stored_bytes_total{database=\"shop\"} 500000".to_owned(),
    ] {
        assert!(page.lines().any(|line| line == row), "{row} is not in\n{page}");
    }
    // What is not known is not shown as a number.
    assert!(!page.contains("qbackd_last_success_age_seconds{database=\"blog\""), "{page}");
    assert!(!page.contains("next_run_timestamp_seconds{database=\"blog\""), "{page}");
}

#[test]
fn promtool_finds_no_fault_with_the_page() {
    promtool_likes(&render(&figures()));
}

#[test]
fn each_alert_fires_when_it_should_and_not_before() {
    let rules = project().join("packaging/prometheus/qbackd.rules.yml");
    sh("promtool", &["check", "rules", rules.to_str().unwrap()]);
    let dir = tempfile::tempdir().unwrap();
    let tests = dir.path().join("alerts.yml");
    let text = include_str!("fixtures/alerts.yml").replace("RULES", &format!("{rules:?}"));
    for alert in
        std::fs::read_to_string(&rules).unwrap().lines().filter_map(|line| line.trim().strip_prefix("- alert: "))
    {
        assert!(text.contains(&format!("alertname: {alert}\n")), "no test sees {alert} fire");
    }
    std::fs::write(&tests, text).unwrap();
    sh("promtool", &["test", "rules", tests.to_str().unwrap()]);
}

#[test]
fn dashboard_rules_and_document_name_metrics_that_exist() {
    let known = families(&render(&figures()));
    let named = |path: PathBuf| -> BTreeSet<String> {
        let text = std::fs::read_to_string(path).unwrap();
        let words = text.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
        words.filter(|word| word.starts_with("qbackd_")).map(str::to_owned).collect()
    };
    let dashboard = project().join("packaging/grafana/qbackd.json");
    let _: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&dashboard).unwrap()).unwrap();
    for path in [dashboard, project().join("packaging/prometheus/qbackd.rules.yml")] {
        let used = named(path.clone());
        assert!(!used.is_empty() && used.is_subset(&known), "{}: {:?}", path.display(), used.difference(&known));
    }
    // Some are told there by their endings only: `_paused`.
    let told = std::fs::read_to_string(project().join("docs/control-api.md")).unwrap();
    for family in &known {
        let ending = family.strip_prefix("qbackd_database_").or(family.strip_prefix("qbackd_last_success_"));
        let short = ending.is_some_and(|ending| told.contains(&format!("`_{ending}`")));
        assert!(short || told.contains(&format!("`{family}`")), "{family} is not in docs/control-api.md");
    }
    let invented: Vec<_> =
        named(project().join("docs/control-api.md")).into_iter().filter(|n| !known.contains(n)).collect();
    assert_eq!(invented, Vec::<String>::new());
}

/// The figures of a daemon, or why there are none.
struct Loop(Mutex<Option<String>>);

#[async_trait]
impl Source for Loop {
    async fn figures(&self) -> Result<Figures> {
        match self.0.lock().unwrap().clone() {
            Some(why) => Err(Error::failed(why)),
            None => Ok(figures()),
        }
    }
}

async fn start() -> (SocketAddr, Arc<Loop>, CancellationToken, JoinHandle<()>) {
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (source, stop) = (Arc::new(Loop(Mutex::default())), CancellationToken::new());
    let server = tokio::spawn(serve(listener, source.clone(), stop.clone()));
    (address, source, stop, server)
}

fn get(address: SocketAddr, path: &str) -> (String, String) {
    let args = ["-sS", "--noproxy", "*", "--max-time", "30", "-w", "\n%{http_code} %{content_type}"];
    let out = sh("curl", &[&args[..], &[&format!("http://{address}{path}")]].concat());
    let (body, head) = out.rsplit_once('\n').unwrap();
    (head.to_owned(), body.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_gets_the_page_and_health_is_whether_the_daemon_works() {
    let (address, source, stop, server) = start().await;
    let (head, page) = get(address, "/metrics");
    assert_eq!(head, "200 text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(page, render(&figures()));
    let (head, body) = get(address, "/healthz");
    assert!(head.starts_with("200 ") && body.starts_with("ok: degraded: 2 databases"), "{head} {body}");
    for path in ["/", "/v1/status", "/metrics/../v1/backup"] {
        assert!(get(address, path).0.starts_with("404 "), "{path}");
    }
    *source.0.lock().unwrap() = Some("the history is gone".into());
    for path in ["/metrics", "/healthz"] {
        assert_eq!(get(address, path), ("503 text/plain; charset=utf-8".into(), "the history is gone\n".into()));
    }
    stop.cancel();
    timeout(LIMIT, server).await.expect("the server must end").unwrap();
    let error = bind("192.0.2.1:9".parse().unwrap()).await.unwrap_err();
    assert!(error.line().starts_with("cannot listen on 192.0.2.1:9 for metrics: "), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_say_nothing_keep_no_scrape_waiting_for_ever() {
    let (address, _, stop, server) = start().await;
    // As many as are served at a time; the scrape waits until they are cut off.
    let mut silent: Vec<TcpStream> = (0..32).map(|_| TcpStream::connect(address).unwrap()).collect();
    assert!(get(address, "/metrics").0.starts_with("200 "));
    for stream in &mut silent {
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said).unwrap();
    }
    stop.cancel();
    timeout(LIMIT, server).await.unwrap().unwrap();
}
