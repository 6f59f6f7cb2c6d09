//! One test of one counted event: batches and dispersion from the baseline phase, evidence from the canary's.

use std::collections::BTreeMap;

use super::{
    config::Least,
    pair::{Before, Both},
};
use crate::stats::{
    dispersion::{Batching, Deviation, batching},
    split::{Counted, Split},
};

/// A test that spends its own alpha.
#[derive(Debug, Clone)]
pub(super) struct Test {
    alpha: f64,
    least: Least,
    batching: Batching,
    open: Both,
    filled: usize,
    split: Split,
    /// The evidence after the last whole batch: what a second of the next one could not change.
    log_evidence: f64,
    /// Counts of the present step.
    step: Both,
}

impl Test {
    /// From the seconds of the baseline phase alone: nothing later changes its batches.
    pub(super) fn new(alpha: f64, least: Least, baseline: &[Before]) -> Self {
        let mut batching = batching(&deviations(baseline, least.requests));
        batching.seconds = batching.seconds.max(least.batch_seconds);
        // What a batch may add: `least.batches` of them reach the bound when every ratio of the mixture gains as much.
        let most = -alpha.ln() / f64::from(least.batches.max(1));
        Self {
            alpha,
            least,
            batching,
            open: Both::default(),
            filled: 0,
            split: Split::new(batching.dispersion).limited(most),
            log_evidence: 0.0,
            step: Both::default(),
        }
    }

    /// Takes a second of the canary's phase.
    pub(super) fn see(&mut self, second: Both) {
        self.step.add(second);
        self.open.add(second);
        self.filled += 1;
        if self.filled >= self.batching.seconds {
            self.close();
        }
    }

    /// A new weight: the batch ends, and the step's own counts begin again. The evidence stays.
    pub(super) fn step(&mut self) {
        self.close();
        self.step = Both::default();
    }

    fn close(&mut self) {
        if self.filled > 0 {
            self.split.see(self.open.canary, self.open.stable);
            self.log_evidence = self.split.log_evidence();
            (self.open, self.filled) = (Both::default(), 0);
        }
    }

    /// Whether "the canary has no more of it" is refuted.
    pub(super) fn refuted(&self) -> bool {
        self.log_evidence >= -self.alpha.ln() && self.enough()
    }

    /// Whether both arms have been seen enough in this step for any statement.
    pub(super) fn enough(&self) -> bool {
        self.step.canary.of.min(self.step.stable.of) >= self.least.requests
    }

    pub(super) fn alpha(&self) -> f64 {
        self.alpha
    }

    pub(super) fn least(&self) -> Least {
        self.least
    }

    pub(super) fn split(&self) -> &Split {
        &self.split
    }

    pub(super) fn batching(&self) -> Batching {
        self.batching
    }

    /// How many times the variance of independent events is assumed; never less than once.
    pub(super) fn dispersion(&self) -> f64 {
        self.batching.dispersion.max(1.0)
    }

    /// The same for who reckons with the binomial variance of independent events, of which such a share of all is some: it is
    /// smaller than their mean, which dispersion is measured by.
    pub(super) fn dispersion_at(&self, share: f64) -> f64 {
        (self.batching.dispersion / (1.0 - share)).max(1.0)
    }

    pub(super) fn log_evidence(&self) -> f64 {
        self.log_evidence
    }

    pub(super) fn counts(&self) -> Both {
        self.step
    }
}

/// What the baseline phase tells of dependence. Where both arms already answer with the same version, it is seen on the
/// very split that will be judged. Where only one answers, on how its replicas share the events: what troubles all of
/// them alike troubles a canary and its baseline alike, too. Where its replicas are not known, its own count stands in: for
/// copies that are independent of each other the sum of many has the dispersion of one, and for noise that all copies
/// share it is larger than the split's, so the judge is slower then, never more trusting.
fn deviations(baseline: &[Before], least: u64) -> Vec<Vec<Deviation>> {
    let mut all = Both::default();
    baseline.iter().for_each(|second| all.add(second.both));
    let each = |of: &dyn Fn(&Before) -> Option<Deviation>| baseline.iter().filter_map(of).collect::<Vec<_>>();
    if all.canary.of > 0 && all.stable.of > 0 {
        return vec![each(&|second| shared(second.both))];
    }
    if all.stable.of == 0 {
        return vec![each(&|second| lone(second.both.canary, all.canary))];
    }
    let replicas = replicas(baseline, all.stable.of, least);
    // The last one's part is what the others leave.
    let Some((_, others)) = replicas.split_last().filter(|(_, others)| !others.is_empty()) else {
        return vec![each(&|second| lone(second.both.stable, all.stable))];
    };
    others.iter().map(|name| each(&|second| shared(one_of(second, name, &replicas)))).collect()
}

/// Who answered often enough to be compared with the others; nobody, when together they are not nearly the whole arm.
fn replicas(baseline: &[Before], whole: u64, least: u64) -> Vec<&str> {
    let mut answered: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, counted) in baseline.iter().flat_map(|second| &second.replicas) {
        *answered.entry(name).or_default() += counted.of;
    }
    answered.retain(|_, of| *of >= least.max(1));
    if (answered.values().sum::<u64>() as f64) < NEARLY * whole as f64 {
        return vec![];
    }
    answered.into_keys().collect()
}

/// How much of an arm its known replicas must be.
const NEARLY: f64 = 0.9;

/// One replica against all others of these.
fn one_of(second: &Before, one: &str, replicas: &[&str]) -> Both {
    let mut both = Both::default();
    for (name, counted) in second.replicas.iter().filter(|(name, _)| replicas.contains(&name.as_str())) {
        let none = Counted::default();
        both.add(if name == one {
            Both { canary: *counted, stable: none }
        } else {
            Both { canary: none, stable: *counted }
        });
    }
    both
}

fn lone(second: Counted, all: Counted) -> Option<Deviation> {
    let expected = all.events as f64 / all.of as f64 * second.of as f64;
    (all.of > 0).then_some(Deviation { by: second.events as f64 - expected, variance: expected })
}

fn shared(Both { canary, stable }: Both) -> Option<Deviation> {
    let share = canary.of as f64 / (canary.of + stable.of) as f64;
    let events = (canary.events + stable.events) as f64;
    let (by, variance) = (canary.events as f64 - share * events, events * share * (1.0 - share));
    (canary.of > 0 && stable.of > 0).then_some(Deviation { by, variance })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Before, Both, Least, Test};
    use crate::{seed::Seed, stats::split::Counted};

    fn both(canary: u64, stable: u64) -> Both {
        Both { canary: Counted { events: canary, of: 100 }, stable: Counted { events: stable, of: 900 } }
    }

    fn baseline(of: impl Fn(usize) -> u64) -> Vec<Before> {
        let second = |at| Both { canary: Counted::default(), stable: Counted { events: of(at), of: 1_000 } };
        (0..300).map(|at| second(at).into()).collect()
    }

    /// Ten seconds of many or of few, by chance.
    fn waves() -> Vec<Before> {
        let many = chances(8, 30);
        baseline(|at| if many[at / 10] { 9 } else { 1 })
    }

    fn chances(seed: u64, count: usize) -> Vec<bool> {
        let mut draws = Seed(seed).stream("waves");
        (0..count).map(|_| draws.unit() < 0.5).collect()
    }

    /// What each of three replicas has in a second.
    fn by_replica(of: impl Fn(usize, usize) -> Counted) -> Vec<Before> {
        let second = |at: usize| {
            let replicas: BTreeMap<String, Counted> =
                (0..3).map(|replica| (format!("web-{replica}"), of(at, replica))).collect();
            let mut both = Both::default();
            replicas
                .values()
                .for_each(|stable| both.add(Both { canary: Counted::default(), stable: *stable }));
            Before { both, replicas }
        };
        (0..300).map(second).collect()
    }

    #[test]
    fn noise_that_all_replicas_share_drops_out_and_what_one_has_by_itself_does_not() {
        let waves: Vec<Vec<bool>> = (0..3).map(|replica| chances(8 + replica, 30)).collect();
        let count = |high: bool| Counted { events: if high { 9 } else { 1 }, of: 300 };
        let test = |baseline: &[Before]| Test::new(0.01, Least::default(), baseline);
        let shared = test(&by_replica(|at, _| count(waves[0][at / 10])));
        assert_eq!((shared.batching().seconds, shared.dispersion()), (Least::default().batch_seconds, 1.0));
        let own = test(&by_replica(|at, replica| count(waves[replica][at / 10])));
        assert!(own.batching().seconds > 10 && own.dispersion() > 10.0, "{:?}", own.batching());
        // Where nobody knows who answered, the arm's own count stands in.
        let unknown: Vec<Before> =
            by_replica(|at, _| count(waves[0][at / 10])).iter().map(|second| second.both.into()).collect();
        assert!(test(&unknown).dispersion() > 10.0);
    }

    /// A header that names every request tells nothing of replicas.
    #[test]
    fn names_that_are_no_replicas_are_not_compared() {
        let waves = chances(8, 30);
        let mut baseline = by_replica(|at, _| Counted { events: if waves[at / 10] { 9 } else { 1 }, of: 90 });
        for (at, second) in baseline.iter_mut().enumerate() {
            second.replicas = std::mem::take(&mut second.replicas)
                .into_iter()
                .map(|(name, of)| (format!("{name}-{at}"), of))
                .collect();
        }
        assert!(Test::new(0.01, Least::default(), &baseline).dispersion() > 10.0);
    }

    #[test]
    fn bursts_in_the_baseline_make_the_judge_slower() {
        let mut draws = Seed(9).stream("bursts");
        let noise: Vec<u64> =
            (0..300).map(|_| (0..1_000).filter(|_| draws.unit() < 0.005).count() as u64).collect();
        let calm = Test::new(0.01, Least::default(), &baseline(|at| noise[at]));
        let burst = |at: usize| noise[at] + if at % 90 < 8 { 20 } else { 0 };
        let wild = Test::new(0.01, Least::default(), &baseline(burst));
        assert_eq!(calm.batching().seconds, Least::default().batch_seconds);
        assert!(calm.batching().dispersion < 1.6, "{:?}", calm.batching());
        assert!(wild.batching().seconds > 10 && wild.batching().dispersion > 20.0, "{:?}", wild.batching());
    }

    #[test]
    fn batches_never_change_after_the_baseline() {
        let mut test = Test::new(0.01, Least::default(), &waves());
        let before = test.batching();
        (0..500).for_each(|at| test.see(both(at % 7, 1_000 * (at % 2))));
        test.step();
        assert_eq!(test.batching(), before);
        assert!(before.seconds > 10, "{before:?}");
    }

    #[test]
    fn evidence_moves_at_the_end_of_a_batch_only() {
        let mut test = Test::new(0.01, Least::default(), &waves());
        (1..test.batching().seconds).for_each(|_| test.see(both(20, 0)));
        assert!(test.log_evidence().abs() < 1e-12);
        test.see(both(20, 0));
        assert!(test.log_evidence() > 0.0);
    }

    #[test]
    fn a_single_burst_that_the_baseline_has_not_shown_rolls_nothing_back() {
        let mut test = Test::new(0.01, Least::default(), &baseline(|_| 0));
        (0..10).for_each(|_| test.see(both(50, 0)));
        let bound = 100f64.ln() / 4.0;
        assert!(test.log_evidence() > 0.9 * bound && test.log_evidence() <= bound, "{}", test.log_evidence());
        (0..20).for_each(|_| test.see(both(0, 0)));
        assert!(!test.refuted());
        (0..40).for_each(|_| test.see(both(1, 0)));
        assert!(test.refuted());
    }
}
