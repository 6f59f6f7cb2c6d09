//! `gauntlet cluster uninstall`: removes the tools from a cluster.

use clap::Parser;
use gauntlet_core::outcome::Outcome;
use gauntlet_kube::cluster::uninstall;

use super::{Somewhere, tools};
use crate::cli::say;

/// Removes the tools from a cluster; refused while a run is in force there.
#[derive(Debug, Parser)]
pub(super) struct Args {
    #[command(flatten)]
    at: Somewhere,
}

impl Args {
    pub(super) fn run(self) -> Outcome {
        self.at.at(async |client| {
            uninstall(&client, &tools(None)).await?;
            say(format!("the tools are gone from {}", self.at.context));
            Ok(Outcome::Passed)
        })
    }
}
