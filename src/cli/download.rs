//! `qbackd download`: the files of a backup.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use super::keys::KeyArgs;
use super::{Global, ground, output, progress, signals};
use crate::error::{Error, Explain, Kind, Result};
use crate::job::download::{Download, Form, by_hand};
use crate::job::limits::unless_cancelled;
use crate::job::{Context, Wanted};
use crate::model::{Progress, Size};

/// Download the files of a backup.
///
/// By default decoded: decrypted and decompressed, as the database's own tools
/// read them.
///
/// Examples:
///   qbackd download shop@latest -o ./shop
///   qbackd download shop@latest --raw -o ./as-stored
///   qbackd download shop@latest --tar > shop.tar
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The backup: an id, a unique beginning of one, NAME@latest.
    #[arg(value_name = "ID")]
    pub(super) id: String,
    /// Where to; a folder, or a file with --tar. Nothing there is overwritten.
    #[arg(short, long, value_name = "PATH")]
    pub(super) output: Option<PathBuf>,
    /// As stored: compressed and encrypted. Needs no key.
    #[arg(long)]
    pub(super) raw: bool,
    /// One file with checksums.
    #[arg(long)]
    pub(super) tar: bool,
    /// Links that open for a while, where the destination can make them.
    #[arg(long, conflicts_with_all = ["raw", "tar", "output"])]
    pub(super) link: bool,
    /// The destination to read from: a name of the configuration, a folder, or SERVICE://BUCKET/ROOT?option=value.
    #[arg(long, value_name = "DEST|URL|DIR")]
    pub(super) from: Option<String>,
    #[command(flatten)]
    pub(super) keys: KeyArgs,
}

/// Runs the verb.
pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    if args.link {
        return Err(Error::new(
            Kind::Unavailable,
            "`download --link` comes with remote destinations, which are not built",
        ));
    }
    let to_stdout = args.output.is_none();
    if to_stdout && (global.json || rustix::termios::isatty(std::io::stdout())) {
        return Err(Error::new(Kind::Usage, "where should the download go?")
            .hint("give a folder with -o, or redirect standard output"));
    }
    let from = ground::place(args.from.as_deref())?;
    let wanted: Wanted = ground::typed(&args.id)?;
    let keys = ground::given(&args.keys)?;
    let plan = ground::plan_to_read(global, from.as_ref())?;
    let form = if args.raw { Form::Raw } else { Form::Decoded };
    signals::block_on(|cancel| async {
        let (context, _guard) = ground::context_to_read(plan, "download", cancel)?;
        let progress = Progress::default();
        let download = Download::plan(&context, from.as_ref(), &wanted, form, &keys, &progress).await?;
        match &args.output {
            None => {
                let stdout = std::io::stdout().as_fd().try_clone_to_owned().explain(|| "cannot use standard output")?;
                watch(&context, &progress, stream(&download, args.tar, stdout.into())).await
            }
            Some(path) if args.tar => {
                let file = File::create_new(path).explain(|| format!("cannot create {}", path.display()))?;
                watch(&context, &progress, stream(&download, true, file)).await
            }
            Some(folder) => {
                let written = watch(&context, &progress, download.into_folder(folder)).await?;
                if global.json {
                    return output::json(
                        &serde_json::json!({ "backup": download.manifest().reference().to_string(), "files": written }),
                    );
                }
                show(&download, &written, folder, args.raw)
            }
        }
    })
}

async fn watch<T>(context: &Context, progress: &Progress, work: impl Future<Output = Result<T>>) -> Result<T> {
    progress::watch_one(progress, unless_cancelled(&context.cancel, work)).await
}

async fn stream(download: &Download, tar: bool, out: File) -> Result<()> {
    if tar { download.into_tar(out).await } else { download.into_stream(out).await }
}

fn show(download: &Download, written: &[crate::job::download::Written], folder: &Path, raw: bool) -> Result<()> {
    for file in written {
        output::line(&format!("{}  {}", file.path.display(), Size(file.bytes)))?;
    }
    output::line(&format!("{} and {}", folder.join("SHA256SUMS").display(), folder.join("manifest.json").display()))?;
    if raw {
        output::line("\nto open them:")?;
        for artifact in &download.manifest().artifacts {
            output::line(&format!("  {}", by_hand(artifact)))?;
        }
    }
    Ok(())
}
