//! `rollout`: whether every rollout completes in its time. That is asked of the component, not of the harness: one that
//! does not come up is missed, and only one that never began, or could not be told of, is no evidence. Where it is taken back, users
//! must fare as they did before it: their errors are judged, their latency is told.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    evidence::{Event, Evidence, TroubleKind, What},
    judge::{
        Finding, Judge, JudgeKind, State,
        canary::Decision,
        course::{Course, RolloutCourse},
        level::{Answer, Level},
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
const LEVEL: &str = "users fare as before it";
/// Fewer requests say nothing of how users fare.
const LEAST: u64 = 100;
/// So many errors more are harm, where nobody said another number.
const HARM: f64 = 0.005;

struct Rollouts {
    plans: Vec<RolloutPlan>,
    course: Course,
    steps: BTreeMap<StepId, Progress>,
    /// Why a rollout did not complete.
    failed: BTreeMap<StepId, String>,
    /// When a gate did not let it go on, by the run's clock.
    stopped: BTreeMap<StepId, u64>,
    interrupted: bool,
    answers: Vec<Answer>,
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
            answers: vec![],
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

impl Rollouts {
    /// How users fare when it was taken back, beside how they fared before; none: it was not.
    fn as_before(&self, plan: &RolloutPlan, course: &RolloutCourse) -> Option<Finding> {
        let was_taken_back = |id: &StepId| self.stopped.contains_key(id) || self.failed.contains_key(id);
        if !course.steps.iter().any(was_taken_back) {
            return None;
        }
        let within = |from: u64, upto: u64| {
            let spans: Vec<_> =
                self.course.judged().map(|(begins, ends)| (from.max(begins), upto.min(ends))).collect();
            Level::of(&self.answers, &spans)
        };
        let on_load = |at: Option<u64>| at.and_then(|at| self.course.on_load_clock(at));
        let before = on_load(course.began_us).and_then(|began| within(0, began));
        let after = on_load(course.healed_us).and_then(|healed| within(healed, u64::MAX));
        let harm = plan.canary.as_ref().and_then(|canary| canary.judge.errors).map_or(HARM, |of| of.harm);
        let told =
            |level: Option<Level>| level.map_or_else(|| "nothing".to_owned(), |level| level.to_string());
        let detail =
            format!("before the {}: {}; after it was taken back: {}", plan.kind, told(before), told(after));
        let enough = |level: &Level| level.requests >= LEAST;
        let (state, measured) = match before.filter(enough).zip(after.filter(enough)) {
            None => (State::Unknown, "too few requests".to_owned()),
            Some((before, after)) => {
                let more = after.share() - before.share();
                let state = if more > harm { State::Missed } else { State::Met };
                (state, format!("{:+.3} % errors", more * 100.0))
            }
        };
        Some(Finding {
            judge: KIND.name.into(),
            what: LEVEL.into(),
            at: Some(plan.title.clone()),
            state,
            measured,
            samples: after.map_or(0, |after| after.requests),
            detail: format!("{detail}; {:.3} % more errors would be harm", harm * 100.0),
        })
    }
}

impl Judge for Rollouts {
    fn see(&mut self, evidence: Evidence<'_>) {
        match evidence {
            Evidence::Event(event) => self.take(event),
            Evidence::Request(row) if !self.plans.is_empty() => self.answers.extend(Answer::of(row)),
            Evidence::Request(_) | Evidence::Metric(_) => {}
        }
    }

    fn findings(&self) -> Vec<Finding> {
        let both = self.plans.iter().zip(&self.course.rollouts);
        both.flat_map(|(plan, course)| {
            std::iter::once(self.finding(plan, course)).chain(self.as_before(plan, course))
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{LEVEL, WHAT};
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

    /// Two seconds after its beginning it is given up; a second later it is taken back, or not before the end.
    fn given_up(at_once: bool) -> Story {
        let mut story = Story::good();
        story.drop_events(|what| of(what) && !matches!(what, What::Entering { .. }));
        let trouble = What::Trouble { kind: TroubleKind::Rollout, step: Some(update()), why: "why".into() };
        let at_us = Story::ZERO_US + Story::ROLLOUT_US + 2_000_000;
        story.events.push(Event { at_us, what: trouble });
        for event in &mut story.events {
            if at_once && event.what == (What::Healed { step: update() }) {
                event.at_us = at_us + 1_000_000;
            }
        }
        story.events.sort_by_key(|event| event.at_us);
        story
    }

    #[test]
    fn users_must_fare_as_before_when_a_rollout_is_taken_back() {
        let mut story = given_up(true);
        let finding = story.finding(LEVEL, Some("update proxy to v2"));
        assert_eq!(
            (finding.state, finding.measured.as_str()),
            (State::Met, "+0.000 % errors"),
            "{finding:?}"
        );
        let back_us = Story::ROLLOUT_US + 3_000_000;
        story.spoil(|row| {
            if row.intended_us >= back_us && (row.intended_us / 4_000) % 50 == 0 {
                row.class = crate::evidence::Class::WrongStatus;
            }
        });
        let finding = story.finding(LEVEL, None);
        assert_eq!(
            (finding.state, finding.measured.as_str()),
            (State::Missed, "+2.000 % errors"),
            "{finding:?}"
        );
        assert!(finding.detail.contains("0.500 % more errors would be harm"), "{}", finding.detail);
    }

    #[test]
    fn how_users_fare_after_the_load_is_not_known() {
        let finding = given_up(false).finding(LEVEL, None);
        assert_eq!((finding.state, finding.samples), (State::Unknown, 0), "{finding:?}");
        assert!(Story::good().findings("rollout").iter().all(|finding| finding.what != LEVEL));
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
