//! `rollout`: whether every rollout completes in its time. That is asked of the component, not of the harness: one that
//! does not come up is missed, and only one that never began, or could not be told of, is no evidence.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    evidence::{Event, Evidence, TroubleKind, What},
    judge::{
        Finding, Judge, JudgeKind, State,
        canary::Decision,
        course::{Course, RolloutCourse},
        progress::Progress,
        show,
    },
    plan::{Plan, RolloutPlan},
    step::StepId,
};

/// Its line in the list.
pub(super) const KIND: JudgeKind = JudgeKind {
    name: "rollout",
    about: "every rollout completes in its time: all replicas run the new revision and are ready",
    asked: false,
    make: |plan| Box::new(Rollouts::new(plan)),
};

const WHAT: &str = "rollout completes";
const BACK: &str = "rollout is taken back";

struct Rollouts {
    plans: Vec<RolloutPlan>,
    course: Course,
    steps: BTreeMap<StepId, Progress>,
    /// Why a rollout did not complete.
    failed: BTreeMap<StepId, String>,
    /// When a gate did not let it go on, by the run's clock.
    stopped: BTreeMap<StepId, u64>,
    interrupted: bool,
}

impl Rollouts {
    fn new(plan: &Plan) -> Self {
        let steps = plan.rollouts.iter().flat_map(|rollout| &rollout.track.steps);
        Self {
            plans: plan.rollouts.clone(),
            course: Course::new(plan),
            steps: steps.map(|step| (step.id.clone(), Progress::of(step))).collect(),
            failed: BTreeMap::new(),
            stopped: BTreeMap::new(),
            interrupted: false,
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
                if let Some(progress) = self.steps.get_mut(step) {
                    progress.take(event);
                }
            }
            What::Trouble { kind: TroubleKind::Rollout, step: Some(step), why } => {
                self.failed.insert(step.clone(), why.clone());
            }
            What::Gate { step, decision, .. } if !matches!(decision, Decision::Promote) => {
                self.stopped.insert(step.clone(), event.at_us);
            }
            What::Interrupted => self.interrupted = true,
            _ => {}
        }
    }

    fn finding(&self, plan: &RolloutPlan, course: &RolloutCourse) -> Finding {
        let all: Vec<Progress> =
            course.steps.iter().map(|id| self.steps.get(id).copied().unwrap_or_default()).collect();
        let took = course.began_us.zip(course.entered_us).map(|(from, to)| to.saturating_sub(from));
        let unseen = if self.interrupted { State::Unknown } else { State::Invalid };
        let failed = course.steps.iter().find_map(|id| self.failed.get(id));
        let (state, detail) = if let Some(why) = failed {
            let taken_back = all.iter().all(|step| step.is_gone());
            let back = if taken_back { "; it was taken back" } else { "; it is not proved to be taken back" };
            (State::Missed, format!("{why}{back}"))
        } else if let Some(gate) = course.steps.iter().find_map(|id| self.stopped.get(id)) {
            return self.taken_back(plan, &all, course, *gate);
        } else if all.is_empty() || all.iter().any(|step| !step.entering) {
            (unseen, "it never began".to_owned())
        } else if all.iter().any(|step| !step.took_effect()) {
            (unseen, "it did not come to an end".to_owned())
        } else if !self.course.rolled_in_its_phase(course) {
            (unseen, "it did not begin within its phase".to_owned())
        } else if took.is_none_or(|us| Duration::from_micros(us) > plan.allowed) {
            (State::Missed, format!("all replicas run {}, too late", plan.to))
        } else {
            (State::Met, format!("all replicas run {} and are ready, seen by the witness", plan.to))
        };
        let allowed = show::time(plan.allowed.as_micros() as f64);
        let measured = match took {
            Some(us) => format!("in {} of {allowed}", show::time(us as f64)),
            None => format!("not within {allowed}"),
        };
        Finding {
            judge: KIND.name.into(),
            what: WHAT.into(),
            at: Some(plan.title.clone()),
            state,
            measured,
            samples: all.iter().map(|step| step.effects).sum::<u64>() + u64::from(failed.is_some()),
            detail: format!("{}: {detail}", plan.title),
        }
    }
}

impl Rollouts {
    /// Of one whose canary was not promoted: that is the canary's finding; this one is whether users are safe again.
    fn taken_back(
        &self,
        plan: &RolloutPlan,
        all: &[Progress],
        course: &RolloutCourse,
        decided_us: u64,
    ) -> Finding {
        let mut entered = all.iter().filter(|step| step.entering);
        let unseen = if self.interrupted { State::Unknown } else { State::Invalid };
        let (state, detail) = match entered.all(|step| step.is_gone()) {
            true => (State::Met, "shares, replicas and revision are as before, seen by the witness"),
            false => (unseen, "it is not proved to be taken back"),
        };
        let took = course.healed_us.map(|healed| healed.saturating_sub(decided_us));
        Finding {
            judge: KIND.name.into(),
            what: BACK.into(),
            at: Some(plan.title.clone()),
            state,
            measured: took.map_or_else(|| "not".into(), |us| format!("in {}", show::time(us as f64))),
            samples: all.iter().map(|step| step.gone).sum(),
            detail: format!("{}: its canary was not promoted; {detail}", plan.title),
        }
    }
}

impl Judge for Rollouts {
    fn see(&mut self, evidence: Evidence<'_>) {
        if let Evidence::Event(event) = evidence {
            self.take(event);
        }
    }

    fn findings(&self) -> Vec<Finding> {
        self.plans
            .iter()
            .zip(&self.course.rollouts)
            .map(|(plan, course)| self.finding(plan, course))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::WHAT;
    use crate::{
        evidence::{Event, Side, TroubleKind, What},
        judge::{State, testing::Story},
        outcome::Outcome,
        step::StepId,
    };

    fn update() -> StepId {
        StepId("update-1/1".into())
    }

    fn of(what: &What) -> bool {
        match what {
            What::Entered { step } | What::Entering { step, .. } => *step == update(),
            What::Proved { step, side, .. } => *step == update() && *side == Side::Effect,
            _ => false,
        }
    }

    #[test]
    fn a_rollout_in_time_is_met_with_how_long_it_took() {
        let finding = Story::good().finding(WHAT, Some("update proxy to v2"));
        assert_eq!(finding.state, State::Met);
        assert_eq!((finding.measured.as_str(), finding.samples), ("in 2.00 s of 4.00 s", 1));
    }

    #[test]
    fn a_rollout_that_did_not_come_up_is_missed_and_the_run_has_failed() {
        let mut story = Story::good();
        story.drop_events(|what| of(what) && !matches!(what, What::Entering { .. }));
        let at = story.events.iter().position(|event| matches!(event.what, What::LoadEnded(_))).unwrap();
        let why = "last saw original at 2 of 3".to_owned();
        let what = What::Trouble { kind: TroubleKind::Rollout, step: Some(update()), why };
        let at_us = story.events[at].at_us;
        story.events.insert(at, Event { at_us, what });
        let finding = story.finding(WHAT, None);
        assert_eq!(finding.state, State::Missed);
        assert!(finding.detail.contains("2 of 3; it was taken back"), "{}", finding.detail);
        assert_eq!(story.verdict().outcome, Outcome::Failed);
    }

    #[test]
    fn a_rollout_that_takes_too_long_is_missed() {
        let mut story = Story::good();
        story.plan.rollouts[0].allowed = std::time::Duration::from_secs(1);
        assert_eq!(story.state(WHAT, None), State::Missed);
    }

    #[test]
    fn a_rollout_that_never_began_or_of_which_nothing_was_seen_is_no_evidence() {
        for lost in [of, |what: &What| of(what) && !matches!(what, What::Entering { .. })] {
            let mut story = Story::good();
            story.drop_events(lost);
            assert_eq!(story.state(WHAT, None), State::Invalid);
            assert_eq!(story.verdict().outcome, Outcome::Inconclusive);
        }
    }

    #[test]
    fn a_rollout_that_is_not_undone_in_the_end_is_residue() {
        let mut story = Story::good();
        story.drop_events(|what| matches!(what, What::Healed { step } if *step == update()));
        assert_eq!(story.verdict().outcome, Outcome::NotHealed);
    }
}
