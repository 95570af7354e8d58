//! Bringing a backup's files here: decoded, as stored, or as one tar.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::context::Given;
use super::{Context, Place, Wanted};
use crate::error::{Error, Explain, Kind, Result};
use crate::model::artifact::{Artifact, Compression, Encryption};
use crate::model::{Inlet, Manifest, Measured, Progress};
use crate::repository::{Plain, Reader, Repository, Stored, Verdict, settled};
use crate::stage::Identities;

/// What the files should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// What the engine's tool understands.
    Decoded,
    /// As they lie at the destination, with SHA256SUMS and the manifest.
    Raw,
}

/// One file that was written.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Written {
    /// Where it is.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: String,
}

/// An open artifact: its name here, its size, its checksum, and its bytes.
struct Source<'a> {
    name: String,
    bytes: u64,
    sha256: String,
    inlet: Inlet,
    proof: Proof<'a>,
}

/// Who knows whether an artifact was what its manifest says.
enum Proof<'a> {
    Raw(Verdict),
    Decoded(&'a dyn Reader),
}

/// A download that can be done: which backup, in which form.
pub struct Download {
    manifest: Manifest,
    form: Form,
    repository: Plain,
    reader: Box<dyn Reader>,
    progress: Progress,
}

impl Download {
    /// Finds the backup and the keys for it.
    ///
    /// # Errors
    /// There is no such backup, or a key file cannot be read.
    pub async fn plan(
        context: &Context,
        from: Option<&Place>,
        wanted: &Wanted,
        form: Form,
        keys: &Given,
        progress: &Progress,
    ) -> Result<Self> {
        let (repository, manifest, _) = context.find(from, wanted).await?;
        let identities = if form == Form::Raw { Arc::<Identities>::default() } else { context.identities(keys)? };
        let reader = repository.read(vec![manifest.clone()], identities, progress);
        Ok(Self { manifest, form, repository, reader, progress: progress.clone() })
    }

    /// The backup.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Writes every artifact into `folder`, with SHA256SUMS and the manifest. A file appears when it is proven.
    ///
    /// # Errors
    /// A file exists already, cannot be written, or is not what its manifest says.
    pub async fn into_folder(&self, folder: &Path) -> Result<Vec<Written>> {
        std::fs::create_dir_all(folder).explain(|| format!("cannot make {}", folder.display()))?;
        let mut written = Vec::new();
        for artifact in &self.manifest.artifacts {
            written.push(self.save(artifact, folder).await?);
        }
        let sums = written.iter().filter_map(|w| Some(format!("{}  {}\n", w.sha256, w.path.file_name()?.to_str()?)));
        for (name, content) in
            [("SHA256SUMS", sums.collect::<String>().into_bytes()), ("manifest.json", self.manifest.to_json()?)]
        {
            let path = folder.join(name);
            let mut file = create_new(&path)?;
            file.write_all(&content).explain(|| format!("cannot write {}", path.display()))?;
        }
        Ok(written)
    }

    async fn save(&self, artifact: &Artifact, folder: &Path) -> Result<Written> {
        self.progress.phase(format!("downloading {}", artifact.name));
        let source = self.open(artifact).await?;
        let path = folder.join(&source.name);
        let temporary = folder.join(format!(".{}.part", source.name));
        refuse_existing(&path)?;
        let out = create_new(&temporary)?;
        let _unproven = Unproven(&temporary);
        let file = source.proof.settle(copy(source.inlet, out).await).await?;
        file.sync_all().explain(|| format!("cannot finish {}", temporary.display()))?;
        std::fs::rename(&temporary, &path).explain(|| format!("cannot finish {}", path.display()))?;
        Ok(Written { path, bytes: source.bytes, sha256: source.sha256 })
    }

    /// Streams the only artifact to `out`.
    ///
    /// # Errors
    /// There are several, or it is not what its manifest says; `out` then has part of it.
    pub async fn into_stream(&self, out: File) -> Result<()> {
        let [artifact] = &self.manifest.artifacts[..] else {
            return Err(Error::new(
                Kind::Usage,
                format!("{} has {} files", self.manifest.reference(), self.manifest.artifacts.len()),
            )
            .hint("give a folder with -o FOLDER, or --tar for one file"));
        };
        self.progress.phase("downloading");
        let source = self.open(artifact).await?;
        source.proof.settle(copy(source.inlet, out).await).await.map(drop)
    }

    /// Streams all of it to `out` as one tar, with SHA256SUMS and the manifest.
    ///
    /// # Errors
    /// One is not what its manifest says; `out` then has part of it.
    pub async fn into_tar(&self, out: File) -> Result<()> {
        let mut archive = tar::Builder::new(out);
        let mut sums = String::new();
        for artifact in &self.manifest.artifacts {
            self.progress.phase(format!("downloading {}", artifact.name));
            let source = self.open(artifact).await?;
            sums.push_str(&format!("{}  {}\n", source.sha256, source.name));
            archive = source.proof.settle(append(archive, source.name, source.bytes, source.inlet).await).await?;
        }
        let failed = || "cannot write the tar";
        for (name, content) in [("SHA256SUMS", sums.into_bytes()), ("manifest.json", self.manifest.to_json()?)] {
            archive.append_data(&mut header(content.len() as u64), name, &content[..]).explain(failed)?;
        }
        archive.into_inner().and_then(|mut out| out.flush()).explain(failed)
    }

    async fn open(&self, artifact: &Artifact) -> Result<Source<'_>> {
        match self.form {
            Form::Raw => {
                let Stored { inlet, verdict } =
                    self.repository.stored(&self.manifest, artifact, &self.progress).await?;
                let Measured { bytes, sha256 } = artifact.stored.clone();
                Ok(Source { name: artifact.location.to_string(), bytes, sha256, inlet, proof: Proof::Raw(verdict) })
            }
            Form::Decoded => {
                self.progress.expect(artifact.plain.bytes);
                let inlet = self.reader.open(&self.manifest.id, &artifact.name).await?;
                let Measured { bytes, sha256 } = artifact.plain.clone();
                Ok(Source {
                    name: artifact.name.to_string(),
                    bytes,
                    sha256,
                    inlet,
                    proof: Proof::Decoded(&*self.reader),
                })
            }
        }
    }
}

/// A file that is removed unless it was renamed, whatever ends the download.
struct Unproven<'a>(&'a Path);

impl Drop for Unproven<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.0);
    }
}

impl Proof<'_> {
    async fn settle<T>(self, written: Result<T>) -> Result<T> {
        let verdict = match self {
            Self::Raw(verdict) => verdict.given().await,
            Self::Decoded(reader) => reader.verdict().await,
        };
        settled(written, verdict)
    }
}

async fn append(mut archive: tar::Builder<File>, name: String, bytes: u64, from: Inlet) -> Result<tar::Builder<File>> {
    blocking(move || {
        archive.append_data(&mut header(bytes), &name, from).explain(|| format!("cannot add {name} to the tar"))?;
        Ok(archive)
    })
    .await
}

async fn copy(mut from: Inlet, mut out: File) -> Result<File> {
    blocking(move || {
        while let Some(block) = from.next()? {
            out.write_all(&block).explain(|| "cannot write the download")?;
        }
        Ok(out)
    })
    .await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(Error::failed("writing the download panicked")))
}

fn header(bytes: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(0o600);
    header
}

fn refuse_existing(path: &Path) -> Result<()> {
    if path.exists() {
        return Err(Error::failed(format!("{} exists already", path.display())).hint("download into an empty folder"));
    }
    Ok(())
}

fn create_new(path: &Path) -> Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .explain(|| format!("cannot create {}", path.display()))
}

/// The commands that open what was downloaded raw.
pub fn by_hand(artifact: &Artifact) -> String {
    let location = &artifact.location;
    match (artifact.encryption, artifact.compression) {
        (Encryption::Age, Compression::Zstd) => format!("age -d -i IDENTITY {location} | zstd -d > {}", artifact.name),
        (Encryption::Age, Compression::None) => format!("age -d -i IDENTITY {location} > {}", artifact.name),
        (Encryption::None, Compression::Zstd) => format!("zstd -d {location} -o {}", artifact.name),
        (Encryption::None, Compression::None) => format!("cp {location} {}", artifact.name),
    }
}
