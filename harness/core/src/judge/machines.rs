//! Machines: those that carried the system when the load began, against how they were at its end. One that went away in
//! between spoils the evidence: nobody knows whether the system or its machine was slow.

use std::collections::BTreeMap;

use super::{Finding, State, proofs::finding};
use crate::evidence::{Machine, Surroundings};

type Seen = BTreeMap<String, Machine>;

/// What was seen first, and last.
#[derive(Debug, Default)]
pub(super) struct Machines {
    first: Option<Seen>,
    last: Option<Seen>,
}

impl Machines {
    /// Takes a look around. One that saw no machine says nothing.
    pub(super) fn take(&mut self, seen: &Surroundings) {
        let machines = Some(seen.machines.clone()).filter(|machines| !machines.is_empty());
        if self.first.is_none() {
            self.first = machines;
        } else if machines.is_some() {
            self.last = machines;
        }
    }

    /// Nothing, where nothing was told of machines.
    pub(super) fn finding(&self) -> Option<Finding> {
        let first = self.first.as_ref()?;
        let why: Vec<String> = match &self.last {
            None => first.iter().filter_map(|(name, machine)| unready(name, machine)).collect(),
            Some(last) => changed(first, last),
        };
        let all = first.len() as u64;
        let (state, detail) = match (why.is_empty(), &self.last) {
            (false, _) => (State::Invalid, why.join("; ")),
            (true, Some(_)) => (State::Met, "the same readiness before and after the load".into()),
            (true, None) => (State::Met, "seen before the load only".into()),
        };
        let ready = all.saturating_sub(why.len() as u64);
        let measured = format!("{ready} of {all} stayed ready");
        Some(Finding {
            measured,
            samples: all,
            ..finding("the machines beneath stayed ready", state, detail)
        })
    }
}

fn changed(first: &Seen, last: &Seen) -> Vec<String> {
    let before = first.iter().filter_map(|(name, was)| match last.get(name) {
        None => Some(format!("{name} is gone")),
        Some(is) => unready(name, is).or_else(|| {
            (is.since != was.since)
                .then(|| format!("{name} was not ready meanwhile: it is again since {}", is.since))
        }),
    });
    let new = last.iter().filter(|(name, _)| !first.contains_key(*name));
    before.chain(new.filter_map(|(name, is)| unready(name, is))).collect()
}

fn unready(name: &str, machine: &Machine) -> Option<String> {
    let why = machine.unready.as_ref()?;
    Some(format!("{name} is not ready since {}: {why}", machine.since))
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
    fn who_saw_nothing_at_the_end_says_nothing_of_it() {
        let blind = What::LookedAround(Surroundings::unknown("no answer"));
        let (finding, _) = seen(&[look(&[("a", "t1", None)]), blind]);
        assert_eq!((finding.state, finding.detail.as_str()), (State::Met, "seen before the load only"));
        assert!(Story::good().findings("proofs").iter().all(|finding| finding.what != WHAT));
    }
}
