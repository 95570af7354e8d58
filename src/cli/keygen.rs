//! `qbackd keygen`: a new age identity, in a file as age-keygen writes it.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use age::secrecy::ExposeSecret;
use age::x25519;
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::{Global, output};
use crate::error::{Error, Explain, Kind, Result, from_io};
use crate::model::secret::read_private;
use crate::model::{Clock, SystemClock};

/// Make a key: an age identity and its recipient.
///
/// The identity is the only thing that opens a backup; the recipient (age1…) is
/// no secret and goes into the configuration. The file is what age-keygen(1)
/// makes, and `age -d -i FILE` takes it. Without -o it goes to stdout.
///
/// Examples:
///   qbackd keygen -o identity.txt
///   qbackd keygen -y identity.txt > recipients.txt
///   qbackd keygen | age -p > identity.age
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Write the identity to this new file, readable by its owner only. Nothing is overwritten.
    #[arg(short, long, value_name = "FILE", conflicts_with = "recipients_of")]
    output: Option<PathBuf>,
    /// Print the recipients of the identities in this file.
    #[arg(short = 'y', value_name = "FILE")]
    recipients_of: Option<PathBuf>,
}

/// What to do with a new identity; nobody can do it for its owner.
pub(super) const PLEA: &str = "Store a copy of the identity somewhere else, now: in a password manager, on paper, on \
                               another machine.\nWhoever has it can read the backups; without it nobody can, ever again.";

/// An identity that was just made.
pub(super) struct Fresh {
    /// The content of its file.
    pub(super) text: Zeroizing<String>,
    /// What is encrypted to.
    pub(super) recipient: String,
}

impl Fresh {
    /// Makes one.
    pub(super) fn make(now: Timestamp) -> Self {
        let identity = x25519::Identity::generate();
        let recipient = identity.to_public().to_string();
        let secret = identity.to_string();
        let text = format!("# created: {now:.0}\n# public key: {recipient}\n{}\n", secret.expose_secret());
        Self { text: Zeroizing::new(text), recipient }
    }
}

/// Writes a new file that must not be there yet, and has it on the disk when it returns.
pub(super) fn write_new(path: &Path, mode: u32, text: &str) -> Result<()> {
    let what = || format!("cannot create {}", path.display());
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(|e| {
        let taken = e.kind() == std::io::ErrorKind::AlreadyExists;
        let error = from_io(what(), e);
        if taken { error.hint("nothing is overwritten: move it away, or choose another name") } else { error }
    })?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).explain(what)?;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).explain(what)
}

/// Runs the verb.
pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    match &args.recipients_of {
        Some(file) => recipients(file, global),
        None => generate(args.output.as_deref(), global),
    }
}

fn generate(path: Option<&Path>, global: &Global) -> Result<()> {
    let fresh = Fresh::make(SystemClock.now());
    let Some(path) = path else {
        if global.json {
            return Err(Error::new(Kind::Usage, "an identity is not printed as JSON").hint("give a file with -o"));
        }
        output::write(fresh.text.as_bytes())?;
        output::tell(&format!("Public key: {}", fresh.recipient));
        return Ok(());
    };
    write_new(path, 0o600, &fresh.text)?;
    output::tell(PLEA);
    if global.json {
        output::json(&serde_json::json!({ "file": path.display().to_string(), "recipient": fresh.recipient }))
    } else {
        output::line(&fresh.recipient)
    }
}

fn recipients(path: &Path, global: &Global) -> Result<()> {
    let what = || format!("cannot read the identities in {}", path.display());
    let text = read_private(path)?;
    let file = age::IdentityFile::from_buffer(text.as_bytes()).explain(what)?;
    let mut list = Vec::new();
    file.write_recipients_file(&mut list).map_err(|e| Error::failed(what()).because(e.to_string()))?;
    let list = String::from_utf8_lossy(&list);
    if global.json {
        output::json(&serde_json::json!({ "recipients": list.lines().collect::<Vec<_>>() }))
    } else {
        output::write(list.as_bytes())
    }
}
