//! `qbackd init`: a first configuration, with a key.

use std::path::{Path, PathBuf};

use super::keygen::{Fresh, PLEA, write_new};
use super::{Global, output};
use crate::error::{Error, Explain, Kind, Result};
use crate::model::{Clock, SystemClock};

/// Write a first configuration: a local destination, a new key, and comments that teach.
///
/// Nothing is overwritten: if anything it would write is there, nothing is
/// written at all.
///
/// Examples:
///   qbackd init
///   qbackd init --root /mnt/backup/qbackd
///   qbackd init --config ./etc --root ./backups --identity ./identity.txt
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Where the local destination keeps backups.
    #[arg(long, value_name = "DIR", default_value = "/var/backups/qbackd")]
    root: PathBuf,
    /// Where the new identity goes; by default identity.txt beside the configuration.
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// Bring back the configuration that is stored at a destination instead.
    #[arg(long, value_name = "DEST", conflicts_with_all = ["root", "identity"])]
    from: Option<String>,
}

const FILE: &str = "qbackd.toml";
const RECIPIENTS: &str = "recipients.txt";
const IDENTITY: &str = "identity.txt";

/// Runs the verb.
pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    if args.from.is_some() {
        return Err(Error::new(Kind::Unavailable, "`init --from` comes with retention, which is not built"));
    }
    let folder = absolute(&global.config)?;
    let (main, recipients) = (folder.join(FILE), folder.join(RECIPIENTS));
    let identity = match &args.identity {
        Some(file) => absolute(file)?,
        None => folder.join(IDENTITY),
    };
    let text = configuration(&absolute(&args.root)?, &recipients, &identity)?;
    refuse_if_there(&folder, &[&main, &recipients, &identity])?;

    let fresh = Fresh::make(SystemClock.now());
    std::fs::create_dir_all(&folder).explain(|| format!("cannot create {}", folder.display()))?;
    // The key first: what names it comes when it is safe on the disk.
    write_new(&identity, 0o600, &fresh.text)?;
    write_new(&recipients, 0o644, &format!("# Backups are encrypted to these age recipients.\n{}\n", fresh.recipient))?;
    write_new(&main, 0o644, &text)?;

    output::tell(PLEA);
    if global.json {
        return output::json(&serde_json::json!({
            "configuration": main, "recipients": recipients, "identity": identity, "recipient": fresh.recipient,
        }));
    }
    let shown =
        if folder == Path::new("/etc/qbackd") { String::new() } else { format!(" --config {}", folder.display()) };
    output::line(&format!(
        "\nwritten:\n  {}\n  {}\n  {}   the key\n\nnext:\n  \
         1. store a copy of {} elsewhere\n  2. name a database in {}: an example is in it\n  \
         3. qbackd check{shown}\n  4. qbackd backup --all{shown}\n  5. systemctl enable --now qbackd",
        main.display(),
        recipients.display(),
        identity.display(),
        identity.display(),
        main.display(),
    ))
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).explain(|| format!("cannot tell where {} is", path.display()))
}

/// A second configuration beside the first would be one document with it, and rarely what was meant.
fn refuse_if_there(folder: &Path, files: &[&Path]) -> Result<()> {
    let mut there: Vec<PathBuf> = files.iter().filter(|f| f.symlink_metadata().is_ok()).map(PathBuf::from).collect();
    match std::fs::read_dir(folder) {
        Ok(entries) => {
            for entry in entries {
                let path = entry.explain(|| format!("cannot read {}", folder.display()))?.path();
                if path.extension().is_some_and(|e| e == "toml") && !there.contains(&path) {
                    there.push(path);
                }
            }
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(e).explain(|| format!("cannot read {}", folder.display())),
    }
    if there.is_empty() {
        return Ok(());
    }
    there.sort();
    let names = there.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    Err(Error::failed(format!("{} is configured already: {names}", folder.display()))
        .hint("nothing was written; move that away, or choose another folder with --config"))
}

fn configuration(root: &Path, recipients: &Path, identity: &Path) -> Result<String> {
    let (root, recipients, identity) = (quoted(root)?, quoted(recipients)?, quoted(identity)?);
    Ok(format!(
        r#"# The configuration of qbackd. All *.toml files of this folder are one document.
# After an edit: `qbackd check`; the daemon sees it by itself, or by `systemctl reload qbackd`.

# Where backups live. Another [destination.NAME] can be a bucket, a share, another disk.
[destination.local]
service = "fs"
root = {root}
# require_mount = true    # refuse when the disk is not mounted

# To whom backups are encrypted. Making a backup needs the recipients only.
[encryption.default]
recipients_file = {recipients}
# The identity lets this host open its own backups, so that `qbackd restore` asks for nothing. Should whoever breaks into
# this host not be able to read old backups, keep the file elsewhere, delete this line and give it with --identity.
identity_files = [{identity}]

# Rules that databases share.
[policy.nightly]
destinations = ["local"]
encryption = "default"
full = "02:00"                         # when the daemon makes backups; without it they are made by hand
keep = {{ daily = 7, weekly = 4 }}       # what is older goes, never the newest; without it everything is kept
# notify = "ops"                       # who is told when something is wrong

# A way to tell people; there are chats, webhooks and commands too. Try it: `qbackd notify test ops`.
# [notify.ops]
# type = "email"
# server = "localhost:25"
# from = "qbackd@example.org"
# to = ["ops@example.org"]

# What is backed up. Take the # away and make it yours.
# [database.shop]
# url = "sqlite:/srv/shop/shop.db"
# policy = "nightly"

# [database.www]
# engine = "files"
# files = ["/etc", "/var/www"]
# exclude = ["**/cache/**"]
# policy = "nightly"
"#
    ))
}

/// The path as a TOML string. Every JSON string is a TOML basic string (toml.io, "String").
fn quoted(path: &Path) -> Result<String> {
    let text = path.to_str().ok_or_else(|| {
        Error::new(Kind::Usage, format!("{} is not UTF-8", path.display())).hint("TOML cannot name it: rename it")
    })?;
    serde_json::to_string(text).map_err(|e| Error::failed("cannot write a path").because(e))
}
