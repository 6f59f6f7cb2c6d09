//! `gauntlet replay`: the verdict again, from the journal alone.

use std::{path::PathBuf, time::Duration};

use clap::Parser;
use gauntlet_core::outcome::Outcome;

use super::{complain, style};
use crate::{
    journal::Recorded,
    report::{self, console::Console},
};

/// Judges a recorded run again, from its journal alone; nothing else is needed.
#[derive(Debug, Parser)]
pub(super) struct Args {
    /// The run's directory, `reports/<scenario>/<run>`.
    run: PathBuf,
    /// Writes the reports anew as well.
    #[arg(long)]
    report: bool,
}

impl Args {
    pub(super) fn run(self) -> Outcome {
        let recorded = match Recorded::open(&self.run) {
            Ok(recorded) => recorded,
            Err(error) => {
                complain(format!("error: {}", crate::run::faults::chain(&error)));
                return Outcome::BadScenario;
            }
        };
        let verdict = recorded.judge();
        let recorded_for =
            recorded.events().last().map_or(Duration::ZERO, |last| Duration::from_micros(last.at_us));
        Console::of(&recorded, std::io::stdout(), style()).verdict(&verdict, &self.run, recorded_for);
        if self.report
            && let Err(error) = report::write_all(&self.run, &recorded, &verdict)
        {
            complain(format!("error: {}", crate::run::faults::chain(&error)));
            return Outcome::Broken;
        }
        verdict.outcome
    }
}
