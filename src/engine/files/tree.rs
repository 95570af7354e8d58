//! What is archived: the configured paths, walked without following links, minus what is excluded.

use std::io;
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use rustix::fs::{Access, AtFlags, CWD, accessat};
use walkdir::{DirEntry, WalkDir};

use super::super::thread::Stop;
use super::super::{OptionError, SourceOptions};
use crate::error::{Error, Kind, Result, from_io};
use crate::model::manifest::Object;

/// How many unreadable files an error names.
const NAMED: usize = 5;
/// What a tar entry costs besides its content, in bytes, for the estimate: a header, often a pax header, padding.
const ENTRY: u64 = 1536;

/// Paths and what is left out of them.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    roots: Vec<PathBuf>,
    by_name: GlobSet,
    by_path: GlobSet,
}

impl Tree {
    /// Checks `files` and `exclude`.
    ///
    /// # Errors
    /// The key that is wrong.
    pub(super) fn new(options: &SourceOptions) -> Result<Self, OptionError> {
        let wrong = |key, message: String, help: &str| OptionError { key, message, help: Some(help.into()) };
        if options.files.is_empty() {
            return Err(wrong(
                "files",
                "`files` names nothing to archive".into(),
                "files = [\"/etc/nginx\", \"/srv/www\"]",
            ));
        }
        for path in &options.files {
            let plain = path.components().all(|c| matches!(c, Component::RootDir | Component::Normal(_)));
            if !path.is_absolute() || !plain || path.as_os_str().as_encoded_bytes().contains(&0) {
                let message = format!("`{}` is not an absolute path without `..`", path.display());
                return Err(wrong("files", message, "write it from the root on: /srv/www"));
            }
        }
        // Without doubled and trailing slashes, so that the rest are plain comparisons.
        let roots: Vec<PathBuf> = options.files.iter().map(|path| path.components().collect()).collect();
        for (n, one) in roots.iter().enumerate() {
            if let Some(other) = roots.iter().enumerate().find_map(|(m, o)| (m != n && one.starts_with(o)).then_some(o))
            {
                let message = format!("`{}` lies within `{}`", one.display(), other.display());
                return Err(wrong("files", message, "name it once"));
            }
        }
        let (mut by_name, mut by_path) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        for pattern in &options.exclude {
            let into = if !pattern.contains('/') {
                &mut by_name
            } else if pattern.starts_with('/') || pattern.starts_with("**/") {
                &mut by_path
            } else {
                let message = format!("`{pattern}` never matches an absolute path");
                return Err(wrong(
                    "exclude",
                    message,
                    "begin it with `/` or `**/`, or leave out every `/` to match names",
                ));
            };
            let glob = GlobBuilder::new(pattern.trim_end_matches('/')).literal_separator(true).build();
            into.add(
                glob.map_err(|e| wrong("exclude", format!("`{pattern}` is no glob: {}", e.kind()), "see globset"))?,
            );
        }
        let built = |set: &GlobSetBuilder| {
            set.build().map_err(|e| wrong("exclude", format!("the globs are too large: {}", e.kind()), "use fewer"))
        };
        Ok(Self { roots, by_name: built(&by_name)?, by_path: built(&by_path)? })
    }

    /// The configured paths.
    pub(super) fn roots(&self) -> &[PathBuf] {
        &self.roots
    }

    /// Everything at and below a root that is not excluded, folders before what is in them.
    pub(super) fn walk<'a>(&'a self, root: &Path) -> impl Iterator<Item = walkdir::Result<DirEntry>> + use<'a> {
        let walk = WalkDir::new(root).follow_links(false).follow_root_links(false);
        walk.into_iter().filter_entry(|entry| !self.excludes(entry.path()))
    }

    fn excludes(&self, path: &Path) -> bool {
        path.file_name().is_some_and(|name| self.by_name.is_match(name)) || self.by_path.is_match(path)
    }

    /// Counts what will be archived. The walk costs about what `find` does, and it warms the cache for the one that
    /// follows; for it the space at the destination can be checked, and what cannot be read is named before hours of work.
    ///
    /// # Errors
    /// A root is missing, a link, or holds no files; something cannot be read.
    pub(super) fn survey(&self, stop: &Stop) -> Result<(Vec<Object>, u64)> {
        let mut objects = Vec::new();
        let (mut unreadable, mut count, mut estimate) = (Vec::new(), 0u64, 0u64);
        let all_powerful = rustix::process::geteuid().is_root();
        for root in &self.roots {
            check_root(root)?;
            let (mut files, mut bytes) = (0u64, 0u64);
            for entry in self.walk(root) {
                stop.check()?;
                let mut refused = |path: &Path| {
                    count += 1;
                    if unreadable.len() < NAMED {
                        unreadable.push(path.display().to_string());
                    }
                };
                let meta = entry.and_then(|entry| Ok((entry.metadata()?, entry)));
                let (meta, entry) = match meta {
                    Ok(found) => found,
                    Err(e) => {
                        match e.io_error().map(io::Error::kind) {
                            Some(io::ErrorKind::NotFound) => {}
                            Some(io::ErrorKind::PermissionDenied) => refused(e.path().unwrap_or(root)),
                            _ => {
                                let path = e.path().unwrap_or(root).to_owned();
                                return Err(cannot_read(&path, e.into()));
                            }
                        }
                        continue;
                    }
                };
                estimate += ENTRY;
                if meta.is_dir() {
                    continue;
                }
                files += 1;
                if meta.is_file() {
                    // Holes are not stored.
                    bytes += meta.len().min(std::os::unix::fs::MetadataExt::blocks(&meta) * 512);
                    let read = || accessat(CWD, entry.path(), Access::READ_OK, AtFlags::EACCESS);
                    if !all_powerful && read() == Err(rustix::io::Errno::ACCESS) {
                        refused(entry.path());
                    }
                }
            }
            if files == 0 && count == 0 {
                return Err(no_files(root));
            }
            estimate += bytes;
            objects.push(folder(root, files, bytes));
        }
        if count > 0 {
            return Err(may_not_read(&unreadable, count));
        }
        Ok((objects, estimate))
    }
}

/// The object of a root.
pub(super) fn folder(root: &Path, files: u64, bytes: u64) -> Object {
    Object { kind: "folder".into(), name: root.display().to_string(), count: Some(files), bytes: Some(bytes) }
}

/// A root without a single file is no backup.
pub(super) fn no_files(root: &Path) -> Error {
    Error::failed(format!("{} holds no files to archive", root.display()))
        .hint("check the path in `files`, the patterns in `exclude`, and whether the file system is mounted")
}

/// What cannot be read makes a backup incomplete, and an incomplete backup is none.
pub(super) fn may_not_read(named: &[String], count: u64) -> Error {
    let more = count - named.len() as u64;
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Error::new(Kind::NotPermitted, format!("cannot read {}{more}", named.join(", "))).hint(
        "exclude them, run as a user who may read them, or let the daemon read everything: systemctl edit qbackd, \
         then [Service], AmbientCapabilities=CAP_DAC_READ_SEARCH, CapabilityBoundingSet=CAP_DAC_READ_SEARCH",
    )
}

/// An error of reading one file.
pub(super) fn cannot_read(path: &Path, error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::PermissionDenied {
        return may_not_read(&[path.display().to_string()], 1);
    }
    from_io(format!("cannot read {}", path.display()), error)
}

fn check_root(root: &Path) -> Result<()> {
    match root.symlink_metadata() {
        Ok(meta) if meta.is_symlink() => Err(Error::failed(format!("cannot archive {}", root.display()))
            .because("it is a symbolic link")
            .hint("name what it points at in `files`; links within a folder are archived as links")),
        Ok(_) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            Err(Error::new(Kind::Unavailable, format!("cannot archive {}", root.display()))
                .because("there is no such file or folder")
                .hint("check the path in `files`, and whether the file system is mounted"))
        }
        Err(e) => Err(cannot_read(root, e)),
    }
}
