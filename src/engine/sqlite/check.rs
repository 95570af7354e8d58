//! The proof of a copy: SQLite's own integrity check, and the rows of every table counted.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::super::thread::Stop;
use super::fault::explain;
use crate::error::{Error, Result};
use crate::model::manifest::Object;

/// How many of SQLite's complaints are shown.
const COMPLAINTS: usize = 10;
/// The object that remembers write-ahead logging.
const SETTING: (&str, &str) = ("setting", "journal_mode=wal");

/// What is proven about a database file.
pub(super) struct Proof {
    /// Its tables with exact counts; one whose module only the application has is not counted.
    pub objects: Vec<Object>,
    /// Whether its schema is empty.
    pub empty: bool,
    /// What was checked, one sentence a check.
    pub checks: Vec<String>,
    /// What a reader of the manifest should know.
    pub notes: Vec<String>,
}

/// Checks and counts a file that nobody else uses.
///
/// # Errors
/// It is damaged, or no database.
pub(super) fn prove(path: &Path, stop: &Stop) -> Result<Proof> {
    stop.check()?;
    let what = || format!("cannot check {}", path.display());
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|e| explain(what(), e))?;
    let interrupt = db.get_interrupt_handle();
    stop.interrupts(move || interrupt.interrupt());
    // What a schema holds is not trusted to run.
    db.execute_batch(
        "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0; PRAGMA cache_size=-16384",
    )
    .map_err(|e| explain(what(), e))?;
    let mut notes = Vec::new();
    let mut checks = vec![integrity(&db, path, &mut notes)?];
    stop.check()?;
    let empty =
        db.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0)).map_err(|e| explain(what(), e))?;
    let mut objects = tables(&db).map_err(|e| explain(what(), e))?;
    let mut rows = 0u64;
    for object in &mut objects {
        stop.check()?;
        object.count = count(&db, &object.name).map_err(|e| explain(format!("cannot count {}", object.name), e))?;
        rows += object.count.unwrap_or(0);
        if object.count.is_none() {
            notes.push(format!("the rows of {} were not counted: only the application can read it", object.name));
        }
    }
    checks.push(format!("tables: {}, rows: {rows}", objects.len()));
    Ok(Proof { objects, empty, checks, notes })
}

fn integrity(db: &Connection, path: &Path, notes: &mut Vec<String>) -> Result<String> {
    let mut found = complaints(db, &format!("integrity_check({COMPLAINTS})"));
    let mut check = "integrity_check".to_owned();
    if foreign(&found) {
        // A collation or function of the application's own. What needs it cannot be judged here, everything else can.
        let tables = everything(db).map_err(|e| explain(format!("cannot read the schema of {}", path.display()), e))?;
        found = Ok(Vec::new());
        check = format!("integrity_check of each of {} tables", tables.len());
        for table in tables {
            let of_table = by_table(db, &table, notes);
            match (&mut found, of_table) {
                (Ok(all), Ok(more)) => all.extend(more),
                (_, Err(e)) => found = Err(e),
                (Err(_), _) => {}
            }
        }
    }
    let mut found = found.map_err(|e| explain(format!("integrity_check of {} failed", path.display()), e))?;
    found.retain(|line| line != "ok");
    if found.is_empty() {
        return Ok(format!("PRAGMA {check}: ok"));
    }
    found.truncate(COMPLAINTS);
    Err(Error::failed(format!("integrity_check of {} found damage", path.display()))
        .because(found.join("; "))
        .hint("the database itself is damaged: restore an older backup beside it, or try `sqlite3 FILE .recover`"))
}

fn complaints(db: &Connection, pragma: &str) -> rusqlite::Result<Vec<String>> {
    db.prepare(&format!("PRAGMA {pragma}"))?.query_map([], |row| row.get(0))?.collect()
}

/// Whether a statement failed for want of something that only the application has.
fn foreign<T>(result: &rusqlite::Result<T>) -> bool {
    matches!(result, Err(e) if e.sqlite_error_code() == Some(ErrorCode::Unknown))
}

/// Checks one table as far as it can be done, and notes what could not.
fn by_table(db: &Connection, table: &str, notes: &mut Vec<String>) -> rusqlite::Result<Vec<String>> {
    let quoted = table.replace('\'', "''");
    let whole = complaints(db, &format!("integrity_check('{quoted}')"));
    let Err(why) = &whole else { return whole };
    if !foreign(&whole) {
        return whole;
    }
    let why = why.to_string();
    let quick = complaints(db, &format!("quick_check('{quoted}')"));
    if foreign(&quick) {
        notes.push(format!("{table} could not be checked, since only the application can read it: {why}"));
        return Ok(Vec::new());
    }
    notes.push(format!("the indexes of {table} were not checked, since only the application can order them: {why}"));
    quick
}

/// Every table with pages of its own.
fn everything(db: &Connection) -> rusqlite::Result<Vec<String>> {
    db.prepare(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'shadow') ORDER BY name",
    )?
    .query_map([], |row| row.get(0))?
    .collect()
}

/// The tables of a database, virtual ones too, without SQLite's own and without those that only serve a virtual one.
///
/// # Errors
/// The schema cannot be read.
pub(super) fn tables(db: &Connection) -> rusqlite::Result<Vec<Object>> {
    let mut list = db.prepare(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual') \
         AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
    )?;
    let names = list.query_map([], |row| {
        // A name is whatever bytes the application gave it.
        Ok(String::from_utf8_lossy(row.get_ref(0)?.as_bytes()?).into_owned())
    })?;
    names.map(|name| Ok(Object { kind: "table".into(), name: name?, count: None, bytes: None })).collect()
}

/// The rows of a table; `None` where SQLite lacks what the table needs.
fn count(db: &Connection, table: &str) -> rusqlite::Result<Option<u64>> {
    let sql = format!("SELECT count(*) FROM \"{}\"", table.replace('"', "\"\""));
    match db.query_row(&sql, [], |row| row.get::<_, i64>(0)) {
        Ok(rows) => Ok(Some(rows.unsigned_abs())),
        other if foreign(&other) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Compares a restored database with what the manifest lists.
///
/// # Errors
/// A table is missing, is new, or has other rows.
pub(super) fn compare(manifest: &[Object], restored: &[Object]) -> Result<()> {
    let tables = |of: &[Object]| -> std::collections::BTreeMap<String, Option<u64>> {
        of.iter().filter(|o| o.kind == "table").map(|o| (o.name.clone(), o.count)).collect()
    };
    let (expected, found) = (tables(manifest), tables(restored));
    for (name, rows) in &expected {
        let differs = match (rows, found.get(name)) {
            (_, None) => Some("is missing".to_owned()),
            (Some(rows), Some(Some(now))) if rows != now => Some(format!("has {now} rows instead of {rows}")),
            _ => None,
        };
        if let Some(how) = differs {
            return Err(
                Error::failed("the restored database is not what was backed up").because(format!("table {name} {how}"))
            );
        }
    }
    match found.keys().find(|name| !expected.contains_key(*name)) {
        Some(name) => Err(Error::failed("the restored database is not what was backed up")
            .because(format!("table {name} is not in the manifest"))),
        None => Ok(()),
    }
}

/// What a manifest lists of a database in write-ahead logging mode.
pub(super) fn wal_marker() -> Object {
    Object { kind: SETTING.0.into(), name: SETTING.1.into(), count: None, bytes: None }
}

/// Whether the manifest says that the database used write-ahead logging.
pub(super) fn was_wal(manifest: &[Object]) -> bool {
    manifest.iter().any(|o| (o.kind.as_str(), o.name.as_str()) == SETTING)
}

/// Puts a file that nobody else uses back into write-ahead logging mode.
///
/// # Errors
/// SQLite cannot.
pub(super) fn turn_on_wal(path: &Path) -> Result<()> {
    let what = || format!("cannot turn on write-ahead logging in {}", path.display());
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|e| explain(what(), e))?;
    let mode: String = db.query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0)).map_err(|e| explain(what(), e))?;
    db.close().map_err(|(_, e)| explain(what(), e))?;
    if mode == "wal" { Ok(()) } else { Err(Error::failed(what()).because(format!("it stays in mode {mode}"))) }
}
