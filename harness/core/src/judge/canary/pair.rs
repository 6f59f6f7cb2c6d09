//! A completed second of both arms, as the metrics see it.

use super::second::{Arm, ArmSecond};
use crate::stats::{
    ladder::{Ladder, bucket},
    split::Counted,
};

/// One arm in one second, or in all seconds of a step.
#[derive(Debug, Clone, Default)]
pub(super) struct Half {
    pub(super) sent: u64,
    pub(super) errors: u64,
    pub(super) wrong: u64,
    pub(super) read_back: u64,
    pub(super) lost: u64,
    pub(super) memory: Option<u64>,
    /// Right answers by the bucket of their latency; a bucket may stand more than once.
    pub(super) buckets: Vec<(u16, u64)>,
}

/// Both arms.
#[derive(Debug, Clone, Default)]
pub(super) struct Pair {
    pub(super) canary: Half,
    pub(super) stable: Half,
}

impl Half {
    /// Right answers.
    pub(super) fn right(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }

    /// Right answers in higher buckets.
    pub(super) fn above(&self, limit: u16) -> u64 {
        self.buckets.iter().filter(|(bucket, _)| *bucket > limit).map(|(_, count)| count).sum()
    }

    /// Adds its latencies to a ladder.
    pub(super) fn pour(&self, into: &mut Ladder) {
        self.buckets.iter().for_each(|(bucket, count)| into.add(*bucket, *count));
    }
}

impl Pair {
    /// Adds what one arm did; the order does not matter.
    pub(super) fn add(&mut self, second: &ArmSecond) {
        let half = match second.arm {
            Arm::Canary => &mut self.canary,
            Arm::Stable => &mut self.stable,
        };
        half.sent += second.sent;
        half.errors += second.errors;
        half.wrong += second.wrong;
        half.read_back += second.read_back;
        half.lost += second.lost;
        half.memory = half.memory.max(second.memory);
        half.buckets.extend(second.latencies.iter().map(|(us, count)| (bucket(*us), *count)));
    }

    /// A count of each arm.
    pub(super) fn counted(&self, of: impl Fn(&Half) -> Counted) -> Both {
        Both { canary: of(&self.canary), stable: of(&self.stable) }
    }
}

/// A counted event in both arms.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Both {
    pub(super) canary: Counted,
    pub(super) stable: Counted,
}

impl Both {
    /// Adds another.
    pub(super) fn add(&mut self, other: Self) {
        for (sum, part) in [(&mut self.canary, other.canary), (&mut self.stable, other.stable)] {
            sum.events += part.events;
            sum.of += part.of;
        }
    }
}
