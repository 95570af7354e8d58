//! The sqlite engine: one database file, copied by SQLite's own backup API within one read transaction, checked, streamed.
//!
//! `url = "sqlite:/srv/app.db"`, or with three slashes; the rest of the URL is the path as it is, nothing is decoded. The
//! artifact `NAME.db` is an ordinary database file in rollback-journal mode that opens anywhere. The source is never written to.

mod beside;
mod check;
mod fault;
pub mod sample;
mod source;
pub mod sums;
mod swap;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;

use super::kind::EngineKind;
use super::thread::{Stop, on_thread};
use super::{
    Ability, Dump, DumpRequest, Dumped, Engine, Inspection, OptionError, Parsed, RestorePlan, RestoreRequest, Restored,
    Run, Selection, SourceOptions, only_artifact, space,
};
use crate::error::{Error, Explain, Kind, Result};
use crate::model::blocks::BLOCK;
use crate::model::manifest::{Object, Source, Tool};
use crate::model::{ArtifactSink, ArtifactSource, ArtifactSpec, FileName, Inlet, Manifest, Method, Outlet, Size};

/// The registry's line.
pub const KIND: EngineKind = EngineKind {
    name: "sqlite",
    schemes: &["sqlite"],
    keys: &["url", "nice", "ionice"],
    abilities: &[Ability { method: Method::Logical, incremental: false, pitr: false }],
    recovery: RECOVERY,
    open: Some(open),
};

const RECOVERY: &str = "\
NAME.db is an ordinary SQLite database. Check it, stop the application, and put it in its place; the files NAME-wal and
NAME-shm of the old database must not stay beside it.
sqlite3 NAME.db 'PRAGMA integrity_check'";

const ENDING: &str = ".db";

struct Sqlite {
    path: PathBuf,
}

fn open(options: &SourceOptions) -> Result<Box<dyn Engine>, OptionError> {
    let help = Some("url = \"sqlite:/srv/app.db\"".to_owned());
    let url = options.url.as_deref().unwrap_or_default();
    match path_of(url) {
        Some(path) => Ok(Box::new(Sqlite { path })),
        None => {
            Err(OptionError { key: "url", message: "an sqlite URL holds the absolute path of a file".into(), help })
        }
    }
}

/// The path in `sqlite:/path` or `sqlite:///path`; one with a host or without a leading slash is none.
fn path_of(url: &str) -> Option<PathBuf> {
    let rest = url.strip_prefix("sqlite:")?;
    let path = match rest.strip_prefix("//") {
        Some(after) if after.starts_with('/') => after,
        Some(_) => return None,
        None => rest,
    };
    let plain = path.starts_with('/') && !path.ends_with('/') && !path.contains('\0');
    plain.then(|| PathBuf::from(path))
}

impl Sqlite {
    /// Where a restore goes: `--to` as a path or a URL, or the database's own place.
    fn target(&self, request: &RestoreRequest) -> Result<PathBuf> {
        let only_whole = || {
            Error::new(Kind::Usage, "an SQLite backup can only be restored as a whole").hint(
                "for one table: qbackd download ID -o copy.db; sqlite3 copy.db '.dump TABLE' | sqlite3 /srv/app.db",
            )
        };
        if request.at.is_some() {
            return Err(Error::new(Kind::Usage, "SQLite keeps no log to restore to a point in time from"));
        }
        if request.only != Selection::default() {
            return Err(only_whole());
        }
        let path = match request.to.as_deref() {
            None => self.path.clone(),
            Some(url) if url.starts_with("sqlite:") => path_of(url)
                .ok_or_else(|| Error::new(Kind::Usage, format!("`{url}` does not hold an absolute path")))?,
            Some(path) => std::path::absolute(path).explain(|| format!("cannot restore to `{path}`"))?,
        };
        swap::resolve(&path)
    }
}

/// The plain size of the artifact, as the manifest promises it.
fn plain_size(chain: &[Manifest], name: &FileName) -> u64 {
    chain.last().and_then(|m| m.artifact(name)).map_or(0, |a| a.plain.bytes)
}

fn objects_of(chain: &[Manifest]) -> Vec<Object> {
    chain.last().map(|m| m.objects.clone()).unwrap_or_default()
}

#[async_trait]
impl Engine for Sqlite {
    async fn inspect(&self, run: &Run) -> Result<Inspection> {
        let path = self.path.clone();
        let seen = on_thread("sqlite", &run.cancel, move |stop| source::look(&path, stop)).await?;
        Ok(Inspection {
            source: Source {
                address: self.path.display().to_string(),
                role: "primary".into(),
                version: Some("SQLite 3".into()),
                identity: None,
            },
            objects: seen.objects,
            estimate: Some(seen.bytes),
            spool: seen.bytes,
            tools: vec![Tool { name: "sqlite".into(), version: rusqlite::version().into() }],
        })
    }

    async fn dump(
        &self,
        _found: &Inspection,
        _request: &DumpRequest,
        sink: &dyn ArtifactSink,
        run: &Run,
    ) -> Result<Dumped> {
        let name: FileName = format!("{}{ENDING}", run.database)
            .parse()
            .map_err(|e| Error::failed("cannot name the copy").because(e))?;
        let (from, to, progress) = (self.path.clone(), run.scratch.join(name.as_str()), run.progress.clone());
        run.progress.quiet_phase("copying the database");
        let copy = on_thread("sqlite", &run.cancel, move |stop| {
            let copy = source::copy(&from, to, stop)?;
            progress.quiet_phase("checking the copy");
            let proof = check::prove(copy.path(), stop)?;
            if proof.empty {
                return Err(Error::failed(format!("{} holds no tables", from.display()))
                    .hint("a database without any object is no backup; check the path in `url`"));
            }
            Ok((copy, proof))
        });
        let (copy, proof) = copy.await?;
        let outlet = sink.open(ArtifactSpec::new(name)).await?;
        run.progress.phase("sending the copy");
        let was_wal = copy.was_wal();
        on_thread("sqlite", &run.cancel, move |stop| send(copy.path(), outlet, stop)).await?;
        let mut objects = proof.objects;
        let mut notes = proof.notes;
        if was_wal {
            objects.push(check::wal_marker());
            notes.push(
                "the database uses write-ahead logging, its copy a rollback journal; a restore turns it on again"
                    .into(),
            );
        }
        Ok(Dumped::Done(Dump { objects: Some(objects), notes, ..Dump::default() }))
    }

    async fn plan_restore(
        &self,
        from: &dyn ArtifactSource,
        request: &RestoreRequest,
        run: &Run,
    ) -> Result<RestorePlan> {
        let chain = from.chain();
        let target = self.target(request)?;
        let (_, name) = only_artifact(chain, ENDING)?;
        let needed = plain_size(chain, &name);
        let path = target.clone();
        let seen = on_thread("sqlite", &run.cancel, move |_| swap::survey(&path)).await?;
        let mut steps = vec![
            format!("write {} to a temporary file in {}", Size(needed), seen.folder.display()),
            "check its integrity and the rows of every table".into(),
        ];
        if seen.exists {
            steps.push("make sure that no process uses the old file, and bring its own log into it".into());
        }
        steps.push(format!("rename the new file to {}", target.display()));
        Ok(RestorePlan {
            target: target.display().to_string(),
            steps,
            replaces: seen.exists.then(|| target.display().to_string()).into_iter().collect(),
            atomic: true,
            sessions: seen.sessions,
            needs: vec![space::Need::of(&seen.folder, needed)?],
            notes: Vec::new(),
        })
    }

    async fn restore(&self, from: &dyn ArtifactSource, request: &RestoreRequest, run: &Run) -> Result<Restored> {
        let target = self.target(request)?;
        let (backup, name) = only_artifact(from.chain(), ENDING)?;
        swap::may_replace(&target, request.overwrite)?;
        let swap = swap::Swap::prepare(&target, plain_size(from.chain(), &name))?;
        let inlet = from.open(&backup, &name).await?;
        let (expected, progress) = (objects_of(from.chain()), run.progress.clone());
        run.progress.phase("writing the database");
        let (overwrite, shown) = (request.overwrite, target.display().to_string());
        on_thread("sqlite", &run.cancel, move |stop| {
            receive(inlet, swap.file(), stop).map_err(|e| named(e, swap.path()))?;
            progress.quiet_phase("checking the database");
            let proof = check::prove(swap.path(), stop)?;
            check::compare(&expected, &proof.objects)?;
            if check::was_wal(&expected) {
                check::turn_on_wal(swap.path())?;
            }
            progress.quiet_phase("putting it in place");
            stop.check()?;
            let warnings = swap.finish(overwrite)?;
            Ok(Restored { target: shown, checks: proof.checks, objects: proof.objects, warnings })
        })
        .await
    }

    async fn parse(&self, from: &dyn ArtifactSource, run: &Run) -> Result<Parsed> {
        let (backup, name) = only_artifact(from.chain(), ENDING)?;
        let needed = plain_size(from.chain(), &name);
        space::check(&run.scratch, needed)?;
        let scratch = source::Scratch::new(run.scratch.join(name.as_str()));
        let inlet = from.open(&backup, &name).await?;
        let expected = objects_of(from.chain());
        on_thread("sqlite", &run.cancel, move |stop| {
            let path = scratch.path();
            let file = beside::create_private(path)?;
            receive(inlet, &file, stop).map_err(|e| named(e, path))?;
            drop(file);
            let proof = check::prove(path, stop)?;
            check::compare(&expected, &proof.objects)?;
            Ok(Parsed { checks: proof.checks })
        })
        .await
    }
}

/// Streams a finished file, in whole blocks that are read once and never copied.
fn send(path: &Path, mut outlet: Outlet, stop: &Stop) -> Result<()> {
    let what = || format!("cannot read {}", path.display());
    let file = File::open(path).explain(what)?;
    loop {
        stop.check()?;
        let mut block = Vec::with_capacity(BLOCK);
        (&file).take(BLOCK as u64).read_to_end(&mut block).explain(what)?;
        if block.is_empty() {
            return outlet.end();
        }
        outlet.send(Bytes::from(block))?;
    }
}

/// Writes a whole stream into a file and makes it durable. The stream's own end is the proof that it is whole.
fn receive(mut inlet: Inlet, mut file: &File, stop: &Stop) -> Result<()> {
    use std::io::Write;
    while let Some(block) = inlet.next()? {
        stop.check()?;
        file.write_all(&block).explain(|| "cannot write")?;
    }
    file.sync_all().explain(|| "cannot sync")
}

fn named(error: Error, path: &Path) -> Error {
    if error.kind() == Kind::Failed { error.during(format!("cannot write {}", path.display())) } else { error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_sqlite_url_is_an_absolute_path_taken_as_it_is() {
        for (url, path) in [
            ("sqlite:/srv/app.db", "/srv/app.db"),
            ("sqlite:///srv/app.db", "/srv/app.db"),
            ("sqlite:/srv/50%20?#x.db", "/srv/50%20?#x.db"),
        ] {
            assert_eq!(path_of(url), Some(PathBuf::from(path)));
        }
        for bad in ["", "sqlite:", "sqlite:app.db", "sqlite://host/app.db", "sqlite:/srv/", "/srv/app.db"] {
            assert_eq!(path_of(bad), None, "{bad:?} passed for an sqlite URL");
        }
    }
}
