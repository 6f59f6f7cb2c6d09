//! Machines: those that carried the system when the load began, against how they were at its end. One that went away in
//! between spoils the evidence: nobody knows whether the system or its machine was slow.

use super::{Finding, State, proofs::finding};
use crate::evidence::Surroundings;

/// What was seen first, and last.
#[derive(Debug, Default)]
pub(super) struct Machines {
    first: Option<Surroundings>,
    last: Option<Surroundings>,
}

impl Machines {
    /// Takes a look around. One that saw no machine says nothing.
    pub(super) fn take(&mut self, seen: &Surroundings) {
        let seen = Some(seen.clone()).filter(|seen| !seen.machines.is_empty());
        if self.first.is_none() {
            self.first = seen;
        } else if seen.is_some() {
            self.last = seen;
        }
    }

    /// Nothing, where nothing was told of machines.
    pub(super) fn finding(&self) -> Option<Finding> {
        let first = self.first.as_ref()?;
        let why = match &self.last {
            None => first.unready(),
            Some(last) => first.unsteady(last),
        };
        let all = first.machines.len() as u64;
        let (state, mut detail) = match (why.is_empty(), &self.last) {
            (false, _) => (State::Invalid, why.join("; ")),
            (true, Some(_)) => (State::Met, "the same readiness before and after the load".into()),
            (true, None) => (State::Met, "seen before the load only".into()),
        };
        if let Some(kept) = self.last.as_ref().and_then(|last| last.diagnostics.as_ref()) {
            detail = format!("{detail}; {kept}");
        }
        let ready = all.saturating_sub(why.len() as u64);
        let measured = format!("{ready} of {all} stayed ready");
        Some(Finding {
            measured,
            samples: all,
            ..finding("the machines beneath stayed ready", state, detail)
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        evidence::{Machine, Surroundings, What},
        judge::{Finding, State, testing::Story},
        outcome::Outcome,
    };

    const WHAT: &str = "the machines beneath stayed ready";

    fn look(machines: &[(&str, &str, Option<&str>)]) -> What {
        let machines = machines.iter().map(|(name, since, unready)| {
            let unready = unready.map(str::to_owned);
            ((*name).to_owned(), Machine { unready, since: (*since).to_owned() })
        });
        What::LookedAround(Surroundings { machines: machines.collect(), ..Surroundings::default() })
    }

    fn seen(looks: &[What]) -> (Finding, Outcome) {
        let mut story = Story::good();
        looks.iter().for_each(|look| story.add_event(look.clone()));
        (story.finding(WHAT, None), story.verdict().outcome)
    }

    #[test]
    fn machines_that_stay_as_they_are_are_met() {
        let both = look(&[("a", "t1", None), ("b", "t1", None)]);
        let (finding, outcome) = seen(&[both.clone(), both]);
        assert_eq!((finding.state, outcome), (State::Met, Outcome::Passed));
        assert_eq!((finding.measured.as_str(), finding.samples), ("2 of 2 stayed ready", 2));
    }

    #[test]
    fn a_machine_that_goes_or_comes_back_in_mid_run_is_named_and_spoils_the_evidence() {
        let first = look(&[("a", "t1", None), ("b", "t1", None)]);
        for (last, words) in [
            (look(&[("a", "t1", None), ("b", "t2", Some("stopped"))]), "b is not ready since t2: stopped"),
            (
                look(&[("a", "t1", None), ("b", "t3", None)]),
                "b was not ready meanwhile: it is again since t3",
            ),
            (look(&[("a", "t1", None)]), "b is gone"),
        ] {
            let (finding, outcome) = seen(&[first.clone(), last]);
            assert_eq!((finding.state, outcome), (State::Invalid, Outcome::Inconclusive), "{words}");
            assert_eq!((finding.detail.as_str(), finding.measured.as_str()), (words, "1 of 2 stayed ready"));
        }
    }

    #[test]
    fn what_was_kept_of_it_is_told() {
        let (first, last) = (look(&[("a", "t1", None)]), look(&[("a", "t2", Some("stopped"))]));
        let What::LookedAround(mut last) = last else { return };
        last.diagnostics = Some("diagnostics are in x".to_owned());
        let (finding, _) = seen(&[first, What::LookedAround(last)]);
        assert_eq!(finding.detail, "a is not ready since t2: stopped; diagnostics are in x");
    }

    #[test]
    fn who_saw_nothing_at_the_end_says_nothing_of_it() {
        let blind = What::LookedAround(Surroundings::unknown("no answer"));
        let (finding, _) = seen(&[look(&[("a", "t1", None)]), blind]);
        assert_eq!((finding.state, finding.detail.as_str()), (State::Met, "seen before the load only"));
        assert!(Story::good().findings("proofs").iter().all(|finding| finding.what != WHAT));
    }
}
