//! `gauntlet images`: the container images of a checkout.

use clap::{Parser, Subcommand};
use gauntlet_core::outcome::Outcome;
use gauntlet_kube::cluster::Images;

use super::{cluster::blocking, complain, say};

/// Builds the container images of this checkout.
#[derive(Debug, Parser)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Builds them with deploy/images/build; needs docker, cargo and the OS packages, and no registry.
    Build {
        /// Only this one; may be given several times.
        #[arg(long, value_name = "NAME")]
        only: Vec<String>,
    },
}

impl Args {
    pub(super) fn run(self) -> Outcome {
        let Command::Build { only } = self.command;
        let images = Images::new(".", env!("CARGO_PKG_VERSION"));
        if let Some(mistake) = images.mistake(&only) {
            complain(format!("error: {mistake}"));
            return Outcome::BadScenario;
        }
        blocking(async {
            say(images.build(&only).await?);
            Ok(Outcome::Passed)
        })
    }
}
