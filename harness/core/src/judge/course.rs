//! The course of a run as its events tell it: where the load's time line begins, and when each fault really was in
//! force. Judges share it; it decides nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    act::Unit,
    evidence::{Event, What},
    name::Name,
    plan::{FaultPlan, Plan, RolloutPlan},
    stats::increase::Stretch,
    step::StepId,
};

/// So far may the clock of the load's time line and that of faults be apart.
const CLOCKS_APART_US: u64 = 100_000;

/// The time line: phases from the plan, real times from events.
#[derive(Debug, Clone)]
pub(super) struct Course {
    /// The run clock's reading when the load began.
    zero_us: Option<u64>,
    /// Phases in order.
    pub(super) phases: Vec<PhaseSpan>,
    /// Faults in the order of the plan.
    pub(super) faults: Vec<FaultCourse>,
    /// Rollouts in the order of the plan.
    pub(super) rollouts: Vec<RolloutCourse>,
    owner: BTreeMap<StepId, usize>,
}

/// A phase in microseconds of the load's time line.
#[derive(Debug, Clone)]
pub(super) struct PhaseSpan {
    /// Its name.
    pub(super) name: Name,
    /// Its beginning, and its end, which belongs to the next.
    pub(super) span: Stretch,
    /// Whether it is judged.
    pub(super) judged: bool,
}

/// What became of a fault. Times are of the run's clock.
#[derive(Debug, Clone)]
pub(super) struct FaultCourse {
    /// Its kind.
    pub(super) kind: Name,
    /// What a reader calls it.
    pub(super) title: String,
    /// Its steps, all of which must be entered and healed.
    pub(super) steps: Vec<StepId>,
    touched: BTreeSet<Unit>,
    /// When it is to begin, on the load's time line.
    planned_us: u64,
    began_us: Option<u64>,
    entered: bool,
    healing_us: Option<u64>,
    healed_us: Option<u64>,
}

/// What became of a rollout. Times are of the run's clock.
#[derive(Debug, Clone)]
pub(super) struct RolloutCourse {
    /// The component.
    component: Name,
    /// Its steps.
    pub(super) steps: Vec<StepId>,
    /// When it is to begin, on the load's time line.
    planned_us: u64,
    /// When it began.
    pub(super) began_us: Option<u64>,
    /// When it was proved to be complete.
    pub(super) entered_us: Option<u64>,
    /// When it was taken back, or the run had ended.
    pub(super) healed_us: Option<u64>,
}

impl Course {
    /// Nothing has happened yet.
    pub(super) fn new(plan: &Plan) -> Self {
        let phases = plan.phases.iter().map(|phase| PhaseSpan {
            name: phase.name.clone(),
            span: (us(phase.begins), us(phase.ends)),
            judged: phase.judged,
        });
        let owner =
            plan.faults.iter().enumerate().flat_map(|(number, fault)| {
                fault.track.steps.iter().map(move |step| (step.id.clone(), number))
            });
        Self {
            zero_us: None,
            phases: phases.collect(),
            faults: plan.faults.iter().map(FaultCourse::new).collect(),
            rollouts: plan.rollouts.iter().map(RolloutCourse::new).collect(),
            owner: owner.collect(),
        }
    }

    /// Takes an event.
    pub(super) fn see(&mut self, event: &Event) {
        let at_us = event.at_us;
        self.rollouts.iter_mut().for_each(|rollout| rollout.see(event));
        match &event.what {
            What::LoadBegan => {
                self.zero_us.get_or_insert(at_us);
            }
            What::Entering { step, .. } => self.fault(step, |fault| {
                fault.began_us.get_or_insert(at_us);
            }),
            What::Entered { step } => self.fault(step, |fault| fault.entered = true),
            What::Healing { step } => self.fault(step, |fault| fault.healing_us = Some(at_us)),
            What::Healed { step } => self.fault(step, |fault| fault.healed_us = Some(at_us)),
            _ => {}
        }
    }

    fn fault(&mut self, step: &StepId, change: impl FnOnce(&mut FaultCourse)) {
        let number = self.owner.get(step).copied();
        if let Some(fault) = number.and_then(|number| self.faults.get_mut(number)) {
            change(fault);
        }
    }

    /// A moment of the run's clock on the load's time line; none before the load began.
    pub(super) fn on_load_clock(&self, at_us: u64) -> Option<u64> {
        at_us.checked_sub(self.zero_us?)
    }

    /// A stretch of the load's time line on the run's clock, which samples use.
    pub(super) fn on_run_clock(&self, stretch: Stretch) -> Option<Stretch> {
        self.zero_us.map(|zero| (zero.saturating_add(stretch.0), zero.saturating_add(stretch.1)))
    }

    /// Whether a fault began in the phase that was planned: not before the load, and not behind the phase's end.
    pub(super) fn began_in_its_phase(&self, fault: &FaultCourse) -> bool {
        self.in_phase(fault.planned_us, fault.began_us)
    }

    /// The same of a rollout.
    pub(super) fn rolled_in_its_phase(&self, rollout: &RolloutCourse) -> bool {
        self.in_phase(rollout.planned_us, rollout.began_us)
    }

    fn in_phase(&self, planned_us: u64, began_us: Option<u64>) -> bool {
        let phase = self.phase_at(planned_us).and_then(|index| self.phases.get(index));
        let began_us = began_us.and_then(|at| self.on_load_clock(at));
        began_us.zip(phase).is_some_and(|(at, phase)| {
            phase.span.0 <= at.saturating_add(CLOCKS_APART_US) && at < phase.span.1
        })
    }

    /// The phase in which something was intended.
    pub(super) fn phase_at(&self, us: u64) -> Option<usize> {
        self.phases.iter().position(|phase| phase.span.0 <= us && us < phase.span.1)
    }

    /// A phase by its name.
    pub(super) fn phase(&self, name: &Name) -> Option<(usize, &PhaseSpan)> {
        self.phases.iter().enumerate().find(|(_, phase)| phase.name == *name)
    }

    /// When load is judged.
    pub(super) fn judged(&self) -> impl Iterator<Item = Stretch> {
        self.phases.iter().filter(|phase| phase.judged).map(|phase| phase.span)
    }

    /// From the beginning of the first of these phases to the end of the last.
    pub(super) fn over(&self, phases: &[Name]) -> Option<Stretch> {
        let spans =
            || self.phases.iter().filter(|phase| phases.contains(&phase.name)).map(|phase| phase.span);
        Some((spans().map(|span| span.0).min()?, spans().map(|span| span.1).max()?))
    }

    /// When faults and rollouts held a replica of a component (run clock): it owed no samples then.
    pub(super) fn held(&self, component: &Name, replica: u16) -> Vec<Stretch> {
        let unit = Unit::Replica { component: component.clone(), index: replica };
        // Which of its replicas a scale-in takes is the target's choice.
        let whole = Unit::Component { component: component.clone() };
        let touches = |fault: &&FaultCourse| fault.touched.contains(&unit) || fault.touched.contains(&whole);
        let held = self.faults.iter().filter(touches);
        let held = held.filter_map(|fault| Some((fault.began_us?, fault.healed_us.unwrap_or(u64::MAX))));
        let rolled = self.rollouts.iter().filter(|rollout| rollout.component == *component);
        held.chain(rolled.filter_map(RolloutCourse::rolling)).collect()
    }

    /// The kinds of fault that happened: `kill, pause`.
    pub(super) fn kinds(&self) -> String {
        let kinds: BTreeSet<&str> =
            self.faults.iter().filter(|fault| fault.entered).map(|fault| fault.kind.as_str()).collect();
        if kinds.is_empty() {
            return "no fault happened meanwhile".into();
        }
        format!("faults meanwhile: {}", kinds.into_iter().collect::<Vec<_>>().join(", "))
    }
}

impl FaultCourse {
    fn new(fault: &FaultPlan) -> Self {
        let acts = fault.track.steps.iter().flat_map(|step| &step.acts);
        Self {
            kind: fault.kind.clone(),
            title: fault.title.clone(),
            steps: fault.track.steps.iter().map(|step| step.id.clone()).collect(),
            planned_us: us(fault.begins),
            touched: acts.map(|act| act.unit().clone()).collect(),
            began_us: None,
            entered: false,
            healing_us: None,
            healed_us: None,
        }
    }

    /// Whether it acts on this component.
    pub(super) fn touches(&self, component: &Name) -> bool {
        self.touched.iter().any(|unit| unit.component() == Some(component))
    }

    /// When it is to begin (load's time line).
    pub(super) fn planned_us(&self) -> u64 {
        self.planned_us
    }

    /// When it began (run clock).
    pub(super) fn began_us(&self) -> Option<u64> {
        self.began_us
    }

    /// When it was over (run clock): healed, or where that is missing, when healing began.
    pub(super) fn over_us(&self) -> Option<u64> {
        self.healed_us.or(self.healing_us)
    }
}

impl RolloutCourse {
    fn new(rollout: &RolloutPlan) -> Self {
        Self {
            component: rollout.component.clone(),
            steps: rollout.track.steps.iter().map(|step| step.id.clone()).collect(),
            planned_us: us(rollout.begins),
            began_us: None,
            entered_us: None,
            healed_us: None,
        }
    }

    fn see(&mut self, event: &Event) {
        match &event.what {
            What::Entering { step, .. } if self.steps.contains(step) => {
                self.began_us.get_or_insert(event.at_us);
            }
            What::Entered { step } if self.steps.contains(step) => self.entered_us = Some(event.at_us),
            What::Healed { step } if self.steps.contains(step) => self.healed_us = Some(event.at_us),
            _ => {}
        }
    }

    /// From its beginning until it was complete, or else taken back.
    fn rolling(&self) -> Option<Stretch> {
        Some((self.began_us?, self.entered_us.or(self.healed_us).unwrap_or(u64::MAX)))
    }
}

fn us(at: Duration) -> u64 {
    u64::try_from(at.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::Course;
    use crate::{
        act::{Act, Unit},
        judge::testing::{Story, name},
    };

    fn course(story: &Story) -> Course {
        let mut course = Course::new(&story.plan);
        story.events.iter().for_each(|event| course.see(event));
        course
    }

    #[test]
    fn a_fault_is_over_when_it_is_healed_or_else_when_healing_began() {
        let mut story = Story::good();
        let healed = course(&story).faults[0].over_us();
        story.drop_events(|what| matches!(what, crate::evidence::What::Healed { .. }));
        let healing = course(&story).faults[0].over_us();
        assert!(healing < healed && healing.is_some(), "{healing:?} {healed:?}");
    }

    #[test]
    fn phases_are_half_open() {
        let course = course(&Story::good());
        let (index, phase) = course.phase(&name("baseline")).unwrap();
        assert_eq!(course.phase_at(phase.span.0), Some(index));
        assert_eq!(course.phase_at(phase.span.1), Some(index + 1));
    }

    #[test]
    fn only_the_replica_that_a_fault_touched_is_held() {
        let course = course(&Story::good());
        assert_eq!(course.held(&name("service"), 2).len(), 1);
        assert!(course.held(&name("service"), 1).is_empty());
    }

    #[test]
    fn whoever_takes_some_replica_of_a_component_may_have_taken_any() {
        let mut story = Story::good();
        let unit = Unit::Component { component: name("service") };
        story.plan.faults[0].track.steps[0].acts = vec![Act::Scale { unit, replicas: 2 }];
        let course = course(&story);
        assert!((1..=3).all(|replica| course.held(&name("service"), replica).len() == 1));
        assert!(
            course
                .held(&name("proxy"), 2)
                .iter()
                .all(|stretch| stretch.0 > Story::ZERO_US + Story::HEALED_US)
        );
    }

    #[test]
    fn moments_before_the_load_are_not_on_its_time_line() {
        let course = course(&Story::good());
        assert_eq!(course.on_load_clock(1), None);
        assert_eq!(course.on_load_clock(Story::ZERO_US + 7), Some(7));
    }
}
