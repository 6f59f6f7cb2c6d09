//! `slo`: latency, throughput and errors of each phase, from rows, by their intended start.
//!
//! - Latency: nearest rank over all requests of the phase. One without a right answer counts as infinitely slow, so
//!   that failing fast never improves a quantile. Raw (from the real start) is shown, never judged.
//! - Throughput: right answers over the length of the phase: those to requests that were intended in it, or those that
//!   came in it, whichever are fewer. So neither a queue that grows nor one that empties counts as throughput.
//! - Errors: the share of the phase's requests without a right answer; those that were never sent count too.

use std::collections::BTreeMap;

use crate::{
    evidence::{Class, Evidence, Operation, Request},
    judge::{Finding, Judge, JudgeKind, bound, course::Course, show},
    name::Name,
    plan::{Measure, Objective, Plan},
    stats::{interval::wilson, quantile::Ranked},
};

/// Its line in the list.
pub(super) const KIND: JudgeKind = JudgeKind {
    name: "slo",
    about: "latency, throughput and errors of each phase",
    asked: false,
    make: |plan| Box::new(Slo::new(plan)),
};

struct Slo {
    course: Course,
    behaviours: Vec<Name>,
    objectives: Vec<Objective>,
    /// By phase, then by step of the load plan; the last cell takes steps that the plan does not know.
    cells: Vec<Vec<Cell>>,
    /// By phase: right answers that came in it.
    came: Vec<u64>,
}

/// The requests of one step in one phase.
#[derive(Debug, Clone, Default)]
struct Cell {
    corrected: Vec<u32>,
    raw: Vec<u32>,
    ends: Ends,
}

/// How requests ended.
#[derive(Debug, Clone, Default)]
struct Ends {
    classes: [u64; Class::ALL.len()],
    /// Which status it was, where it was a wrong one.
    statuses: BTreeMap<u16, u64>,
}

impl Ends {
    fn count(&mut self, row: &Request) {
        self.classes[row.class as usize] += 1;
        if row.class == Class::WrongStatus {
            *self.statuses.entry(row.status).or_default() += 1;
        }
    }

    fn and(mut self, other: &Self) -> Self {
        self.classes.iter_mut().zip(other.classes).for_each(|(sum, count)| *sum += count);
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        self
    }

    fn all(&self) -> u64 {
        self.classes.iter().sum()
    }

    fn right(&self) -> u64 {
        self.classes[Class::Ok as usize]
    }

    fn failed(&self) -> u64 {
        self.all() - self.right()
    }

    /// `12 requests without a right answer (wrong-status 11 [503: 11], reset 1)`.
    fn without_answer(&self) -> String {
        let named =
            Class::ALL.iter().zip(self.classes).filter(|(class, count)| **class != Class::Ok && *count > 0);
        let named = named.map(|(class, count)| match class {
            Class::WrongStatus => {
                let each: Vec<String> =
                    self.statuses.iter().map(|(status, count)| format!("{status}: {count}")).collect();
                format!("{} {count} [{}]", class.word(), each.join(", "))
            }
            _ => format!("{} {count}", class.word()),
        });
        let named = named.collect::<Vec<_>>().join(", ");
        let total = show::count(self.failed(), "request");
        match named.as_str() {
            "" => format!("{total} without a right answer"),
            named => format!("{total} without a right answer ({named})"),
        }
    }
}

impl Slo {
    fn new(plan: &Plan) -> Self {
        let course = Course::new(plan);
        let mine = |objective: &&Objective| {
            matches!(
                objective.measure,
                Measure::Latency { .. } | Measure::Throughput | Measure::Errors { .. }
            )
        };
        Self {
            cells: vec![vec![Cell::default(); plan.load.steps.len() + 1]; course.phases.len()],
            came: vec![0; course.phases.len()],
            course,
            behaviours: plan.load.steps.iter().map(|step| step.behaviour.clone()).collect(),
            objectives: plan.objectives.iter().filter(mine).cloned().collect(),
        }
    }

    fn count(&mut self, row: &Request) {
        let came = self.course.phase_at(row.done_us).filter(|_| row.class == Class::Ok);
        if let Some(came) = came.and_then(|phase| self.came.get_mut(phase)) {
            *came += 1;
        }
        let cells = self.course.phase_at(row.intended_us).and_then(|phase| self.cells.get_mut(phase));
        let step = usize::from(row.step).min(self.behaviours.len());
        let Some(cell) = cells.and_then(|cells| cells.get_mut(step)) else { return };
        cell.ends.count(row);
        if row.class == Class::Ok {
            cell.corrected.push(short(row.latency_us()));
            cell.raw.push(short(row.raw_latency_us()));
        }
    }

    /// The cells of a phase, of one behaviour or of all.
    fn chosen<'a>(&'a self, phase: usize, behaviour: Option<&'a Name>) -> impl Iterator<Item = &'a Cell> {
        let cells = self.cells.get(phase).into_iter().flatten().enumerate();
        let wanted = move |step: usize| behaviour.is_none_or(|name| self.behaviours.get(step) == Some(name));
        cells.filter(move |(step, _)| wanted(*step)).map(|(_, cell)| cell)
    }

    fn finding(&self, objective: &Objective, phase: &Name) -> Finding {
        let blank = bound::open(KIND.name, objective, Some(phase.as_str()), format!("no phase {phase}"));
        let Some((index, span)) = self.course.phase(phase) else { return blank };
        match &objective.measure {
            Measure::Latency { quantile, behaviour } => {
                self.latency(blank, objective, index, *quantile, behaviour.as_ref())
            }
            Measure::Errors { behaviour } => self.errors(blank, objective, index, behaviour.as_ref()),
            _ => self.throughput(blank, objective, index, span.span.1.saturating_sub(span.span.0)),
        }
    }

    fn latency(
        &self,
        blank: Finding,
        objective: &Objective,
        phase: usize,
        q: f64,
        of: Option<&Name>,
    ) -> Finding {
        let ends = self.ends(phase, of);
        let failed = ends.failed();
        let all = |pick: fn(&Cell) -> &Vec<u32>| {
            Ranked::new(self.chosen(phase, of).flat_map(pick).copied().collect(), failed)
        };
        let (corrected, raw) = (all(|cell| &cell.corrected), all(|cell| &cell.raw));
        let Some(value) = corrected.quantile(q) else { return nothing(blank) };
        let (low, high) = corrected.interval(q);
        let detail = format!(
            "{}: from the intended start; uncorrected {}; 95 % interval {} to {}; {}, each counted as infinitely slow",
            place(&blank),
            show::time(raw.quantile(q).unwrap_or(f64::INFINITY)),
            show::time(low),
            show::time(high),
            ends.without_answer(),
        );
        let measured = format!("{} {}", show::quantile(q), show::time(value));
        // An endless latency meets no bound, on whichever side it is.
        let holds = value.is_finite() && objective.comparison.holds(value, objective.bound);
        bound::close(Finding { measured, detail, samples: corrected.count(), ..blank }, objective, holds)
    }

    fn errors(&self, blank: Finding, objective: &Objective, phase: usize, of: Option<&Name>) -> Finding {
        let ends = self.ends(phase, of);
        let (failed, samples) = (ends.failed(), ends.all());
        if samples == 0 {
            return nothing(blank);
        }
        let value = failed as f64 / samples as f64;
        let (low, high) = wilson(failed, samples);
        let detail = format!(
            "{}: {} of {samples}; 95 % interval {} to {}",
            place(&blank),
            ends.without_answer(),
            show::share(low),
            show::share(high),
        );
        let holds = objective.comparison.holds(value, objective.bound);
        bound::close(Finding { measured: show::share(value), detail, samples, ..blank }, objective, holds)
    }

    fn throughput(&self, blank: Finding, objective: &Objective, phase: usize, length_us: u64) -> Finding {
        let ends = self.ends(phase, None);
        let samples = ends.all();
        if samples == 0 || length_us == 0 {
            return nothing(blank);
        }
        let right = ends.right();
        let came = self.came.get(phase).copied().unwrap_or_default();
        let value = right.min(came) as f64 / (length_us as f64 / 1e6);
        let detail = format!(
            "{}: {right} right answers to {samples} requests that were intended within {}; {came} came in it; {}",
            place(&blank),
            show::time(length_us as f64),
            ends.without_answer(),
        );
        let holds = objective.comparison.holds(value, objective.bound);
        bound::close(
            Finding { measured: format!("{value:.1}/s"), detail, samples, ..blank },
            objective,
            holds,
        )
    }

    fn ends(&self, phase: usize, behaviour: Option<&Name>) -> Ends {
        self.chosen(phase, behaviour).fold(Ends::default(), |sum, cell| sum.and(&cell.ends))
    }
}

impl Judge for Slo {
    fn see(&mut self, evidence: Evidence<'_>) {
        if let Evidence::Request(row) = evidence
            && row.operation != Operation::Audit
        {
            self.count(row);
        }
    }

    fn findings(&self) -> Vec<Finding> {
        let each = |objective| move |phase| self.finding(objective, phase);
        self.objectives.iter().flat_map(|objective| objective.phases.iter().map(each(objective))).collect()
    }
}

/// Microseconds in four bytes; over an hour counts as 71 minutes.
fn short(us: u64) -> u32 {
    u32::try_from(us).unwrap_or(u32::MAX)
}

fn place(finding: &Finding) -> &str {
    finding.at.as_deref().unwrap_or_default()
}

fn nothing(blank: Finding) -> Finding {
    let detail = format!("{}: no requests", place(&blank));
    Finding { detail, ..blank }
}

#[cfg(test)]
mod tests {
    use crate::{
        evidence::Class,
        judge::{
            State,
            testing::{Story, name},
        },
        outcome::Outcome,
        plan::Measure,
    };

    const P95: &str = "p95 < 200ms";

    #[test]
    fn latency_counts_from_the_intended_start_and_raw_stands_beside_it() {
        let mut story = Story::good();
        story.spoil(|row| {
            row.sent_us = row.intended_us + 15_000;
            row.done_us = row.intended_us + 25_000;
        });
        let finding = story.finding(P95, Some("baseline"));
        assert_eq!(finding.measured, "p95 25.0 ms");
        assert!(finding.detail.contains("uncorrected 10.0 ms"), "{}", finding.detail);
        assert_eq!(finding.samples, 1_250);
    }

    #[test]
    fn three_hundred_milliseconds_on_every_tenth_answer_miss_the_p95() {
        let mut story = Story::good();
        let mut number = 0;
        story.spoil(|row| {
            number += 1;
            row.done_us += if number % 10 == 0 { 300_000 } else { 0 };
        });
        assert_eq!(story.state(P95, Some("fault")), State::Missed);
        assert_eq!(story.state("throughput > 240/s", Some("fault")), State::Met);
        assert_eq!(story.verdict().outcome, Outcome::Failed);
    }

    #[test]
    fn fast_refusals_fail_latency_throughput_and_errors() {
        let mut story = Story::good();
        let mut number = 0;
        story.spoil(|row| {
            number += 1;
            if number % 10 == 0 {
                (row.class, row.status, row.done_us) = (Class::WrongStatus, 503, row.sent_us + 100);
            }
        });
        for what in [P95, "throughput > 240/s", "errors < 0.5%"] {
            assert_eq!(story.state(what, Some("baseline")), State::Missed, "{what}");
        }
        let finding = story.finding(P95, Some("baseline"));
        assert_eq!(finding.measured, "p95 endless");
        assert!(
            finding.detail.contains("125 requests without a right answer (wrong-status 125 [503: 125])"),
            "{}",
            finding.detail
        );
    }

    #[test]
    fn an_endless_latency_does_not_meet_a_lower_bound_either() {
        let mut story = Story::good();
        story.plan.objectives[0].comparison = crate::plan::Comparison::Above;
        story.spoil(|row| row.class = Class::Timeout);
        assert_eq!(story.state(P95, Some("baseline")), State::Missed);
    }

    #[test]
    fn what_was_never_sent_is_an_error() {
        let mut story = Story::good();
        let mut number = 0;
        story.spoil(|row| {
            number += 1;
            row.class = if number % 100 == 0 { Class::Unsent } else { row.class };
        });
        let finding = story.finding("errors < 0.5%", Some("recovery"));
        assert_eq!((finding.state, finding.measured.as_str()), (State::Missed, "1.040 %"));
    }

    #[test]
    fn a_phase_is_judged_by_itself() {
        let mut story = Story::good();
        story.spoil(|row| {
            if row.intended_us >= 15_000_000 {
                row.class = Class::Reset;
            }
        });
        assert_eq!(story.state("errors < 0.5%", Some("fault")), State::Met);
        assert_eq!(story.state("errors < 0.5%", Some("recovery")), State::Missed);
    }

    #[test]
    fn the_warm_up_is_not_judged() {
        let mut story = Story::good();
        story.spoil(|row| row.done_us += if row.intended_us < 2_000_000 { 900_000 } else { 0 });
        assert!(story.findings("slo").iter().all(|finding| finding.state == State::Met));
    }

    #[test]
    fn too_few_samples_are_unknown_with_their_number() {
        let mut story = Story::good().only(P95);
        story.plan.objectives[0].least = 2_000;
        let finding = story.finding(P95, Some("baseline"));
        assert_eq!((finding.state, finding.samples), (State::Unknown, 1_250));
        assert!(finding.detail.contains("2000 samples are needed"), "{}", finding.detail);
    }

    #[test]
    fn one_behaviour_is_judged_without_the_others() {
        let mut story = Story::good().only(P95);
        story.plan.objectives[0].measure = Measure::Latency { quantile: 0.95, behaviour: Some(name("read")) };
        story.spoil(|row| row.done_us += if row.step == 2 { 0 } else { 900_000 });
        let finding = story.finding(P95, Some("baseline"));
        assert_eq!((finding.state, finding.samples), (State::Met, 125));
    }

    #[test]
    fn throughput_is_the_mean_of_the_phase() {
        // The warm-up's last answers come in the baseline, and the run's last after its end.
        assert_eq!(Story::good().finding("throughput > 240/s", Some("fault")).measured, "250.0/s");
        let last = Story::good().finding("throughput > 240/s", Some("recovery"));
        assert_eq!((last.state, last.measured.as_str()), (State::Met, "249.8/s"));
    }

    #[test]
    fn a_queue_that_grows_is_no_throughput() {
        let mut story = Story::good();
        // A service that answers 200 of 250 requests a second: each waits for a fifth of the time that has passed.
        story.spoil(|row| row.done_us += row.intended_us.saturating_sub(2_000_000) / 5);
        let finding = story.finding("throughput > 240/s", Some("fault"));
        assert_eq!(finding.state, State::Missed);
        assert!(finding.detail.contains("2000 right answers to 2000 requests"), "{}", finding.detail);
    }
}
