//! The files engine: folders and files as one tar stream, read and written without following links.
//!
//! `files` are absolute paths; each is archived with all below it, under its path without the leading slash, as GNU tar
//! does. `exclude` are globs. One without `/` is compared with the name of every file and folder, anywhere (`*.tmp`,
//! `node_modules`). One with `/` is compared with the whole absolute path, so it begins with `/` or `**/`; there `*` and `?`
//! do not match `/`, `**` does. What matches is left out with all below it.
//!
//! The artifact is a POSIX tar file (pax): owners by number and name, modes, times to the nanosecond, links, holes, extended
//! attributes and with them ACLs, fifos, devices. By hand: `tar --xattrs --xattrs-include='*' -xpf NAME.tar`.

mod extract;
mod header;
mod owners;
mod pax;
mod place;
mod read;
mod room;
mod select;
mod sparse;
pub mod sums;
mod tree;
mod write;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use self::read::{Reader, What};
use self::tree::Tree;
use super::kind::EngineKind;
use super::thread::on_thread;
use super::{
    Ability, Dump, DumpRequest, Dumped, Engine, Inspection, OptionError, Parsed, RestorePlan, RestoreRequest, Restored,
    Run, Selection, SourceOptions,
};
use crate::error::{Error, Explain, Kind, Result};
use crate::model::manifest::{Object, Source};
use crate::model::{ArtifactSink, ArtifactSource, ArtifactSpec, BackupId, FileName, Inlet, Manifest, Method, Size};

/// The registry's line.
pub const KIND: EngineKind = EngineKind {
    name: "files",
    schemes: &[],
    keys: &["files", "exclude", "nice", "ionice"],
    abilities: &[Ability { method: Method::Logical, incremental: false, pitr: false }],
    recovery: RECOVERY,
    open: Some(open),
};

const RECOVERY: &str = "\
NAME.tar is a tar archive; its paths are relative, so unpack it below an empty folder first.
mkdir restored && tar --xattrs --xattrs-include='*' -xpf NAME.tar -C restored";

/// How many notes of one sort are written out; the rest is only counted.
const NOTES: usize = 20;

struct Files {
    tree: Tree,
}

fn open(options: &SourceOptions) -> Result<Box<dyn Engine>, OptionError> {
    Ok(Box::new(Files { tree: Tree::new(options)? }))
}

/// Notes that cannot grow without bound: the first [`NOTES`], then a count.
#[derive(Debug, Default)]
pub(super) struct Notes {
    list: Vec<String>,
    more: u64,
}

impl Notes {
    fn add(&mut self, note: String) {
        if self.list.len() < NOTES { self.list.push(note) } else { self.more += 1 }
    }

    fn into_list(mut self) -> Vec<String> {
        if self.more > 0 {
            self.list.push(format!("and {} more like these", self.more));
        }
        self.list
    }
}

impl Files {
    fn artifact(database: &str) -> Result<FileName> {
        format!("{database}.tar").parse().map_err(|e| Error::failed("cannot name the archive").because(e))
    }

    /// The archive to restore from, and its manifest.
    fn find(chain: &[Manifest]) -> Result<(&Manifest, BackupId, FileName)> {
        let manifest = chain.last().ok_or_else(|| Error::failed("there is no backup to restore"))?;
        let name = Self::artifact(manifest.database.as_str())?;
        match manifest.artifact(&name) {
            Some(_) => Ok((manifest, manifest.id.clone(), name)),
            None => Err(Error::failed(format!("{} holds no {name}", manifest.reference()))),
        }
    }

    /// The folder everything goes below.
    fn target(request: &RestoreRequest) -> Result<PathBuf> {
        if request.at.is_some() {
            return Err(Error::new(Kind::Usage, "files have no log to restore to a point in time from"));
        }
        let other = Selection { files: Vec::new(), ..request.only.clone() };
        if other != Selection::default() {
            return Err(Error::new(Kind::Usage, "an archive of files holds no databases, schemas or tables")
                .hint("--file restores parts of it"));
        }
        match request.to.as_deref() {
            None => Ok(PathBuf::from("/")),
            Some(path) => std::path::absolute(path).explain(|| format!("cannot restore to `{path}`")),
        }
    }
}

/// The folders a manifest lists.
fn folders(manifest: &Manifest) -> impl Iterator<Item = &Object> {
    manifest.objects.iter().filter(|o| o.kind == "folder")
}

#[async_trait]
impl Engine for Files {
    async fn inspect(&self, run: &Run) -> Result<Inspection> {
        let tree = self.tree.clone();
        run.progress.phase("counting files");
        let (objects, bytes) = on_thread("files", &run.cancel, move |stop| tree.survey(stop)).await?;
        let mut address = String::new();
        for (n, root) in self.tree.roots().iter().enumerate() {
            let _ = write!(address, "{}{}", if n > 0 { " " } else { "" }, root.display());
        }
        Ok(Inspection {
            source: Source { address, role: "primary".into(), ..Source::default() },
            objects,
            estimate: Some(bytes),
            ..Inspection::default()
        })
    }

    async fn dump(
        &self,
        _found: &Inspection,
        _request: &DumpRequest,
        sink: &dyn ArtifactSink,
        run: &Run,
    ) -> Result<Dumped> {
        let tree = self.tree.clone();
        let outlet = sink.open(ArtifactSpec::new(Self::artifact(run.database.as_str())?)).await?;
        run.progress.phase("archiving files");
        on_thread("files", &run.cancel, move |stop| {
            let mut writer = write::Writer::new(outlet);
            let mut objects = Vec::new();
            for root in tree.roots() {
                objects.push(writer.add_root(&tree, root, stop)?);
            }
            let notes = writer.finish()?;
            Ok(Dumped::Done(Dump { objects: Some(objects), notes, ..Dump::default() }))
        })
        .await
    }

    async fn plan_restore(
        &self,
        from: &dyn ArtifactSource,
        request: &RestoreRequest,
        run: &Run,
    ) -> Result<RestorePlan> {
        let chain = from.chain();
        let target = Self::target(request)?;
        select::Chosen::new(&request.only.files)?;
        let (manifest, _, name) = Self::find(chain)?;
        let bytes = manifest.artifact(&name).map_or(0, |a| a.plain.bytes);
        let mut notes = vec!["files of the target that are not in the backup stay".to_owned()];
        if !request.only.files.is_empty() {
            notes.push(format!(
                "only {}; how much that is shows when the archive is read",
                request.only.files.join(", ")
            ));
        }
        let replaces = folders(manifest)
            .map(|o| target.join(o.name.trim_start_matches('/')))
            .filter(|place| occupied(place))
            .map(|place| format!("files of the backup that exist at {}", place.display()))
            .collect();
        // How much a part is nobody knows before the archive is read.
        let whole = request.only.files.is_empty();
        let places: Vec<room::Place> = folders(manifest)
            .filter(|_| whole)
            .map(|o| room::Place { path: target.join(o.name.trim_start_matches('/')), bytes: o.bytes.unwrap_or(0) })
            .collect();
        let needs = on_thread("files", &run.cancel, move |stop| room::needs(&places, stop)).await?;
        Ok(RestorePlan {
            target: target.display().to_string(),
            steps: vec![
                format!("read {} of archive from its beginning to its end", Size(bytes)),
                "write each file under a temporary name or to a free one, never through a link".into(),
                "give back owners, modes, times and attributes".into(),
            ],
            replaces,
            atomic: false,
            sessions: Vec::new(),
            needs,
            notes,
        })
    }

    async fn restore(&self, from: &dyn ArtifactSource, request: &RestoreRequest, run: &Run) -> Result<Restored> {
        let target = Self::target(request)?;
        let chosen = select::Chosen::new(&request.only.files)?;
        let (_, backup, name) = Self::find(from.chain())?;
        let extractor = extract::Extractor::new(&target, request.overwrite, chosen)?;
        let inlet = from.open(&backup, &name).await?;
        run.progress.phase("extracting files");
        on_thread("files", &run.cancel, move |stop| extractor.run(Reader::new(inlet), stop)).await
    }

    async fn parse(&self, from: &dyn ArtifactSource, run: &Run) -> Result<Parsed> {
        let (manifest, backup, name) = Self::find(from.chain())?;
        let expected: u64 = folders(manifest).map(|o| o.count.unwrap_or(0)).sum();
        let inlet = from.open(&backup, &name).await?;
        on_thread("files", &run.cancel, move |stop| {
            let (files, bytes) = read_all(inlet, || stop.check())?;
            if files != expected {
                return Err(Error::failed(format!("{name} is not what was backed up"))
                    .because(format!("it holds {files} files instead of {expected}")));
            }
            Ok(Parsed { checks: vec![format!("{name}: {files} files with {} read, every name is safe", Size(bytes))] })
        })
        .await
    }
}

/// Whether something lies at `place`; an empty folder is nothing.
fn occupied(place: &Path) -> bool {
    match place.symlink_metadata() {
        Ok(meta) if meta.is_dir() => place.read_dir().is_ok_and(|mut entries| entries.next().is_some()),
        Ok(_) => true,
        Err(_) => false,
    }
}

/// Reads an archive to its end; the number of files in it, and of their bytes.
fn read_all(inlet: Inlet, mut stop: impl FnMut() -> Result<()>) -> Result<(u64, u64)> {
    let mut reader = Reader::new(inlet);
    let (mut files, mut bytes) = (0, 0u64);
    while let Some(entry) = reader.next_entry()? {
        stop()?;
        files += u64::from(!matches!(entry.what, What::Folder));
        while let Some((_, piece)) = reader.piece()? {
            bytes += piece.len() as u64;
        }
    }
    Ok((files, bytes))
}

#[cfg(test)]
mod tests;
