//! A completed second of both arms, as the metrics see it.

use std::collections::BTreeMap;

use super::second::{Arm, ArmSecond, Phase};
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
    /// In the baseline phase the parts of the stable arm, by the names of its replicas.
    replicas: BTreeMap<String, Half>,
}

impl Half {
    fn add(&mut self, second: &ArmSecond) {
        self.sent += second.sent;
        self.errors += second.errors;
        self.wrong += second.wrong;
        self.read_back += second.read_back;
        self.lost += second.lost;
        self.memory = self.memory.max(second.memory);
        self.buckets.extend(second.latencies.iter().map(|(us, count)| (bucket(*us), *count)));
    }

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
        match second.arm {
            Arm::Canary => self.canary.add(second),
            Arm::Stable => self.stable.add(second),
        }
        if (second.arm, second.phase) == (Arm::Stable, Phase::Baseline) && !second.replica.is_empty() {
            self.replicas.entry(second.replica.clone()).or_default().add(second);
        }
    }

    /// A count of each arm.
    pub(super) fn counted(&self, of: impl Fn(&Half) -> Counted) -> Both {
        Both { canary: of(&self.canary), stable: of(&self.stable) }
    }

    /// The same with the replicas that are known of the baseline phase.
    pub(super) fn before(&self, of: impl Fn(&Half) -> Counted) -> Before {
        let replicas = self.replicas.iter().map(|(name, half)| (name.clone(), of(half))).collect();
        Before { both: self.counted(of), replicas }
    }
}

/// A counted event in a second of the baseline phase.
#[derive(Debug, Clone, Default)]
pub(super) struct Before {
    pub(super) both: Both,
    /// Of the stable arm.
    pub(super) replicas: BTreeMap<String, Counted>,
}

impl From<Both> for Before {
    fn from(both: Both) -> Self {
        Self { both, replicas: BTreeMap::new() }
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
