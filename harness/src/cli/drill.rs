//! `gauntlet drill`: scenarios with drills, and one record of them all.

use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

use clap::{ArgGroup, Parser};
use gauntlet_core::outcome::Outcome;

use super::{
    complain,
    run::{Ended, How, run_each, worst},
    say,
};
use crate::{
    report::record::{Entry, RECORD_FORMAT, Record},
    run::{faults::chain, session::name_of_run},
};

/// Where the drills of a system are kept.
const ALL: &str = "scenarios/drill";

/// Runs drills one after the other and writes one record of them: `<reports>/drills/<record>/drills.html` and `.json`.
#[derive(Debug, Parser)]
#[command(group = ArgGroup::new("which").required(true).args(["scenarios", "all"]))]
pub(super) struct Args {
    /// Scenario files, or directories of them.
    scenarios: Vec<PathBuf>,
    /// Every scenario below scenarios/drill.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    how: How,
}

impl Args {
    pub(super) fn run(self) -> Outcome {
        let options = self.how.options();
        let scenarios = if self.all { vec![PathBuf::from(ALL)] } else { self.scenarios };
        let ended = match run_each(&scenarios, &options, 0) {
            Ok(ended) => ended,
            Err(why) => {
                complain(format!("error: {why}"));
                return Outcome::BadScenario;
            }
        };
        let outcome = worst(ended.iter().map(|ended| ended.done.outcome));
        match record(&ended, outcome, &options.reports) {
            Ok(dir) => {
                say(format!("\nrecord    {}", dir.join("drills.html").display()));
                outcome
            }
            Err(error) => {
                complain(format!("error: no record of these drills: {}", chain(error.as_ref())));
                worst([outcome, Outcome::Broken].into_iter())
            }
        }
    }
}

fn record(ended: &[Ended], outcome: Outcome, reports: &Path) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let entry = |ended: &Ended| {
        let done = &ended.done;
        Entry::of(&ended.file, done.outcome, done.error.as_deref(), done.directory.as_deref())
    };
    let scenarios = ended.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
    say("");
    scenarios.iter().for_each(tell);
    let record = Record {
        format: RECORD_FORMAT,
        name: name_of_run()?,
        wall_clock: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        command: std::env::args().collect(),
        outcome,
        exit_code: outcome.exit_code(),
        scenarios,
    };
    Ok(record.write(reports)?)
}

/// A line for the scenario, and one for each of its drills.
fn tell(entry: &Entry) {
    say(format!("{:<14} {}", entry.outcome, entry.file.display()));
    for drill in entry.report.iter().flat_map(|report| &report.drills) {
        let seconds = |s: Option<f64>| s.map_or_else(|| "–".to_owned(), |s| format!("{s:.2} s"));
        let measured = match drill.lost {
            _ if drill.offered > 0 => {
                format!("{} of {} spoilt backups refused", drill.refused, drill.offered)
            }
            None => "not restored".to_owned(),
            Some(lost) => format!(
                "RPO {} ({lost} of {} writes), RTO {}",
                seconds(drill.rpo_s),
                drill.acknowledged,
                seconds(drill.rto_s)
            ),
        };
        say(format!("{:15}{}: {measured}", "", drill.title));
    }
}
