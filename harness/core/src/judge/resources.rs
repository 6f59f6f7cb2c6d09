//! `resources`: memory over the judged time, CPU of each phase, from what the witness read of the processes.
//!
//! - Memory: the most that any replica held.
//! - CPU: what all replicas used between the ends of a phase, over restarts, against their allotment.
//!
//! Unknown where readings cover less than nine tenths of the time in which a replica should have lived. While a fault
//! holds a replica it owes no readings.

use std::collections::BTreeMap;

use crate::{
    evidence::{CPU_SECONDS, Evidence, RESIDENT_BYTES, Sample},
    judge::{
        Finding, Judge, JudgeKind, State, bound,
        course::Course,
        coverage::{Coverage, Series},
        show,
    },
    name::Name,
    plan::{Measure, Objective, Plan, Replicas},
    stats::increase::{Counter, Fall, Stretch},
};

/// Its line in the list.
pub(super) const KIND: JudgeKind = JudgeKind {
    name: "resources",
    about: "memory and CPU of each component that an objective names",
    asked: false,
    make: |plan| Box::new(Resources::new(plan)),
};

/// Longest time between two readings of memory that still count as watching.
const MEMORY_GAP_US: u64 = 5_000_000;

struct Resources {
    course: Course,
    objectives: Vec<Objective>,
    replicas: BTreeMap<Name, Replicas>,
    cpu: Series,
    memory: Series,
}

impl Resources {
    fn new(plan: &Plan) -> Self {
        let mine = |objective: &&Objective| {
            matches!(objective.measure, Measure::Memory { .. } | Measure::Cpu { .. })
        };
        Self {
            course: Course::new(plan),
            objectives: plan.objectives.iter().filter(mine).cloned().collect(),
            replicas: plan.replicas.clone(),
            cpu: Series::new(),
            memory: Series::new(),
        }
    }

    fn count(&mut self, sample: &Sample) {
        let series = match sample.series.as_str() {
            CPU_SECONDS => &mut self.cpu,
            RESIDENT_BYTES => &mut self.memory,
            _ => return,
        };
        let counter = series.entry((sample.component.clone(), sample.replica)).or_default();
        counter.add(sample.at_us, sample.life, sample.value);
    }

    fn memory(&self, objective: &Objective, component: &Name) -> Finding {
        let blank = |why: String| bound::open(KIND.name, objective, None, why);
        let Some((counters, stretch)) = self.watched(&self.memory, component, &objective.phases) else {
            return blank(format!("no reading of the memory of {component}"));
        };
        let most = |(replica, counter): &(u16, &Counter)| Some((counter.largest(stretch)?, *replica));
        let Some((value, replica)) = counters.iter().filter_map(most).max_by(|a, b| a.0.total_cmp(&b.0))
        else {
            return blank(format!("no reading of the memory of {component}"));
        };
        let finding = Finding {
            measured: show::bytes(value),
            samples: counters.iter().map(|(_, counter)| counter.within(stretch)).sum(),
            ..blank(format!("most of any replica over the judged time: {component}-{replica}"))
        };
        // What was seen over the bound was over it, however little was seen.
        if !objective.comparison.holds(value, objective.bound) {
            return Finding { state: State::Missed, ..finding };
        }
        self.decide((&self.memory, stretch, MEMORY_GAP_US), component, finding, (objective, true))
    }

    fn cpu(&self, objective: &Objective, component: &Name, phase: &Name) -> Finding {
        let blank = |why: String| bound::open(KIND.name, objective, Some(phase.as_str()), why);
        let entitled = self.replicas.get(component).map_or(0.0, |all| all.cores * f64::from(all.count));
        if entitled <= 0.0 {
            return blank(format!("{component} has no allotment of cores"));
        }
        let Some((counters, stretch)) = self.watched(&self.cpu, component, std::slice::from_ref(phase))
        else {
            return blank(format!("no reading of the CPU time of {component}"));
        };
        let used: f64 =
            counters.iter().filter_map(|(_, counter)| counter.increase(stretch, Fall::OfAPart)).sum();
        let seconds = stretch.1.saturating_sub(stretch.0) as f64 / 1e6;
        let value = used / (entitled * seconds);
        let why = format!(
            "{phase}: {used:.2} CPU seconds of {component} in {seconds:.1} s; {entitled} cores are allotted"
        );
        let finding = Finding {
            measured: show::share(value),
            samples: counters.iter().map(|(_, counter)| counter.within(stretch)).sum(),
            ..blank(why)
        };
        let holds = objective.comparison.holds(value, objective.bound);
        self.decide((&self.cpu, stretch, u64::MAX), component, finding, (objective, holds))
    }

    /// The readings of all replicas of a component, and the stretch of these phases by the samples' clock.
    fn watched<'a>(
        &self,
        of: &'a Series,
        component: &Name,
        phases: &[Name],
    ) -> Option<(Vec<(u16, &'a Counter)>, Stretch)> {
        let stretch = self.course.on_run_clock(self.course.over(phases)?)?;
        let mine = of.iter().filter(|((name, _), _)| name == component);
        let counters: Vec<_> = mine.map(|((_, replica), counter)| (*replica, counter)).collect();
        (!counters.is_empty()).then_some((counters, stretch))
    }

    /// Decides, unless some replica was not watched for long enough.
    fn decide(
        &self,
        watched: (&Series, Stretch, u64),
        component: &Name,
        finding: Finding,
        asked: (&Objective, bool),
    ) -> Finding {
        let (of, stretch, gap_us) = watched;
        let coverage = Coverage { course: &self.course, replicas: &self.replicas, stretch, gap_us };
        match coverage.lack(of, component) {
            None => bound::close(finding, asked.0, asked.1),
            Some(lack) => Finding { detail: format!("{}; {lack}", finding.detail), ..finding },
        }
    }
}

impl Judge for Resources {
    fn see(&mut self, evidence: Evidence<'_>) {
        match evidence {
            Evidence::Event(event) => self.course.see(event),
            Evidence::Metric(sample) => self.count(sample),
            Evidence::Request(_) => {}
        }
    }

    fn findings(&self) -> Vec<Finding> {
        let each = |objective: &Objective| match &objective.measure {
            Measure::Memory { component } => vec![self.memory(objective, component)],
            Measure::Cpu { component } => {
                objective.phases.iter().map(|phase| self.cpu(objective, component, phase)).collect()
            }
            _ => Vec::new(),
        };
        self.objectives.iter().flat_map(each).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        evidence::{CPU_SECONDS, RESIDENT_BYTES},
        judge::{State, testing::Story},
        outcome::Outcome,
    };

    const MEMORY: &str = "memory of service < 2GB";
    const CPU: &str = "cpu of service < 70%";

    #[test]
    fn one_replica_over_the_bound_for_one_reading_misses_it() {
        let mut story = Story::good();
        let reading = story
            .samples
            .iter_mut()
            .find(|s| s.series == RESIDENT_BYTES && s.at_us > Story::ZERO_US + 9_000_000);
        reading.unwrap().value = 2.5e9;
        let finding = story.finding(MEMORY, None);
        assert_eq!((finding.state, finding.measured.as_str()), (State::Missed, "2.500 GB"));
    }

    #[test]
    fn memory_in_the_warm_up_is_not_judged() {
        let mut story = Story::good();
        story
            .samples
            .iter_mut()
            .filter(|s| s.at_us <= Story::ZERO_US + 1_000_000)
            .for_each(|s| s.value = 9e9);
        assert_eq!(story.state(MEMORY, None), State::Met);
    }

    #[test]
    fn cpu_is_what_was_used_between_the_ends_of_a_phase_over_the_allotment() {
        // Three replicas use a fifth of a core each, and half a core each is allotted.
        let finding = Story::good().finding(CPU, Some("baseline"));
        assert_eq!((finding.state, finding.measured.as_str()), (State::Met, "40.000 %"));
    }

    #[test]
    fn a_restart_does_not_count_backwards() {
        // The killed replica loses what it used after its last reading, no more.
        let finding = Story::good().finding(CPU, Some("fault"));
        assert_eq!((finding.state, finding.measured.as_str()), (State::Met, "36.667 %"));
    }

    #[test]
    fn a_busy_service_misses_its_bound() {
        let mut story = Story::good();
        story.samples.iter_mut().filter(|s| s.series == CPU_SECONDS).for_each(|s| s.value *= 2.0);
        assert_eq!(story.state(CPU, Some("baseline")), State::Missed);
        assert_eq!(story.verdict().outcome, Outcome::Failed);
    }

    #[test]
    fn a_replica_that_nobody_watched_leaves_it_unknown() {
        let mut story = Story::good();
        story.samples.retain(|s| s.replica != 3);
        assert_eq!(story.state(CPU, Some("baseline")), State::Unknown);
        assert_eq!(story.state(MEMORY, None), State::Unknown);
        assert_eq!(story.verdict().outcome, Outcome::Inconclusive);
    }

    #[test]
    fn no_samples_at_all_are_unknown() {
        let mut story = Story::good();
        story.samples.clear();
        assert_eq!(story.state(CPU, Some("fault")), State::Unknown);
        assert_eq!(story.state(MEMORY, None), State::Unknown);
    }

    #[test]
    fn a_replica_that_is_away_without_a_fault_leaves_it_unknown() {
        let mut story = Story::good();
        story.samples.retain(|s| s.replica != 1 || s.at_us < Story::ZERO_US + 16_000_000);
        let finding = story.finding(CPU, Some("recovery"));
        assert_eq!(finding.state, State::Unknown);
        assert!(finding.detail.contains("service-1 was watched for"), "{}", finding.detail);
    }

    #[test]
    fn no_allotment_is_unknown() {
        let mut story = Story::good();
        story.plan.replicas.values_mut().for_each(|all| all.cores = 0.0);
        assert_eq!(story.state(CPU, Some("baseline")), State::Unknown);
    }
}
