//! Judges: folds over evidence. A judge never talks to a target, a clock or a file; replay is the same fold again.
//!
//! Evidence comes in this order: all events, all samples, all requests by intended start. Events and samples use the
//! run's clock; requests and phases the load's, whose zero is the event that the load began.
//!
//! One judge, one file, one line in [`JUDGES`]. They share what is private here: `course` (real times of faults),
//! `progress` (how far a step came), `settings` (what was read back), `machines` (what carried the system), `coverage` (was
//! every replica watched), `register` (records written and found), `level` (how users fared for
//! a while), `bound` (from an objective to its finding) and `show`
//! (quantities in words).

use serde::{Deserialize, Serialize};

use crate::{
    evidence::Evidence,
    name::Name,
    outcome::{Facts, Outcome},
    plan::Plan,
};

mod bound;
pub mod canary;
mod connections;
mod course;
mod coverage;
pub mod drill;
pub mod gate;
mod generator;
mod level;
mod machines;
mod metric;
mod no_duplicate;
mod no_lost_write;
mod progress;
mod proofs;
mod recovery;
mod register;
mod resources;
mod right_answers;
mod rollout;
mod settings;
pub(crate) mod show;
mod slo;
#[cfg(test)]
pub(crate) mod testing;

/// All judges, in the order of their findings.
pub const JUDGES: &[JudgeKind] = &[
    slo::KIND,
    resources::KIND,
    metric::KIND,
    recovery::KIND,
    gate::KIND,
    drill::KIND,
    rollout::KIND,
    connections::KIND,
    proofs::KIND,
    generator::KIND,
    no_lost_write::KIND,
    no_duplicate::KIND,
    right_answers::KIND,
];

/// A fold over the journal.
pub trait Judge: Send {
    /// Takes one piece of evidence.
    fn see(&mut self, evidence: Evidence<'_>);
    /// What it found, after the last piece.
    fn findings(&self) -> Vec<Finding>;
}

/// One line of the list of judges.
pub struct JudgeKind {
    /// Its name.
    pub name: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// Whether a scenario asks for it under `checks`; the others always judge.
    pub asked: bool,
    /// Makes one for a plan.
    pub make: fn(&Plan) -> Box<dyn Judge>,
}

/// What a judge found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The judge.
    pub judge: String,
    /// What was judged: an objective as written, a check, a proof.
    pub what: String,
    /// The phase or the fault, where it belongs to one.
    pub at: Option<String>,
    /// What it means for the verdict.
    pub state: State,
    /// What was measured, in words with its unit.
    pub measured: String,
    /// How many samples it rests on.
    pub samples: u64,
    /// Why, and what was seen.
    pub detail: String,
}

/// What a finding means for the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It holds.
    Met,
    /// It does not hold.
    Missed,
    /// It could not be decided.
    Unknown,
    /// The evidence as a whole is worth nothing.
    Invalid,
    /// The system did not come up.
    SetUp,
    /// A person or a supervisor ended the run.
    Interrupted,
    /// The harness itself failed.
    Broken,
    /// Something is left in force.
    Residue,
}

/// The verdict on a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// How it ended.
    pub outcome: Outcome,
    /// All findings, in the order of the judges.
    pub findings: Vec<Finding>,
}

impl Verdict {
    /// The first outcome that the findings call for. No findings at all is no evidence.
    pub fn of(findings: Vec<Finding>) -> Self {
        let any = |state| findings.iter().any(|finding| finding.state == state);
        let facts = Facts {
            bad_scenario: false,
            residue: any(State::Residue),
            broken: any(State::Broken),
            interrupted: any(State::Interrupted),
            setup_failed: any(State::SetUp),
            evidence_invalid: any(State::Invalid) || findings.is_empty(),
            missed: any(State::Missed),
            unknown: any(State::Unknown),
        };
        Self { outcome: Outcome::of(facts), findings }
    }
}

/// Which of the judges sit for a plan: those that always do, and the checks that it asks for.
fn sits(kind: &JudgeKind, checks: &[Name]) -> bool {
    !kind.asked || checks.iter().any(|check| check.as_str() == kind.name)
}

/// The judges that sit for one run. A reader streams the evidence through it.
pub struct Bench {
    judges: Vec<Box<dyn Judge>>,
    objectives: Vec<String>,
    checks: Vec<Name>,
    connections: bool,
}

impl Bench {
    /// Those that always judge, and the checks that the plan asks for.
    pub fn new(plan: &Plan) -> Self {
        Self {
            judges: JUDGES
                .iter()
                .filter(|kind| sits(kind, &plan.checks))
                .map(|kind| (kind.make)(plan))
                .collect(),
            objectives: plan.objectives.iter().map(|objective| objective.text.clone()).collect(),
            checks: plan.checks.clone(),
            connections: !plan.connections.is_empty(),
        }
    }

    /// Shows one piece of evidence to all of them.
    pub fn see(&mut self, evidence: Evidence<'_>) {
        self.judges.iter_mut().for_each(|judge| judge.see(evidence));
    }

    /// What they find, and what it comes to.
    pub fn verdict(&self) -> Verdict {
        let mut findings: Vec<Finding> = self.judges.iter().flat_map(|judge| judge.findings()).collect();
        let asked = self.objectives.iter().map(String::as_str).chain(self.checks.iter().map(Name::as_str));
        let silent: Vec<Finding> = asked
            .filter(|what| !findings.iter().any(|finding| finding.what == **what))
            .map(unheard)
            .collect();
        findings.extend(silent);
        if self.objectives.is_empty() && self.checks.is_empty() && !self.connections {
            findings.push(unheard("an objective, a check or a connection"));
        }
        Verdict::of(findings)
    }
}

/// Judges a whole run.
pub fn judge<'a>(plan: &Plan, evidence: impl Iterator<Item = Evidence<'a>>) -> Verdict {
    let mut bench = Bench::new(plan);
    evidence.for_each(|piece| bench.see(piece));
    bench.verdict()
}

/// What was asked for and no judge spoke of is unknown, never met.
fn unheard(what: &str) -> Finding {
    Finding {
        judge: "bench".into(),
        what: what.to_owned(),
        at: None,
        state: State::Unknown,
        measured: "nothing".into(),
        samples: 0,
        detail: "no judge speaks of it".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::{
        JUDGES, State, judge,
        testing::{Story, name},
    };
    use crate::{evidence::Operation, outcome::Outcome};

    #[test]
    fn a_good_run_passes_and_every_judge_has_spoken() {
        let verdict = Story::good().verdict();
        let bad: Vec<_> = verdict.findings.iter().filter(|finding| finding.state != State::Met).collect();
        assert!(bad.is_empty(), "{bad:#?}");
        assert_eq!(verdict.outcome, Outcome::Passed);
        let spoke: BTreeSet<&str> = verdict.findings.iter().map(|finding| finding.judge.as_str()).collect();
        // It has no canary and no drill; their judges have stories of their own.
        let all = JUDGES.iter().map(|kind| kind.name).filter(|name| !matches!(*name, "canary" | "drill"));
        assert_eq!(spoke, all.collect());
        assert!(verdict.findings.iter().all(|finding| finding.samples > 0 && !finding.detail.is_empty()));
    }

    #[test]
    fn judges_have_names_of_their_own_and_say_what_they_do() {
        let names: BTreeSet<&str> = JUDGES.iter().map(|kind| kind.name).collect();
        assert_eq!(names.len(), JUDGES.len());
        assert!(JUDGES.iter().all(|kind| !kind.about.is_empty()));
    }

    #[test]
    fn checks_judge_only_when_they_are_asked_for() {
        let mut story = Story::good();
        story.plan.checks = vec![name("no-duplicate")];
        assert_eq!(story.findings("no-duplicate").len(), 1);
        assert!(story.findings("no-lost-write").is_empty());
    }

    #[test]
    fn no_evidence_at_all_never_passes() {
        let story = Story::good();
        assert_eq!(judge(&story.plan, std::iter::empty()).outcome, Outcome::Broken);
        let mut story = Story::good();
        story.requests.clear();
        assert_eq!(story.verdict().outcome, Outcome::Inconclusive);
        story.recount();
        assert_eq!(story.verdict().outcome, Outcome::Inconclusive);
    }

    #[test]
    fn an_objective_or_a_check_of_which_no_judge_speaks_is_unknown() {
        let mut story = Story::good();
        story.plan.checks.push(name("no-such-check"));
        assert_eq!(story.state("no-such-check", None), State::Unknown);
        let mut story = Story::good();
        story.plan.objectives[0].phases.clear();
        assert_eq!(story.verdict().outcome, Outcome::Inconclusive);
    }

    #[test]
    fn a_plan_that_asks_for_nothing_does_not_pass() {
        let mut story = Story::good();
        story.plan.objectives.clear();
        story.plan.checks.clear();
        story.plan.connections.clear();
        assert_eq!(story.verdict().outcome, Outcome::Inconclusive);
    }

    #[test]
    fn a_verdict_is_the_same_when_it_is_judged_again() {
        let mut story = Story::good();
        story.spoil_only(Operation::Audit, |row| row.value.clear());
        assert_eq!(story.verdict(), story.verdict());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

        #[test]
        fn a_run_with_a_judged_phase_of_which_nothing_is_known_never_passes(phase in 1usize..4, counted: bool) {
            let mut story = Story::good();
            let span = story.plan.phases[phase].clone();
            let (from, to) = (span.begins.as_micros() as u64, span.ends.as_micros() as u64);
            story.drop_rows(|row| (from..to).contains(&row.intended_us));
            if counted {
                story.recount();
            }
            prop_assert_ne!(story.verdict().outcome, Outcome::Passed);
        }
    }
}
