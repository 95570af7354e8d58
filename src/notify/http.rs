//! One POST over HTTP: TLS, limits of time, redirects, and errors that say what the other side answered.

use std::sync::Once;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Response, Url};

use super::CONNECT_LIMIT;
use super::message::{clean, cut};
use crate::error::{Error, Kind, Result};

/// How many redirects are followed.
const REDIRECTS: usize = 3;
/// How much of an answer is read, in bytes. Nothing in it is needed but for the error.
const ANSWER: usize = 4 * 1024;
/// How much of an answer an error quotes, in characters.
const QUOTED: usize = 200;

/// What is posted.
pub(super) struct Post {
    url: Url,
    headers: HeaderMap,
    body: String,
}

impl Post {
    /// A POST of `body`, which is of the type `content`.
    pub(super) fn new(url: Url, content: &'static str, body: String) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content));
        Self { url, headers, body }
    }

    /// Adds a header, or replaces one.
    ///
    /// # Errors
    /// No such header can be sent. The value is not quoted.
    pub(super) fn header(&mut self, name: &str, value: &str) -> Result<()> {
        let wrong = |why: &str| {
            Error::new(Kind::Configuration, format!("cannot send the header `{}`", clean(name))).because(why)
        };
        let name_of = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong("this is no name of a header"))?;
        let mut value =
            HeaderValue::from_str(value).map_err(|_| wrong("its value has characters that no header can have"))?;
        value.set_sensitive(true);
        self.headers.insert(name_of, value);
        Ok(())
    }

    /// Sends it, within `limit`. It arrived if the answer is a success.
    ///
    /// # Errors
    /// Nobody answers, not in time, or what is no success. The address is not told, only its host.
    pub(super) async fn send(self, limit: Duration) -> Result<()> {
        let place = origin(&self.url);
        let failed = |e: reqwest::Error| cannot(&place, e);
        let client = client(limit, self.url.scheme() == "http").map_err(failed)?;
        let answer = client.post(self.url).headers(self.headers).body(self.body).send().await.map_err(failed)?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let elsewhere = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok()).map(str::to_owned);
        let error = Error::failed(format!("{place} answered {status}"));
        if status.is_redirection() {
            let to =
                elsewhere.and_then(|to| Url::parse(&to).ok()).map_or_else(|| "another path".into(), |to| origin(&to));
            return Err(error
                .because(format!("it points to {to}"))
                .hint("write the address that it points to; only 307 and 308 on the same host are followed"));
        }
        match quote(answer).await {
            said if said.is_empty() => Err(error),
            said => Err(error.because(said)),
        }
    }
}

/// A client for one POST: what is idle for days keeps no connection, and sees the certificates of the day.
fn client(limit: Duration, plain: bool) -> reqwest::Result<Client> {
    install();
    let builder = Client::builder()
        .user_agent(concat!("qbackd/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_LIMIT.min(limit))
        .timeout(limit)
        .referer(false)
        .redirect(Policy::custom(follow));
    // Without TLS no certificates are needed: a machine may have none.
    if plain { builder.tls_certs_only([]).build() } else { builder.build() }
}

/// 307 and 308 keep the message; the others would make a GET of it, which loses it. Another host does not get what is for this
/// one: headers may be secrets.
fn follow(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let keeps = matches!(attempt.status().as_u16(), 307 | 308);
    let same = attempt.previous().last().is_some_and(|from| {
        let to = attempt.url();
        let port = from.port_or_known_default() == to.port_or_known_default();
        from.host_str() == to.host_str() && from.scheme() == to.scheme() && port
    });
    if keeps && same && attempt.previous().len() <= REDIRECTS { attempt.follow() } else { attempt.stop() }
}

/// Chooses the cryptography of TLS for the process, once.
fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // An error means that somebody else chose before: it is the one we have.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// Scheme, host and port: what may be told of an address.
pub(super) fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn cannot(place: &str, error: reqwest::Error) -> Error {
    let late = error.is_timeout();
    let made = Error::new(if late { Kind::TimedOut } else { Kind::Failed }, format!("cannot post to {place}"));
    if late && error.is_connect() {
        return made.because("no connection in time");
    }
    if late {
        return made.because("no answer in time");
    }
    let made = made.because(error.without_url());
    if made.line().contains("certificate") || made.line().contains("CA certificates") {
        return made.hint(
            "its certificate must be for that host, and from an authority that this machine trusts (ca-certificates)",
        );
    }
    made
}

/// The beginning of an answer, on one line.
async fn quote(mut answer: Response) -> String {
    let mut said = Vec::new();
    while let Ok(Some(piece)) = answer.chunk().await {
        said.extend_from_slice(&piece);
        if said.len() >= ANSWER {
            break;
        }
    }
    cut(&clean(&String::from_utf8_lossy(&said)), QUOTED)
}
