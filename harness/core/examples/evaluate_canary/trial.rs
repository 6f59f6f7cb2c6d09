//! One stream, seen by the judges; many streams, on all cores.

use std::{panic::resume_unwind, thread};

use gauntlet_core::{
    judge::canary::{Canary, Config, Decision},
    seed::Seed,
    stats::split::{Counted, Split},
};

use crate::{
    draw::poisson,
    kayenta::Kayenta,
    streams::{CANARY, ERRORS, Kind, SECONDS, Shapes, Stream},
};

/// What the judges said of one stream.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// When Gauntlet's judge rolled back, and by which metric.
    pub(crate) rolled_back: Option<(u64, String)>,
    /// Kayenta's metrics at the end, at one look.
    pub(crate) high: [bool; 4],
    /// Whether any was high at any look, from 10 points on.
    pub(crate) high_ever: bool,
}

/// Points before Kayenta is looked at every minute.
const EARLIEST: usize = 10;
const SEED: Seed = Seed(20_261_124);

/// Runs many, each with a stream of draws of its own, on all cores.
pub(crate) fn many<T: Send>(count: u64, one: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let cores = thread::available_parallelism().map_or(2, usize::from) as u64;
    let one = &one;
    thread::scope(|scope| {
        let part = |core| move || (core..count).step_by(cores as usize).map(one).collect::<Vec<T>>();
        let parts: Vec<_> = (0..cores).map(|core| scope.spawn(part(core))).collect();
        let whole =
            |part: thread::ScopedJoinHandle<'_, Vec<T>>| part.join().unwrap_or_else(|why| resume_unwind(why));
        parts.into_iter().flat_map(whole).collect()
    })
}

/// Both judges on one stream, looked at every second for 30 minutes.
pub(crate) fn whole(shapes: &Shapes, name: &str, kind: Kind, number: u64) -> Seen {
    let config = Config { least_seconds: SECONDS, ..Config::default() };
    let mut canary = Canary::new(config);
    let mut stream = Stream::new(shapes, kind, SEED.stream(&format!("{name}/{number}")));
    let (mut old, mut seen) = (Kayenta::default(), Seen::default());
    for at in 0..kind.baseline_seconds + SECONDS {
        let arms = stream.next();
        if seen.rolled_back.is_none() {
            arms.iter().for_each(|second| canary.see(second));
            canary.close();
        }
        if at < kind.baseline_seconds {
            continue;
        }
        old.see(&arms);
        let look = old.is_due() && old.points() >= EARLIEST && !seen.high_ever;
        seen.high_ever |= look && old.high().contains(&true);
        if let Decision::RollBack { metric, second } = canary.decision()
            && seen.rolled_back.is_none()
        {
            seen.rolled_back = Some((second + 1 - kind.baseline_seconds, metric));
        }
    }
    seen.high = if old.is_ready() { old.high() } else { [false; 4] };
    seen
}

/// How a rollout of one step with the judge's defaults ends, and after how many seconds. Asked every ten seconds.
pub(crate) fn verdict(shapes: &Shapes, name: &str, kind: Kind, number: u64) -> (Decision, u64) {
    let mut canary = Canary::new(Config::default());
    let mut stream = Stream::new(shapes, kind, SEED.stream(&format!("{name}/{number}")));
    for at in 1..=kind.baseline_seconds + SECONDS {
        stream.next().iter().for_each(|second| canary.see(second));
        canary.close();
        let decision = if at.is_multiple_of(10) { canary.decision() } else { Decision::GoOn };
        if decision != Decision::GoOn {
            return (decision, at - kind.baseline_seconds);
        }
    }
    (canary.decision(), SECONDS)
}

/// The error test by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Alone {
    pub(crate) alpha: f64,
    pub(crate) batch_seconds: u64,
    /// Into how many batches the evidence must be spread.
    pub(crate) batches: f64,
}

impl Alone {
    /// When it is significant, on independent streams of counts.
    pub(crate) fn finds(self, times: f64, against: f64, number: u64) -> Option<u64> {
        let mut draws = SEED.stream(&format!("errors/{times}/{against}/{number}"));
        let needed = -self.alpha.ln();
        let mut split = Split::new(1.0).limited(needed / self.batches);
        let mut arm = |rate: f64, share: f64| {
            let rate = rate * self.batch_seconds as f64;
            let events = poisson(&mut draws, rate * share);
            Counted { events, of: events + poisson(&mut draws, rate * (1.0 - share)) }
        };
        (1..=SECONDS / self.batch_seconds).find_map(|batch| {
            split.see(arm(CANARY, ERRORS * times), arm(against, ERRORS));
            (split.log_evidence() >= needed).then_some(batch * self.batch_seconds)
        })
    }
}
