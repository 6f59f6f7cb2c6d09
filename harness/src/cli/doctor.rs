//! `gauntlet doctor`: what is missing on this machine, and how to get it.

use std::path::PathBuf;

use clap::Parser;
use gauntlet_core::outcome::Outcome;

use super::say;
use crate::target::local::missing;

/// Says what a system needs on this machine and is not there, and how to get it.
#[derive(Debug, Parser)]
pub(super) struct Args {
    /// The system file.
    #[arg(default_value = "deploy/system.yml")]
    system: PathBuf,
    /// Only the names of missing Debian packages, one a line.
    #[arg(long)]
    packages: bool,
}

impl Args {
    pub(super) fn run(self) -> Outcome {
        let (system, root) = match super::system(&self.system) {
            Ok(read) => read,
            Err(outcome) => return outcome,
        };
        let missing = missing(&system, &root);
        for program in &missing {
            if self.packages {
                program.package.iter().for_each(say);
            } else {
                say(program.to_string());
            }
        }
        if missing.is_empty() {
            if !self.packages {
                say("nothing is missing");
            }
            return Outcome::Passed;
        }
        Outcome::SetupFailed
    }
}
