//! `tail:x4@2%`: the slowest 2 % of the API's answers take four times as long as they took; `+300ms` adds a time.
//!
//! The slowest, not any: quantiles above the share grow by the factor, and those below, the median too, stay.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::kind::{Kind, Parameter, around, is_api};
use super::parameter::{Longer, share};
use super::pause::pause;

/// The share when only the factor is written.
const SHARE: &str = "2%";
/// Steps of the bound, on the scale of logarithms: the last, and over how many answers the first ones shrink to it.
const STEP: f64 = 0.05;
const FIRST: f64 = 20.0;

pub(super) const KIND: Kind = Kind {
    name: "tail",
    parameter: Some(Parameter {
        default: "x4@2%",
        form: "a factor above 1 or a time with a +, @ and a share",
    }),
    about: "the slowest share of the API's answers takes so many times as long, or +300ms longer",
    seed: |order, changes| {
        let (longer, of) = order.parameter.split_once('@').unwrap_or((order.parameter, SHARE));
        let tail = Tail { longer: Longer::read(longer)?, bound: Bound::new(share(of)?) };
        changes.routes.push(around(tail, apply));
        Ok(())
    },
};

struct Tail {
    longer: Longer,
    bound: Bound,
}

async fn apply(State(tail): State<Arc<Tail>>, request: Request, next: Next) -> Response {
    let (api, begun) = (is_api(&request), Instant::now());
    let answer = next.run(request).await;
    let took = begun.elapsed();
    if api && tail.bound.is_exceeded(took) {
        pause(tail.longer.added(took)).await;
    }
    answer
}

/// A time that a given share of answers exceeds: stochastic approximation of a quantile (Robbins and Monro 1951).
///
/// Each answer above moves it up and each below moves it down, in proportions that balance at the share.
struct Bound {
    share: f64,
    seen: AtomicU64,
    /// The natural logarithm of seconds, as bits. An update that is lost between two threads costs one small step.
    ln_seconds: AtomicU64,
}

impl Bound {
    /// From far below any answer's time, because the way up is short.
    fn new(share: f64) -> Self {
        Self { share, seen: AtomicU64::new(0), ln_seconds: AtomicU64::new((-12.0_f64).to_bits()) }
    }

    fn is_exceeded(&self, took: Duration) -> bool {
        let seen = self.seen.fetch_add(1, Ordering::Relaxed) as f64;
        let step = STEP.max(FIRST / (FIRST + seen));
        let bound = f64::from_bits(self.ln_seconds.load(Ordering::Relaxed));
        let exceeded = took.as_secs_f64().ln() > bound;
        let moved = bound + step * (f64::from(u8::from(exceeded)) - self.share);
        self.ln_seconds.store(moved.to_bits(), Ordering::Relaxed);
        exceeded
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn the_share_is_kept_and_the_slowest_are_meant_even_when_times_drift() {
        let (mut random, bound) = (Random(7), Bound::new(0.02));
        let (mut hits, mut above) = (0, 0);
        for at in 0..20_000_u64 {
            // From 1 to 11 ms, and twice that in the second half.
            let draw = random.below(10_000) as u64;
            let took = Duration::from_micros((1_000 + draw) * (1 + at / 10_000));
            let hit = bound.is_exceeded(took);
            hits += usize::from(hit && at >= 1_000);
            above += usize::from(hit && at >= 1_000 && draw > 9_000);
        }
        assert!((300..=460).contains(&hits), "{hits} of 19000 are the slowest 2 %");
        assert!(above * 10 > hits * 8, "{above} of {hits} are among the slowest tenth");
    }
}
