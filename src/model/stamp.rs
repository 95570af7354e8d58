//! What ids are made of: a time without punctuation and a random word.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Letters and digits of the random part: no `0`, `1`, `i`, `l`, `o`, `u`, so that it can be read out over a telephone.
const ALPHABET: &[u8; 30] = b"23456789abcdefghjkmnpqrstvwxyz";
const TIME_FORMAT: &str = "%Y%m%dT%H%M%SZ";

/// Length of a random word.
pub const RANDOM_LEN: usize = 8;

/// `20261120T020000Z`, as ids begin.
pub fn compact(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime(TIME_FORMAT).to_string()
}

/// The instant that [`compact`] wrote, to the second.
pub fn parse_compact(text: &str) -> Option<Timestamp> {
    let time = jiff::civil::DateTime::strptime(TIME_FORMAT, text).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// Eight characters nobody will meet twice (30^8 of them, from the operating system's random source).
pub fn random_word() -> String {
    let mut bytes = [0u8; RANDOM_LEN];
    // The kernel's generator cannot fail once it is seeded; the time is good enough for a name before that.
    if getrandom(&mut bytes).is_err() {
        #[expect(clippy::disallowed_methods, reason = "not a time but something that was never there before")]
        let now = Timestamp::now();
        bytes = now.as_nanosecond().to_le_bytes()[..RANDOM_LEN].try_into().unwrap_or(bytes);
    }
    bytes.iter().map(|b| char::from(ALPHABET[usize::from(*b) % ALPHABET.len()])).collect()
}

/// Whether it is one that [`random_word`] could have made.
pub fn is_random_word(text: &str) -> bool {
    text.len() == RANDOM_LEN && text.bytes().all(|b| ALPHABET.contains(&b))
}

fn getrandom(into: &mut [u8]) -> rustix::io::Result<usize> {
    rustix::rand::getrandom(into, rustix::rand::GetRandomFlags::empty())
}
