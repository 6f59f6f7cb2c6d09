//! What one arm did in one second: the only thing that the judge is fed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::evidence::{Class, Operation, Request};

/// Which version answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arm {
    /// The new version.
    Canary,
    /// The version that it is compared with, at the same time.
    Stable,
}

/// Where in the rollout a second belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Before the canary: no arm runs the new version. Batches and thresholds come from here only.
    Baseline,
    /// A step of the weight, from 0.
    Step(u32),
}

/// One second of one arm, or of one of its replicas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmSecond {
    /// Which second of the load's time line.
    pub number: u64,
    /// The part of the rollout.
    pub phase: Phase,
    /// The arm.
    pub arm: Arm,
    /// Which of its replicas; empty: all, or nobody knows.
    #[serde(default)]
    pub replica: String,
    /// Requests that were sent and ended in this second.
    pub sent: u64,
    /// Those without a full answer of the expected status.
    pub errors: u64,
    /// Those with the expected status and a wrong body.
    pub wrong: u64,
    /// Latencies of the right answers in microseconds, each with its count; in any order.
    pub latencies: Vec<(u64, u64)>,
    /// Reads, by whichever arm, of records whose writes this arm had acknowledged before.
    pub read_back: u64,
    /// Those that did not find the record, or found what nobody wrote there.
    pub lost: u64,
    /// The most memory that any replica held, in bytes; none: it was not read.
    pub memory: Option<u64>,
}

impl ArmSecond {
    /// Nothing yet.
    pub fn new(number: u64, phase: Phase, arm: Arm) -> Self {
        Self {
            number,
            phase,
            arm,
            replica: String::new(),
            sent: 0,
            errors: 0,
            wrong: 0,
            latencies: Vec::new(),
            read_back: 0,
            lost: 0,
            memory: None,
        }
    }

    /// Adds one request that ended in this second. What was never sent is no version's doing, and an audit is no
    /// user's request.
    pub fn add(&mut self, request: &Request) {
        if !request.class.was_sent() || request.operation == Operation::Audit {
            return;
        }
        self.sent += 1;
        match request.class {
            Class::Ok => self.latencies.push((request.latency_us(), 1)),
            Class::WrongBody => self.wrong += 1,
            _ => self.errors += 1,
        }
    }
}

/// Requests as seconds of arms, in order of time, and how many no arm owns. `whose` reads the arm from the answer or
/// from the load's own record, `when` the phase of a second.
pub fn seconds<'a>(
    requests: impl Iterator<Item = &'a Request>,
    whose: impl Fn(&Request) -> Option<Arm>,
    when: impl Fn(u64) -> Option<Phase>,
) -> (Vec<ArmSecond>, u64) {
    let mut found = BTreeMap::new();
    let mut nobody = 0;
    for request in requests.filter(|request| request.class.was_sent()) {
        let number = request.done_us / 1_000_000;
        let Some(phase) = when(number) else { continue };
        let Some(arm) = whose(request) else {
            nobody += 1;
            continue;
        };
        found.entry((number, arm)).or_insert_with(|| ArmSecond::new(number, phase, arm)).add(request);
    }
    (found.into_values().collect(), nobody)
}

#[cfg(test)]
mod tests {
    use super::{Arm, Phase, seconds};
    use crate::evidence::{Class, Operation, Request};

    fn row(done_us: u64, arm: &str, class: Class) -> Request {
        Request {
            intended_us: done_us - 10_000,
            sent_us: done_us - 9_000,
            done_us,
            step: 0,
            arm: arm.into(),
            status: 200,
            class,
            bytes: 1,
            operation: Operation::None,
            key: String::new(),
            value: String::new(),
        }
    }

    #[test]
    fn requests_are_counted_by_the_arm_and_the_second_in_which_they_ended() {
        let rows = [
            row(1_200_000, "new", Class::Ok),
            row(1_900_000, "new", Class::WrongBody),
            row(1_950_000, "old", Class::Timeout),
            row(1_960_000, "old", Class::Capped),
            row(1_970_000, "", Class::Reset),
            row(2_100_000, "old", Class::Ok),
            row(9_000_000, "old", Class::Ok),
        ];
        let whose = |row: &Request| match row.arm.as_str() {
            "new" => Some(Arm::Canary),
            "old" => Some(Arm::Stable),
            _ => None,
        };
        let (found, nobody) = seconds(rows.iter(), whose, |number| (number < 5).then_some(Phase::Step(0)));
        assert_eq!(nobody, 1);
        let brief: Vec<_> = found.iter().map(|s| (s.number, s.arm, s.sent, s.errors, s.wrong)).collect();
        assert_eq!(brief, [(1, Arm::Canary, 2, 0, 1), (1, Arm::Stable, 1, 1, 0), (2, Arm::Stable, 1, 0, 0)]);
        assert_eq!(found[0].latencies, [(10_000, 1)]);
    }
}
