//! The command engine: the stdout of `dump = [ ]` is the backup, the stdin of `restore = [ ]` gets it back.
//!
//! Both commands run without a shell and see `QBACKD_DATABASE`, the database's name. A dump of zero bytes and an exit status
//! other than 0 are failures. `restore --to WHERE` is handed on as `QBACKD_RESTORE_TO`, but only to a command that names this
//! variable in one of its words (`["sh", "-c", "load ${QBACKD_RESTORE_TO:-/srv/app}"]`): one that does not would write
//! over the original.

use std::ffi::OsStr;

use async_trait::async_trait;

use super::kind::EngineKind;
use super::process::{Done, Tool, find_program};
use super::{
    Ability, Dump, DumpRequest, Dumped, Engine, Inspection, OptionError, Parsed, RestorePlan, RestoreRequest, Restored,
    Run, Selection, SourceOptions, only_artifact,
};
use crate::error::{Error, Kind, Result};
use crate::model::manifest::Source;
use crate::model::{ArtifactSink, ArtifactSource, ArtifactSpec, FileName, Manifest, Method};

/// The registry's line.
pub const KIND: EngineKind = EngineKind {
    name: "command",
    schemes: &[],
    keys: &["dump", "restore", "nice", "ionice"],
    abilities: &[Ability { method: Method::Logical, incremental: false, pitr: false }],
    recovery: RECOVERY,
    open: Some(open),
};

const RECOVERY: &str = "\
NAME.dump is what the command of the database printed. Give it to the program that reads it.";

const ENDING: &str = ".dump";
const RESTORE_TO: &str = "QBACKD_RESTORE_TO";

struct Command {
    dump: Vec<String>,
    restore: Option<Vec<String>>,
}

fn open(options: &SourceOptions) -> Result<Box<dyn Engine>, OptionError> {
    let empty = |key: &'static str, argv: &[String]| match argv.first() {
        Some(program) if !program.is_empty() => Ok(()),
        _ => Err(OptionError {
            key,
            message: format!("`{key}` names no program"),
            help: Some(format!("write the command as a list of words: {key} = [\"/usr/local/bin/{key}-app\"]")),
        }),
    };
    empty("dump", &options.dump)?;
    let restore = (!options.restore.is_empty()).then(|| options.restore.clone());
    if let Some(argv) = &restore {
        empty("restore", argv)?;
    }
    Ok(Box::new(Command { dump: options.dump.clone(), restore }))
}

/// The tool an argv means.
fn tool(argv: &[String], run: &Run) -> Tool {
    let (program, args) = argv.split_first().map_or((String::new(), &[][..]), |(p, a)| (p.clone(), a));
    Tool::new(program).args(args).env("QBACKD_DATABASE", run.database.as_str())
}

fn program(argv: &[String]) -> &str {
    argv.first().map_or("", String::as_str)
}

fn said(done: Done, argv: &[String]) -> Option<String> {
    Some(format!("`{}` said: {}", program(argv), done.said?))
}

impl Command {
    /// The restore command, if it can do what is asked.
    fn restore_command(&self, chain: &[Manifest], request: &RestoreRequest) -> Result<&[String]> {
        let restore = self.restore.as_deref().ok_or_else(|| {
            let id = chain.last().map_or_else(|| "ID".to_owned(), |m| m.reference().to_string());
            Error::new(Kind::Unavailable, "this database has no `restore` command")
                .hint(format!("add `restore = [...]` to its table, or fetch the dump: qbackd download {id} -o dump"))
        })?;
        if request.at.is_some() || request.only != Selection::default() {
            return Err(Error::new(Kind::Usage, "a command's dump can only be restored as a whole"));
        }
        if request.to.is_some() && !restore.iter().any(|word| word.contains(RESTORE_TO)) {
            return Err(Error::new(Kind::Usage, format!("`{}` cannot restore to another place", program(restore)))
                .because(format!("no word of `restore` names {RESTORE_TO}, so it would write over the original"))
                .hint(format!("restore = [\"sh\", \"-c\", \"load ${{{RESTORE_TO}:-/srv/app}}\"]")));
        }
        Ok(restore)
    }
}

#[async_trait]
impl Engine for Command {
    async fn inspect(&self, _run: &Run) -> Result<Inspection> {
        let file = find_program(OsStr::new(program(&self.dump)))?;
        let source = Source { address: file.display().to_string(), role: "primary".into(), ..Source::default() };
        Ok(Inspection { source, ..Inspection::default() })
    }

    async fn dump(
        &self,
        _found: &Inspection,
        _request: &DumpRequest,
        sink: &dyn ArtifactSink,
        run: &Run,
    ) -> Result<Dumped> {
        let outlet = sink.open(ArtifactSpec::new(artifact(run)?)).await?;
        run.progress.phase(format!("running {}", program(&self.dump)));
        let (done, outlet) = tool(&self.dump, run).dump(outlet, &run.cancel).await?;
        if done.bytes == 0 {
            let error = Error::failed(format!("`{}` exited with success but printed nothing", program(&self.dump)));
            return Err(match done.said {
                Some(said) => error.because(format!("it said: {said}")),
                None => error.hint("the backup is what the command prints on its standard output"),
            });
        }
        outlet.end_async().await?;
        Ok(Dumped::Done(Dump { notes: said(done, &self.dump).into_iter().collect(), ..Dump::default() }))
    }

    async fn plan_restore(
        &self,
        from: &dyn ArtifactSource,
        request: &RestoreRequest,
        _run: &Run,
    ) -> Result<RestorePlan> {
        let chain = from.chain();
        let restore = self.restore_command(chain, request)?;
        let file = find_program(OsStr::new(program(restore)))?;
        only_artifact(chain, ENDING)?;
        Ok(RestorePlan {
            target: request.to.clone().unwrap_or_else(|| format!("wherever {} puts it", file.display())),
            steps: vec![format!("run {} with the dump on its standard input", file.display())],
            replaces: vec![format!("whatever {} writes over", file.display())],
            atomic: false,
            notes: vec!["qbackd cannot see what a command replaces".into()],
            ..RestorePlan::default()
        })
    }

    async fn restore(&self, from: &dyn ArtifactSource, request: &RestoreRequest, run: &Run) -> Result<Restored> {
        let restore = self.restore_command(from.chain(), request)?;
        let (backup, name) = only_artifact(from.chain(), ENDING)?;
        find_program(OsStr::new(program(restore)))?;
        let inlet = from.open(&backup, &name).await?;
        run.progress.phase(format!("running {}", program(restore)));
        let mut tool = tool(restore, run);
        if let Some(to) = &request.to {
            tool = tool.env(RESTORE_TO, to);
        }
        let done = tool.restore(inlet, &run.cancel).await?;
        Ok(Restored {
            target: request.to.clone().unwrap_or_else(|| format!("wherever {} puts it", program(restore))),
            checks: vec![format!("`{}` read all {} bytes and exited with success", program(restore), done.bytes)],
            warnings: said(done, restore).into_iter().collect(),
            ..Restored::default()
        })
    }

    async fn parse(&self, from: &dyn ArtifactSource, _run: &Run) -> Result<Parsed> {
        let (backup, name) = only_artifact(from.chain(), ENDING)?;
        let mut inlet = from.open(&backup, &name).await?;
        let mut bytes = 0u64;
        while let Some(block) = inlet.next_async().await? {
            bytes += block.len() as u64;
        }
        if bytes == 0 {
            return Err(Error::failed(format!("{name} is empty")));
        }
        Ok(Parsed {
            checks: vec![format!("{name}: all {bytes} bytes can be read; what they mean only the command knows")],
        })
    }
}

fn artifact(run: &Run) -> Result<FileName> {
    format!("{}{ENDING}", run.database).parse().map_err(|e| Error::failed("cannot name the dump").because(e))
}
