//! From an objective to its finding: undecided at first, then met or missed, if there are samples enough. And the
//! one finding of a check.

use super::{Finding, State};
use crate::plan::Objective;

/// The finding on an objective before anything is known: unknown, and why.
pub(super) fn open(judge: &str, objective: &Objective, at: Option<&str>, why: impl Into<String>) -> Finding {
    Finding {
        judge: judge.into(),
        what: objective.text.clone(),
        at: at.map(str::to_owned),
        state: State::Unknown,
        measured: "nothing".into(),
        samples: 0,
        detail: why.into(),
    }
}

/// The same finding decided; it stays unknown with fewer samples than the objective asks for.
pub(super) fn close(finding: Finding, objective: &Objective, holds: bool) -> Finding {
    if finding.samples < objective.least {
        let detail = format!("{}; {} samples are needed", finding.detail, objective.least);
        return Finding { state: State::Unknown, detail, ..finding };
    }
    Finding { state: if holds { State::Met } else { State::Missed }, ..finding }
}

/// The finding of a check, which bears the check's name.
pub(super) fn check(name: &str, state: State, samples: u64, measured: String, detail: String) -> Finding {
    Finding { judge: name.into(), what: name.into(), at: None, state, measured, samples, detail }
}

#[cfg(test)]
mod tests {
    use super::{close, open};
    use crate::judge::{State, testing::Story};

    #[test]
    fn nothing_is_decided_on_fewer_samples_than_are_asked_for() {
        let mut objective = Story::good().plan.objectives[0].clone();
        objective.least = 10;
        let finding = |samples| super::Finding { samples, ..open("slo", &objective, None, "why") };
        assert_eq!(close(finding(9), &objective, true).state, State::Unknown);
        assert_eq!(close(finding(9), &objective, false).state, State::Unknown);
        assert_eq!(close(finding(10), &objective, true).state, State::Met);
        assert_eq!(close(finding(10), &objective, false).state, State::Missed);
    }
}
