//! Records of pax extended headers (POSIX pax, "Extended Header"): what does not fit into a tar header.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Appends one record: its own length in decimal, a space, `key=value`, a newline.
pub(super) fn put(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    // The length counts its own digits.
    let mut length = rest + digits(rest);
    if digits(length) > digits(rest) {
        length = rest + digits(length);
    }
    records.extend_from_slice(length.to_string().as_bytes());
    records.push(b' ');
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

fn digits(number: usize) -> usize {
    number.to_string().len()
}

/// Splits records. `None` if they are malformed.
pub(super) fn records(mut text: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut found = Vec::new();
    while !text.is_empty() {
        let space = text.iter().take(20).position(|&b| b == b' ')?;
        let length: usize = std::str::from_utf8(&text[..space]).ok()?.parse().ok()?;
        let record = text.get(space + 1..length)?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|&b| b == b'=')?;
        found.push((&record[..equals], &record[equals + 1..]));
        text = &text[length..];
    }
    Some(found)
}

const XATTR: &[u8] = b"SCHILY.xattr.";

/// The key of an extended attribute. `=` ends a key, so GNU tar writes it as `%3D`, and `%` as `%25`.
pub(super) fn xattr_key(name: &std::ffi::OsStr) -> Vec<u8> {
    let mut key = XATTR.to_vec();
    for &byte in name.as_bytes() {
        match byte {
            b'=' => key.extend_from_slice(b"%3D"),
            b'%' => key.extend_from_slice(b"%25"),
            other => key.push(other),
        }
    }
    key
}

/// The extended attribute a key means.
pub(super) fn xattr_name(key: &[u8]) -> Option<OsString> {
    let coded = key.strip_prefix(XATTR)?;
    let mut name = Vec::with_capacity(coded.len());
    let mut rest = coded;
    loop {
        let (byte, after) = match rest {
            [b'%', b'3', b'D', after @ ..] => (b'=', after),
            [b'%', b'2', b'5', after @ ..] => (b'%', after),
            [byte, after @ ..] => (*byte, after),
            [] => break,
        };
        name.push(byte);
        rest = after;
    }
    Some(OsString::from_vec(name))
}

/// A time in seconds and nanoseconds as a decimal number.
pub(super) fn time(secs: i64, nanos: u32) -> String {
    if nanos == 0 {
        return secs.to_string();
    }
    if secs >= 0 {
        return format!("{secs}.{nanos:09}");
    }
    // 1.5 s before the epoch is -2 s and 500,000,000 ns.
    let back = 1_000_000_000 - nanos;
    format!("-{}.{back:09}", (secs + 1).unsigned_abs())
}

/// What [`time`] wrote. `None` if it is no decimal number in range.
pub(super) fn parse_time(text: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let secs: i64 = whole.parse().ok()?;
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos: u32 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    match (whole.starts_with('-'), nanos) {
        (true, 1..) => Some((secs.checked_sub(1)?, 1_000_000_000 - nanos)),
        _ => Some((secs, nanos)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_record_counts_its_own_length() {
        for length in [1, 5, 92, 93, 94, 95, 990, 991, 992, 9_999] {
            let mut text = Vec::new();
            put(&mut text, b"path", &vec![b'\n'; length]);
            let said: usize = String::from_utf8_lossy(&text).split(' ').next().unwrap().parse().unwrap();
            assert_eq!(said, text.len());
            assert_eq!(records(&text).unwrap(), [(&b"path"[..], vec![b'\n'; length].as_slice())]);
        }
    }

    #[test]
    fn times_before_the_epoch_keep_their_nanoseconds() {
        assert_eq!(time(-2, 500_000_000), "-1.500000000");
        assert_eq!(time(-1, 250_000_000), "-0.750000000");
        for at in [(-2, 500_000_000), (-1, 250_000_000), (-1, 0), (0, 1), (1, 999_999_999), (i64::MAX, 0)] {
            assert_eq!(parse_time(time(at.0, at.1).as_bytes()), Some(at));
        }
        for bad in ["", "x", "1.x", "1.-5", "99999999999999999999", "-"] {
            assert_eq!(parse_time(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn whatever_bytes_come_they_are_records_or_refused(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (records(&text), parse_time(&text));
        }

        #[test]
        fn every_attribute_name_survives(name in "[a-zA-Z0-9.=%]{1,40}") {
            prop_assert_eq!(xattr_name(&xattr_key(name.as_ref())), Some(OsString::from(name)));
        }
    }
}
