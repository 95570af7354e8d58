//! `qbackd show`: one manifest.

use super::{Global, ground, human, output, report, signals};
use crate::error::Result;
use crate::job::Wanted;
use crate::job::download::by_hand;
use crate::model::{Manifest, Size};
use crate::repository::Repository;

/// Show what is known of one backup: its manifest.
///
/// A backup is named by its id, by the beginning of it if that is unique, or as
/// NAME@latest.
///
/// Examples:
///   qbackd show shop@latest
///   qbackd show shop/20261120T020000Z-full-k3f9x2ab
///   qbackd show shop/20261120 --from /mnt/rescued/backups
///   qbackd show shop@latest --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The backup.
    #[arg(value_name = "ID")]
    pub(super) id: String,
    /// The destination to ask: a name of the configuration, a folder, or SERVICE://BUCKET/ROOT?option=value.
    #[arg(long, value_name = "DEST|URL|DIR")]
    pub(super) from: Option<String>,
}

/// Runs the verb.
pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let from = ground::place(args.from.as_deref())?;
    let wanted: Wanted = ground::typed(&args.id)?;
    let plan = ground::plan_to_read(global, from.as_ref())?;
    signals::block_on(|cancel| async {
        let (context, _guard) = ground::context_to_read(plan, "show", cancel)?;
        let (repository, manifest, _) = context.find(from.as_ref(), &wanted).await?;
        if global.json { output::json(&manifest) } else { show(&manifest, &context.called(repository.label())) }
    })
}

fn show(m: &Manifest, at: &str) -> Result<()> {
    let mut rows = vec![
        ("backup", m.reference().to_string()),
        ("at", at.to_owned()),
        ("engine", format!("{}, {}, {}", m.engine, m.method, m.kind)),
        (
            "source",
            [Some(m.source.address.clone()), m.source.version.clone(), Some(m.source.role.clone())]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(", "),
        ),
        ("started", human::local(m.started)),
        ("took", human::took(m.finished.duration_since(m.started))),
        ("made by", format!("qbackd {} on {}, for {}", m.qbackd, m.host, m.initiated_by)),
        ("holds", report::figures(m)),
        (
            "recipients",
            if m.recipients.is_empty() { "none: it is not encrypted".into() } else { m.recipients.join(", ") },
        ),
    ];
    rows.extend(m.parent.iter().map(|parent| ("parent", parent.to_string())));
    rows.extend(m.tools.iter().map(|tool| ("tool", format!("{} {}", tool.name, tool.version))));
    rows.extend(m.notes.iter().map(|note| ("note", note.clone())));
    for (label, value) in rows {
        output::line(&format!("{label:<11} {}", output::clean(&value)))?;
    }
    output::line("")?;
    let files = m
        .artifacts
        .iter()
        .map(|a| vec![a.location.to_string(), Size(a.stored.bytes).to_string(), a.stored.sha256.clone()]);
    output::table(&["FILE", "STORED", "SHA-256"], files.collect())?;
    if !m.objects.is_empty() {
        output::line("")?;
        let count = |n: Option<u64>| n.map_or("?".into(), report::grouped);
        let objects = m.objects.iter().map(|o| vec![o.kind.clone(), o.name.clone(), count(o.count)]);
        output::table(&["KIND", "NAME", "COUNT"], objects.collect())?;
    }
    output::line("\nby hand:")?;
    m.artifacts.iter().try_for_each(|artifact| output::line(&format!("  {}", by_hand(artifact))))
}
