//! The client of the control socket: a method for each request, each over a connection of its own.

use std::io::ErrorKind;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::problem::Refusal;
use super::status::Status;
use super::wire::{
    Backup, Build, Changed, Delete, Ended, Entry, History, Pause, Prune, Reload, Restore, Started, Tick, VERSION,
};
use crate::error::{Error, Kind, Result};
use crate::model::Name;

/// A daemon that lives has said who it is within this time.
const ANSWER: Duration = Duration::from_secs(5);

/// What takes no time of its own, such as a look at the status, was answered within this one.
const PATIENCE: Duration = Duration::from_secs(60);

/// A daemon that answers.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
    build: Build,
}

impl Client {
    /// Finds the daemon behind `socket`. `None`: there is none, so the work is the caller's own.
    ///
    /// # Errors
    /// The socket may not be used ([`Kind::NotPermitted`]), or nothing answers within 5 s ([`Kind::Unavailable`]).
    pub async fn connect(socket: &Path) -> Result<Option<Self>> {
        let path = format!("/{VERSION}/version");
        let build = timeout(ANSWER, async {
            let Some(stream) = open(socket).await? else { return Ok(None) };
            let response = exchange(stream, Method::GET, &path, Bytes::new()).await?;
            answer::<Build>(response).await.map(Some)
        });
        let build = build.await.unwrap_or_else(|_| Err(silent(socket, "nothing came within 5 s")))?;
        Ok(build.map(|build| Self { socket: socket.to_owned(), build }))
    }

    /// Who answers.
    pub fn build(&self) -> &Build {
        &self.build
    }

    /// Backs up now. What is returned can be watched by [`Client::progress`].
    ///
    /// # Errors
    /// None of the runs was accepted.
    pub async fn backup(&self, ask: &Backup) -> Result<Started> {
        self.soon(self.post("backup", ask)).await
    }

    /// Follows a run: the pending, running or last one of a database, or one by the beginning of its id. The last [`Tick`] has
    /// `ended`.
    ///
    /// # Errors
    /// There is no such run.
    pub async fn progress(&self, what: &str) -> Result<Follow<Tick>> {
        Ok(Follow::new(self.send(Method::GET, &format!("runs/{}/progress", encoded(what)), Bytes::new()).await?))
    }

    /// Cancels the run of a database, and waits for its end.
    ///
    /// # Errors
    /// There is none.
    pub async fn cancel(&self, database: &Name) -> Result<Ended> {
        self.post(&format!("databases/{database}/cancel"), &()).await
    }

    /// Pauses a database.
    ///
    /// # Errors
    /// There is none of that name.
    pub async fn pause(&self, database: &Name, ask: &Pause) -> Result<Changed> {
        self.soon(self.post(&format!("databases/{database}/pause"), ask)).await
    }

    /// Ends a pause.
    ///
    /// # Errors
    /// There is none of that name.
    pub async fn resume(&self, database: &Name) -> Result<Changed> {
        self.soon(self.post(&format!("databases/{database}/resume"), &())).await
    }

    /// Forgets failures.
    ///
    /// # Errors
    /// There is none of that name.
    pub async fn reset_failed(&self, database: &Name) -> Result<Changed> {
        self.soon(self.post(&format!("databases/{database}/reset-failed"), &())).await
    }

    /// Reloads the configuration, and waits for it. Files that are not accepted are a result, not an error.
    ///
    /// # Errors
    /// It could not be tried.
    pub async fn reload(&self) -> Result<Reload> {
        self.post("reload", &()).await
    }

    /// What a reload would change.
    ///
    /// # Errors
    /// It could not be found out.
    pub async fn diff(&self) -> Result<Reload> {
        self.get("diff").await
    }

    /// The status of these databases; none: of all.
    ///
    /// # Errors
    /// It is not for this caller, or no such database exists.
    pub async fn status(&self, names: &[Name]) -> Result<Status> {
        let names: Vec<&str> = names.iter().map(Name::as_str).collect();
        self.soon(self.get(&format!("status?names={}", names.join(",")))).await
    }

    /// Runs of the history (`R`) and what people did among them (`A`), or one run and its lines (`L`); and what is added.
    ///
    /// # Errors
    /// Nothing answers to what was asked.
    pub async fn history<R: DeserializeOwned, A: DeserializeOwned, L: DeserializeOwned>(
        &self,
        ask: &History,
    ) -> Result<Follow<Entry<R, A, L>>> {
        let what = ask.what.as_deref().map(|what| format!("&what={}", encoded(what))).unwrap_or_default();
        let path = format!("history?count={}&follow={}{what}", ask.count, ask.follow);
        Ok(Follow::new(self.send(Method::GET, &path, Bytes::new()).await?))
    }

    /// Applies retention, or explains it.
    ///
    /// # Errors
    /// It failed.
    pub async fn prune<T: DeserializeOwned>(&self, ask: &Prune) -> Result<T> {
        self.post("prune", ask).await
    }

    /// Deletes a backup, or tells what would go.
    ///
    /// # Errors
    /// There is none, or it could not be deleted.
    pub async fn delete<T: DeserializeOwned>(&self, ask: &Delete) -> Result<T> {
        self.post("delete", ask).await
    }

    /// Restores a database into its own server, which gives a [`Handle`](super::Handle) to follow with [`Client::progress`], or tells the plan.
    ///
    /// # Errors
    /// It was not begun, or cannot be done.
    pub async fn restore<T: DeserializeOwned>(&self, ask: &Restore) -> Result<T> {
        self.post("restore", ask).await
    }

    async fn soon<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let answer = timeout(PATIENCE, work).await;
        answer.unwrap_or_else(|_| Err(silent(&self.socket, &format!("nothing came within {} s", PATIENCE.as_secs()))))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        answer(self.send(Method::GET, path, Bytes::new()).await?).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        let body = serde_json::to_vec(body).map_err(|e| Error::failed("cannot make a request").because(e))?;
        // `()` is `null`: nothing to say.
        let body = if body == b"null" { Bytes::new() } else { body.into() };
        answer(self.send(Method::POST, path, body).await?).await
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>> {
        let stream = timeout(ANSWER, open(&self.socket)).await;
        let stream = stream.unwrap_or_else(|_| Err(silent(&self.socket, "it takes no caller")))?;
        let stream = stream.ok_or_else(|| silent(&self.socket, "it has just gone away"))?;
        exchange(stream, method, &format!("/{VERSION}/{path}"), body).await
    }
}

fn silent(socket: &Path, why: &str) -> Error {
    Error::new(Kind::Unavailable, format!("the daemon at {} does not answer", socket.display()))
        .because(why)
        .hint("`systemctl status qbackd` tells how it is")
}

/// `None` if nobody listens.
async fn open(socket: &Path) -> Result<Option<UnixStream>> {
    match UnixStream::connect(socket).await {
        Ok(stream) => Ok(Some(stream)),
        Err(e) => match e.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => Ok(None),
            ErrorKind::PermissionDenied => {
                Err(Error::new(Kind::NotPermitted, format!("cannot ask the daemon at {}", socket.display()))
                    .because(e)
                    .hint("the folder of the socket must be open to you: mode 0755, and those above"))
            }
            _ => Err(silent(socket, &e.to_string())),
        },
    }
}

/// Sends a request over a connection that ends with the answer, and returns that if it is no error.
async fn exchange(stream: UnixStream, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(body))
        .map_err(|e| Error::failed("cannot make a request").because(e))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
    // It drives the exchange, and ends with it; its error is also the request's or the body's.
    tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(lost)?;
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status();
    let body = response.into_body().collect().await.map_err(lost)?.to_bytes();
    Err(match serde_json::from_slice::<Refusal>(&body) {
        Ok(refusal) => refusal.error.into(),
        Err(_) => strange(format!("it answered {status}")),
    })
}

async fn answer<T: DeserializeOwned>(response: Response<Incoming>) -> Result<T> {
    let body = response.into_body().collect().await.map_err(lost)?.to_bytes();
    serde_json::from_slice(&body).map_err(|e| strange(e.to_string()))
}

fn lost(error: hyper::Error) -> Error {
    Error::new(Kind::Unavailable, "the daemon broke off").because(error).hint("`journalctl -u qbackd` tells why")
}

fn strange(why: String) -> Error {
    Error::new(Kind::Unavailable, "what the daemon answered makes no sense")
        .because(why)
        .hint("is the daemon of another version than this program? `systemctl restart qbackd` starts the one installed")
}

/// A part of a path or a value of a query, with everything but the plainest characters encoded.
fn encoded(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// An answer that goes on, a document at a time.
#[derive(Debug)]
pub struct Follow<T> {
    body: Incoming,
    buffer: Vec<u8>,
    of: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Follow<T> {
    fn new(response: Response<Incoming>) -> Self {
        Self { body: response.into_body(), buffer: Vec::new(), of: PhantomData }
    }

    /// The next document; `None` at the end. May be dropped while it waits: nothing is lost.
    ///
    /// # Errors
    /// The daemon went away, or speaks another language.
    pub async fn next(&mut self) -> Result<Option<T>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return serde_json::from_slice(&line).map(Some).map_err(|e| strange(e.to_string()));
            }
            match self.body.frame().await {
                Some(frame) => {
                    if let Ok(data) = frame.map_err(lost)?.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(strange("it stopped within a line".to_owned())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_typed_stays_one_part_of_a_path() {
        assert_eq!(encoded("20261120T020000Z-db.1_a~"), "20261120T020000Z-db.1_a~");
        assert_eq!(encoded("../a?b&c=%/ä\n"), "..%2Fa%3Fb%26c%3D%25%2F%C3%A4%0A");
    }
}
