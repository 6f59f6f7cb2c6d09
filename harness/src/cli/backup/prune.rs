//! `gauntlet backup prune`: removes old sets.

use std::path::PathBuf;

use clap::Parser;
use gauntlet_core::outcome::Outcome;

use super::{
    making::Keeping,
    report::{self, directory},
    trouble::{Trouble, blocking},
};

/// Removes the sets of a directory that no rule keeps. The last one whose digests are right never goes.
#[derive(Debug, Parser)]
pub(super) struct Args {
    /// The directory of sets.
    dir: PathBuf,
    #[command(flatten)]
    keeping: Keeping,
    /// Tells the result as JSON.
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(self) -> Outcome {
        blocking((Outcome::Interrupted, "interrupted: run it again"), async {
            let dir = directory(&self.dir)?;
            let Some(pruned) = self.keeping.prune(&dir).await? else {
                return Err(Trouble::mistake("say what is kept: --keep-last N, --keep-within TIME, or both"));
            };
            report::retention(&pruned, self.json);
            Ok(Outcome::Passed)
        })
    }
}
