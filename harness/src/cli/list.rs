//! `gauntlet list`: the words that a scenario may use.

use clap::{Parser, ValueEnum};
use gauntlet_core::{
    judge::JUDGES,
    kind::{About, DRILLS, FAULTS, ROLLOUTS},
    outcome::Outcome,
};

use super::say;
use crate::target::TARGETS;

/// Lists what a scenario may ask for.
#[derive(Debug, Parser)]
pub(super) struct Args {
    /// Which list.
    what: What,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    /// Words under `faults`.
    Faults,
    /// Words under `rollouts`.
    Rollouts,
    /// Words under `drills`.
    Drills,
    /// Values of `--target`.
    Targets,
    /// Words under `checks`, and the judges that always sit.
    Checks,
}

impl Args {
    pub(super) fn run(self) -> Outcome {
        match self.what {
            What::Faults => {
                FAULTS.iter().for_each(|kind| word(kind.about()));
            }
            What::Rollouts => {
                ROLLOUTS.iter().for_each(|kind| word(kind.about()));
            }
            What::Drills => {
                DRILLS.iter().for_each(|kind| word(kind.about()));
            }
            What::Targets => {
                for target in TARGETS {
                    say(format!("{:<12} {}", target.name(), target.about()));
                }
            }
            What::Checks => {
                for judge in JUDGES {
                    let when = if judge.asked { "asked for under `checks`" } else { "always" };
                    say(format!("{:<16} {} ({when})", judge.name, judge.about));
                }
            }
        }
        Outcome::Passed
    }
}

fn word(about: &About) {
    say(format!("{:<12} {}", about.word, about.summary));
    for line in about.example.lines() {
        say(format!("{:14}{line}", ""));
    }
}
