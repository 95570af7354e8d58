//! The live side: looking at a database that others are using, and copying it without leaving a trace beside it.
//!
//! SQLite reads a database in WAL mode through its `-shm` file, and makes one (and a `-wal`) if there is none: owned by the
//! reader, in the application's folder, where it can lock the application out. So a WAL database without `-shm`, which nobody
//! has open, is copied as files instead, and the copy is only good if nothing moved meanwhile.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use rustix::process::{Flock, FlockType, fcntl_getlk};

use super::super::space;
use super::super::thread::Stop;
use super::beside::{beside, create_private};
use super::check;
use super::fault::explain;
use crate::error::{Error, Explain, Kind, Result, from_io};
use crate::model::manifest::Object;

/// How long a lock of another process is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// How often a database is tried that is opened or closed by its application just when it is looked at.
const TRIES: u32 = 5;
/// Pages copied between two looks at whether the run should stop.
const PAGES: i32 = 8192;
/// The first bytes of every SQLite 3 file.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Files copied in one go between two looks at whether the run should stop, in bytes.
const PIECE: u64 = 64 * 1024 * 1024;

/// What a look at a database told.
pub(super) struct Seen {
    /// Its tables, not counted: that would read all of it.
    pub objects: Vec<Object>,
    /// Its size, in bytes.
    pub bytes: u64,
}

/// A file in scratch that is removed, with whatever SQLite puts beside it, when this is dropped.
pub(super) struct Scratch {
    path: PathBuf,
    was_wal: bool,
}

impl Scratch {
    /// Takes care of `path`, and removes what a run that died left there.
    pub(super) fn new(path: PathBuf) -> Self {
        let scratch = Self { path, was_wal: false };
        scratch.clear();
        scratch
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the database it was copied from uses write-ahead logging.
    pub(super) fn was_wal(&self) -> bool {
        self.was_wal
    }

    fn clear(&self) {
        for suffix in ["", "-journal", "-wal", "-shm"] {
            let _ = std::fs::remove_file(beside(&self.path, suffix));
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.clear();
    }
}

/// How a database can be read.
enum Way {
    /// Through SQLite, together with the application.
    Live(Connection),
    /// As files, since nobody has it open.
    Idle(State),
}

/// Looks at a database.
///
/// # Errors
/// It is missing, empty, no database, without any object, or locked for too long.
pub(super) fn look(path: &Path, stop: &Stop) -> Result<Seen> {
    let path = &real(path)?;
    match way(path, stop)? {
        Way::Live(db) => {
            let what = || format!("cannot read {}", path.display());
            let bytes = size(&db).map_err(|e| explain(what(), e))?;
            let objects = check::tables(&db).map_err(|e| explain(what(), e))?;
            Ok(Seen { objects, bytes })
        }
        // Its tables are told by the copy: part of them may lie in a log that only a reader who may write could merge.
        Way::Idle(state) => Ok(Seen { objects: Vec::new(), bytes: state.bytes() }),
    }
}

/// Copies a database to `to` as of one moment, into a plain file in rollback-journal mode.
///
/// # Errors
/// As [`look`]; there is no space; it keeps changing hands; it is damaged.
pub(super) fn copy(path: &Path, to: PathBuf, stop: &Stop) -> Result<Scratch> {
    let path = &real(path)?;
    let mut copy = Scratch::new(to);
    for _ in 0..TRIES {
        copy.clear();
        match way(path, stop)? {
            Way::Live(db) => copy_live(&db, path, &copy.path, stop)?,
            Way::Idle(state) => {
                if !copy_idle(path, &state, &copy.path, stop)? {
                    continue;
                }
            }
        }
        copy.was_wal = settle(&copy.path)?;
        return Ok(copy);
    }
    Err(Error::new(
        Kind::TryAgain,
        format!("{} was opened and closed again and again while it was read", path.display()),
    ))
}

/// The file itself, links followed, since SQLite's own files lie beside that.
fn real(path: &Path) -> Result<PathBuf> {
    let what = || format!("cannot back up {}", path.display());
    let real = path.canonicalize().map_err(|e| missing_or(what(), e))?;
    let meta = real.metadata().map_err(|e| missing_or(what(), e))?;
    if !meta.is_file() {
        let kind = if meta.is_dir() { "a folder" } else { "not a file" };
        return Err(Error::failed(what())
            .because(format!("it is {kind}"))
            .hint("`url` names the database file itself"));
    }
    use rustix::fs::{Access, AtFlags, CWD, accessat};
    accessat(CWD, &real, Access::READ_OK, AtFlags::EACCESS).map_err(|e| from_io(what(), e.into()))?;
    Ok(real)
}

fn missing_or(what: String, error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::NotFound {
        return Error::new(Kind::Unavailable, what).because("there is no such file").hint("check the path in `url`");
    }
    from_io(what, error)
}

/// Finds out how the database can be read, and opens it if others may have it open.
fn way(path: &Path, stop: &Stop) -> Result<Way> {
    for _ in 0..TRIES {
        stop.check()?;
        if !beside(path, "-shm").exists() {
            let state = State::of(path)?;
            if matches!(header(path)?, Header::Wal) && state.nobody_is_there() {
                return Ok(Way::Idle(state));
            }
        }
        match open_live(path) {
            Ok(Opened::Live(db)) => return Ok(Way::Live(db)),
            Ok(Opened::NeedsRecovery) => return Ok(Way::Idle(State::of(path)?)),
            // The application went away just now and took its `-shm` along.
            Ok(Opened::Moved) => {}
            Err(e) => return Err(e),
        }
    }
    Err(Error::new(Kind::TryAgain, format!("{} is opened and closed again and again", path.display())))
}

/// Whether a database is in WAL mode, nobody has it open, and all of it is in its one file.
pub(super) fn rests(path: &Path) -> bool {
    let logged = beside(path, "-wal").metadata().is_ok_and(|log| log.len() > 0);
    !logged && !beside(path, "-shm").exists() && matches!(header(path), Ok(Header::Wal))
}

enum Header {
    Rollback,
    Wal,
}

/// Reads the head of a file that no process has open in WAL mode.
///
/// Closing a file drops all locks this process holds on it (POSIX), so nothing else in this process may be in the middle of
/// a transaction on the same database; other processes are not concerned.
fn header(path: &Path) -> Result<Header> {
    let what = || format!("cannot back up {}", path.display());
    let mut head = Vec::new();
    File::open(path).and_then(|file| file.take(20).read_to_end(&mut head)).explain(what)?;
    if head.is_empty() {
        return Err(Error::failed(what())
            .because("it is empty: 0 bytes are no database")
            .hint("check the path in `url`; SQLite makes an empty file when an application opens a wrong path"));
    }
    if head.len() < 20 || !head.starts_with(MAGIC) {
        return Err(Error::failed(what()).because("it is not an SQLite database, or it is encrypted").hint(
            "an encrypted database (SQLCipher, SEE) can be backed up as `files` while its application is stopped",
        ));
    }
    Ok(if head[19] == 2 { Header::Wal } else { Header::Rollback })
}

enum Opened {
    Live(Connection),
    /// A transaction was cut off by a crash, and undoing it means writing.
    NeedsRecovery,
    Moved,
}

/// Opens the database for reading and begins a read transaction: from here on it is as of this moment.
fn open_live(path: &Path) -> Result<Opened> {
    let what = || format!("cannot read {}", path.display());
    let begin = || -> rusqlite::Result<(Connection, bool)> {
        let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        db.busy_timeout(LOCK_WAIT)?;
        db.execute_batch("PRAGMA trusted_schema=OFF; PRAGMA cache_size=-2048; PRAGMA mmap_size=0; BEGIN")?;
        let empty = db.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))?;
        Ok((db, empty))
    };
    match begin() {
        Ok((_, true)) => Err(Error::failed(format!("{} holds no tables", path.display()))
            .hint("a database without any object is no backup; check the path in `url`")),
        Ok((db, false)) => Ok(Opened::Live(db)),
        Err(e) => match e.sqlite_error_code() {
            Some(ErrorCode::ReadOnly) => Ok(Opened::NeedsRecovery),
            Some(ErrorCode::CannotOpen) if !beside(path, "-shm").exists() => Ok(Opened::Moved),
            Some(ErrorCode::DatabaseBusy) => Err(Error::new(Kind::TryAgain, what())
                .because(format!("another process has held an exclusive lock on it for {LOCK_WAIT:?}"))
                .hint(format!("see who with `fuser -v {}`, or try again later", path.display()))),
            _ => Err(explain(what(), e)),
        },
    }
}

fn size(db: &Connection) -> rusqlite::Result<u64> {
    let one = |pragma: &str| db.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0));
    Ok(one("page_count")?.unsigned_abs().saturating_mul(one("page_size")?.unsigned_abs()))
}

/// Copies within the read transaction that `db` is in. It is one step for everybody else: nothing that is written meanwhile
/// restarts it or gets into it; we only look between the pieces whether to stop.
fn copy_live(db: &Connection, path: &Path, to: &Path, stop: &Stop) -> Result<()> {
    let what = || format!("cannot copy {} to {}", path.display(), to.display());
    let folder = to.parent().unwrap_or(to);
    space::check(folder, size(db).map_err(|e| explain(what(), e))?)?;
    drop(create_private(to)?);
    let mut copy =
        Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|e| explain(what(), e))?;
    copy.execute_batch(
        "PRAGMA locking_mode=EXCLUSIVE; PRAGMA synchronous=OFF; PRAGMA journal_mode=OFF; PRAGMA cache_size=-4096",
    )
    .map_err(|e| explain(what(), e))?;
    let backup = Backup::new(db, &mut copy).map_err(|e| explain(what(), e))?;
    loop {
        stop.check()?;
        match backup.step(PAGES).map_err(|e| explain(what(), e))? {
            StepResult::Done => break,
            StepResult::More => {}
            _ => return Err(Error::new(Kind::TryAgain, what()).because("it is locked")),
        }
    }
    drop(backup);
    copy.close().map_err(|(_, e)| explain(what(), e))
}

/// What the files of a database looked like at one moment.
#[derive(PartialEq, Eq)]
struct State([Option<[i64; 6]>; 4]);

impl State {
    const SUFFIXES: [&str; 4] = ["", "-wal", "-journal", "-shm"];

    fn of(path: &Path) -> Result<Self> {
        let mut files = [None; 4];
        for (state, suffix) in files.iter_mut().zip(Self::SUFFIXES) {
            let file = beside(path, suffix);
            *state = match file.metadata() {
                Ok(m) => Some(Self::stamp(&m)),
                Err(e) if e.kind() == io::ErrorKind::NotFound && !suffix.is_empty() => None,
                Err(e) => return Err(missing_or(format!("cannot back up {}", path.display()), e)),
            };
        }
        Ok(Self(files))
    }

    fn stamp(m: &Metadata) -> [i64; 6] {
        [m.ino().cast_signed(), m.size().cast_signed(), m.mtime(), m.mtime_nsec(), m.ctime(), m.ctime_nsec()]
    }

    /// Whether no process has the database open in WAL mode, as far as files tell.
    fn nobody_is_there(&self) -> bool {
        self.0[3].is_none()
    }

    /// The size of everything that must be copied.
    fn bytes(&self) -> u64 {
        self.0[..3].iter().flatten().map(|file| file[1].unsigned_abs()).sum()
    }
}

/// Copies the files of a database that nobody has open, its log too. False if somebody came meanwhile.
fn copy_idle(path: &Path, before: &State, to: &Path, stop: &Stop) -> Result<bool> {
    space::check(to.parent().unwrap_or(to), before.bytes())?;
    for suffix in &State::SUFFIXES[..3] {
        let from = beside(path, suffix);
        let what = || format!("cannot copy {} to {}", from.display(), to.display());
        let source = match File::open(&from) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound && !suffix.is_empty() => continue,
            Err(e) => return Err(from_io(what(), e)),
        };
        // An application in exclusive locking mode has no `-shm`, but a lock.
        let all = Flock::from(FlockType::WriteLock);
        if fcntl_getlk(&source, &all).map_err(io::Error::from).explain(what)?.is_some() {
            return Err(Error::new(Kind::TryAgain, what()).because("another process has locked it for itself"));
        }
        let mut copy = create_private(&beside(to, suffix))?;
        while io::copy(&mut (&source).take(PIECE), &mut copy).explain(what)? > 0 {
            stop.check()?;
        }
    }
    Ok(State::of(path)? == *before)
}

/// Brings whatever log lies beside the copy into it, and takes it out of WAL mode. Tells whether it was in it.
fn settle(path: &Path) -> Result<bool> {
    let what = || format!("cannot read the copy {}", path.display());
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|e| explain(what(), e))?;
    let mode = |sql: &str| db.query_row(sql, [], |row| row.get::<_, String>(0)).map_err(|e| explain(what(), e));
    db.execute_batch("PRAGMA synchronous=OFF; PRAGMA trusted_schema=OFF").map_err(|e| explain(what(), e))?;
    let was = mode("PRAGMA journal_mode")?;
    let is = mode("PRAGMA journal_mode=DELETE")?;
    db.close().map_err(|(_, e)| explain(what(), e))?;
    if is == "delete" { Ok(was == "wal") } else { Err(Error::failed(what()).because(format!("it stays in mode {is}"))) }
}
