//! `metric`: ratios and counts of exported counters, from the beginning of the first judged phase to the end of the
//! last, summed over replicas and their lives. What a life gained after its last reading is lost to it.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    evidence::{CPU_SECONDS, Evidence, RESIDENT_BYTES, Sample},
    judge::{
        Finding, Judge, JudgeKind, bound,
        course::Course,
        coverage::{Coverage, Series},
        show,
    },
    name::Name,
    plan::{Measure, Objective, Plan, Replicas},
    stats::increase::{Counter, Fall, Stretch},
    system::Metric,
};

/// Its line in the list.
pub(super) const KIND: JudgeKind = JudgeKind {
    name: "metric",
    about: "the metrics of the system file that an objective names",
    asked: false,
    make: |plan| Box::new(Metrics::new(plan)),
};

struct Metrics {
    course: Course,
    objectives: Vec<(Objective, Name, Metric)>,
    /// Objectives on metrics that the plan does not define.
    unknown: Vec<Objective>,
    wanted: BTreeSet<(Name, String)>,
    counters: BTreeMap<(Name, String), BTreeMap<u16, Counter>>,
    replicas: BTreeMap<Name, Replicas>,
    /// When each replica was read, whatever it told.
    reads: Series,
    scrapes: BTreeMap<(Name, u16), Scrapes>,
}

/// The moment and the life of the last two scrapes of a replica.
#[derive(Debug, Clone, Copy, Default)]
struct Scrapes {
    last: Option<(u64, u32)>,
    before: Option<(u64, u32)>,
}

impl Metrics {
    fn new(plan: &Plan) -> Self {
        let (mut objectives, mut unknown) = (Vec::new(), Vec::new());
        for objective in &plan.objectives {
            if let Measure::Metric { name } = &objective.measure {
                match plan.metrics.get(name) {
                    Some(metric) => objectives.push((objective.clone(), name.clone(), metric.clone())),
                    None => unknown.push(objective.clone()),
                }
            }
        }
        let series = |(_, _, metric): &(Objective, Name, Metric)| {
            let component = metric.component.clone();
            let all = metric.of.iter().chain(&metric.to).cloned();
            all.map(move |series| (component.clone(), series)).collect::<Vec<_>>()
        };
        let wanted = objectives.iter().flat_map(series).collect();
        Self {
            course: Course::new(plan),
            objectives,
            unknown,
            wanted,
            counters: BTreeMap::new(),
            replicas: plan.replicas.clone(),
            reads: Series::new(),
            scrapes: BTreeMap::new(),
        }
    }

    fn count(&mut self, sample: &Sample) {
        if matches!(sample.series.as_str(), CPU_SECONDS | RESIDENT_BYTES) {
            return;
        }
        let replica = (sample.component.clone(), sample.replica);
        let scrapes = self.scrapes.entry(replica.clone()).or_default();
        if scrapes.last.is_none_or(|(at_us, _)| at_us != sample.at_us) {
            *scrapes = Scrapes { last: Some((sample.at_us, sample.life)), before: scrapes.last };
            self.reads.entry(replica).or_default().add(sample.at_us, sample.life, 0.0);
        }
        let before = scrapes.before;
        let key = (sample.component.clone(), sample.series.clone());
        if !self.wanted.contains(&key) {
            return;
        }
        let known = self.counters.entry(key).or_default();
        let counter = known.entry(sample.replica).or_insert_with(|| born(before));
        counter.add(sample.at_us, sample.life, sample.value);
    }

    fn finding(&self, objective: &Objective, name: &Name, metric: &Metric) -> Finding {
        let blank = |why: String| bound::open(KIND.name, objective, None, why);
        let stretch = self.course.over(&objective.phases).and_then(|over| self.course.on_run_clock(over));
        let Some(stretch) = stretch else { return blank("the load never began".into()) };
        let of = self.increase(metric, &metric.of, stretch);
        let to = self.increase(metric, &metric.to, stretch);
        let Some((of, to)) = of.zip(if metric.to.is_empty() { of } else { to }) else {
            return blank(format!("{} exported no series of {name} twice", metric.component));
        };
        let least = metric.least.max(objective.least);
        let ratio = !metric.to.is_empty();
        let value = if ratio { of / to } else { of };
        let finding = Finding {
            measured: if ratio { show::share(value) } else { format!("{value:.0}") },
            samples: to.max(0.0) as u64,
            ..blank(format!("{name} over the judged phases: {of:.0} of {to:.0} ({})", metric.of.join(" + ")))
        };
        let objective = &Objective { least: if ratio { least } else { 0 }, ..objective.clone() };
        // A ratio of nothing to nothing is no number, however few samples are asked for.
        if !value.is_finite() {
            return Finding { measured: "nothing".into(), ..finding };
        }
        let coverage = Coverage { course: &self.course, replicas: &self.replicas, stretch, gap_us: u64::MAX };
        if let Some(lack) = coverage.lack(&self.reads, &metric.component) {
            return Finding { detail: format!("{}; {lack}", finding.detail), ..finding };
        }
        bound::close(finding, objective, objective.comparison.holds(value, objective.bound))
    }

    /// What all replicas gained in all of these series; none when none of them was read twice.
    fn increase(&self, metric: &Metric, series: &[String], stretch: Stretch) -> Option<f64> {
        let known =
            series.iter().filter_map(|one| self.counters.get(&(metric.component.clone(), one.clone())));
        let gains: Vec<f64> = known
            .flat_map(BTreeMap::values)
            .filter_map(|counter| counter.increase(stretch, Fall::Restart))
            .collect();
        (!gains.is_empty()).then(|| gains.iter().sum())
    }
}

/// A counter that first appears when its replica had been read before without it was born at nought in between.
fn born(before: Option<(u64, u32)>) -> Counter {
    let mut counter = Counter::default();
    if let Some((at_us, life)) = before {
        counter.add(at_us, life, 0.0);
    }
    counter
}

impl Judge for Metrics {
    fn see(&mut self, evidence: Evidence<'_>) {
        match evidence {
            Evidence::Event(event) => self.course.see(event),
            Evidence::Metric(sample) => self.count(sample),
            Evidence::Request(_) => {}
        }
    }

    fn findings(&self) -> Vec<Finding> {
        let known =
            self.objectives.iter().map(|(objective, name, metric)| self.finding(objective, name, metric));
        let no_metric =
            |objective| bound::open(KIND.name, objective, None, "the plan does not define this metric");
        known.chain(self.unknown.iter().map(no_metric)).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::judge::{State, testing::Story};

    const RATE: &str = "hit-rate > 85%";

    #[test]
    fn a_ratio_counts_the_judged_time_only_over_all_replicas_and_lives() {
        let finding = Story::good().finding(RATE, None);
        assert_eq!((finding.state, finding.measured.as_str()), (State::Met, "90.000 %"));
        // 18 s of three replicas at 100/s, less the two seconds of which the killed one told nothing.
        assert_eq!(finding.samples, 5_200);
    }

    #[test]
    fn a_restart_takes_nothing_away() {
        let mut story = Story::good();
        // Without lives, only the fall of the counters tells of the restart.
        story.samples.iter_mut().for_each(|sample| sample.life = 1);
        assert_eq!(story.finding(RATE, None).samples, 5_200);
    }

    #[test]
    fn too_few_events_are_unknown() {
        let mut story = Story::good();
        story.plan.metrics.values_mut().for_each(|metric| metric.least = 6_000);
        assert_eq!(story.state(RATE, None), State::Unknown);
    }

    #[test]
    fn a_ratio_of_nothing_is_unknown_even_when_nothing_is_asked_for() {
        let mut story = Story::good();
        story.plan.metrics.values_mut().for_each(|metric| metric.least = 0);
        story.plan.objectives.iter_mut().for_each(|objective| objective.least = 0);
        story.samples.iter_mut().for_each(|sample| sample.value = 0.0);
        assert_eq!(story.state(RATE, None), State::Unknown);
        story.samples.clear();
        assert_eq!(story.state(RATE, None), State::Unknown);
    }

    #[test]
    fn a_cold_cache_misses_the_bound() {
        let mut story = Story::good();
        let misses = story.samples.iter_mut().filter(|sample| sample.series.contains("miss"));
        misses.for_each(|sample| sample.value *= 5.0);
        assert_eq!(story.state(RATE, None), State::Missed);
    }

    #[test]
    fn a_series_that_appears_late_was_born_at_nought() {
        let mut story = Story::good();
        let late = Story::ZERO_US + 9_500_000;
        story.samples.retain(|sample| !sample.series.contains("miss") || sample.at_us > late);
        // All misses that were ever counted fell between two readings of the judged time.
        let finding = story.finding(RATE, None);
        assert!(finding.detail.contains("4680 of 5280"), "{}", finding.detail);
    }

    #[test]
    fn a_replica_that_fell_silent_leaves_it_unknown() {
        let mut story = Story::good();
        story.samples.retain(|sample| sample.replica != 1 || sample.at_us < Story::ZERO_US + 12_000_000);
        let finding = story.finding(RATE, None);
        assert_eq!(finding.state, State::Unknown);
        assert!(finding.detail.contains("service-1 was watched for"), "{}", finding.detail);
    }

    #[test]
    fn a_metric_that_the_plan_does_not_define_is_unknown() {
        let mut story = Story::good();
        story.plan.metrics.clear();
        assert_eq!(story.state(RATE, None), State::Unknown);
    }
}
