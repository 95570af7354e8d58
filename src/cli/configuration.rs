//! The configuration as verbs load it: what is wrong is shown, with its lines.

use std::path::Path;

use super::output;
use crate::config::{self, Plan, Report};
use crate::error::{Error, Kind, Result};

/// Loads all `*.toml` of `dir`. Errors are shown with their lines; warnings are logged, a line each.
///
/// # Errors
/// It is wrong.
pub fn load(dir: &Path) -> Result<Plan> {
    match config::load(dir) {
        Ok(loaded) => {
            for (_, line) in loaded.warnings.lines() {
                tracing::warn!("{line}");
            }
            Ok(loaded.plan)
        }
        Err(report) => {
            show(&report);
            Err(wrong(dir, &report))
        }
    }
}

/// Shows all that was found, with the lines.
pub(super) fn show(report: &Report) {
    if !report.is_empty() {
        output::tell(&report.render(output::coloured(&std::io::stderr())));
    }
}

/// The error of a configuration that cannot be used; what is wrong with it was shown.
pub(super) fn wrong(dir: &Path, report: &Report) -> Error {
    let errors = output::count(report.counts().0, "error");
    Error::new(Kind::Configuration, format!("the configuration in {} has {errors}", dir.display()))
}
