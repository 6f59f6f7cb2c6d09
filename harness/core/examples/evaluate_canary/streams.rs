//! The streams: what two versions do in every second, by noise and by what is wrong with the new one.
//!
//! Requests come as Poisson processes. Their errors and the counts of their latencies by value are then independent
//! Poisson numbers, so a second is drawn as counts, not as requests, without any loss. Latencies are lognormal with a
//! median of 20 ms, cut into values 4 % apart and at four standard deviations.

use gauntlet_core::{
    judge::canary::{Arm, ArmSecond, Phase},
    seed::Draws,
};

use crate::draw::{Autoregressive, inverted, poisson};

/// What troubles both versions alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Noise {
    /// Nothing.
    None,
    /// Each arm's error rate and latency wander by themselves, from second to second.
    Autoregressive(f64),
    /// Every replica of 100 requests a second does, by itself.
    Replicas(f64),
    /// All do, together.
    Shared(f64),
    /// Each arm does by itself, from minute to minute.
    Minutes(f64),
    /// Every replica of 100 requests a second has bursts of its own, one in so many seconds.
    Bursts(f64),
    /// The same, when each arm is one replica, however large.
    LoneBursts(f64),
    /// Both arms drift together.
    Drift,
}

/// What is wrong with the new version.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Wrong {
    Nothing,
    Errors(f64),
    ErrorsFrom0(f64),
    Answers(f64),
    Latency(f64),
    /// The slowest twentieth takes four times as long, in a fifth of the minutes.
    Tail,
    /// Twice the standard deviation of the logarithm.
    Spread,
}

/// One kind of stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) noise: Noise,
    pub(crate) wrong: Wrong,
    /// Requests a second of the arm that the canary is compared with.
    pub(crate) against: f64,
    /// Whether the baseline phase has both arms already.
    pub(crate) both: bool,
    /// Whether the judge is told which replica of stable answered; each has 100 requests a second.
    pub(crate) known: bool,
    /// Whether a fresh replica is compared with, as scenarios do: those of the baseline phase answer none of its requests.
    pub(crate) fresh: bool,
    pub(crate) baseline_seconds: u64,
}

pub(crate) const CANARY: f64 = 100.0;
pub(crate) const SECONDS: u64 = 1_800;
pub(crate) const ERRORS: f64 = 0.005;
const FRESH: &str = "baseline-1";
const REPLICA: f64 = 100.0;
const MEDIAN_US: f64 = 20_000.0;
const SIGMA: f64 = 0.5;
const CELL: f64 = 0.04;
const ERROR_DEVIATION: f64 = 0.5;
const LATENCY_DEVIATION: f64 = 0.1;
const BURST_LASTS: f64 = 10.0;
const BURST_ERRORS: f64 = 0.1;
const BURST_SLOWER: f64 = 2.0;

/// Latencies: their values relative to the median, and the share of each.
pub(crate) struct Shape {
    cells: Vec<(f64, f64)>,
}

impl Shape {
    fn lognormal(sigma: f64) -> Self {
        let steps = (4.0 * sigma / CELL) as i32;
        let cell = |step: i32| {
            let at = f64::from(step) * CELL;
            (at.exp(), (-0.5 * (at / sigma).powi(2)).exp())
        };
        let cells: Vec<(f64, f64)> = (-steps..=steps).map(cell).collect();
        let total: f64 = cells.iter().map(|(_, share)| share).sum();
        Self { cells: cells.into_iter().map(|(at, share)| (at, share / total)).collect() }
    }

    /// The slowest share of it takes that many times as long.
    fn with_tail(mut self, share: f64, times: f64) -> Self {
        let mut above = 0.0;
        for (at, part) in self.cells.iter_mut().rev() {
            above += *part;
            if above > share {
                break;
            }
            *at *= times;
        }
        self
    }
}

/// The shapes that streams draw from.
pub(crate) struct Shapes {
    usual: Shape,
    wide: Shape,
    tail: Shape,
}

impl Shapes {
    pub(crate) fn new() -> Self {
        Self {
            usual: Shape::lognormal(SIGMA),
            wide: Shape::lognormal(2.0 * SIGMA),
            tail: Shape::lognormal(SIGMA).with_tail(0.05, 4.0),
        }
    }
}

/// One arm, or one replica of it.
struct Side {
    arm: Arm,
    /// Empty: the judge is not told.
    replica: String,
    rate: f64,
    errors: Autoregressive,
    latency: Autoregressive,
    /// What they are at now.
    wander: (f64, f64),
    /// Seconds between their steps.
    pace: u64,
    /// Seconds that each replica's burst still lasts.
    bursts: Vec<u32>,
    /// Seconds between bursts.
    every: f64,
}

/// One stream.
pub(crate) struct Stream<'a> {
    shapes: &'a Shapes,
    kind: Kind,
    draws: Draws,
    sides: Vec<Side>,
    drift: (Autoregressive, Autoregressive),
    number: u64,
    bad_minute: bool,
}

impl<'a> Stream<'a> {
    pub(crate) fn new(shapes: &'a Shapes, kind: Kind, mut draws: Draws) -> Self {
        let split = kind.known || matches!(kind.noise, Noise::Replicas(_));
        let replicas = if split { (kind.against / REPLICA) as usize } else { 1 };
        let stable = (0..replicas).map(|_| (Arm::Stable, kind.against / replicas as f64));
        let fresh = kind.fresh.then_some((Arm::Stable, CANARY));
        let arms = std::iter::once((Arm::Canary, CANARY)).chain(stable).chain(fresh);
        let mut sides: Vec<Side> =
            arms.map(|(arm, rate)| Side::new(arm, rate, kind.noise, &mut draws)).collect();
        if kind.known {
            sides.iter_mut().enumerate().for_each(|(at, side)| side.replica = format!("stable-{at}"));
        }
        if let (true, Some(side)) = (kind.fresh, sides.last_mut()) {
            side.replica = FRESH.to_owned();
        }
        let (phi, errors, latency) = match kind.noise {
            Noise::Shared(phi) => (phi, ERROR_DEVIATION, LATENCY_DEVIATION),
            _ => (0.998, 0.7, 0.2),
        };
        let drift =
            (Autoregressive::new(phi, errors, &mut draws), Autoregressive::new(phi, latency, &mut draws));
        Self { shapes, kind, draws, sides, drift, number: 0, bad_minute: false }
    }

    /// The next second of both arms; the canary's is missing in a baseline phase of stable alone.
    pub(crate) fn next(&mut self) -> Vec<ArmSecond> {
        let baseline = self.number < self.kind.baseline_seconds;
        let phase = if baseline { Phase::Baseline } else { Phase::Step(0) };
        if !baseline && (self.number - self.kind.baseline_seconds).is_multiple_of(60) {
            self.bad_minute = self.draws.unit() < 0.2;
        }
        let mut drift = (0.0, 0.0);
        if matches!(self.kind.noise, Noise::Drift | Noise::Shared(_)) {
            drift = (self.drift.0.next(&mut self.draws), self.drift.1.next(&mut self.draws));
        }
        if self.kind.noise == Noise::Drift {
            let so_far = self.number as f64 / SECONDS as f64;
            drift = (drift.0 + so_far * 2f64.ln(), drift.1 + so_far * 1.3f64.ln());
        }
        let wrong = if baseline { Wrong::Nothing } else { self.kind.wrong };
        let (shapes, bad) = (self.shapes, self.bad_minute);
        let (number, alone, from0) = (self.number, baseline && !self.kind.both, self.kind.from0());
        self.number += 1;
        let draws = &mut self.draws;
        // In a baseline phase of stable alone the canary's requests are stable's as well.
        let more = if alone { 1.0 + CANARY / self.kind.against } else { 1.0 };
        let fresh = self.kind.fresh;
        let answers = |side: &&mut Side| match side.arm {
            Arm::Canary => !alone,
            Arm::Stable => !fresh || alone == (side.replica != FRESH),
        };
        let arms = self.sides.iter_mut().filter(answers);
        let second = |side: &mut Side| {
            let wrong = if side.arm == Arm::Canary { wrong } else { Wrong::Nothing };
            let rate = side.rate * more;
            let of = ArmSecond { replica: side.replica.clone(), ..ArmSecond::new(number, phase, side.arm) };
            side.second(of, rate, from0, wrong.effect(shapes, bad), drift, draws)
        };
        arms.map(second).collect()
    }
}

impl Kind {
    fn from0(&self) -> bool {
        matches!(self.wrong, Wrong::ErrorsFrom0(_))
    }
}

/// What a version does.
struct Effect<'a> {
    errors: f64,
    added: f64,
    wrong: f64,
    slower: f64,
    shape: &'a Shape,
}

impl Wrong {
    fn effect(self, shapes: &Shapes, bad_minute: bool) -> Effect<'_> {
        let usual = Effect { errors: 1.0, added: 0.0, wrong: 0.0, slower: 1.0, shape: &shapes.usual };
        match self {
            Self::Nothing => usual,
            Self::Errors(errors) => Effect { errors, ..usual },
            Self::ErrorsFrom0(added) => Effect { added, ..usual },
            Self::Answers(wrong) => Effect { wrong, ..usual },
            Self::Latency(slower) => Effect { slower, ..usual },
            Self::Tail => Effect { shape: if bad_minute { &shapes.tail } else { &shapes.usual }, ..usual },
            Self::Spread => Effect { shape: &shapes.wide, ..usual },
        }
    }
}

impl Side {
    fn new(arm: Arm, rate: f64, noise: Noise, draws: &mut Draws) -> Self {
        let (phi, pace) = match noise {
            Noise::Autoregressive(phi) | Noise::Replicas(phi) => (phi, 1),
            Noise::Minutes(phi) => (phi, 60),
            _ => (0.0, 1),
        };
        let deviation = |of: f64| if phi > 0.0 { of } else { 0.0 };
        let (replicas, every) = match noise {
            Noise::Bursts(every) => ((rate / REPLICA) as usize, every),
            Noise::LoneBursts(every) => (1, every),
            _ => (0, f64::INFINITY),
        };
        Self {
            arm,
            replica: String::new(),
            rate,
            errors: Autoregressive::new(phi, deviation(ERROR_DEVIATION), draws),
            latency: Autoregressive::new(phi, deviation(LATENCY_DEVIATION), draws),
            wander: (0.0, 0.0),
            pace,
            bursts: vec![0; replicas],
            every,
        }
    }

    /// The share of the arm that is in a burst.
    fn bursting(&mut self, draws: &mut Draws) -> f64 {
        let mut busy = 0;
        for left in &mut self.bursts {
            if *left > 0 {
                *left -= 1;
            } else if draws.unit() < 1.0 / self.every {
                *left = (BURST_LASTS * (0.5 + draws.unit())) as u32;
            }
            busy += u32::from(*left > 0);
        }
        if self.bursts.is_empty() { 0.0 } else { f64::from(busy) / self.bursts.len() as f64 }
    }

    fn second(
        &mut self,
        mut of: ArmSecond,
        rate: f64,
        from0: bool,
        effect: Effect<'_>,
        drift: (f64, f64),
        draws: &mut Draws,
    ) -> ArmSecond {
        let busy = self.bursting(draws);
        if of.number.is_multiple_of(self.pace) {
            self.wander = (self.errors.next(draws), self.latency.next(draws));
        }
        let wander = self.wander;
        let base = if from0 { 0.0 } else { ERRORS };
        // The mean of a lognormal number is above the exponential of its mean; the base stays what it is.
        let steady = wander.0 + drift.0 - 0.5 * self.errors.deviation().powi(2);
        let usual = base * steady.exp() * effect.errors + effect.added;
        let errors = ((1.0 - busy) * usual + busy * (BURST_ERRORS * effect.errors + effect.added)).min(1.0);
        of.errors = poisson(draws, rate * errors);
        of.wrong = poisson(draws, rate * effect.wrong);
        let slower = (wander.1 + drift.1).exp() * effect.slower * MEDIAN_US;
        let right = rate * (1.0 - errors - effect.wrong);
        fill(&mut of.latencies, effect.shape, right * (1.0 - busy), slower, draws);
        fill(&mut of.latencies, effect.shape, right * busy, slower * BURST_SLOWER, draws);
        of.sent = of.errors + of.wrong + of.latencies.iter().map(|(_, count)| count).sum::<u64>();
        of
    }
}

fn fill(into: &mut Vec<(u64, u64)>, shape: &Shape, rate: f64, us: f64, draws: &mut Draws) {
    if rate <= 0.0 {
        return;
    }
    for (at, share) in &shape.cells {
        let mean = rate * share;
        let count = if mean < 30.0 { inverted(draws, mean, (-mean).exp()) } else { poisson(draws, mean) };
        if count > 0 {
            into.push(((us * at) as u64, count));
        }
    }
}
