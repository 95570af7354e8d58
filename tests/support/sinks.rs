//! Real servers that take messages and say what came (tests/fixtures/sinks), and a certificate authority for them.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::fixture::sh;

/// How long a sink may take to start, and a message to arrive.
const LIMIT: Duration = Duration::from_secs(30);

/// A running server. It is killed when this is dropped.
pub struct Sink {
    child: Child,
    heard: Receiver<Value>,
    pub port: u16,
}

impl Sink {
    /// A web server in plain text.
    pub fn http() -> Self {
        Self::start("web_sink.py", &[])
    }

    /// A web server with TLS, as `localhost` and `127.0.0.1`.
    pub fn https(authority: &Authority) -> Self {
        Self::start("web_sink.py", &authority.files())
    }

    /// A mail server in plain text.
    pub fn mail() -> Self {
        Self::start("mail_sink.py", &["plain"])
    }

    /// A mail server that wants STARTTLS and a password.
    pub fn mail_starttls(authority: &Authority) -> Self {
        Self::start("mail_sink.py", &[&["starttls"], &authority.files()[..]].concat())
    }

    /// A mail server that is encrypted from the first byte and wants a password.
    pub fn mail_tls(authority: &Authority) -> Self {
        Self::start("mail_sink.py", &[&["tls"], &authority.files()[..]].concat())
    }

    fn start(script: &str, args: &[&str]) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sinks").join(script);
        // Debian's own, which knows what its packages bring; isolated from whatever the environment says.
        let mut child = Command::new("/usr/bin/python3")
            .arg("-I")
            .arg(path)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("/usr/bin/python3: {e}"));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (say, heard) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if say.send(serde_json::from_str::<Value>(&line).unwrap()).is_err() {
                    return;
                }
            }
        });
        let mut sink = Self { child, heard, port: 0 };
        sink.port = u16::try_from(sink.next()["port"].as_u64().unwrap()).unwrap();
        sink
    }

    /// `http://127.0.0.1:PORT/PATH`
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// What came next.
    pub fn next(&self) -> Value {
        self.heard.recv_timeout(LIMIT).unwrap_or_else(|e| panic!("nothing arrived: {e}"))
    }

    /// Whether nothing more came until now; to be asked after the sender ended.
    pub fn is_silent(&self) -> bool {
        matches!(self.heard.recv_timeout(Duration::from_millis(200)), Err(RecvTimeoutError::Timeout))
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A certificate authority that nobody trusts unless told, and the certificate of a server.
pub struct Authority {
    dir: tempfile::TempDir,
    files: [String; 2],
}

impl Authority {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        let (ca, ca_key) = (path("ca.pem"), path("ca.key"));
        let (cert, key, request, names) = (path("cert.pem"), path("key.pem"), path("request.pem"), path("names"));
        let ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        sh(
            "openssl",
            &[&["req", "-x509", "-days", "2", "-subj", "/CN=toy", "-keyout", &ca_key, "-out", &ca], &ec[..]].concat(),
        );
        sh("openssl", &[&["req", "-subj", "/CN=localhost", "-keyout", &key, "-out", &request], &ec[..]].concat());
        std::fs::write(&names, "subjectAltName=DNS:localhost,IP:127.0.0.1\n").unwrap();
        let sign = ["x509", "-req", "-days", "2", "-CAcreateserial", "-in", &request, "-CA", &ca, "-CAkey", &ca_key];
        sh("openssl", &[&sign[..], &["-extfile", &names, "-out", &cert]].concat());
        Self { files: [cert, key], dir }
    }

    /// What must be trusted.
    pub fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    fn files(&self) -> [&str; 2] {
        [&self.files[0], &self.files[1]]
    }
}

/// Waits until a process is gone, or dead and not yet buried.
pub fn wait_until_gone(pid: &str) {
    let begun = Instant::now();
    // A dead process has no command line.
    while std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty()) {
        assert!(begun.elapsed() < LIMIT, "process {pid} lives on");
        std::thread::sleep(Duration::from_millis(5));
    }
}
