//! `gauntlet gate`: every scenario under `scenarios/gate`, for a release.

use std::path::PathBuf;

use clap::Parser;
use gauntlet_core::outcome::Outcome;

use super::run::{How, run_all};
use crate::target::find;

/// Runs the release gate: every scenario of a directory. On a cluster an inconclusive one is repeated, twice at most; a
/// failed one never is. Every attempt has a report.
#[derive(Debug, Parser)]
pub(super) struct Args {
    /// The directory of the gate's scenarios.
    #[arg(default_value = "scenarios/gate")]
    scenarios: PathBuf,
    #[command(flatten)]
    how: How,
}

impl Args {
    pub(super) fn run(self) -> Outcome {
        let options = self.how.options();
        let repeats = find(&options.target).map_or(0, |kind| kind.repeats());
        run_all(&[self.scenarios], &options, repeats)
    }
}
