//! `gauntlet plan`: what a run would do, without doing anything.

use std::path::PathBuf;

use clap::Parser;
use gauntlet_core::{outcome::Outcome, plan::print};

use super::{complain, run::How, say};
use crate::run::ready;

/// Prints everything that a run would do: times, picks, acts, objects touched, abilities needed. Touches nothing.
#[derive(Debug, Parser)]
pub(super) struct Args {
    /// The scenario file.
    scenario: PathBuf,
    #[command(flatten)]
    how: How,
    /// As JSON, as it stands in the journal.
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(self) -> Outcome {
        match ready::ready(&self.scenario, &self.how.options()) {
            Ok(ready) if self.json => match serde_json::to_string_pretty(&ready.plan) {
                Ok(text) => {
                    say(text);
                    Outcome::Passed
                }
                Err(error) => {
                    complain(format!("error: {error}"));
                    Outcome::Broken
                }
            },
            Ok(ready) => {
                say(print(&ready.plan));
                Outcome::Passed
            }
            Err(bad) => {
                complain(bad.to_string());
                Outcome::BadScenario
            }
        }
    }
}
