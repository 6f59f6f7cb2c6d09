//! `gauntlet gate`: every scenario under `scenarios/gate`, for a release.

use std::path::PathBuf;

use clap::Parser;
use gauntlet_core::outcome::Outcome;

use super::run::{How, run_all};

/// Runs the release gate: every scenario of a directory.
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
        run_all(&[self.scenarios], &self.how.options())
    }
}
