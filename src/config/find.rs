//! Which files make the configuration, and their text.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::diagnostic::{Diagnostic, Findings};
use super::source::{Source, Span};

/// A file longer than this is no configuration, in bytes.
const MAX_LEN: u64 = 16 << 20;

/// Reads all `*.toml` of `dir` in lexical order. Files whose names begin with a dot are editors' droppings and left alone.
pub(super) fn find(dir: &Path, found: &mut Findings) -> Vec<Source> {
    let paths = match list(dir) {
        Ok(paths) => paths,
        Err(problem) => {
            found.push(problem);
            return Vec::new();
        }
    };
    if paths.is_empty() {
        found.push(
            Diagnostic::error(format!("no *.toml file in {}", dir.display()))
                .help("write one, or let `qbackd init` write a first one"),
        );
    }
    let mut sources = Vec::with_capacity(paths.len());
    for path in paths {
        match read(&path) {
            Ok((text, meta)) => {
                warn_if_open(&path, &meta, found);
                sources.push(Source::new(path, text));
            }
            Err(Unread::Io(error)) => found.push(cannot_read(&path, &error)),
            Err(Unread::Odd(why)) => found.push(Diagnostic::error(format!("cannot read {}: {why}", path.display()))),
            Err(Unread::NotText(text)) => {
                let (start, end) = (text.len(), text.len());
                let file = sources.len();
                sources.push(Source::new(path, text));
                found.push(
                    Diagnostic::error("the file is not UTF-8 text")
                        .at(Span { file, start, end }, "the first byte that is not stands here")
                        .help("save it as UTF-8"),
                );
            }
        }
    }
    sources
}

enum Unread {
    Io(io::Error),
    Odd(&'static str),
    /// The part that is text.
    NotText(String),
}

fn list(dir: &Path) -> Result<Vec<PathBuf>, Diagnostic> {
    let shown = dir.display();
    let entries = fs::read_dir(dir).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Diagnostic::error(format!("the configuration directory {shown} does not exist"))
            .help("name another with --config DIR, or let `qbackd init` make a first configuration"),
        io::ErrorKind::NotADirectory => Diagnostic::error(format!("{shown} is not a directory"))
            .help("--config takes the directory; all *.toml files in it are read"),
        _ => cannot_read(dir, &error),
    })?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| cannot_read(dir, &error))?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|end| end == "toml") && !path.is_dir() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<(String, Metadata), Unread> {
    let meta = fs::metadata(path).map_err(Unread::Io)?;
    if !meta.is_file() {
        return Err(Unread::Odd("it is not a regular file"));
    }
    if meta.len() > MAX_LEN {
        return Err(Unread::Odd("it is longer than 16 MiB"));
    }
    let bytes = fs::read(path).map_err(Unread::Io)?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok((text, meta)),
        Err(error) => {
            let good = error.utf8_error().valid_up_to();
            let mut bytes = error.into_bytes();
            bytes.truncate(good);
            Err(Unread::NotText(String::from_utf8(bytes).unwrap_or_default()))
        }
    }
}

fn cannot_read(path: &Path, error: &io::Error) -> Diagnostic {
    let what = Diagnostic::error(format!("cannot read {}: {error}", path.display()));
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            what.help("run as root or as the user of the service, or let the group `qbackd` read it")
        }
        io::ErrorKind::NotFound if path.is_symlink() => what.help("the symbolic link points to nothing"),
        _ => what,
    }
}

/// Whoever can write a file of the configuration can run commands as the service.
fn warn_if_open(path: &Path, meta: &Metadata, found: &mut Findings) {
    if meta.mode() & 0o002 != 0 {
        found.push(
            Diagnostic::warning(format!("{} can be written by everybody", path.display()))
                .help(format!("chmod o-w {}", path.display())),
        );
    }
}
