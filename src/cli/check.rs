//! `qbackd check`: whether the configuration is right.

use serde::Serialize;

use super::{Global, output};
use crate::config::{self, report::Row};
use crate::error::{Error, Kind, Result};

/// Check the configuration, without touching anything.
///
/// Reads all *.toml of the folder as the daemon does and shows every error at
/// once, each with file, line, column and what was expected. Opens nothing but
/// the configuration: a file it names that is absent is a warning. Exits with 78
/// if there is any error.
///
/// Examples:
///   qbackd check
///   qbackd check --config ./etc
///   qbackd check --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Try every server, tool, recipient and destination as well.
    #[arg(long)]
    pub(super) connect: bool,
}

#[derive(Serialize)]
struct Verdict {
    errors: usize,
    warnings: usize,
    databases: usize,
    destinations: usize,
    findings: Vec<Row>,
}

/// Runs the verb.
pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let loaded = config::load(&global.config);
    let (report, plan) = match &loaded {
        Ok(loaded) => (&loaded.warnings, Some(&loaded.plan)),
        Err(report) => (report, None),
    };
    let (errors, warnings) = report.counts();
    let (databases, destinations) = plan.map_or((0, 0), |plan| (plan.databases.len(), plan.destinations.len()));
    if global.json {
        output::json(&Verdict { errors, warnings, databases, destinations, findings: report.rows() })?;
    } else if !report.is_empty() {
        output::tell(report.render(output::coloured(&std::io::stderr())).trim_end());
    }
    if plan.is_none() {
        let errors = output::count(errors, "error");
        return Err(Error::new(Kind::Configuration, format!("{} has {errors}", global.config.display())));
    }
    if args.connect {
        return Err(Error::new(
            Kind::Unavailable,
            "`check --connect` comes with servers and buckets, which is not built",
        ));
    }
    if global.json {
        return Ok(());
    }
    let warned = if warnings == 0 { String::new() } else { format!(", {}", output::count(warnings, "warning")) };
    let (databases, destinations) = (output::count(databases, "database"), output::count(destinations, "destination"));
    output::line(&format!("ok: {databases}, {destinations}{warned}"))
}
