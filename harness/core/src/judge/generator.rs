//! `generator`: whether the load was really offered, and whether all of it is in evidence. If not, the run says nothing
//! about the service.
//!
//! Every arrival of the schedule gives one row of its behaviour's first request, sent or not; so rows and the
//! generator's own counts check each other, and the plan's rates check both. Its lag is judged over the judged phases.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    evidence::{Class, Evidence, LoadCounts, Operation, Request, What},
    judge::{Finding, Judge, JudgeKind, State, course::Course, show},
    plan::{GeneratorLimits, Plan, Stream},
    stats::quantile::Ranked,
};

/// Its line in the list.
pub(super) const KIND: JudgeKind = JudgeKind {
    name: "generator",
    about: "the load was really offered, and all of it is in evidence",
    asked: false,
    make: |plan| Box::new(Generator::new(plan)),
};

/// A schedule is drawn from the plan; so many standard deviations away it is another.
const SIGMAS: f64 = 6.0;

struct Generator {
    course: Course,
    limits: GeneratorLimits,
    /// How many arrivals the plan offers, and how far a schedule may be from that.
    planned: (f64, f64),
    /// The first requests of behaviours.
    first: BTreeSet<u16>,
    said: Option<LoadCounts>,
    seen: Seen,
    /// Rows of each phase.
    rows: Vec<u64>,
    lags: Vec<u32>,
}

/// What the rows say.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    arrivals: u64,
    arrivals_sent: u64,
    sent: u64,
    audits_sent: u64,
    capped: u64,
    all: u64,
}

impl Generator {
    fn new(plan: &Plan) -> Self {
        let course = Course::new(plan);
        Self {
            limits: plan.generator,
            planned: planned(plan),
            first: plan.load.behaviours.iter().map(|behaviour| behaviour.first).collect(),
            said: None,
            seen: Seen::default(),
            rows: vec![0; course.phases.len()],
            lags: Vec::new(),
            course,
        }
    }

    fn count(&mut self, row: &Request) {
        let sent = u64::from(row.class.was_sent());
        if row.operation == Operation::Audit {
            self.seen.audits_sent += sent;
            return;
        }
        let first = u64::from(self.first.contains(&row.step));
        self.seen.all += 1;
        self.seen.sent += sent;
        self.seen.capped += u64::from(row.class == Class::Capped);
        self.seen.arrivals += first;
        self.seen.arrivals_sent += first * sent;
        let Some(phase) = self.course.phase_at(row.intended_us) else { return };
        self.rows[phase] += 1;
        if self.course.phases[phase].judged && row.class.was_sent() {
            self.lags.push(u32::try_from(row.lag_us()).unwrap_or(u32::MAX));
        }
    }

    /// Offered against achieved. What was dropped at the cap is among what was not sent.
    fn offered(&self, said: LoadCounts) -> Finding {
        let scheduled = said.scheduled.max(self.seen.arrivals);
        let share = self.seen.arrivals_sent as f64 / scheduled.max(1) as f64;
        let capped = self.seen.capped as f64 / self.seen.all.max(1) as f64;
        let enough = share >= self.limits.sent && capped <= 1.0 - self.limits.sent;
        let detail = format!(
            "{} of {scheduled} arrivals were sent, {} must be; {} dropped at the cap of {} in flight, at most {} were",
            self.seen.arrivals_sent,
            show::share(self.limits.sent),
            show::count(self.seen.capped, "request"),
            said.in_flight_cap,
            said.in_flight_peak,
        );
        let measured = format!("{} sent", show::share(share));
        Finding {
            measured,
            samples: scheduled,
            ..finding("the schedule was offered", valid(enough && scheduled > 0), detail)
        }
    }

    /// The schedule against the plan, which the generator had no hand in.
    fn scheduled(&self, said: LoadCounts) -> Finding {
        let (planned, apart) = self.planned;
        let as_planned = (said.scheduled as f64 - planned).abs() <= apart;
        let detail =
            format!("the plan offers {planned:.0} on average; a schedule may be {apart:.0} away from it");
        Finding {
            measured: show::count(said.scheduled, "arrival"),
            samples: said.scheduled,
            ..finding("the schedule is that of the plan", valid(as_planned), detail)
        }
    }

    fn lag(&self) -> Finding {
        let lags = Ranked::new(self.lags.clone(), 0);
        let limit = micros(self.limits.lag_p99);
        let value = lags.quantile(0.99);
        let detail = format!("99th percentile over the judged phases; at most {}", show::time(limit));
        let state = valid(value.is_some_and(|value| value <= limit));
        let measured =
            value.map_or_else(|| "nothing".into(), |value| format!("lag p99 {}", show::time(value)));
        Finding { measured, samples: lags.count(), ..finding("requests were sent in time", state, detail) }
    }

    /// Rows against the generator's own counts. Its count of requests may hold the audit or not.
    fn complete(&self, said: LoadCounts) -> Finding {
        let (seen, with_audit) = (self.seen, self.seen.sent + self.seen.audits_sent);
        let mut lacks = Vec::new();
        if said.rows_refused > 0 {
            lacks
                .push(format!("the generator could not hand over {}", show::count(said.rows_refused, "row")));
        }
        if said.sent != seen.sent && said.sent != with_audit {
            lacks.push(format!("{} rows were sent and the generator says {}", with_audit, said.sent));
        }
        if said.scheduled != seen.arrivals {
            lacks.push(format!(
                "{} arrivals are in evidence and the schedule held {}",
                seen.arrivals, said.scheduled
            ));
        }
        if said.capped != seen.capped {
            lacks.push(format!(
                "{} dropped rows are in evidence and the generator says {}",
                seen.capped, said.capped
            ));
        }
        let detail = if lacks.is_empty() {
            "rows and the generator's own counts agree".into()
        } else {
            lacks.join("; ")
        };
        let measured = show::count(seen.all + seen.audits_sent, "row");
        Finding {
            measured,
            samples: seen.all,
            ..finding("all requests are in evidence", valid(lacks.is_empty()), detail)
        }
    }

    fn empty_phases(&self) -> Finding {
        let judged = || self.course.phases.iter().zip(&self.rows).filter(|(phase, _)| phase.judged);
        let empty: Vec<&str> =
            judged().filter(|(_, rows)| **rows == 0).map(|(phase, _)| phase.name.as_str()).collect();
        let some = judged().count() > 0;
        let detail = match (empty.is_empty(), some) {
            (true, true) => "every judged phase has requests".into(),
            (true, false) => "no phase is judged".into(),
            (false, _) => format!("nothing measured in {}", empty.join(", ")),
        };
        let samples = judged().map(|(_, rows)| *rows).sum();
        let measured = show::count(samples, "request");
        Finding {
            measured,
            samples,
            ..finding("every judged phase was measured", valid(empty.is_empty() && some), detail)
        }
    }
}

/// The integral of all rates, and six standard deviations of a Poisson process of that size; even arrivals vary less.
fn planned(plan: &Plan) -> (f64, f64) {
    let offered = |stream: &Stream| stream.offered(Duration::ZERO, plan.load.lasts);
    let planned: f64 = plan.load.streams.iter().map(offered).sum();
    (planned, SIGMAS * planned.sqrt() + 2.0 * plan.load.streams.len() as f64)
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn valid(holds: bool) -> State {
    if holds { State::Met } else { State::Invalid }
}

fn finding(what: &str, state: State, detail: String) -> Finding {
    Finding {
        judge: KIND.name.into(),
        what: what.into(),
        at: None,
        state,
        measured: "nothing".into(),
        samples: 0,
        detail,
    }
}

impl Judge for Generator {
    fn see(&mut self, evidence: Evidence<'_>) {
        match evidence {
            Evidence::Event(event) => {
                if let What::LoadEnded(counts) = &event.what {
                    self.said = Some(*counts);
                }
            }
            Evidence::Request(row) => self.count(row),
            Evidence::Metric(_) => {}
        }
    }

    fn findings(&self) -> Vec<Finding> {
        let Some(said) = self.said else {
            let detail = "the generator never said that the load had ended".into();
            return vec![
                self.empty_phases(),
                self.lag(),
                finding("the schedule was offered", State::Invalid, detail),
            ];
        };
        vec![self.scheduled(said), self.offered(said), self.lag(), self.complete(said), self.empty_phases()]
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        evidence::{Class, Operation, What},
        judge::{State, testing::Story},
        outcome::Outcome,
    };

    const OFFERED: &str = "the schedule was offered";
    const COMPLETE: &str = "all requests are in evidence";

    #[test]
    fn a_generator_that_lags_makes_the_run_inconclusive() {
        let mut story = Story::good();
        let mut number = 0;
        story.spoil(|row| {
            number += 1;
            row.sent_us += if number % 50 == 0 { 30_000 } else { 0 };
        });
        let finding = story.finding("requests were sent in time", None);
        assert_eq!((finding.state, finding.measured.as_str()), (State::Invalid, "lag p99 30.2 ms"));
        assert_eq!(story.verdict().outcome, Outcome::Inconclusive);
    }

    #[test]
    fn lag_in_the_warm_up_is_forgiven() {
        let mut story = Story::good();
        story.spoil(|row| row.sent_us += if row.intended_us < 2_000_000 { 400_000 } else { 0 });
        assert_eq!(story.state("requests were sent in time", None), State::Met);
    }

    #[test]
    fn load_that_was_dropped_at_the_cap_makes_the_run_inconclusive() {
        let mut story = Story::good();
        let mut number = 0;
        story.spoil(|row| {
            number += 1;
            row.class = if number % 40 == 0 { Class::Capped } else { row.class };
        });
        story.recount();
        let finding = story.finding(OFFERED, None);
        assert_eq!(finding.state, State::Invalid);
        assert!(finding.detail.contains("125 requests dropped at the cap of 1000"), "{}", finding.detail);
        assert_eq!(story.verdict().outcome, Outcome::Inconclusive);
    }

    #[test]
    fn a_schedule_that_was_cut_short_makes_the_run_inconclusive() {
        let mut story = Story::good();
        story.counts().scheduled += 1_000;
        assert_eq!(story.state(OFFERED, None), State::Invalid);
    }

    #[test]
    fn a_generator_that_planned_less_than_it_was_told_makes_the_run_inconclusive() {
        let mut story = Story::good();
        story.plan.load.streams[0].segments.iter_mut().for_each(|s| (s.from, s.to) = (350.0, 350.0));
        assert_eq!(story.state(OFFERED, None), State::Met);
        assert_eq!(story.state("the schedule is that of the plan", None), State::Invalid);
        assert_eq!(story.verdict().outcome, Outcome::Inconclusive);
    }

    #[test]
    fn refused_and_missing_rows_make_the_run_inconclusive() {
        let mut story = Story::good();
        story.counts().rows_refused = 1;
        assert_eq!(story.state(COMPLETE, None), State::Invalid);
        let mut story = Story::good();
        story.drop_rows(|row| row.intended_us == 4_000_000);
        assert_eq!(story.state(COMPLETE, None), State::Invalid);
        assert_eq!(story.state(OFFERED, None), State::Met);
        assert_eq!(story.verdict().outcome, Outcome::Inconclusive);
    }

    #[test]
    fn the_generator_may_count_its_audit_or_not() {
        let mut story = Story::good();
        let audits = story.requests.iter().filter(|row| row.operation == Operation::Audit).count() as u64;
        assert_eq!(story.state(COMPLETE, None), State::Met);
        story.counts().sent -= audits;
        assert_eq!(story.state(COMPLETE, None), State::Met);
    }

    #[test]
    fn a_generator_that_never_ended_makes_the_run_inconclusive() {
        let mut story = Story::good();
        story.drop_events(|what| matches!(what, What::LoadEnded(_)));
        assert_eq!(story.state(OFFERED, None), State::Invalid);
        assert_eq!(story.verdict().outcome, Outcome::Inconclusive);
    }

    #[test]
    fn a_judged_phase_without_requests_was_not_measured() {
        let mut story = Story::good();
        story.drop_rows(|row| (2_000_000..7_000_000).contains(&row.intended_us));
        story.recount();
        let finding = story.finding("every judged phase was measured", None);
        assert_eq!(finding.state, State::Invalid);
        assert!(finding.detail.contains("baseline"), "{}", finding.detail);
    }

    #[test]
    fn a_plan_without_judged_phases_measures_nothing() {
        let mut story = Story::good();
        story.plan.phases.iter_mut().for_each(|phase| phase.judged = false);
        assert_eq!(story.state("every judged phase was measured", None), State::Invalid);
    }
}
