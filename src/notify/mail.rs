//! Mail over SMTP: text and HTML, encrypted on its way, never a password in the clear.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message as Mail, Tokio1Executor};

use super::CONNECT_LIMIT;
use super::message::{Message, clean};
use super::options::{Email, MailTls};
use super::secrets::Secrets;
use crate::error::{Error, Kind, Result};

/// Where mail is handed in, with every default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    /// Its name or address.
    pub(crate) host: String,
    /// Its port.
    pub(crate) port: u16,
    /// How the way there is protected.
    pub(crate) tls: MailTls,
}

impl Server {
    /// The server of `email`; `None` if what is written is none.
    pub(crate) fn of(email: &Email) -> Option<Self> {
        let (host, port) = split(email.server.as_deref().unwrap_or("localhost:25"))?;
        let here = is_here(&host);
        let tls = email.tls.unwrap_or(if here { MailTls::None } else { MailTls::StartTls });
        let port = port.unwrap_or(match tls {
            MailTls::Tls => 465,
            // Who logs in submits; a relay that knows its clients listens where all do.
            MailTls::StartTls if email.username.is_some() => 587,
            MailTls::StartTls | MailTls::None => 25,
        });
        Some(Self { host, port, tls })
    }

    /// Whether a password may be sent to it.
    pub(crate) fn keeps_secrets(&self) -> bool {
        self.tls != MailTls::None || is_here(&self.host)
    }
}

/// Whether a text is a mail address, with or without a name: `Ops <ops@example.org>`.
pub(crate) fn is_address(text: &str) -> bool {
    !text.contains(char::is_control) && text.parse::<Mailbox>().is_ok()
}

/// `HOST`, `HOST:PORT`, `[ADDRESS]:PORT`.
fn split(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        host.parse::<IpAddr>().ok()?;
        (host, rest)
    } else {
        text.find(':').map_or((text, ""), |at| text.split_at(at))
    };
    let port = match port.strip_prefix(':') {
        Some(port) => Some(port.parse().ok().filter(|port| *port != 0)?),
        None if port.is_empty() => None,
        None => return None,
    };
    let good = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    (!host.is_empty() && host.chars().all(good)).then(|| (host.to_owned(), port))
}

fn is_here(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Hands the message to the server. It arrived if the server took it for every reader.
///
/// # Errors
/// The server cannot be reached, is not who it should be, or refuses sender, reader or message.
pub(super) async fn send(email: &Email, message: &Message, limit: Duration, secrets: &mut Secrets) -> Result<()> {
    let wrong = |what: &str| Error::new(Kind::Configuration, what);
    let server = Server::of(email).ok_or_else(|| wrong("`server` is no `HOST:PORT`"))?;
    let mail = compose(email, message)?;
    let place = format!("{}:{}", server.host, server.port);
    let failed = |e: lettre::transport::smtp::Error| cannot(&place, &server, e);
    let tls = match server.tls {
        MailTls::None => Tls::None,
        MailTls::StartTls => Tls::Required(TlsParameters::new(server.host.clone()).map_err(failed)?),
        MailTls::Tls => Tls::Wrapper(TlsParameters::new(server.host.clone()).map_err(failed)?),
    };
    let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&server.host)
        .port(server.port)
        .tls(tls)
        .timeout(Some(CONNECT_LIMIT.min(limit)));
    if let (Some(user), Some(password)) = (&email.username, &email.password) {
        if !server.keeps_secrets() {
            return Err(
                wrong("the password would be sent in plain text").hint("write `tls = \"starttls\"` or `\"tls\"`")
            );
        }
        let password = secrets.fetch(password).await?;
        transport = transport.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
    }
    transport.build().send(mail).await.map_err(failed)?;
    Ok(())
}

fn compose(email: &Email, message: &Message) -> Result<Mail> {
    let mailbox = |text: &str| {
        text.parse::<Mailbox>()
            .map_err(|e| Error::new(Kind::Configuration, format!("`{}` is no mail address", clean(text))).because(e))
    };
    let from = match &email.from {
        Some(from) => mailbox(from)?,
        None => mailbox(&format!("qbackd@{}", message.host()))
            .map_err(|e| e.hint("write the sender: `from = \"qbackd@example.org\"`"))?,
    };
    let mut mail = Mail::builder()
        .from(from)
        .subject(message.subject())
        .date(SystemTime::from(message.at()))
        .message_id(None)
        // RFC 3834: nobody's holiday answers.
        .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".into()))
        .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("X-Qbackd-Event"), message.event().to_string()));
    for to in &email.to.0 {
        mail = mail.to(mailbox(to)?);
    }
    mail.multipart(MultiPart::alternative_plain_html(message.text(), message.html()))
        .map_err(|e| Error::failed("cannot write the mail").because(e))
}

fn cannot(place: &str, server: &Server, error: lettre::transport::smtp::Error) -> Error {
    let kind = if error.is_timeout() { Kind::TimedOut } else { Kind::Failed };
    let tls = error.is_tls();
    let made = Error::new(kind, format!("cannot hand in mail at {place}")).because(error);
    let hint = match server.tls {
        _ if made.line().contains("ertificate") => {
            "its certificate must be for that name, and from an authority that this machine trusts (ca-certificates)"
        }
        MailTls::StartTls if made.line().contains("STARTTLS") => {
            "it offers no STARTTLS: is this the right port? `tls = \"none\"` does without"
        }
        MailTls::Tls if tls => {
            "is this the right port? 465 is encrypted from the first byte, 25 and 587 want `tls = \"starttls\"`"
        }
        _ => return made,
    };
    made.hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_the_defaults_of_the_manual() {
        let server = |server: Option<&str>, tls, user: bool| {
            let username = user.then(|| "me".to_owned());
            Server::of(&Email { server: server.map(Into::into), tls, username, ..Email::default() })
                .map(|s| (s.host, s.port, s.tls))
        };
        let is = |host: &str, port, tls| Some((host.to_owned(), port, tls));
        assert_eq!(server(None, None, false), is("localhost", 25, MailTls::None));
        assert_eq!(server(Some("mail"), None, false), is("mail", 25, MailTls::StartTls));
        assert_eq!(server(Some("mail"), None, true), is("mail", 587, MailTls::StartTls));
        assert_eq!(server(Some("mail"), Some(MailTls::Tls), true), is("mail", 465, MailTls::Tls));
        assert_eq!(server(Some("mail:2525"), Some(MailTls::None), false), is("mail", 2525, MailTls::None));
        assert_eq!(server(Some("[::1]:25"), None, false), is("::1", 25, MailTls::None));
        for wrong in ["", ":25", "mail:0", "mail:x", "mail:70000", "ma il", "[mail]:25", "[::1]25", "mail/x"] {
            assert_eq!(server(Some(wrong), None, false), None, "{wrong}");
        }
    }

    #[test]
    fn a_password_goes_in_plain_text_to_this_machine_alone() {
        for (host, tls, may) in [
            ("localhost:25", MailTls::None, true),
            ("127.0.0.2:25", MailTls::None, true),
            ("localhost.example.org:25", MailTls::None, false),
            ("10.0.0.1:25", MailTls::None, false),
            ("10.0.0.1:25", MailTls::StartTls, true),
        ] {
            let email = Email { server: Some(host.into()), tls: Some(tls), ..Email::default() };
            assert_eq!(Server::of(&email).unwrap().keeps_secrets(), may, "{host}");
        }
    }
}
