//! `gauntlet cluster down`: removes a cluster of this machine.

use clap::Parser;
use gauntlet_core::outcome::Outcome;

use super::{blocking, kind};
use crate::cli::say;

/// Removes a kind cluster and its kubeconfig.
#[derive(Debug, Parser)]
pub(super) struct Args {
    /// What kind calls it.
    #[arg(long, default_value = "gauntlet")]
    name: String,
}

impl Args {
    pub(super) fn run(self) -> Outcome {
        let kind = match kind(&self.name) {
            Ok(kind) => kind,
            Err(outcome) => return outcome,
        };
        blocking(async {
            let there = kind.down().await?;
            say(if there { "removed" } else { "there is no such cluster" });
            Ok(Outcome::Passed)
        })
    }
}
