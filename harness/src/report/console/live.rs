//! The status of a run while it goes on.

use std::{collections::BTreeMap, time::Duration};

use gauntlet_core::{
    evidence::{Class, Event, Operation, Request, Second, Seconds, What},
    plan::Plan,
    step::StepId,
};

use crate::report::{
    show,
    story::{MomentKind, Titles},
};

/// Whole seconds over which the rate and the percentile are told.
const WINDOW_S: u64 = 2;
/// Rows come in chunks: the youngest second may not be whole yet.
const DELAY_S: u64 = 1;
/// Seconds after which the older half of the histograms is let go.
const GENERATION_S: u64 = 5;

/// What is known so far.
pub(super) struct Live {
    lasts: Duration,
    zero_us: Option<u64>,
    ended: bool,
    doing: String,
    phase: String,
    in_force: BTreeMap<StepId, String>,
    /// The present histograms and those before them: together never less than a generation.
    recent: [Seconds; 2],
    generation: u64,
    requests: u64,
    errors: u64,
}

impl Live {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            lasts: plan.lasts(),
            zero_us: None,
            ended: false,
            doing: "setting up".into(),
            phase: String::new(),
            in_force: BTreeMap::new(),
            recent: [Seconds::default(), Seconds::default()],
            generation: 0,
            requests: 0,
            errors: 0,
        }
    }

    pub(super) fn event(&mut self, event: &Event, titles: &Titles) {
        match &event.what {
            What::LoadBegan => self.zero_us = Some(event.at_us),
            What::LoadEnded(_) => {
                self.ended = true;
                self.doing = "load ended".into();
            }
            What::Phase { name } => self.phase = name.to_string(),
            What::Applied { step } if titles.step(step).1 == MomentKind::Fault => {
                self.in_force.insert(step.clone(), titles.step(step).0.to_owned());
            }
            What::Entered { step } if titles.step(step).1 == MomentKind::Rollout => {
                self.in_force.remove(step);
            }
            What::Healed { step } => {
                self.in_force.remove(step);
            }
            What::Entering { step, .. } if titles.step(step).1 == MomentKind::Rollout => {
                self.in_force.insert(step.clone(), titles.step(step).0.to_owned());
            }
            What::Entering { step, .. } => self.doing = titles.step(step).0.to_owned(),
            What::Healing { step } => self.doing = format!("taking back: {}", titles.step(step).0),
            _ => {}
        }
    }

    pub(super) fn rows(&mut self, rows: &[Request]) {
        for row in rows.iter().filter(|row| row.operation != Operation::Audit) {
            let generation = row.done_us / 1_000_000 / GENERATION_S;
            if generation > self.generation {
                self.generation = generation;
                let [present, _] = std::mem::take(&mut self.recent);
                self.recent[1] = present;
            }
            self.recent[0].see(row);
            self.requests += 1;
            self.errors += u64::from(row.class != Class::Ok);
        }
    }

    /// One line: phase, time, rate, p95, errors, faults in force.
    pub(super) fn status(&self, elapsed: Duration) -> String {
        let elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        let Some(load_us) = self.zero_us.map(|zero| elapsed_us.saturating_sub(zero)).filter(|_| !self.ended)
        else {
            return format!("{}  {}", show::clock(elapsed.as_secs_f64()), self.doing);
        };
        let window = self.window(load_us / 1_000_000);
        let right_per_s = window.count(Class::Ok) as f64 / WINDOW_S as f64;
        let p95 = window.corrected.quantile_us(0.95).map(|us| us as f64 / 1e3);
        let share = self.errors as f64 / self.requests.max(1) as f64 * 100.0;
        let mut line = format!(
            "{}/{}  {:<9}  {right_per_s:>6.0}/s  p95 {:>8}  errors {} ({share:.2} %)",
            show::clock(load_us as f64 / 1e6),
            show::clock(self.lasts.as_secs_f64()),
            self.phase,
            show::ms(p95),
            self.errors,
        );
        if !self.in_force.is_empty() {
            line.push_str("  in force: ");
            line.push_str(&self.in_force.values().map(String::as_str).collect::<Vec<_>>().join(", "));
        }
        line
    }

    /// What completed in the last whole seconds before this one.
    fn window(&self, now: u64) -> Second {
        let end = now.saturating_sub(DELAY_S);
        let mut all = Second::default();
        let seconds = (end.saturating_sub(WINDOW_S)..end)
            .flat_map(|number| self.recent.iter().map(move |of| of.get(number)));
        seconds.flatten().for_each(|second| all.merge(second));
        all
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gauntlet_core::evidence::{Class, Event, Operation, Request, What};

    use super::Live;
    use crate::report::story::Titles;

    fn live() -> Live {
        let mut live = Live {
            lasts: Duration::from_secs(60),
            zero_us: None,
            ended: false,
            doing: "setting up".into(),
            phase: String::new(),
            in_force: Default::default(),
            recent: Default::default(),
            generation: 0,
            requests: 0,
            errors: 0,
        };
        live.event(&Event { at_us: 2_000_000, what: What::LoadBegan }, &Titles(Default::default()));
        live
    }

    fn row(done_ms: u64, class: Class) -> Request {
        Request {
            intended_us: done_ms * 1_000 - 10_000,
            sent_us: done_ms * 1_000 - 10_000,
            done_us: done_ms * 1_000,
            step: 0,
            arm: String::new(),
            status: 200,
            class,
            bytes: 0,
            operation: Operation::None,
            key: String::new(),
            value: String::new(),
        }
    }

    #[test]
    fn the_rate_is_of_the_last_whole_seconds_and_falls_to_nought_in_an_outage() {
        let mut live = live();
        let rows: Vec<Request> = (10..20_000).map(|ms| row(ms, Class::Ok)).collect();
        rows.chunks(500).for_each(|rows| live.rows(rows));
        let at = |second: u64| live.status(Duration::from_secs(second + 2));
        assert!(at(20).contains(" 1000/s  p95  10.0 ms  errors 0 "), "{}", at(20));
        assert!(at(30).contains("    0/s  p95"), "{}", at(30));
    }

    #[test]
    fn errors_are_counted_from_the_beginning() {
        let mut live = live();
        live.rows(&[row(100, Class::Reset), row(200, Class::Ok), row(300, Class::Ok), row(400, Class::Ok)]);
        assert!(live.status(Duration::from_secs(50)).contains("errors 1 (25.00 %)"));
    }
}
