//! Outcomes: a closed set, one exit code each. "The service broke", "the harness broke" and "the machine was too
//! small" never share a code.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Every objective is met and every check holds, with enough evidence.
    Passed,
    /// An objective is missed or a check does not hold.
    Failed,
    /// The evidence does not allow a verdict.
    Inconclusive,
    /// Something that the run did is still in force.
    NotHealed,
    /// The system did not come up; nothing was judged.
    SetupFailed,
    /// The scenario or the system file is wrong; nothing was started.
    BadScenario,
    /// The harness itself failed: journal unwritable, a panic, fenced.
    Broken,
    /// Ended by Ctrl-C or SIGTERM, and healed.
    Interrupted,
}

/// What is known at the end of a run; several may hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts {
    /// The scenario or the system file is wrong.
    pub bad_scenario: bool,
    /// Something is still in force.
    pub residue: bool,
    /// The harness itself failed.
    pub broken: bool,
    /// A person or a supervisor ended it.
    pub interrupted: bool,
    /// The system did not come up.
    pub setup_failed: bool,
    /// The evidence as a whole is worth nothing: generator lag, a fault without effect, no samples.
    pub evidence_invalid: bool,
    /// An objective is missed or a check does not hold.
    pub missed: bool,
    /// An objective could not be decided.
    pub unknown: bool,
}

impl Outcome {
    /// All of them, in the order of their exit codes.
    pub const ALL: [Outcome; 8] = [
        Outcome::Passed,
        Outcome::Failed,
        Outcome::BadScenario,
        Outcome::Inconclusive,
        Outcome::SetupFailed,
        Outcome::NotHealed,
        Outcome::Broken,
        Outcome::Interrupted,
    ];

    /// The first that holds, worst first.
    pub fn of(facts: Facts) -> Self {
        let order = [
            (facts.bad_scenario, Outcome::BadScenario),
            (facts.residue, Outcome::NotHealed),
            (facts.broken, Outcome::Broken),
            (facts.interrupted, Outcome::Interrupted),
            (facts.setup_failed, Outcome::SetupFailed),
            (facts.evidence_invalid, Outcome::Inconclusive),
            (facts.missed, Outcome::Failed),
            (facts.unknown, Outcome::Inconclusive),
        ];
        order.into_iter().find(|(holds, _)| *holds).map_or(Outcome::Passed, |(_, outcome)| outcome)
    }

    /// The exit code of the process.
    pub fn exit_code(self) -> u8 {
        match self {
            Outcome::Passed => 0,
            Outcome::Failed => 1,
            Outcome::BadScenario => 2,
            Outcome::Inconclusive => 3,
            Outcome::SetupFailed => 4,
            Outcome::NotHealed => 5,
            Outcome::Broken => 6,
            Outcome::Interrupted => 130,
        }
    }

    /// The word of the report and the console.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Passed => "passed",
            Outcome::Failed => "failed",
            Outcome::Inconclusive => "inconclusive",
            Outcome::NotHealed => "not healed",
            Outcome::SetupFailed => "setup failed",
            Outcome::BadScenario => "bad scenario",
            Outcome::Broken => "broken",
            Outcome::Interrupted => "interrupted",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Facts, Outcome};

    #[test]
    fn every_outcome_has_a_code_of_its_own() {
        let codes: BTreeSet<u8> = Outcome::ALL.iter().map(|o| o.exit_code()).collect();
        assert_eq!(codes.len(), Outcome::ALL.len());
    }

    #[test]
    fn nothing_held_against_a_run_means_passed() {
        assert_eq!(Outcome::of(Facts::default()), Outcome::Passed);
    }

    #[test]
    fn residue_outweighs_all_but_a_bad_scenario() {
        let all = Facts {
            bad_scenario: false,
            residue: true,
            broken: true,
            interrupted: true,
            setup_failed: true,
            evidence_invalid: true,
            missed: true,
            unknown: true,
        };
        assert_eq!(Outcome::of(all), Outcome::NotHealed);
        assert_eq!(Outcome::of(Facts { bad_scenario: true, ..all }), Outcome::BadScenario);
    }

    #[test]
    fn invalid_evidence_is_inconclusive_even_when_an_objective_is_missed() {
        let facts = Facts { evidence_invalid: true, missed: true, ..Facts::default() };
        assert_eq!(Outcome::of(facts), Outcome::Inconclusive);
    }

    #[test]
    fn a_missed_objective_outweighs_an_unknown_one() {
        let facts = Facts { missed: true, unknown: true, ..Facts::default() };
        assert_eq!(Outcome::of(facts), Outcome::Failed);
        assert_eq!(Outcome::of(Facts { unknown: true, ..Facts::default() }), Outcome::Inconclusive);
    }
}
