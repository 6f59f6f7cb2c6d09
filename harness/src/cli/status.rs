//! `gauntlet status`: what is in force on this machine.

use clap::Parser;
use gauntlet_core::outcome::Outcome;

use super::{complain, say};
use crate::{
    record::{Record, state_dir},
    run::{faults::chain, takeover},
};

/// Lists runs that are not over: who holds them, and what is in force.
#[derive(Debug, Parser)]
pub(super) struct Args {}

impl Args {
    pub(super) fn run(self) -> Outcome {
        let records = match Record::list(&state_dir()) {
            Ok(records) => records,
            Err(error) => {
                complain(format!("error: {}", chain(&error)));
                return Outcome::Broken;
            }
        };
        if records.is_empty() {
            say("nothing is in force");
        }
        for (run, record) in records {
            match record {
                Ok(record) => show(&record),
                Err(error) => complain(format!("{run}  error: {}", chain(&error))),
            }
        }
        Outcome::Passed
    }
}

fn show(record: &Record) {
    let holder =
        if record.holder_alive() { "runs" } else { "is dead: `gauntlet heal` takes back what it left" };
    say(format!("{}  {}  process {} {holder}", record.run, record.target, record.holder.pid));
    match takeover::in_force(record) {
        Ok(receipts) => {
            for receipt in receipts {
                let acts: Vec<String> = receipt.acts.iter().map(ToString::to_string).collect();
                say(format!("  {:<14} {}", receipt.step, acts.join(", ")));
            }
        }
        Err(error) => complain(format!("  error: {error}")),
    }
}
