//! `gauntlet cluster install`: brings the tools to a cluster.

use clap::Parser;
use gauntlet_core::outcome::Outcome;
use gauntlet_kube::cluster::install;

use super::{Somewhere, tools};
use crate::cli::say;

/// Installs or updates the tools on any cluster: an agent and an eye on every node, and the janitor.
#[derive(Debug, Parser)]
pub(super) struct Args {
    #[command(flatten)]
    at: Somewhere,
    /// Where the nodes get the harness' image [default: gauntlet/harness of this version].
    #[arg(long)]
    image: Option<String>,
}

impl Args {
    pub(super) fn run(self) -> Outcome {
        self.at.at(async |client| {
            install(&client, &tools(self.image)).await?;
            say(format!("agents and janitor are ready on {}", self.at.context));
            Ok(Outcome::Passed)
        })
    }
}
