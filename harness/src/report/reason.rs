//! The verdict in one sentence, and the words of states: the same on the console and in every report.

use gauntlet_core::{
    judge::{Finding, State, Verdict},
    outcome::Outcome,
};

use super::show;

/// What a finding on a trouble has measured; its detail says the cause.
const TROUBLE: &str = "trouble";

/// The judge whose findings say whether a version may be released.
const CANARY: &str = "canary";

/// Why the run ended as it did, in one sentence.
pub fn sentence(verdict: &Verdict) -> String {
    let state = match verdict.outcome {
        Outcome::Passed => return passed(&verdict.findings),
        Outcome::Interrupted => return "A person or a supervisor ended the run before it was over.".into(),
        Outcome::BadScenario => {
            return "The scenario or the system file is wrong; nothing was started.".into();
        }
        Outcome::Failed => State::Missed,
        Outcome::NotHealed => State::Residue,
        Outcome::Broken => State::Broken,
        Outcome::SetupFailed => State::SetUp,
        Outcome::Inconclusive if verdict.findings.iter().any(|finding| finding.state == State::Invalid) => {
            State::Invalid
        }
        Outcome::Inconclusive => State::Unknown,
    };
    let mut own: Vec<&Finding> = verdict.findings.iter().filter(|finding| finding.state == state).collect();
    // What went wrong says more than what is missing because of it; what a canary's users saw is why it was decided.
    own.sort_by_key(|finding| (finding.measured != TROUBLE, finding.judge != CANARY));
    let mut own = own.into_iter();
    let Some(Finding { what, at, measured, detail, .. }) = own.next() else {
        return "There is no evidence to judge.".into();
    };
    let at = at.as_ref().map(|at| format!(" ({at})")).unwrap_or_default();
    let seen = if measured.is_empty() || measured == TROUBLE { detail } else { measured };
    let seen = if seen.is_empty() { String::new() } else { format!(": {seen}") };
    let more = match own.count() {
        0 => String::new(),
        more => format!("; and {more} more like it"),
    };
    let claim = format!("“{what}”{at}");
    match state {
        State::Missed => format!("{claim} is missed{seen}{more}."),
        State::Unknown => format!("{claim} could not be decided{seen}{more}."),
        state => format!("{}: {claim} does not hold{seen}{more}.", means(state)),
    }
}

fn passed(findings: &[Finding]) -> String {
    let samples = || findings.iter().map(|finding| finding.samples);
    let (fewest, most) = (samples().min().unwrap_or(0), samples().max().unwrap_or(0));
    let (fewest, most) = (show::count(fewest), show::count(most));
    format!(
        "All {} are met; each rests on {fewest} to {most} samples.",
        show::things(findings.len(), "finding")
    )
}

/// What a state means for the run, whatever was looked at.
fn means(state: State) -> &'static str {
    match state {
        State::Met | State::Missed | State::Unknown => "As judged",
        State::Invalid => "The evidence is worth nothing",
        State::SetUp => "The system did not come up, so nothing was judged",
        State::Interrupted => "Interrupted",
        State::Broken => "The harness itself failed",
        State::Residue => "Something that the run did is still in force",
    }
}

/// The word of a state.
pub fn state(state: State) -> &'static str {
    match state {
        State::Met => "met",
        State::Missed => "missed",
        State::Unknown => "unknown",
        State::Invalid => "invalid",
        State::SetUp => "set-up failed",
        State::Interrupted => "interrupted",
        State::Broken => "broken",
        State::Residue => "not healed",
    }
}

/// The findings on objectives, in the order of the plan, and the others.
pub fn split<'a>(verdict: &'a Verdict, objectives: &[String]) -> (Vec<&'a Finding>, Vec<&'a Finding>) {
    let place = |finding: &Finding| objectives.iter().position(|text| *text == finding.what);
    let (mut own, others): (Vec<_>, Vec<_>) =
        verdict.findings.iter().partition(|finding| place(finding).is_some());
    own.sort_by_key(|finding| place(finding));
    (own, others)
}

#[cfg(test)]
mod tests {
    use gauntlet_core::{
        judge::{Finding, State, Verdict},
        outcome::Outcome,
    };

    use super::{sentence, split};

    fn finding(what: &str, state: State) -> Finding {
        Finding {
            judge: "slo".into(),
            what: what.into(),
            at: Some("fault".into()),
            state,
            measured: "p95 312.0 ms".into(),
            samples: 27_500,
            detail: String::new(),
        }
    }

    #[test]
    fn a_failed_run_names_the_first_objective_that_is_missed() {
        let missed = [finding("errors < 0.5%", State::Met), finding("p95 < 200ms", State::Missed)];
        let told = sentence(&Verdict::of(missed.to_vec()));
        assert_eq!(told, "“p95 < 200ms” (fault) is missed: p95 312.0 ms.");
    }

    #[test]
    fn invalid_evidence_is_named_before_what_is_unknown() {
        let both = [finding("p95 < 200ms", State::Unknown), finding("generator lag", State::Invalid)];
        let verdict = Verdict::of(both.to_vec());
        assert_eq!(verdict.outcome, Outcome::Inconclusive);
        assert!(
            sentence(&verdict)
                .starts_with("The evidence is worth nothing: “generator lag” (fault) does not hold")
        );
    }

    #[test]
    fn a_failed_set_up_names_its_cause_before_what_is_missing_for_it() {
        let up = Finding { measured: "1 of 2 up".into(), ..finding("the system came up", State::SetUp) };
        let cause = Finding {
            measured: "trouble".into(),
            detail: "web-1 exited at once".into(),
            at: None,
            ..finding("nothing went wrong in the run itself", State::SetUp)
        };
        let told = sentence(&Verdict::of(vec![up, cause]));
        assert!(told.contains(": web-1 exited at once; and 1 more"), "{told}");
    }

    #[test]
    fn no_findings_are_no_evidence() {
        assert_eq!(sentence(&Verdict::of(Vec::new())), "There is no evidence to judge.");
    }

    #[test]
    fn objectives_come_in_the_order_of_the_plan_and_apart_from_checks() {
        let verdict = Verdict::of(vec![
            finding("no-lost-write", State::Met),
            finding("errors < 0.5%", State::Met),
            finding("p95 < 200ms", State::Met),
        ]);
        let (own, others) = split(&verdict, &["p95 < 200ms".into(), "errors < 0.5%".into()]);
        assert_eq!(own.iter().map(|f| f.what.as_str()).collect::<Vec<_>>(), ["p95 < 200ms", "errors < 0.5%"]);
        assert_eq!(others.len(), 1);
    }
}
