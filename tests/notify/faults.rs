//! Servers that refuse, hang, send elsewhere or talk too much; and secrets, which no error has in it.

use std::time::{Duration, Instant};

use qbackd::error::Kind;

use super::{Bench, failed, said};
use crate::support::sinks::Sink;

fn webhook(url: &str) -> Bench {
    Bench::new(&[("n", &format!("type = 'webhook'\nurl = '{url}'"))])
}

#[test]
fn what_is_no_success_is_told_with_what_the_server_said() {
    let sink = Sink::http();
    let error = webhook(&sink.url("503/hook")).send(&failed()).unwrap_err();
    let place = format!("http://127.0.0.1:{}", sink.port);
    let said = format!("cannot notify `n` by webhook: {place} answered 503 Service Unavailable: out of [2J order");
    assert_eq!(error.line(), said);
    let port = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port() };
    let error = webhook(&format!("http://127.0.0.1:{port}/x")).send(&failed()).unwrap_err();
    assert!(error.line().contains("cannot post to") && error.line().contains("Connection refused"), "{error}");
}

#[test]
fn a_redirect_is_followed_where_the_message_survives_and_stays_with_its_host() {
    let sink = Sink::http();
    for kept in ["to-307/hook", "to-308/hook", "to-307/to-308/hook"] {
        webhook(&sink.url(kept)).send(&failed()).unwrap();
        let mut last = sink.next();
        while last["path"] != "/hook" {
            last = sink.next();
        }
        assert_eq!(last["method"], "POST", "{kept}");
        assert!(last["body"].as_str().unwrap().contains("backup failed"), "{kept}: {last}");
    }
    for (lost, to) in [
        ("to-301/hook", "another path".to_owned()),
        ("to-303/hook", "another path".to_owned()),
        ("away-307/geheim", format!("http://localhost:{}", sink.port)),
    ] {
        let error = webhook(&sink.url(lost)).send(&failed()).unwrap_err();
        assert!(error.line().contains(&format!("it points to {to}")) && error.remedy().is_some(), "{error}");
        assert_eq!(sink.next()["path"], format!("/{lost}"));
        assert!(sink.is_silent(), "{lost}");
    }
    let error = webhook(&sink.url("to-307/to-307/to-307/to-307/hook")).send(&failed()).unwrap_err();
    assert!(error.line().contains("307"), "{error}");
}

#[test]
fn a_proxy_is_asked_for_what_is_elsewhere_and_not_for_this_machine() {
    let sink = Sink::http();
    let (elsewhere, here) = (webhook("http://hooks.invalid/hook"), webhook(&sink.url("hook")));
    let (code, _, err) = said(elsewhere.test().env("http_proxy", sink.url("")));
    assert_eq!((code, &sink.next()["path"]), (Some(0), &"http://hooks.invalid/hook".into()), "{err}");
    let (code, _, err) = said(here.test().env("http_proxy", "http://127.0.0.1:1"));
    assert_eq!((code, &sink.next()["path"]), (Some(0), &"/hook".into()), "{err}");
}

#[test]
fn one_that_hangs_is_given_up_in_time() {
    let sink = Sink::http();
    let begun = Instant::now();
    let error = webhook(&sink.url("hang")).send_within(&failed(), Duration::from_millis(300)).unwrap_err();
    assert_eq!(error.kind(), Kind::TimedOut, "{error}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn an_answer_without_end_is_not_read_to_its_end() {
    let sink = Sink::http();
    let error = webhook(&sink.url("huge")).send(&failed()).unwrap_err();
    assert!(error.line().contains("500") && error.line().len() < 400, "{error}");
}

#[test]
fn no_secret_is_in_an_error_though_the_server_sends_all_back() {
    let sink = Sink::http();
    let echo = |rest: &str| sink.url(&format!("echo/{rest}"));
    let cases = [
        "type = 'webhook'\nurl.file = '$HERE/url'".to_owned(),
        format!("type = 'webhook'\nurl = '{}'", echo("hook?token=geheim-hook")),
        format!("type = 'webhook'\nurl = '{}'\nheaders.X-Key.file = '$HERE/token'", echo("hook")),
        format!("type = 'healthchecks'\nurl = '{}'", echo("geheim-uuid")),
        "type = 'healthchecks'\nurl.file = '$HERE/url'".to_owned(),
        "type = 'slack'\nurl.file = '$HERE/url'".to_owned(),
        format!("type = 'slack'\nurl = '{}'", echo("services/geheim-slack")),
        format!("type = 'discord'\nurl = '{}'", echo("api/geheim-discord?wait=true")),
        format!("type = 'telegram'\ntoken.file = '$HERE/token'\nchat = '1'\nserver = '{}'", echo("")),
        format!("type = 'ntfy'\ntopic = 't'\ntoken.file = '$HERE/token'\nserver = '{}'", echo("")),
        format!("type = 'gotify'\ntoken.file = '$HERE/token'\nserver = '{}'", echo("")),
        "type = 'slack'\nurl.file = '$HERE/nowhere'".to_owned(),
        "type = 'slack'\nurl.file = '$HERE/nonsense'".to_owned(),
        "type = 'webhook'\nurl = 'https://x.example'\nheaders.X-Key.file = '$HERE/lines'".to_owned(),
    ];
    for keys in cases {
        let bench = Bench::new(&[("n", &keys)]);
        bench.secret("url", &echo("geheim-path/of-it?k=geheim-query"));
        bench.secret("token", "geheim-token");
        bench.secret("nonsense", "geheim:no address");
        bench.secret("lines", "geheim\nin two lines");
        let error = bench.send(&failed()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("geheim"), "{keys}\n=> {error}");
        // The program as well, with all that its libraries have to say.
        let (code, out, err) = said(bench.test().arg("-vvv"));
        assert!(code != Some(0) && !out.contains("geheim") && !err.contains("geheim"), "{keys}\n=> {out}{err}");
    }
}
