//! URLs of databases, as far as the configuration must understand them: scheme, user info, nothing else.

use super::Resolver;
use crate::config::source::Span;

/// A URL in parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Url<'t> {
    /// In front of the first `:`.
    pub scheme: &'t str,
    /// Behind it.
    pub rest: &'t str,
}

impl<'t> Url<'t> {
    /// Splits a text; `None` if it has no scheme (RFC 3986, 3.1).
    pub(super) fn split(text: &'t str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        let good = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
        good.then_some(Self { scheme, rest })
    }

    /// Whether a password is written in it: in the user info, also with characters that should have been encoded, or as a
    /// parameter.
    pub(super) fn has_password(self) -> bool {
        let Some(rest) = self.rest.strip_prefix("//") else { return false };
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let parameter =
            |part: &str| part.split_once('=').is_some_and(|(key, value)| key == "password" && !value.is_empty());
        if query.split(['&', '#']).any(parameter) {
            return true;
        }
        let authority = place.split(['/', '#']).next().unwrap_or(place);
        if let Some((user, _)) = authority.rsplit_once('@') {
            return user.contains(':');
        }
        // `user:pa/ss@host`: the authority ends at the slash, and what should be a port is none.
        rest.contains('@')
            && authority.rsplit_once(':').is_some_and(|(host, port)| {
                !host.starts_with('[') && !port.is_empty() && !port.bytes().all(|b| b.is_ascii_digit())
            })
    }
}

impl Resolver<'_, '_> {
    /// A password inside a URL would be in the file, in `ps` and in every message.
    pub(super) fn no_password_in(&mut self, text: &str, key: &str, at: Span) {
        if Url::split(text).is_some_and(Url::has_password) {
            self.error(
                format!("a password inside `{key}`"),
                at,
                "take it out of the URL",
                "write it into a file that only the service can read and name that: `password.file = \"/path\"`",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_a_url_is_seen_however_it_is_written() {
        for (url, has) in [
            ("postgresql://backup@db1/shop", false),
            ("postgresql://backup:pw@db1/shop", true),
            ("postgresql://backup:p/w@db1/shop", true),
            ("postgresql://backup:p@ss@db1/shop", true),
            ("postgresql://db1:5432/shop", false),
            ("postgresql://db1:5432/a@b", false),
            ("postgresql://db1/shop?user=a&password=b", true),
            ("postgresql://db1/shop?password=", false),
            ("postgresql://[::1]:5432/shop", false),
            ("redis://:pw@cache", true),
            ("sqlite:/srv/a:b@c.db", false),
        ] {
            assert_eq!(Url::split(url).is_some_and(Url::has_password), has, "{url}");
        }
    }
}
