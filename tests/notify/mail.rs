//! Mail, read back from a mail server.

use serde_json::json;

use super::{Bench, SUBJECT, failed, said};
use crate::support::sinks::{Authority, Sink};

fn plain(sink: &Sink, to: &str) -> Bench {
    Bench::new(&[("n", &format!("type = 'email'\nto = {to}\nserver = '127.0.0.1:{}'", sink.port))])
}

fn login(host: &str, sink: &Sink, tls: &str) -> Bench {
    let bench = Bench::new(&[(
        "n",
        &format!(
            "type = 'email'\nto = 'ops@example.org'\nfrom = 'Backups <qbackd@example.org>'\nserver = '{host}:{}'\n\
             tls = '{tls}'\nusername = 'qbackd'\npassword.file = '$HERE/password'",
            sink.port
        ),
    )]);
    bench.secret("password", "geheim-mail-77\n");
    bench
}

#[test]
fn a_mail_has_text_and_html_and_says_that_a_program_wrote_it() {
    let sink = Sink::mail();
    plain(&sink, "['ops@example.org', 'Die Ärzte <dba@example.org>']").send(&failed()).unwrap();
    let mail = sink.next();
    assert_eq!((&mail["sender"], &mail["to"]), (&json!("qbackd@db1"), &json!(["ops@example.org", "dba@example.org"])));
    assert_eq!((&mail["type"], &mail["tls"]), (&json!("multipart/alternative"), &json!(false)));
    let headers = &mail["headers"];
    assert_eq!((&headers["subject"], &headers["from"]), (&json!(SUBJECT), &json!("qbackd@db1")));
    assert_eq!((&headers["auto-submitted"], &headers["x-qbackd-event"]), (&json!("auto-generated"), &json!("failed")));
    assert!(headers["date"].as_str().unwrap().contains("21 Nov 2026 02:00:07"), "{headers}");
    assert!(headers["message-id"].is_string() && headers["to"].as_str().unwrap().contains("Die Ärzte"), "{headers}");
    let text = mail["text"].as_str().unwrap();
    assert!(
        text.contains("backup failed: <refused> & \"gone\"") && text.contains("What to do: is it running?"),
        "{text}"
    );
    let html = mail["html"].as_str().unwrap();
    assert!(
        html.contains("backup failed: &lt;refused&gt; &amp; &quot;gone&quot;") && !html.contains("<refused"),
        "{html}"
    );
}

#[test]
fn what_a_notice_says_makes_no_header_and_no_reader() {
    let sink = Sink::mail();
    let mut notice = failed();
    notice.text = "failed\r\nBcc: thief@example.org\r\n\r\nbody: äöü".into();
    notice.details = vec![("a\nX-Evil: 1".into(), "\r\n.\r\nMAIL FROM:<evil@example.org>\r\n".into())];
    plain(&sink, "'ops@example.org'").send(&notice).unwrap();
    let mail = sink.next();
    assert_eq!(mail["to"], json!(["ops@example.org"]));
    let headers = mail["headers"].as_object().unwrap();
    assert!(!headers.contains_key("bcc") && !headers.contains_key("x-evil"), "{headers:?}");
    assert!(headers["subject"].as_str().unwrap().contains("failed  Bcc"), "it is a text like any other: {headers:?}");
    assert!(mail["text"].as_str().unwrap().contains("äöü"), "{mail}");
    assert!(sink.is_silent());
}

#[test]
fn it_logs_in_over_tls_of_either_kind_and_only_with_a_trusted_certificate() {
    let authority = Authority::new();
    for (tls, sink) in [("starttls", Sink::mail_starttls(&authority)), ("tls", Sink::mail_tls(&authority))] {
        let bench = login("localhost", &sink, tls);
        let (code, _, err) = said(&mut bench.test());
        assert_eq!(code, Some(1), "{tls}");
        assert!(err.contains("certificate must be for that name"), "{tls}: {err}");
        assert!(sink.is_silent(), "{tls}: a stranger got a mail");
        let (code, _, err) = said(bench.test().env("SSL_CERT_FILE", authority.ca()));
        assert_eq!(code, Some(0), "{tls}: {err}");
        let mail = sink.next();
        assert_eq!((&mail["tls"], &mail["authenticated"]), (&json!(true), &json!(true)), "{tls}");
        assert_eq!(mail["sender"], "qbackd@example.org");
    }
}

#[test]
fn a_wrong_password_is_refused_and_not_shown() {
    let authority = Authority::new();
    let sink = Sink::mail_starttls(&authority);
    let bench = login("127.0.0.1", &sink, "starttls");
    bench.secret("password", "geheim-wrong");
    let (code, _, err) = said(bench.test().arg("-vvv").env("SSL_CERT_FILE", authority.ca()));
    assert_eq!(code, Some(1));
    assert!(err.contains("535") && !err.contains("geheim") && !err.contains("Z2VoZWlt"), "{err}");
}

#[test]
fn a_server_without_starttls_gets_nothing() {
    let sink = Sink::mail();
    let (code, _, err) = said(&mut login("localhost", &sink, "starttls").test());
    assert_eq!(code, Some(1));
    assert!(err.contains("STARTTLS") && sink.is_silent(), "{err}");
}

#[test]
fn a_reader_that_the_server_refuses_is_an_error_with_its_words() {
    let sink = Sink::mail();
    for (to, words) in [("'nobody@example.org'", "no such user here"), ("'later@example.org'", "greylisted")] {
        let error = plain(&sink, to).send(&failed()).unwrap_err();
        assert!(error.line().starts_with("cannot notify `n` by email: cannot hand in mail at 127.0.0.1:"), "{error}");
        assert!(error.line().contains(words), "{error}");
    }
    let hung = plain(&sink, "'hang@example.org'").send_within(&failed(), std::time::Duration::from_millis(500));
    assert_eq!(hung.unwrap_err().kind(), qbackd::error::Kind::TimedOut);
}

#[test]
fn a_reader_who_is_gone_does_not_keep_the_mail_from_the_others() {
    let sink = Sink::mail();
    let bench = plain(&sink, "['ops@example.org', 'nobody@example.org', 'dba@example.org']");
    let (code, _, err) = said(&mut bench.test());
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("does not take mail for nobody@example.org") && err.contains("no such user"), "{err}");
    assert_eq!(
        (sink.next()["to"].clone(), sink.next()["to"].clone()),
        (json!(["ops@example.org"]), json!(["dba@example.org"]))
    );
    let none = plain(&sink, "['nobody@example.org', 'nobody@example.com']").send(&failed()).unwrap_err();
    assert!(none.line().contains("no such user here") && sink.is_silent(), "{none}");
}
