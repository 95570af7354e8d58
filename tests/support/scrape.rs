//! Asking a daemon on its `listen`, as Prometheus and curl do.

use std::net::TcpListener;

use super::fixture::sh;

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The status and the body of an answer.
pub fn get(port: u16, path: &str) -> (String, String) {
    let url = format!("http://127.0.0.1:{port}{path}");
    let out = sh("curl", &["-sS", "--noproxy", "*", "--max-time", "50", "-w", "\n%{http_code}", &url]);
    let (body, code) = out.rsplit_once('\n').unwrap();
    (code.to_owned(), body.to_owned())
}
