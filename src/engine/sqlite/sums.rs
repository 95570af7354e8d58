//! Ordered checksums of every table, so that two databases can be compared by what they hold.

use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::source;
use crate::error::{Error, Result};
use crate::model::artifact::hex;

/// The checksum of one table's rows, in the order of its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableSum {
    /// The table; `(schema)` for the definitions of all tables, indexes, views and triggers.
    pub table: String,
    /// Its rows.
    pub rows: u64,
    /// SHA-256 over every value of every row, with types and lengths.
    pub sha256: String,
}

/// The checksums of every table of the database in `path`, through a connection of their own that cannot write.
///
/// # Errors
/// It is no readable SQLite database.
pub fn table_sums(path: &Path) -> Result<Vec<TableSum>> {
    let sums = || {
        let db = open(path)?;
        let mut sums = vec![sum(&db, "(schema)", "SELECT type, name, sql FROM sqlite_schema ORDER BY type, name")?];
        // What a virtual table shows is in its shadow tables.
        let mut tables = db.prepare(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name",
        )?;
        for name in tables.query_map((), |row| row.get::<_, String>(0))? {
            let name = name?;
            // NOT INDEXED: rows come in the order of the table itself.
            let rows = format!("SELECT * FROM \"{}\" NOT INDEXED", name.replace('"', "\"\""));
            sums.push(sum(&db, &name, &rows)?);
        }
        Ok(sums)
    };
    sums().map_err(|e: rusqlite::Error| {
        Error::failed(format!("cannot compute the checksums of {}", path.display())).because(e)
    })
}

/// Opens a database that is only read. Where nobody has it open, SQLite is told that nobody will: else it makes a `-wal` and a
/// `-shm`, and who may not write cannot take them away again.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if !source::rests(path) {
        return Connection::open_with_flags(path, flags);
    }
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => uri.push(char::from(*byte)),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    Connection::open_with_flags(uri + "?immutable=1", flags | OpenFlags::SQLITE_OPEN_URI)
}

fn sum(db: &Connection, table: &str, query: &str) -> rusqlite::Result<TableSum> {
    let mut statement = db.prepare(query)?;
    let columns = statement.column_count();
    let mut rows = statement.query(())?;
    let (mut hash, mut count) = (Sha256::new(), 0);
    while let Some(row) = rows.next()? {
        count += 1;
        for column in 0..columns {
            let (tag, bytes): (u8, &[u8]) = match row.get_ref(column)? {
                ValueRef::Null => (0, &[]),
                ValueRef::Integer(number) => (1, &number.to_le_bytes()),
                ValueRef::Real(number) => (2, &number.to_le_bytes()),
                ValueRef::Text(text) => (3, text),
                ValueRef::Blob(blob) => (4, blob),
            };
            hash.update([tag]);
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        }
    }
    let sha256 = hex(hash.finalize());
    Ok(TableSum { table: table.to_owned(), rows: count, sha256 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(dir: &tempfile::TempDir, name: &str, sql: &str) -> std::path::PathBuf {
        let path = dir.path().join(name);
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        path
    }

    #[test]
    fn one_changed_value_changes_the_sum_of_its_table_only() {
        let dir = tempfile::tempdir().unwrap();
        let sql = "CREATE TABLE a(id INTEGER PRIMARY KEY, v); CREATE TABLE b(k TEXT PRIMARY KEY, v) WITHOUT ROWID; CREATE INDEX i ON a(v, id);
                   INSERT INTO a VALUES (1, 'x'), (2, 1), (3, '1'), (4, NULL), (5, x'00'); INSERT INTO b VALUES ('k', 1.0);";
        let first = table_sums(&database(&dir, "1", sql)).unwrap();
        assert_eq!(
            first.iter().map(|s| (s.table.as_str(), s.rows)).collect::<Vec<_>>(),
            [("(schema)", 3), ("a", 5), ("b", 1)]
        );
        assert_eq!(first, table_sums(&database(&dir, "2", sql)).unwrap());
        let changed = table_sums(&database(&dir, "3", &format!("{sql} UPDATE a SET v = 1 WHERE id = 3;"))).unwrap();
        assert_eq!((&changed[0], &changed[2]), (&first[0], &first[2]));
        assert_ne!(changed[1], first[1]);
    }
}
