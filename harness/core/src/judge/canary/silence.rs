//! `answers`: whether the canary answers at all. A load balancer sends nothing to a set without a ready replica, so one that
//! has died gives no errors either, and no metric would ever be decided.

use super::{Estimate, Standing, pair::Pair};

pub(super) const NAME: &str = "answers";

/// A canary may be silent for so long, whatever its share: replicas start again.
const SECONDS: u64 = 10;
/// And as many answers must have been expected of it: of a Poisson stream, none come by chance once in 10^13.
const EXPECTED: f64 = 30.0;

/// What came of both arms in the present step.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// While the canary answered.
    canary: u64,
    other: u64,
    /// Since its last answer.
    seconds: u64,
    since: u64,
    /// The canary's part of all that is intended.
    planned: Option<f64>,
}

impl Silence {
    /// Of a step.
    pub(super) fn new(planned: Option<f64>) -> Self {
        Self { planned, ..Self::default() }
    }

    /// What came of both arms.
    pub(super) fn answers(&self) -> (u64, u64) {
        (self.canary, self.other + self.since)
    }

    /// Takes a second of a step.
    pub(super) fn see(&mut self, pair: &Pair) {
        let (canary, other) = (pair.canary.sent, pair.stable.sent);
        if canary == 0 {
            self.seconds += 1;
            self.since += other;
        } else {
            self.canary += canary;
            self.other += other + std::mem::take(&mut self.since);
            self.seconds = 0;
        }
    }

    /// By the split of the step so far; before the canary's first answer by the one that is intended.
    fn expected(&self) -> f64 {
        let planned = self.planned.filter(|part| self.canary == 0 && *part < 1.0);
        let ratio = planned.map_or(self.canary as f64 / self.other.max(1) as f64, |part| part / (1.0 - part));
        self.since as f64 * ratio
    }

    /// Whether it has fallen silent.
    pub(super) fn is_dead(&self) -> bool {
        self.seconds >= SECONDS && self.expected() >= EXPECTED
    }

    /// The same as an estimate.
    pub(super) fn estimate(&self) -> Estimate {
        let reason = format!(
            "worse: none for {} s, about {:.0} were to be expected; the other arm gave {}",
            self.seconds,
            self.expected(),
            self.since,
        );
        Estimate { standing: Standing::Worse, samples: (0, self.since), reason, ..Estimate::none(NAME) }
    }
}

#[cfg(test)]
mod tests {
    use crate::judge::canary::{Arm, ArmSecond, Canary, Config, Decision, Phase};

    /// Of 30 s of baseline and 20 s in which both answer, then so many seconds in which only the other arm does.
    fn decision(canary: u64, other: u64, quiet: u64) -> Decision {
        let mut judge = Canary::new(Config::default());
        for number in 0..50 + quiet {
            let phase = if number < 30 { Phase::Baseline } else { Phase::Step(0) };
            let second = |arm, sent| ArmSecond { sent, ..ArmSecond::new(number, phase, arm) };
            judge.see(&second(Arm::Stable, other));
            if (30..50).contains(&number) {
                judge.see(&second(Arm::Canary, canary));
            }
        }
        judge.close();
        judge.decision()
    }

    #[test]
    fn a_canary_that_falls_silent_is_rolled_back_after_ten_seconds() {
        assert_eq!(decision(10, 90, 9), Decision::GoOn);
        assert_eq!(decision(10, 90, 10), Decision::RollBack { metric: "answers".into(), second: 59 });
    }

    #[test]
    fn one_that_is_hardly_asked_may_be_silent_for_longer() {
        assert_eq!(decision(1, 90, 20), Decision::GoOn);
        assert_eq!(decision(1, 90, 30), Decision::RollBack { metric: "answers".into(), second: 79 });
    }

    #[test]
    fn one_that_never_answers_is_told_by_the_split_that_is_intended() {
        let decided = |split: &[f64]| {
            let mut judge = Canary::new(Config { split: split.into(), ..Config::default() });
            for number in 0..45 {
                let phase = if number < 30 { Phase::Baseline } else { Phase::Step(0) };
                judge.see(&ArmSecond { sent: 90, ..ArmSecond::new(number, phase, Arm::Stable) });
            }
            judge.close();
            judge.decision()
        };
        assert!(matches!(decided(&[0.5]), Decision::RollBack { metric, second: 39 } if metric == "answers"));
        assert_eq!(decided(&[0.01]), Decision::GoOn, "14 were to be expected");
        assert_eq!(decided(&[]), Decision::GoOn);
    }

    #[test]
    fn silence_of_both_says_nothing_of_the_canary() {
        assert_eq!(decision(10, 0, 30), Decision::GoOn);
    }
}
