//! The judge of a canary: a fold over the seconds of two arms that may be asked at every second.
//!
//! ```
//! use gauntlet_core::judge::canary::{Arm, ArmSecond, Canary, Config, Decision, Phase};
//! let mut canary = Canary::new(Config::default());
//! canary.see(&ArmSecond { sent: 900, ..ArmSecond::new(0, Phase::Baseline, Arm::Stable) });
//! assert_eq!(canary.decision(), Decision::GoOn);
//! ```
//!
//! - Roll back: a test is significant at its part of alpha, at whatever second, and the estimated effect is at least the
//!   smallest of interest; or a guard is broken; or the canary answers nothing any more. It stays so.
//! - Promote: the step has lasted `least_seconds`, and every metric's confidence sequence excludes the effect that would
//!   be harm. That nothing was significant is no reason to promote.
//! - Inconclusive: neither after `most_seconds`.
//!
//! Reading order: [`second`] (what it is fed), [`config`], `pair`, `test` (batches, evidence), one metric a file
//! (`errors`, `wrong_answers`, `lost_writes`, `latency`, `guard`, `memory`), [`Estimate`].

use serde::{Deserialize, Serialize};

pub mod config;
mod errors;
mod estimate;
mod guard;
mod latency;
mod lost_writes;
mod memory;
mod pair;
mod say;
pub mod second;
mod share;
mod silence;
mod test;
mod wrong_answers;

pub use config::Config;
pub use estimate::{Estimate, Standing};
pub use second::{Arm, ArmSecond, Phase};

use self::{pair::Pair, silence::Silence};

/// All metrics, in the order of their findings.
const METRICS: &[MetricKind] =
    &[errors::KIND, wrong_answers::KIND, lost_writes::KIND, latency::KIND, guard::KIND, memory::KIND];

/// One line of the list of metrics.
struct MetricKind {
    name: &'static str,
    /// Makes one, when it is asked for.
    make: fn(&Config) -> Option<Box<dyn Metric>>,
}

/// Something that can be worse.
trait Metric: Send {
    /// Takes a second of the baseline phase.
    fn learn(&mut self, pair: &Pair);
    /// Whether it compares: an absolute objective is judged even where the baseline phase was too short.
    fn compares(&self) -> bool {
        true
    }
    /// The baseline phase is over: batches and thresholds are fixed now.
    fn begin(&mut self);
    /// A step of the weight begins.
    fn step(&mut self);
    /// Takes a second of a step.
    fn see(&mut self, pair: &Pair);
    /// What is worse beyond doubt and by enough to matter. Cheap: it is asked at every second.
    fn worse(&self) -> Option<&str>;
    /// All that it knows.
    fn estimates(&self) -> Vec<Estimate>;
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "decision")]
pub enum Decision {
    /// Nothing is decided yet.
    GoOn,
    /// This step is passed: harm is excluded.
    Promote,
    /// Worse beyond doubt.
    RollBack {
        /// The metric that was seen first.
        metric: String,
        /// The second of the load's time line.
        second: u64,
    },
    /// The step's time is over and the evidence decides nothing.
    Inconclusive {
        /// Why.
        reason: String,
    },
}

/// The judge.
pub struct Canary {
    config: Config,
    metrics: Vec<Box<dyn Metric>>,
    open: Option<(u64, Phase, Pair)>,
    /// The last second that is complete.
    done: Option<u64>,
    baseline_seconds: usize,
    step: Option<u32>,
    step_seconds: u64,
    late: u64,
    silence: Silence,
    rolled_back: Option<(String, u64)>,
}

impl Canary {
    /// Before any evidence.
    pub fn new(config: Config) -> Self {
        Self {
            metrics: METRICS.iter().filter_map(|kind| (kind.make)(&config)).collect(),
            config,
            open: None,
            done: None,
            baseline_seconds: 0,
            step: None,
            step_seconds: 0,
            late: 0,
            silence: Silence::default(),
            rolled_back: None,
        }
    }

    /// Takes a second of one arm; seconds come in order of time, the arms of one second in any order, and parts of an
    /// arm (from several workers) before the next second. A second is judged when the next one begins, or by
    /// [`Canary::close`].
    pub fn see(&mut self, second: &ArmSecond) {
        let over = self.done.is_some_and(|done| second.number <= done);
        let backwards = second.phase == Phase::Baseline && self.step.is_some();
        if over || backwards || self.open.as_ref().is_some_and(|(number, ..)| second.number < *number) {
            self.late += 1;
            return;
        }
        if self.open.as_ref().is_some_and(|(number, ..)| second.number > *number) {
            self.close();
        }
        let (.., pair) = self.open.get_or_insert_with(|| (second.number, second.phase, Pair::default()));
        pair.add(second);
    }

    /// The open second is complete: nothing more of it will come.
    pub fn close(&mut self) {
        let Some((number, phase, pair)) = self.open.take() else { return };
        self.done = Some(number);
        let Phase::Step(step) = phase else {
            if self.step.is_none() {
                self.baseline_seconds += 1;
                self.metrics.iter_mut().for_each(|metric| metric.learn(&pair));
            }
            return;
        };
        self.enter(step);
        self.step_seconds += 1;
        self.metrics.iter_mut().for_each(|metric| metric.see(&pair));
        if self.rolled_back.is_none() {
            self.silence.see(&pair);
            let worse = self.metrics.iter().find_map(|metric| metric.worse());
            let worse = worse.or_else(|| self.silence.is_dead().then_some(silence::NAME));
            self.rolled_back = worse.map(|metric| (metric.to_owned(), number));
        }
    }

    fn enter(&mut self, step: u32) {
        if self.step == Some(step) {
            return;
        }
        if self.step.is_none() {
            let known = self.baseline_seconds >= self.config.least.baseline_seconds;
            let ready = self.metrics.iter_mut().filter(|metric| known || !metric.compares());
            ready.for_each(|metric| metric.begin());
        }
        self.metrics.iter_mut().for_each(|metric| metric.step());
        let planned = usize::try_from(step).ok().and_then(|step| self.config.split.get(step)).copied();
        (self.step, self.step_seconds, self.silence) = (Some(step), 0, Silence::new(planned));
    }

    /// What to do, by all complete seconds.
    pub fn decision(&self) -> Decision {
        if let Some((metric, second)) = &self.rolled_back {
            return Decision::RollBack { metric: metric.clone(), second: *second };
        }
        if self.step.is_none() || self.step_seconds < self.config.least_seconds {
            return Decision::GoOn;
        }
        let open = self.undecided();
        match open {
            None => Decision::Promote,
            Some(_) if self.step_seconds < self.config.most_seconds => Decision::GoOn,
            Some(reason) => Decision::Inconclusive { reason },
        }
    }

    /// The step that the last complete second lies in.
    pub fn step(&self) -> Option<u32> {
        self.step
    }

    /// How many answers both arms gave in that step, the canary first.
    pub fn answers(&self) -> (u64, u64) {
        self.silence.answers()
    }

    /// What keeps the canary from being promoted: the verdict's reason when the time is over before `most_seconds`.
    pub fn undecided(&self) -> Option<String> {
        if self.baseline_seconds < self.config.least.baseline_seconds {
            let least = self.config.least.baseline_seconds;
            return Some(format!("the baseline phase has {} s, {least} s are needed", self.baseline_seconds));
        }
        let all = self.findings();
        if self.late > 0 {
            return Some(format!("{} seconds came after they were judged", self.late));
        }
        let open = all.iter().find(|estimate| estimate.standing != Standing::Harmless);
        match open {
            Some(estimate) => Some(format!("{}: {}", estimate.metric, estimate.reason)),
            None => all.is_empty().then(|| "nothing is judged: ask for a metric".to_owned()),
        }
    }

    /// What is known of every metric.
    pub fn findings(&self) -> Vec<Estimate> {
        let silence = self.silence.is_dead().then(|| self.silence.estimate());
        self.metrics.iter().flat_map(|metric| metric.estimates()).chain(silence).collect()
    }
}
