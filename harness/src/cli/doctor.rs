//! `gauntlet doctor`: what is missing on this machine, and how to get it.

use std::{collections::BTreeSet, path::PathBuf};

use clap::Parser;
use gauntlet_backup::LocalPrograms;
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
    /// What `gauntlet backup`, `verify` and `restore` need, instead of what a system needs.
    #[arg(long, conflicts_with = "system")]
    backup: bool,
}

impl Args {
    pub(super) fn run(self) -> Outcome {
        if self.backup {
            return self.tell(LocalPrograms::new().missing().into_iter().map(|(program, package)| {
                (
                    format!("backups: program {program:?} is not on this machine (package {package})"),
                    Some(package.to_owned()),
                )
            }));
        }
        let (system, root) = match super::system(&self.system) {
            Ok(read) => read,
            Err(outcome) => return outcome,
        };
        let missing = missing(&system, &root);
        self.tell(missing.into_iter().map(|program| (program.to_string(), program.package)))
    }

    /// Each with its package.
    fn tell(&self, missing: impl Iterator<Item = (String, Option<String>)>) -> Outcome {
        let (mut outcome, mut named) = (Outcome::Passed, BTreeSet::new());
        for (text, package) in missing {
            outcome = Outcome::SetupFailed;
            if !self.packages {
                say(text);
            } else if let Some(package) = package.filter(|package| named.insert(package.clone())) {
                say(package);
            }
        }
        if outcome == Outcome::Passed && !self.packages {
            say("nothing is missing");
        }
        outcome
    }
}
