//! Numbers and lengths of time as people read them, on the screen and in the journal.

use jiff::SignedDuration;

use super::{Manifest, Size};

/// `84 tables, 12,402 rows, 1.2 GiB (300.1 MiB stored)`
pub fn figures(manifest: &Manifest) -> String {
    let mut parts = Vec::new();
    for (kind, many, of) in [("table", "tables", "rows"), ("folder", "folders", "files")] {
        let objects: Vec<_> = manifest.objects.iter().filter(|o| o.kind == kind).collect();
        if objects.is_empty() {
            continue;
        }
        parts.push(format!("{} {}", grouped(objects.len() as u64), if objects.len() == 1 { kind } else { many }));
        if let Some(sum) = objects.iter().map(|o| o.count).sum::<Option<u64>>() {
            parts.push(format!("{} {of}", grouped(sum)));
        }
    }
    parts.push(format!("{} ({} stored)", Size(manifest.plain_bytes()), Size(manifest.stored_bytes())));
    parts.join(", ")
}

/// `12,402`
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How long something took: `0.4s`, `12s`, `3m 05s`, `2h 10m`.
pub fn took(length: SignedDuration) -> String {
    let ms = u64::try_from(length.as_millis()).unwrap_or(0);
    match ms / 1000 {
        0..10 => format!("{}.{}s", ms / 1000, ms % 1000 / 100),
        s @ 10..60 => format!("{s}s"),
        s @ 60..3600 => format!("{}m {:02}s", s / 60, s % 60),
        s => format!("{}h {:02}m", s / 3600, s % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([0, 999, 1000, 12_402, 1_234_567].map(grouped), ["0", "999", "1,000", "12,402", "1,234,567"]);
    }

    #[test]
    fn lengths_have_two_figures_that_matter() {
        let took = |ms| took(SignedDuration::from_millis(ms));
        assert_eq!([0, 449, 9_999].map(took), ["0.0s", "0.4s", "9.9s"]);
        assert_eq!([12_700, 185_000, 7_800_000].map(took), ["12s", "3m 05s", "2h 10m"]);
        assert_eq!(took(-5), "0.0s");
    }
}
