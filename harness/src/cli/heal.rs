//! `gauntlet heal`: takes back what a dead run left in force.

use clap::Parser;
use gauntlet_core::outcome::Outcome;

use super::{complain, say};
use crate::{
    record::{Record, RecordError, state_dir},
    run::{faults::chain, takeover},
};

/// Takes back everything that runs left in force whose process is dead. Needs nothing but their ledger.
#[derive(Debug, Parser)]
pub(super) struct Args {
    /// Only this run, by the name that `gauntlet status` shows.
    run: Option<String>,
    /// Also runs that are alive: their process is killed first.
    #[arg(long)]
    take_over: bool,
}

impl Args {
    pub(super) fn run(self) -> Outcome {
        let records = match Record::list(&state_dir()) {
            Ok(records) => records,
            Err(error) => {
                complain(format!("error: {}", chain(&error)));
                return Outcome::Broken;
            }
        };
        let meant: Vec<_> =
            records.into_iter().filter(|(run, _)| self.run.as_ref().is_none_or(|only| only == run)).collect();
        match (&self.run, meant.is_empty()) {
            (Some(run), true) => {
                complain(format!("error: no run {run:?} is in force; see `gauntlet status`"));
                return Outcome::BadScenario;
            }
            (None, true) => say("nothing is in force"),
            _ => {}
        }
        let healed: Vec<bool> = meant.into_iter().map(|(run, record)| self.heal(&run, record)).collect();
        if healed.into_iter().all(|healed| healed) { Outcome::Passed } else { Outcome::NotHealed }
    }

    /// Answers whether nothing of it is left that nobody cares for.
    fn heal(&self, run: &str, record: Result<Record, RecordError>) -> bool {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                complain(format!("{run}: error: {}", chain(&error)));
                return false;
            }
        };
        if record.holder_alive() && !self.take_over {
            say(format!("{run}: its process {} is alive; `--take-over` kills it first", record.holder.pid));
            return true;
        }
        let residue = takeover::blocking(&record);
        residue.iter().for_each(|trouble| complain(format!("{run}: {trouble}")));
        if residue.is_empty() {
            say(format!("{run}: healed"));
        }
        residue.is_empty()
    }
}
