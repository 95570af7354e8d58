//! The secrets of one delivery: fetched when it begins, and taken out of whatever it says afterwards.

use reqwest::Url;

use super::message::clean;
use super::options::TextOrSecret;
use crate::error::{Error, Kind, Result};
use crate::model::{Secret, SecretRef};

/// Parts of an address that are shorter than this are words, not secrets: hiding them would hide the message.
const SHORTEST_PART: usize = 8;
/// Shown instead of a secret.
const STARS: &str = "***";

/// What must not be seen in an error.
#[derive(Debug, Default)]
pub(super) struct Secrets(Vec<Secret>);

impl Secrets {
    /// Fetches the value of a reference.
    ///
    /// # Errors
    /// As [`SecretRef::resolve`].
    pub(super) async fn fetch(&mut self, from: &SecretRef) -> Result<Secret> {
        let from = from.clone();
        // A file may lie on a dead mount, a command may take its time.
        let fetched = tokio::task::spawn_blocking(move || from.resolve()).await;
        let secret = fetched.map_err(|e| Error::failed("cannot fetch a secret").because(e))??;
        self.0.push(secret.clone());
        Ok(secret)
    }

    /// The value of a text that may be a secret.
    ///
    /// # Errors
    /// As [`SecretRef::resolve`].
    pub(super) async fn text(&mut self, from: &TextOrSecret) -> Result<Secret> {
        match from {
            TextOrSecret::Text(text) => Ok(Secret::new(text.as_str())),
            TextOrSecret::Secret(secret) => self.fetch(secret).await,
        }
    }

    /// An address of the web. Passwords and the values of its query are secrets; its path is one too if the address came from a
    /// secret, or if `knows_is_may`: whoever knows it may write there.
    ///
    /// # Errors
    /// It cannot be fetched, or is no such address.
    pub(super) async fn address(&mut self, from: Option<&TextOrSecret>, knows_is_may: bool) -> Result<Url> {
        let Some(from) = from else { return Err(Error::new(Kind::Configuration, "no `url` is configured")) };
        let text = self.text(from).await?;
        let url = url(text.expose())?;
        self.hide(url.password());
        for (_, value) in url.query_pairs() {
            self.hide(Some(&value));
        }
        if knows_is_may || matches!(from, TextOrSecret::Secret(_)) {
            self.hide(Some(url.as_str()));
            self.hide(Some(url.path()));
            for part in url.path_segments().into_iter().flatten().filter(|part| part.len() >= SHORTEST_PART) {
                self.hide(Some(part));
            }
        }
        Ok(url)
    }

    fn hide(&mut self, part: Option<&str>) {
        self.0.extend(part.filter(|part| !part.trim_matches('/').is_empty()).map(Secret::new));
    }

    /// The error without anything secret, on one line.
    pub(super) fn mask(&self, error: &Error) -> Error {
        let masked = Error::new(error.kind(), self.without(&error.line()));
        match error.remedy() {
            Some(hint) => masked.hint(self.without(hint)),
            None => masked,
        }
    }

    fn without(&self, text: &str) -> String {
        // Long ones first: a part of an address must not be cut out of the whole and leave the rest.
        let mut secrets: Vec<&Secret> = self.0.iter().collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        let mut text = text.to_owned();
        for secret in secrets {
            text = text.replace(secret.expose(), STARS);
        }
        clean(&text)
    }
}

/// An address of the web; the error does not quote it.
///
/// # Errors
/// It is none.
pub(super) fn url(text: &str) -> Result<Url> {
    let wrong = |why: String| Error::new(Kind::Configuration, "the address is no web address").because(why);
    let url = Url::parse(text).map_err(|e| wrong(e.to_string()))?;
    match url.scheme() {
        "https" | "http" if url.has_host() => Ok(url),
        _ => Err(wrong("expected `https://…`".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_that_is_a_secret_is_taken_out_whole_and_in_parts() {
        let mut secrets = Secrets::default();
        let text = TextOrSecret::Text(
            "https://me:geheim77@hooks.example.org/services/T0001234/xyzzyxyzzy?key=geheim88".into(),
        );
        secrets.address(Some(&text), true).await.unwrap();
        let said =
            Error::failed("https://me:geheim77@hooks.example.org/services/T0001234/xyzzyxyzzy?key=geheim88 is gone")
                .because("no xyzzyxyzzy at /services/T0001234/xyzzyxyzzy")
                .hint("is geheim88 right?");
        let masked = secrets.mask(&said);
        assert_eq!(masked.to_string(), "*** is gone: no *** at ***\nhint: is *** right?");
    }

    #[tokio::test]
    async fn what_is_no_address_is_not_quoted() {
        for wrong in ["geheim", "ftp://host/geheim", "https://", "http://ho st/geheim"] {
            let error = Secrets::default().address(Some(&TextOrSecret::Text(wrong.into())), false).await.unwrap_err();
            assert!(
                error.line().starts_with("the address is no web address") && !error.line().contains("geheim"),
                "{error}"
            );
        }
    }
}
