//! A backup as the verbs show it: in figures for people, as one object for programs.

use jiff::Timestamp;
use serde::Serialize;

use crate::model::{BackupType, Manifest, Name, Size};

/// One backup in JSON, the same from every verb.
#[derive(Debug, Serialize)]
pub(super) struct Backup {
    /// `shop/20261120T020000Z-full-k3f9x2ab`
    pub(super) id: String,
    pub(super) database: Name,
    pub(super) engine: String,
    #[serde(rename = "type")]
    pub(super) kind: BackupType,
    pub(super) parent: Option<String>,
    pub(super) destination: String,
    pub(super) started: Timestamp,
    pub(super) finished: Timestamp,
    pub(super) plain_bytes: u64,
    pub(super) stored_bytes: u64,
    pub(super) recipients: Vec<String>,
    pub(super) notes: Vec<String>,
    pub(super) initiated_by: String,
}

impl Backup {
    pub(super) fn new(manifest: &Manifest, destination: &str) -> Self {
        Self {
            id: manifest.reference().to_string(),
            database: manifest.database.clone(),
            engine: manifest.engine.clone(),
            kind: manifest.kind,
            parent: manifest.parent.as_ref().map(ToString::to_string),
            destination: destination.to_owned(),
            started: manifest.started,
            finished: manifest.finished,
            plain_bytes: manifest.plain_bytes(),
            stored_bytes: manifest.stored_bytes(),
            recipients: manifest.recipients.clone(),
            notes: manifest.notes.clone(),
            initiated_by: manifest.initiated_by.clone(),
        }
    }
}

/// `84 tables, 12,402 rows, 1.2 GiB (300.1 MiB stored)`
pub(super) fn figures(manifest: &Manifest) -> String {
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
pub(super) fn grouped(number: u64) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([0, 999, 1000, 12_402, 1_234_567].map(grouped), ["0", "999", "1,000", "12,402", "1,234,567"]);
    }
}
