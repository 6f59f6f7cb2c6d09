//! `proofs`: whether the run is evidence at all. The system came up, every fault took effect and is gone, the settings
//! are what they must be, the machines beneath stayed ready, every phase began, and the journal is complete.

use std::collections::BTreeMap;

use crate::{
    evidence::{Event, Evidence, TroubleKind, What},
    judge::{
        Finding, Judge, JudgeKind, State,
        course::{Course, FaultCourse},
        machines::Machines,
        progress::Progress,
        settings::Settings,
        show,
    },
    name::Name,
    plan::{Plan, RolloutPlan},
    step::StepId,
};

/// Its line in the list.
pub(super) const KIND: JudgeKind = JudgeKind {
    name: "proofs",
    about: "the system came up, every fault took effect and is gone, and the journal is complete",
    asked: false,
    make: |plan| Box::new(Proofs::new(plan)),
};

struct Proofs {
    course: Course,
    set_up: Vec<StepId>,
    /// The sets of canaries, and the steps that start them.
    sets: BTreeMap<Name, StepId>,
    steps: BTreeMap<StepId, Progress>,
    settings: Settings,
    machines: Machines,
    troubles: Vec<(TroubleKind, Option<StepId>, String)>,
    phases: Vec<Name>,
    interrupted: bool,
    ended: bool,
}

impl Proofs {
    fn new(plan: &Plan) -> Self {
        let faults = plan.faults.iter().map(|fault| &fault.track);
        let tracks = faults.chain(plan.rollouts.iter().map(|rollout| &rollout.track));
        let steps = plan.set_up.steps.iter().chain(tracks.flat_map(|track| &track.steps));
        Self {
            course: Course::new(plan),
            set_up: plan.set_up.steps.iter().map(|step| step.id.clone()).collect(),
            sets: plan.rollouts.iter().flat_map(sets).collect(),
            steps: steps.map(|step| (step.id.clone(), Progress::of(step))).collect(),
            settings: Settings::new(plan),
            machines: Machines::default(),
            troubles: Vec::new(),
            phases: Vec::new(),
            interrupted: false,
            ended: false,
        }
    }

    fn take(&mut self, event: &Event) {
        self.course.see(event);
        match &event.what {
            What::Entering { step, .. }
            | What::Entered { step }
            | What::Healing { step }
            | What::Healed { step }
            | What::Proved { step, .. } => {
                // A step that the plan does not know was in force all the same, and must be gone.
                self.steps.entry(step.clone()).or_default().take(event);
            }
            What::Trouble { kind, step, why } => self.troubles.push((*kind, step.clone(), why.clone())),
            What::Setting { .. } => self.settings.take(&event.what),
            What::LookedAround(seen) => self.machines.take(seen),
            What::Phase { name } => self.phases.push(name.clone()),
            What::Interrupted => self.interrupted = true,
            What::Ended => self.ended = true,
            What::Began(_)
            | What::Gate { .. }
            | What::Kept { .. }
            | What::Compared { .. }
            | What::Offered { .. }
            | What::Reached { .. }
            | What::Applied { .. }
            | What::LoadBegan
            | What::LoadEnded(_) => {}
        }
    }

    fn progress(&self, id: &StepId) -> Progress {
        self.steps.get(id).copied().unwrap_or_default()
    }

    /// What it means that something did not happen which should have: nothing more, when the run was interrupted.
    fn omitted(&self) -> State {
        if self.interrupted { State::Unknown } else { State::Invalid }
    }

    fn fault(&self, fault: &FaultCourse) -> Finding {
        let all: Vec<Progress> = fault.steps.iter().map(|id| self.progress(id)).collect();
        let set =
            self.sets.iter().find(|(set, _)| fault.touches(set)).map(|(_, starts)| self.progress(starts));
        let (state, detail) = if all.is_empty() || all.iter().any(|step| !step.entering) {
            match set {
                Some(set) if !set.entering || set.is_healing() => (
                    State::Unknown,
                    "its set did not run at that time: the canary was over, or had not begun",
                ),
                _ => (self.omitted(), "it never began"),
            }
        } else if all.iter().any(|step| !step.took_effect()) {
            (self.omitted(), "no proof that it took effect")
        } else if all.iter().any(|step| !step.is_gone()) {
            (self.left(), "no proof that it is gone")
        } else if !self.course.began_in_its_phase(fault) {
            (self.omitted(), "it did not begin within its phase")
        } else if all.iter().any(|step| step.was_cut_short()) && set.is_some_and(Progress::is_healing) {
            (State::Met, "took effect, and went with its set, both seen by the witness")
        } else if all.iter().any(|step| step.was_cut_short()) {
            (self.omitted(), "it was undone before its time")
        } else {
            (State::Met, "took effect and is gone, both seen by the witness")
        };
        let samples = all.iter().map(|step| step.effects + step.gone).sum();
        let on_load_clock = |at: Option<u64>| at.and_then(|at| self.course.on_load_clock(at));
        let measured = match (on_load_clock(fault.began_us()), on_load_clock(fault.over_us())) {
            (Some(from), Some(to)) => format!("in force from {} to {}", show::moment(from), show::moment(to)),
            (Some(from), None) => format!("in force from {}", show::moment(from)),
            _ => "never in force".into(),
        };
        let detail = format!("{}: {detail}", fault.title);
        Finding {
            at: Some(fault.title.clone()),
            measured,
            samples,
            ..finding("fault took effect and is gone", state, detail)
        }
    }

    /// What an unhealed step means: a journal that breaks off cannot tell what was healed after it.
    fn left(&self) -> State {
        if self.ended { State::Residue } else { State::Broken }
    }

    fn set_up(&self) -> Vec<Finding> {
        let lacking: Vec<&str> = self
            .set_up
            .iter()
            .filter(|id| !self.progress(id).took_effect())
            .map(|id| id.0.as_str())
            .collect();
        let all = self.set_up.len() as u64;
        let state = match (lacking.is_empty(), self.interrupted) {
            (true, _) => State::Met,
            (false, true) => State::Unknown,
            (false, false) => State::SetUp,
        };
        let detail = if lacking.is_empty() {
            "seen by the witness".into()
        } else {
            format!("not up: {}", lacking.join(", "))
        };
        let measured = format!("{} of {all} up", all - lacking.len() as u64);
        vec![Finding { measured, samples: all, ..finding("the system came up", state, detail) }]
    }

    /// Steps that were begun and not healed, beyond those of faults that have a finding of their own.
    fn residue(&self) -> Vec<Finding> {
        let faults: Vec<&StepId> = self.course.faults.iter().flat_map(|fault| &fault.steps).collect();
        let open =
            |id: &StepId, step: &Progress| step.is_open() && (!faults.contains(&id) || !step.took_effect());
        let open: Vec<&str> =
            self.steps.iter().filter(|(id, step)| open(id, step)).map(|(id, _)| id.0.as_str()).collect();
        if open.is_empty() {
            return Vec::new();
        }
        let detail = format!("begun and not proved to be gone: {}", open.join(", "));
        vec![Finding {
            measured: show::count(open.len() as u64, "step"),
            ..finding("nothing is left in force", self.left(), detail)
        }]
    }

    fn trouble(&self, (kind, step, why): &(TroubleKind, Option<StepId>, String)) -> Option<Finding> {
        let state = match kind {
            TroubleKind::SetUp => State::SetUp,
            TroubleKind::NoEffect | TroubleKind::Load => State::Invalid,
            TroubleKind::Residue => State::Residue,
            TroubleKind::Harness => State::Broken,
            // The objectives that need the missing samples say so themselves, and so do the judges of rollouts and drills.
            TroubleKind::Metrics | TroubleKind::Rollout | TroubleKind::Drill => return None,
        };
        let at = step.as_ref().map(ToString::to_string);
        Some(Finding {
            at,
            measured: "trouble".into(),
            samples: 1,
            ..finding("nothing went wrong in the run itself", state, why.clone())
        })
    }

    fn phases(&self) -> Finding {
        let began = |name: &Name| self.phases.contains(name);
        let missing: Vec<&str> = self
            .course
            .phases
            .iter()
            .map(|phase| &phase.name)
            .filter(|name| !began(name))
            .map(Name::as_str)
            .collect();
        let all = self.course.phases.len();
        let in_order = self.phases.iter().eq(self.course.phases.iter().map(|phase| &phase.name));
        let state = if in_order && all > 0 { State::Met } else { self.omitted() };
        let detail = match (missing.is_empty(), in_order) {
            (_, true) => "in the order of the plan".into(),
            (true, false) => "not each of them once, in the order of the plan".into(),
            (false, false) => format!("never began: {}", missing.join(", ")),
        };
        let measured = format!("{} of {all} phases", all - missing.len());
        Finding { measured, samples: self.phases.len() as u64, ..finding("every phase began", state, detail) }
    }

    fn journal(&self) -> Finding {
        let (state, detail) = match (self.interrupted, self.ended) {
            (true, true) => (State::Interrupted, "ended by a signal, in order"),
            (_, false) => (State::Broken, "journal incomplete: it has no last event"),
            (false, true) => (State::Met, "it has its last event"),
        };
        Finding {
            measured: if self.ended { "ended" } else { "broke off" }.into(),
            samples: 1,
            ..finding("the run ended in order", state, detail)
        }
    }
}

fn sets(rollout: &RolloutPlan) -> Vec<(Name, StepId)> {
    let Some((canary, starts)) = rollout.canary.as_ref().zip(rollout.track.steps.first()) else {
        return vec![];
    };
    canary.sets.all().map(|set| (set.clone(), starts.id.clone())).collect()
}

pub(super) fn finding(what: &str, state: State, detail: impl Into<String>) -> Finding {
    Finding {
        judge: KIND.name.into(),
        what: what.into(),
        at: None,
        state,
        measured: String::new(),
        samples: 0,
        detail: detail.into(),
    }
}

impl Judge for Proofs {
    fn see(&mut self, evidence: Evidence<'_>) {
        if let Evidence::Event(event) = evidence {
            self.take(event);
        }
    }

    fn findings(&self) -> Vec<Finding> {
        let mut all = self.set_up();
        all.extend(self.settings.findings(self.omitted()));
        all.extend(self.course.faults.iter().map(|fault| self.fault(fault)));
        all.extend(self.residue());
        all.extend(self.machines.finding());
        all.push(self.phases());
        all.extend(self.troubles.iter().filter_map(|trouble| self.trouble(trouble)));
        all.push(self.journal());
        all
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{
        evidence::{Side, TroubleKind, What},
        judge::{
            State,
            canary::Config,
            testing::{Story, name},
        },
        kind::Sets,
        outcome::Outcome,
        plan::CanaryPlan,
        step::{End, StepId},
    };

    const FAULT: &str = "fault took effect and is gone";

    fn of(id: &StepId) -> bool {
        id.0 == "kill-1/1"
    }

    #[test]
    fn a_fault_in_order_is_met_with_its_real_times() {
        let finding = Story::good().finding(FAULT, Some("kill service-2"));
        assert_eq!(finding.state, State::Met);
        assert_eq!((finding.measured.as_str(), finding.samples), ("in force from 8.00 s to 10.00 s", 2));
    }

    #[test]
    fn a_fault_that_never_began_makes_the_run_inconclusive() {
        let mut story = Story::good();
        story.plan.checks.clear();
        story.drop_events(|what| match what {
            What::Entering { step, .. }
            | What::Entered { step }
            | What::Healed { step }
            | What::Proved { step, .. } => of(step),
            _ => false,
        });
        assert_eq!(story.state(FAULT, None), State::Invalid);
        assert_eq!(story.verdict().outcome, Outcome::Inconclusive);
    }

    #[test]
    fn a_fault_whose_effect_nobody_saw_makes_the_run_inconclusive() {
        let mut story = Story::good();
        story.drop_events(|what| matches!(what, What::Proved { step, side: Side::Effect, .. } if of(step)));
        assert_eq!(story.state(FAULT, None), State::Invalid);
        let mut story = Story::good();
        story.drop_events(|what| matches!(what, What::Entered { step } if of(step)));
        assert_eq!(story.state(FAULT, None), State::Invalid);
        assert_eq!(story.verdict().outcome, Outcome::Inconclusive);
    }

    #[test]
    fn a_fault_that_is_not_gone_is_not_healed() {
        for lost in [
            |what: &What| matches!(what, What::Healed { step } if of(step)),
            |what: &What| matches!(what, What::Proved { step, side: Side::Gone, .. } if of(step)),
        ] {
            let mut story = Story::good();
            story.drop_events(lost);
            assert_eq!(story.state(FAULT, None), State::Residue);
            assert_eq!(story.verdict().outcome, Outcome::NotHealed);
        }
    }

    #[test]
    fn a_fault_without_effect_that_is_not_healed_either_is_not_healed() {
        let mut story = Story::good();
        story.drop_events(|what| matches!(what, What::Entered { step } | What::Healed { step } if of(step)));
        assert_eq!(story.verdict().outcome, Outcome::NotHealed);
    }

    #[test]
    fn set_up_that_is_left_behind_is_not_healed() {
        let mut story = Story::good();
        story.drop_events(|what| matches!(what, What::Healed { step } if !of(step)));
        assert_eq!(story.verdict().outcome, Outcome::NotHealed);
    }

    #[test]
    fn every_kind_of_trouble_has_its_outcome() {
        let outcomes = [
            (TroubleKind::SetUp, Outcome::SetupFailed),
            (TroubleKind::NoEffect, Outcome::Inconclusive),
            (TroubleKind::Residue, Outcome::NotHealed),
            (TroubleKind::Harness, Outcome::Broken),
            (TroubleKind::Load, Outcome::Inconclusive),
            (TroubleKind::Metrics, Outcome::Passed),
        ];
        for (kind, outcome) in outcomes {
            let mut story = Story::good();
            story.add_event(What::Trouble { kind, step: None, why: "because".into() });
            assert_eq!(story.verdict().outcome, outcome, "{kind:?}");
        }
    }

    #[test]
    fn a_journal_without_its_last_event_is_broken() {
        let mut story = Story::good();
        story.drop_events(|what| matches!(what, What::Ended));
        assert_eq!(story.verdict().outcome, Outcome::Broken);
    }

    #[test]
    fn an_interrupted_run_is_interrupted_whatever_it_did_not_come_to() {
        let mut story = Story::good();
        story.add_event(What::Interrupted);
        story.drop_events(|what| match what {
            What::Phase { name: phase } => *phase == name("recovery"),
            What::Entering { step, .. }
            | What::Entered { step }
            | What::Healed { step }
            | What::Proved { step, .. } => of(step),
            _ => false,
        });
        assert_eq!(story.verdict().outcome, Outcome::Interrupted);
    }

    #[test]
    fn a_phase_that_never_began_is_named() {
        let mut story = Story::good();
        story.drop_events(|what| matches!(what, What::Phase { name: phase } if *phase == name("recovery")));
        let finding = story.finding("every phase began", None);
        assert_eq!(finding.state, State::Invalid);
        assert!(finding.detail.contains("recovery"), "{}", finding.detail);
    }

    #[test]
    fn phases_that_began_twice_or_out_of_order_are_no_evidence() {
        let mut story = Story::good();
        story.add_event(What::Phase { name: name("baseline") });
        assert_eq!(story.state("every phase began", None), State::Invalid);
    }

    #[test]
    fn a_fault_that_began_behind_its_phase_is_no_evidence() {
        let mut story = Story::good();
        for event in &mut story.events {
            if let What::Entering { step, .. } = &event.what
                && of(step)
            {
                // The phase ends at 15 s; what came after it was judged without the fault.
                event.at_us = Story::ZERO_US + 15_000_000;
            }
        }
        let finding = story.finding(FAULT, None);
        assert_eq!(finding.state, State::Invalid);
        assert!(finding.detail.contains("within its phase"), "{}", finding.detail);
        assert_eq!(story.verdict().outcome, Outcome::Inconclusive);
    }

    /// A run whose killed `service` is the set of a canary: the rollout's first step starts it.
    fn on_a_set() -> Story {
        let mut story = Story::good();
        let sets = Sets {
            canary: name("service"),
            baseline: None,
            replicas: 2,
            shares: vec![500],
            each: Duration::from_secs(60),
        };
        story.plan.rollouts[0].canary = Some(CanaryPlan { sets, judge: Config::default() });
        story
    }

    #[test]
    fn a_fault_on_a_set_may_come_too_late_and_may_go_with_its_set() {
        let mut late = on_a_set();
        late.drop_events(|what| match what {
            What::Entering { step, .. }
            | What::Entered { step }
            | What::Healed { step }
            | What::Proved { step, .. } => of(step),
            _ => false,
        });
        let finding = late.finding(FAULT, Some("kill service-2"));
        assert_eq!(finding.state, State::Unknown, "{finding:?}");
        let mut short = on_a_set();
        short.plan.faults[0].track.steps[0].end = End::After(Duration::from_secs(4));
        let finding = short.finding(FAULT, Some("kill service-2"));
        assert_eq!(finding.state, State::Met);
        assert!(finding.detail.contains("went with its set"), "{finding:?}");
    }

    #[test]
    fn a_fault_that_was_undone_before_its_time_is_no_evidence() {
        let mut story = Story::good();
        story.plan.faults[0].track.steps[0].end = End::After(Duration::from_secs(4));
        assert_eq!(story.state(FAULT, None), State::Invalid);
        assert_eq!(story.verdict().outcome, Outcome::Inconclusive);
    }

    #[test]
    fn a_fault_that_is_entered_again_and_not_healed_again_is_not_healed() {
        let mut story = Story::good();
        let step = StepId("kill-1/1".into());
        story.add_event(What::Entering { step, acts: vec![] });
        assert_eq!(story.verdict().outcome, Outcome::NotHealed);
    }

    #[test]
    fn a_set_up_that_was_not_proved_is_a_failed_set_up() {
        let mut story = Story::good();
        story.drop_events(|what| matches!(what, What::Entered { step } if !of(step)));
        assert_eq!(story.verdict().outcome, Outcome::SetupFailed);
    }
}
