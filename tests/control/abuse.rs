//! Callers that are slow, malformed, huge or many: they are sent away, and others are answered all the while.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::Duration;

use qbackd::control::Client;
use qbackd::daemon::control::Limits;
use qbackd::error::Kind;
use tokio::time::timeout;

use super::{House, LIMIT};

/// A group that every Debian has, so that users without names can be its members.
const GAMES: &str = "--regid=60";

fn impatient() -> Limits {
    Limits { patience: Duration::from_millis(300), ..Limits::default() }
}

impl House {
    fn dial(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream
    }

    /// Sends bytes, and gives all that comes back until the server closes.
    fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.dial();
        // The server may hang up before it has read all of it.
        let _ = stream.write_all(bytes);
        rest(&mut stream)
    }
}

/// What comes until the other end closes, which it must do.
fn rest(stream: &mut UnixStream) -> String {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        // Closed with something unread.
        Err(e) if e.kind() == ErrorKind::ConnectionReset => {}
        other => drop(other.expect("the server must hang up")),
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn answers(house: &House) {
    timeout(LIMIT, Client::connect(&house.socket)).await.unwrap().unwrap().expect("a daemon");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_or_half_a_head_or_half_a_body_is_cut_off() {
    let house = House::with("", "games", impatient()).await;
    let mut silent: Vec<UnixStream> = (0..20).map(|_| house.dial()).collect();
    let mut half: Vec<UnixStream> = (0..20).map(|_| house.dial()).collect();
    for stream in &mut half {
        stream.write_all(b"GET /v1/version HTTP/1.1\r\nhost: x\r\nx-slow: ").unwrap();
    }
    let mut body = house.dial();
    body.write_all(b"POST /v1/backup HTTP/1.1\r\nhost: x\r\ncontent-length: 30\r\n\r\n{\"names\": ").unwrap();
    answers(&house).await;
    for stream in silent.iter_mut().chain(&mut half) {
        let said = rest(stream);
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 408"), "{said}");
    }
    let said = rest(&mut body);
    assert!(said.starts_with("HTTP/1.1 400") && said.contains("the body of the request took longer than"), "{said}");
    assert_eq!(house.desk.told(), Vec::<String>::new());
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_larger_than_64_kib_is_refused_unread() {
    let house = House::new().await;
    let head = format!("GET /v1/version HTTP/1.1\r\nhost: x\r\nx-large: {}\r\n\r\n", "x".repeat(1 << 20));
    assert!(house.raw(head.as_bytes()).starts_with("HTTP/1.1 431"));
    let path = format!("GET /v1/status?names={} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(1 << 20));
    let said = house.raw(path.as_bytes());
    assert!(said.starts_with("HTTP/1.1 414") || said.starts_with("HTTP/1.1 431"), "{said}");
    let many: String = (0..5000).map(|n| format!("h{n}: x\r\n")).collect();
    assert!(house.raw(format!("GET /v1/version HTTP/1.1\r\n{many}\r\n").as_bytes()).starts_with("HTTP/1.1 431"));

    let post = "POST /v1/backup HTTP/1.1\r\nhost: x\r\n";
    let fits = format!("{{\"names\": [\"shop\"]{}}}", " ".repeat((64 << 10) - 19));
    assert_eq!(fits.len(), 64 << 10);
    let sized = |body: &str| format!("{post}content-length: {}\r\n\r\n{body}", body.len());
    assert!(house.raw(sized(&fits).as_bytes()).starts_with("HTTP/1.1 202"));
    let said = house.raw(sized(&format!("{fits} ")).as_bytes());
    assert!(said.starts_with("HTTP/1.1 400") && said.contains("length limit exceeded"), "{said}");
    let said = house.raw(format!("{post}content-length: 1099511627776\r\n\r\n{}", "x".repeat(1 << 20)).as_bytes());
    assert!(said.starts_with("HTTP/1.1 400"), "{said}");
    let chunks =
        format!("{post}transfer-encoding: chunked\r\n\r\n{}", format!("1000\r\n{}\r\n", "x".repeat(4096)).repeat(64));
    assert!(house.raw(chunks.as_bytes()).starts_with("HTTP/1.1 400"));
    // Nested as deep as the size allows.
    let deep = house.raw(sized(&"[".repeat(64 << 10)).as_bytes());
    assert!(deep.starts_with("HTTP/1.1 400"), "{deep}");
    assert_eq!(house.desk.told().len(), 1);
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_ends_the_connection_and_nothing_else() {
    let house = House::new().await;
    let noise: Vec<u8> = (0..=255u8).cycle().take(4096).collect();
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /v1/version\r\n\r\n",
        b"GET /v1/version HTTP/9.9\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"GET /v1/version HTTP/1.1\r\nhost : x\r\n\r\n",
        b"POST /v1/backup HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"POST /v1/backup HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/backup HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"POST /v1/backup HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n\xff\xfe\xfd\xfc",
        b"DELETE / HTTP/1.1\r\nhost: x\r\n\r\n",
        b"CONNECT example.org:443 HTTP/1.1\r\n\r\n",
        &noise,
    ] {
        let mut stream = house.dial();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let said = rest(&mut stream);
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{}: {said}", String::from_utf8_lossy(bytes));
    }
    // A second request of the same connection is not read: one connection is one request.
    let twice = b"GET /v1/version HTTP/1.1\r\nhost: x\r\n\r\n".repeat(2);
    assert_eq!(house.raw(&twice).matches("HTTP/1.1 200").count(), 1);
    answers(&house).await;
    assert_eq!(house.desk.told(), Vec::<String>::new());
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_user_with_too_many_connections_keeps_out_nobody_else() {
    let limits = Limits { connections_of_one: 3, ..Limits::default() };
    let house = House::with("", "games", limits).await;
    let mut kept: Vec<UnixStream> = (0..3).map(|_| house.dial()).collect();
    // Answered, so it is known that the three before were let in.
    let error = Client::connect(&house.socket).await.unwrap_err();
    assert_eq!((error.kind(), error.exit_code()), (Kind::TryAgain, 75), "{error:?}");
    assert_eq!(house.curl(&["--reuid=4245", GAMES, "--clear-groups"], &["version"]).0, 200);
    // Who leaves makes room.
    drop(kept.pop());
    let room = async {
        while Client::connect(&house.socket).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, room).await.expect("there must be room again");
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_users_together_cannot_lock_root_out() {
    let limits = Limits { connections: 4, ..Limits::default() };
    let house = House::with("", "games", limits).await;
    let watchers: Vec<_> = ["--reuid=5001", "--reuid=5002"]
        .into_iter()
        .flat_map(|uid| [uid; 2])
        .map(|uid| {
            let mut curl = house.curl_command(&[uid, GAMES, "--clear-groups"], &["runs/shop/progress"]);
            let mut child = curl.stdout(Stdio::piped()).spawn().unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap());
            let mut first = String::new();
            lines.read_line(&mut first).unwrap();
            assert!(first.contains("queued"), "{first}");
            (child, lines)
        })
        .collect();
    let (status, body) = house.curl(&["--reuid=5003", GAMES, "--clear-groups"], &["version"]);
    assert_eq!((status, &body["error"]["code"]), (429, &75.into()));
    answers(&house).await;
    for (mut child, _) in watchers {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_ends_though_callers_hang_on() {
    let house = House::new().await;
    let client = house.client().await;
    let mut follow = client.progress("shop").await.unwrap();
    follow.next().await.unwrap().unwrap();
    let (mut silent, socket) = (house.dial(), house.socket.clone());
    house.end().await;
    // The run has no end in sight: the stream just stops.
    assert!(follow.next().await.unwrap().is_none());
    assert_eq!(rest(&mut silent), "");
    assert!(!socket.exists());
}
