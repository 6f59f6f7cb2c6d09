//! `recovery`: how long after the end of each fault the service is as good as in the baseline, and stays so.
//!
//! Windows of one second, by intended start, begin every 100 ms of the load's time line. A window is good when its share
//! of right answers is at most half a percentage point below the baseline's, and its p95 is at most twice the
//! baseline's, or at most 20 ms above it. The service is back at the beginning of the first of three good windows that
//! follow each other without a gap. A window with fewer than 20 requests says nothing, and is not good.

use crate::{
    evidence::{Class, Evidence, Operation, Request},
    judge::{
        Finding, Judge, JudgeKind, State, bound,
        course::{Course, FaultCourse, PhaseSpan},
        show,
    },
    plan::{Comparison, Measure, Objective, Plan},
    stats::{
        increase::Stretch,
        quantile::{Ranked, nearest_rank},
    },
};

/// Its line in the list.
pub(super) const KIND: JudgeKind = JudgeKind {
    name: "recovery",
    about: "time from the end of each fault until the service is as good as before",
    asked: false,
    make: |plan| Box::new(Recovery::new(plan)),
};

const BIN_US: u64 = 100_000;
const WINDOW: usize = 10;
const WINDOWS: usize = 3;
const LEAST_ROWS: u64 = 20;
const SHARE_BELOW: f64 = 0.005;
const P95_FACTOR: f64 = 2.0;
const P95_ABOVE_US: f64 = 20_000.0;
const P95: f64 = 0.95;

struct Recovery {
    course: Course,
    objectives: Vec<Objective>,
    /// A tenth of a second each, by intended start.
    bins: Vec<Bin>,
}

/// The requests of a tenth of a second.
#[derive(Debug, Clone, Default)]
struct Bin {
    right: Vec<u32>,
    all: u64,
}

/// What a window must reach.
#[derive(Debug, Clone, Copy)]
struct Level {
    share: f64,
    p95_us: f64,
}

/// What a window says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Window {
    Good,
    Bad,
    Silent,
}

impl Recovery {
    fn new(plan: &Plan) -> Self {
        let bins = plan.lasts().as_micros().div_ceil(u128::from(BIN_US));
        Self {
            course: Course::new(plan),
            objectives: plan.objectives.iter().filter(|o| o.measure == Measure::Recovery).cloned().collect(),
            bins: vec![Bin::default(); usize::try_from(bins).unwrap_or(0)],
        }
    }

    fn count(&mut self, row: &Request) {
        let Some(bin) = self.bins.get_mut((row.intended_us / BIN_US) as usize) else { return };
        bin.all += 1;
        if row.class == Class::Ok {
            bin.right.push(u32::try_from(row.latency_us()).unwrap_or(u32::MAX));
        }
    }

    /// The level of the baseline: the phase of that name, else the last that is judged; of those before the first fault,
    /// for what a fault has spoilt is no measure.
    fn level(&self) -> Result<Level, String> {
        let first_us = self.course.faults.iter().map(FaultCourse::planned_us).min().unwrap_or(u64::MAX);
        let before = |phase: &&PhaseSpan| phase.judged && phase.span.1 <= first_us;
        let mut phases = self.course.phases.iter().filter(before);
        let named = phases.clone().find(|phase| phase.name.as_str() == "baseline");
        let phase =
            named.or_else(|| phases.next_back()).ok_or("no judged phase ends before the first fault")?;
        let bins = self.bins_of(phase.span);
        let all: u64 = bins.iter().map(|bin| bin.all).sum();
        let right: Vec<u32> = bins.iter().flat_map(|bin| &bin.right).copied().collect();
        let share = right.len() as f64 / all.max(1) as f64;
        let failed = all - right.len() as u64;
        match Ranked::new(right, failed).quantile(P95) {
            Some(p95_us) if all >= LEAST_ROWS && p95_us.is_finite() => Ok(Level { share, p95_us }),
            _ => {
                Err(format!("{} is no baseline: {} requests, {} right", phase.name, all, show::share(share)))
            }
        }
    }

    fn bins_of(&self, span: Stretch) -> &[Bin] {
        let index = |us: u64| ((us / BIN_US) as usize).min(self.bins.len());
        // A phase that ends before it begins has none.
        self.bins.get(index(span.0)..index(span.1)).unwrap_or_default()
    }

    /// What each window of one second says, by the bin with which it begins.
    fn windows(&self, level: Level) -> Vec<Window> {
        let limit = (level.p95_us * P95_FACTOR).max(level.p95_us + P95_ABOVE_US);
        let fast = |bin: &Bin| bin.right.iter().filter(|us| f64::from(**us) <= limit).count() as u64;
        let bins: Vec<[u64; 3]> =
            self.bins.iter().map(|bin| [bin.all, bin.right.len() as u64, fast(bin)]).collect();
        let judge = |window: &[[u64; 3]]| {
            let sum = |index: usize| window.iter().map(|bin| bin[index]).sum::<u64>();
            let (all, right, fast) = (sum(0), sum(1), sum(2));
            if all < LEAST_ROWS {
                return Window::Silent;
            }
            let share = right as f64 / all as f64;
            let good = share >= level.share - SHARE_BELOW && fast >= nearest_rank(all, P95);
            if good { Window::Good } else { Window::Bad }
        };
        bins.windows(WINDOW).map(judge).collect()
    }

    fn finding(&self, objective: &Objective, fault: &FaultCourse) -> Finding {
        let blank = |why: String| bound::open(KIND.name, objective, Some(&fault.title), why);
        let over = fault.over_us().and_then(|at| self.course.on_load_clock(at));
        let Some(over_us) = over else {
            return blank(format!("{}: its end is not in evidence", fault.title));
        };
        let level = match self.level() {
            Ok(level) => level,
            Err(why) => return blank(why),
        };
        let (back, watched) = search(&self.windows(level), over_us);
        let samples = self.bins_of((over_us, u64::MAX)).iter().map(|bin| bin.all).sum();
        let why = format!(
            "{}: over at {}; as good as before means {} right answers and a p95 of {} in three seconds one after the other",
            fault.title,
            show::moment(over_us),
            show::share((level.share - SHARE_BELOW).max(0.0)),
            show::time((level.p95_us * P95_FACTOR).max(level.p95_us + P95_ABOVE_US)),
        );
        let finding = Finding { samples, ..blank(why) };
        match (back, watched) {
            (Some(time), _) => {
                let holds = objective.comparison.holds(time as f64, objective.bound);
                bound::close(Finding { measured: show::time(time as f64), ..finding }, objective, holds)
            }
            (None, None) => {
                Finding { detail: format!("{}; too few requests after it", finding.detail), ..finding }
            }
            (None, Some(watched)) => never(finding, objective, watched),
        }
    }
}

/// After how long the service was back; and for how long it could be told that it was not.
fn search(windows: &[Window], over_us: u64) -> (Option<u64>, Option<u64>) {
    let first = usize::try_from(over_us.div_ceil(BIN_US)).unwrap_or(usize::MAX);
    let mut watched = None;
    for begin in first..windows.len() {
        let three: Option<Vec<Window>> =
            (0..WINDOWS).map(|n| windows.get(begin + n * WINDOW).copied()).collect();
        let Some(three) = three else { break };
        let after_us = begin as u64 * BIN_US - over_us;
        if three.iter().all(|window| *window == Window::Good) {
            return (Some(after_us), watched);
        }
        if three.contains(&Window::Bad) {
            watched = Some(after_us);
        }
    }
    (None, watched)
}

/// It never came back while it was watched: missed, if that was for as long as the bound allows.
fn never(finding: Finding, objective: &Objective, watched_us: u64) -> Finding {
    let finding = Finding { measured: format!("not within {}", show::time(watched_us as f64)), ..finding };
    let long_enough = watched_us as f64 >= objective.bound;
    match (objective.comparison, long_enough) {
        (_, false) => {
            let detail = format!("{}; the run ended before the bound was reached", finding.detail);
            Finding { state: State::Unknown, detail, ..finding }
        }
        (Comparison::Below, true) => bound::close(finding, objective, false),
        (Comparison::Above, true) => bound::close(finding, objective, true),
    }
}

impl Judge for Recovery {
    fn see(&mut self, evidence: Evidence<'_>) {
        match evidence {
            Evidence::Event(event) => self.course.see(event),
            Evidence::Request(row) if row.operation != Operation::Audit && !self.objectives.is_empty() => {
                self.count(row)
            }
            Evidence::Request(_) | Evidence::Metric(_) => {}
        }
    }

    fn findings(&self) -> Vec<Finding> {
        let each = |objective| {
            let nothing = bound::open(KIND.name, objective, None, "the plan has no fault to recover from");
            let faults: Vec<Finding> =
                self.course.faults.iter().map(|fault| self.finding(objective, fault)).collect();
            if faults.is_empty() { vec![nothing] } else { faults }
        };
        self.objectives.iter().flat_map(each).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        evidence::{Class, What},
        judge::{Finding, State, testing::Story},
        outcome::Outcome,
    };

    const RECOVERY: &str = "recovery < 3s";

    /// The finding when answers are spoilt in a stretch of the load's time line.
    fn when(from: u64, to: u64, spoil: impl Fn(&mut crate::evidence::Request)) -> Finding {
        let mut story = Story::good();
        story.spoil(|row| {
            if (from..to).contains(&row.intended_us) {
                spoil(row);
            }
        });
        story.finding(RECOVERY, None)
    }

    #[test]
    fn a_service_that_noticed_nothing_is_back_at_once() {
        let finding = when(0, 0, |_| {});
        assert_eq!((finding.state, finding.measured.as_str()), (State::Met, "0 us"));
        assert_eq!(finding.at.as_deref(), Some("kill service-2"));
    }

    #[test]
    fn errors_count_until_the_last_of_them() {
        let finding = when(8_000_000, 11_500_000, |row| row.class = Class::Refused);
        assert_eq!((finding.state, finding.measured.as_str()), (State::Met, "1.50 s"));
        let finding = when(8_000_000, 13_200_000, |row| row.class = Class::Refused);
        assert_eq!((finding.state, finding.measured.as_str()), (State::Missed, "3.20 s"));
    }

    #[test]
    fn slow_answers_count_too() {
        // 20 ms over the baseline's p95 of 14.5 ms is allowed, and no more.
        assert_eq!(when(8_000_000, 20_000_000, |row| row.done_us += 19_000).measured, "0 us");
        let finding = when(8_000_000, 20_000_000, |row| row.done_us += 21_000);
        assert_eq!((finding.state, finding.measured.as_str()), (State::Missed, "not within 7.00 s"));
    }

    #[test]
    fn a_relapse_within_three_seconds_is_no_recovery() {
        let finding = when(12_000_000, 12_600_000, |row| row.class = Class::Reset);
        assert_eq!(finding.measured, "2.60 s");
    }

    #[test]
    fn a_service_that_never_comes_back_fails() {
        let mut story = Story::good().only(RECOVERY);
        story.spoil(|row| row.class = if row.intended_us > 8_000_000 { Class::Timeout } else { row.class });
        assert_eq!(story.state(RECOVERY, None), State::Missed);
        assert_eq!(story.verdict().outcome, Outcome::Failed);
    }

    #[test]
    fn a_run_that_ends_too_early_leaves_it_unknown() {
        let mut story = Story::good();
        let end = |what: &What| matches!(what, What::Healed { step } if step.0.starts_with("kill"));
        let healed = story.events.iter_mut().find(|event| end(&event.what)).unwrap();
        healed.at_us = Story::ZERO_US + 17_500_000;
        assert_eq!(story.state(RECOVERY, None), State::Unknown);
        // Half a second is enough to see that it is bad, and too short to say that it stays so for three.
        let healed = story.events.iter_mut().find(|event| end(&event.what)).unwrap();
        healed.at_us = Story::ZERO_US + 16_500_000;
        story.spoil(|row| row.class = Class::Reset);
        story.spoil(|row| row.class = if row.intended_us < 15_000_000 { Class::Ok } else { row.class });
        let finding = story.finding(RECOVERY, None);
        assert_eq!((finding.state, finding.measured.as_str()), (State::Unknown, "not within 500.0 ms"));
    }

    #[test]
    fn a_trickle_of_requests_says_nothing() {
        let mut story = Story::good();
        story.drop_rows(|row| row.intended_us > 10_000_000 && row.intended_us % 200_000 != 0);
        assert_eq!(story.state(RECOVERY, None), State::Unknown);
    }

    #[test]
    fn a_baseline_that_a_fault_has_spoilt_is_no_measure() {
        let mut story = Story::good();
        // The fault falls into the phase of that name; a service that is slow ever after is as good as in there.
        story.plan.phases[1].name = crate::judge::testing::name("steady");
        story.plan.phases[2].name = crate::judge::testing::name("baseline");
        story.spoil(|row| row.done_us += if row.intended_us >= 7_000_000 { 150_000 } else { 0 });
        assert_eq!(story.state(RECOVERY, None), State::Missed);
    }

    #[test]
    fn without_a_phase_before_the_first_fault_there_is_nothing_to_come_back_to() {
        let mut story = Story::good();
        story.plan.phases[1].judged = false;
        let finding = story.finding(RECOVERY, None);
        assert_eq!(finding.state, State::Unknown);
        assert!(finding.detail.contains("no judged phase ends before"), "{}", finding.detail);
    }

    #[test]
    fn a_baseline_that_ends_before_it_begins_is_no_measure() {
        let mut story = Story::good();
        let baseline = &mut story.plan.phases[1];
        std::mem::swap(&mut baseline.begins, &mut baseline.ends);
        assert_eq!(story.state(RECOVERY, None), State::Unknown);
    }

    #[test]
    fn a_baseline_that_fails_itself_is_no_measure() {
        let finding = when(2_000_000, 7_000_000, |row| row.class = Class::WrongStatus);
        assert_eq!(finding.state, State::Unknown);
        assert!(finding.detail.contains("baseline is no baseline"), "{}", finding.detail);
    }

    #[test]
    fn without_faults_or_their_end_it_is_unknown() {
        let mut story = Story::good();
        story.drop_events(|what| matches!(what, What::Healed { .. } | What::Healing { .. }));
        assert_eq!(story.state(RECOVERY, None), State::Unknown);
        story.plan.faults.clear();
        assert_eq!(story.state(RECOVERY, None), State::Unknown);
    }
}
