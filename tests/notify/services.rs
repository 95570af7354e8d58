//! What each service is sent, read back from a web server.

use qbackd::model::{Event, Notice};
use qbackd::notify::{self, LIMIT};
use serde_json::{Value, json};

use super::{Bench, SUBJECT, block_on, failed, said, succeeded};
use crate::support::sinks::{Authority, Sink};

fn body(request: &Value) -> Value {
    serde_json::from_str(request["body"].as_str().unwrap()).unwrap()
}

/// What arrives of a failure by the notifier with these keys.
fn arrives(sink: &Sink, bench: &Bench) -> Value {
    bench.send(&failed()).unwrap();
    let request = sink.next();
    assert_eq!(request["method"], "POST");
    assert!(sink.is_silent(), "it came twice");
    request
}

#[test]
fn a_webhook_gets_the_json_document_with_its_headers() {
    let sink = Sink::http();
    let keys = format!(
        "type = 'webhook'\nurl = '{}'\nheaders = {{ Authorization = {{ file = '$HERE/token' }}, X-Team = 'dba' }}",
        sink.url("hook?v=1")
    );
    let bench = Bench::new(&[("n", &keys)]);
    bench.secret("token", "Bearer geheim-77\n");
    let request = arrives(&sink, &bench);
    assert_eq!(request["path"], "/hook?v=1");
    let headers = &request["headers"];
    assert_eq!((&headers["authorization"], &headers["x-team"]), (&json!("Bearer geheim-77"), &json!("dba")));
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["user-agent"], concat!("qbackd/", env!("CARGO_PKG_VERSION")));
    assert_eq!(
        body(&request),
        json!({
            "version": 1, "test": false, "event": "failed", "at": "2026-11-21T02:00:07Z", "host": "db1", "subject": SUBJECT,
            "text": "backup failed: <refused> & \"gone\"", "database": "shop", "run": null, "backup": null,
            "destination": null, "error": "<refused> & \"gone\"", "hint": "is it running?",
            "details": [{ "name": "attempts", "value": "2" }], "lost": 0,
        })
    );
}

#[test]
fn a_webhook_gets_what_its_template_says_escaped_for_its_type() {
    let sink = Sink::http();
    let send = |more: &str| {
        let bench = Bench::new(&[("n", &format!("type = 'webhook'\nurl = '{}'\n{more}", sink.url("hook")))]);
        let request = arrives(&sink, &bench);
        (request["headers"]["content-type"].as_str().unwrap().to_owned(), request)
    };
    let (content, request) = send(r#"template = '{"m": "{database}: {text}", "run": "{run}"}'"#);
    assert_eq!(content, "application/json");
    assert_eq!(body(&request), json!({ "m": "shop: backup failed: <refused> & \"gone\"", "run": "" }));
    let (content, request) = send("template = '{event} {host}'");
    assert_eq!((content.as_str(), &request["body"]), ("text/plain; charset=utf-8", &json!("failed db1")));
    let (content, request) =
        send("template = 'm={error}'\nheaders = { content-type = 'application/x-www-form-urlencoded' }");
    assert_eq!(content, "application/x-www-form-urlencoded");
    assert_eq!(request["body"], "m=%3Crefused%3E%20%26%20%22gone%22");
}

#[test]
fn a_check_hears_of_start_success_failure_and_the_rest() {
    let sink = Sink::http();
    let bench =
        Bench::new(&[("n", &format!("type = 'healthchecks'\nurl = '{}'", sink.url("ping/uuid-uuid?create=1")))]);
    block_on(async { notify::started(&bench.get("n"), LIMIT).await }).unwrap();
    let start = sink.next();
    assert_eq!((&start["path"], &start["body"]), (&json!("/ping/uuid-uuid/start?create=1"), &json!("")));
    let request = arrives(&sink, &bench);
    assert_eq!(request["path"], "/ping/uuid-uuid/fail?create=1");
    assert!(request["body"].as_str().unwrap().contains("backup failed: <refused>"), "{request}");
    bench.send(&succeeded()).unwrap();
    assert_eq!(sink.next()["path"], "/ping/uuid-uuid?create=1");
    bench.send(&Notice { event: Event::LowSpace, ..failed() }).unwrap();
    assert_eq!(sink.next()["path"], "/ping/uuid-uuid/log?create=1");
}

#[test]
fn slack_gets_a_text_that_mentions_and_marks_nothing() {
    let sink = Sink::http();
    let bench = Bench::new(&[("n", "type = 'slack'\nurl = { file = '$HERE/url' }")]);
    bench.secret("url", &sink.url("services/T0/B0/x"));
    let request = arrives(&sink, &bench);
    assert_eq!(request["path"], "/services/T0/B0/x");
    let body = body(&request);
    let text = body["text"].as_str().unwrap();
    assert!(
        text.starts_with(SUBJECT) && text.contains("&lt;refused&gt; &amp; \"gone\"") && !text.contains('<'),
        "{text}"
    );
    assert_eq!(body["mrkdwn"], false);
}

#[test]
fn discord_gets_a_text_that_mentions_nobody_and_is_short_enough() {
    let sink = Sink::http();
    let bench = Bench::new(&[("n", &format!("type = 'discord'\nurl = '{}'", sink.url("api/webhooks/1/x")))]);
    let mut long = failed();
    long.hint = Some("😀".repeat(10_000));
    bench.send(&long).unwrap();
    let body = body(&sink.next());
    let content = body["content"].as_str().unwrap();
    assert!(content.starts_with(SUBJECT) && content.encode_utf16().count() > 1_990, "{content}");
    assert!(content.encode_utf16().count() <= 2_000, "{content}");
    assert_eq!(body["allowed_mentions"], json!({ "parse": [] }));
}

#[test]
fn telegram_gets_a_message_for_its_chat() {
    let sink = Sink::http();
    let keys = format!("type = 'telegram'\ntoken.file = '$HERE/t'\nchat = '-100123'\nserver = '{}'", sink.url(""));
    let bench = Bench::new(&[("n", &keys)]);
    bench.secret("t", "123456:AAgeheim\n");
    let request = arrives(&sink, &bench);
    assert_eq!(request["path"], "/bot123456:AAgeheim/sendMessage");
    let body = body(&request);
    assert_eq!((&body["chat_id"], &body["disable_notification"]), (&json!("-100123"), &json!(false)));
    assert_eq!(body["parse_mode"], Value::Null, "marks in an error mean nothing");
    assert!(body["text"].as_str().unwrap().starts_with(SUBJECT), "{body}");
}

#[test]
fn ntfy_gets_title_message_and_priority() {
    let sink = Sink::http();
    let keys = format!("type = 'ntfy'\ntopic = 'backups'\ntoken.file = '$HERE/t'\nserver = '{}'", sink.url(""));
    let bench = Bench::new(&[("n", &keys)]);
    bench.secret("t", "tk_geheim");
    let request = arrives(&sink, &bench);
    assert_eq!((&request["path"], &request["headers"]["authorization"]), (&json!("/"), &json!("Bearer tk_geheim")));
    let alarm = body(&request);
    assert_eq!((&alarm["topic"], &alarm["title"], &alarm["priority"]), (&json!("backups"), &json!(SUBJECT), &json!(4)));
    bench.send(&succeeded()).unwrap();
    assert_eq!(body(&sink.next())["priority"], 3);
}

#[test]
fn gotify_gets_title_message_and_priority() {
    let sink = Sink::http();
    let keys = format!("type = 'gotify'\nserver = '{}'\ntoken.file = '$HERE/t'", sink.url("push"));
    let bench = Bench::new(&[("n", &keys)]);
    bench.secret("t", "Ageheim");
    let request = arrives(&sink, &bench);
    assert_eq!((&request["path"], &request["headers"]["x-gotify-key"]), (&json!("/push/message"), &json!("Ageheim")));
    let body = body(&request);
    assert_eq!((&body["title"], &body["priority"]), (&json!(SUBJECT), &json!(8)));
    assert!(body["message"].as_str().unwrap().contains("What to do: is it running?"), "{body}");
}

#[test]
fn a_server_is_believed_only_with_a_certificate_that_this_machine_trusts() {
    let authority = Authority::new();
    let sink = Sink::https(&authority);
    let bench = Bench::new(&[("n", &format!("type = 'webhook'\nurl = 'https://localhost:{}/hook'", sink.port))]);
    let (code, _, err) = said(&mut bench.test());
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("certificate") && err.contains("hint: its certificate must be for that host"), "{err}");
    let (code, _, err) = said(bench.test().env("SSL_CERT_FILE", authority.ca()));
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(body(&sink.next())["test"], true);
}
