//! From files to a plan: find, read, check everything, resolve. One path for `check`, verbs and the daemon.

pub mod accepted;
mod decode;
pub mod diagnostic;
pub mod diff;
mod document;
mod find;
mod mask;
pub mod options;
pub mod plan;
pub mod report;
mod resolve;
mod services;
pub mod source;
pub mod unbuilt;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use diagnostic::{Diagnostic, Level};
pub use diff::{Diff, diff};
pub use plan::{Daemon, Database, Destination, Encryption, Plan, Policy};
pub use report::Report;
pub use unbuilt::UNBUILT;

use decode::fields;
use diagnostic::Findings;
use document::Document;
use source::Source;

/// A configuration that can be used.
#[derive(Debug)]
pub struct Loaded {
    /// What it means.
    pub plan: Plan,
    /// The files as they were read, and what deserves a warning.
    pub warnings: Report,
}

/// Loads all `*.toml` of a directory. Only the configuration itself is opened; what it names is at most looked for.
///
/// # Errors
/// Every error of every file, and the warnings with them.
pub fn load(dir: &Path) -> Result<Loaded, Report> {
    read(dir).understand()
}

/// Reads all `*.toml` of a directory, and understands nothing yet.
pub fn read(dir: &Path) -> Files {
    let mut found = Findings::default();
    let sources = find::find(dir, &mut found);
    Files { sources, found }
}

/// The files as they were read.
pub struct Files {
    sources: Vec<Source>,
    found: Findings,
}

impl Files {
    /// Each file, in lexical order of their paths.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// What they mean; as [`load`].
    ///
    /// # Errors
    /// As [`load`].
    pub fn understand(self) -> Result<Loaded, Report> {
        understand(self.sources, self.found)
    }
}

/// Loads files that were read before: their paths, in lexical order, and their text.
///
/// # Errors
/// As [`load`].
pub fn load_texts(files: Vec<(PathBuf, String)>) -> Result<Loaded, Report> {
    let sources = files.into_iter().map(|(path, text)| Source::new(path, text)).collect();
    understand(sources, Findings::default())
}

fn understand(sources: Vec<Source>, mut found: Findings) -> Result<Loaded, Report> {
    let sources: Arc<[Source]> = sources.into();
    let (plan, complete) = {
        let (document, mark) = Document::parse(&sources, &mut found);
        let line = |span: source::Span| sources.get(span.file).map(|source| source.position(span.start).0);
        let broken: HashSet<_> = document.broken.iter().map(|span| (span.file, line(*span))).collect();
        let complete = broken.is_empty();
        let plan = resolve::resolve(document, &mut found);
        if !complete {
            found.drop_consequences(mark, |span| broken.contains(&(span.file, line(span))));
        }
        (plan, complete)
    };
    let report = Report::new(Arc::clone(&sources), found);
    if complete && report.counts().0 == 0 { Ok(Loaded { plan, warnings: report }) } else { Err(report) }
}

/// `[daemon]` as far as it can be read, with defaults for the rest: for verbs that must not be hidden by a broken file.
pub fn daemon(dir: &Path) -> Daemon {
    let mut found = Findings::default();
    let sources = find::find(dir, &mut found);
    let (document, _) = Document::parse(&sources, &mut found);
    resolve::resolve(document, &mut found).daemon
}

/// Every key that is accepted, by the table it stands in. Keys of a policy may stand in a database's table too. `keep`, `retry`,
/// `hooks` and `tls` are the tables within those of the same keys; each `type` of a `[notify.NAME]` has a table of its own here.
pub fn accepted_keys() -> Vec<(&'static str, &'static str)> {
    use crate::notify::NotifyType;
    use crate::retention::Keep;
    use options::{DaemonOptions, Hooks, Retry, SigningOptions, Tls};
    let [source, database] = resolve::partition_keys();
    let named: [(&str, &[&str]); 10] = [
        ("daemon", fields::<DaemonOptions>()),
        ("encryption", fields::<crate::stage::EncryptionOptions>()),
        ("signing", fields::<SigningOptions>()),
        ("policy", resolve::policy_keys()),
        ("database", source),
        ("database", database),
        ("keep", fields::<Keep>()),
        ("retry", fields::<Retry>()),
        ("hooks", fields::<Hooks>()),
        ("tls", fields::<Tls>()),
    ];
    let notify = NotifyType::WORDS.iter().map(|word| (*word, resolve::notify_keys(word)));
    let destination = resolve::destination_keys().map(|key| ("destination", key));
    let all = named.into_iter().chain(notify).flat_map(|(table, keys)| keys.iter().map(move |key| (table, *key)));
    all.chain(destination).collect()
}
