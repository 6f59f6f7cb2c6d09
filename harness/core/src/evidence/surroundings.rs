//! What a run stands on: images, versions, machines. Seen after the set-up and at the end of the load, for both may change
//! meanwhile.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What runs, and on what, as the target tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surroundings {
    /// For the record, by name: images with their digests, versions, machines. Nothing secret.
    pub known: BTreeMap<String, String>,
    /// The machines that carry the system, by name. None where the target does not tell.
    #[serde(default)]
    pub machines: BTreeMap<String, Machine>,
    /// What was kept where a machine did not stay ready: `diagnostics are in DIRECTORY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnostics: Option<String>,
}

/// How a machine is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Why it is not ready; none: it is.
    pub unready: Option<String>,
    /// Since when it is as it is, by a clock of the target's own: only good for being compared with itself.
    pub since: String,
}

impl Surroundings {
    /// What could not be seen is no gap in the record: it says why.
    pub fn unknown(why: impl ToString) -> Self {
        let why = format!("not known: {}", why.to_string());
        Self { known: BTreeMap::from([("surroundings".to_owned(), why)]), ..Self::default() }
    }

    /// The machines that did not stay ready from this look to a later one, each with what became of it.
    pub fn unsteady(&self, later: &Self) -> Vec<String> {
        let before = self.machines.iter().filter_map(|(name, was)| match later.machines.get(name) {
            None => Some(format!("{name} is gone")),
            Some(is) => unready(name, is).or_else(|| {
                (is.since != was.since)
                    .then(|| format!("{name} was not ready meanwhile: it is again since {}", is.since))
            }),
        });
        let new = later.machines.iter().filter(|(name, _)| !self.machines.contains_key(*name));
        before.chain(new.filter_map(|(name, is)| unready(name, is))).collect()
    }

    /// The machines that are not ready, each with why.
    pub fn unready(&self) -> Vec<String> {
        self.machines.iter().filter_map(|(name, machine)| unready(name, machine)).collect()
    }

    /// Whether the target has nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty() && self.machines.is_empty()
    }

    /// The record of a run that looked around this often, in order: what was there first, and beside it what is not the
    /// same at the end.
    pub fn record<'a>(looks: impl IntoIterator<Item = &'a Self>) -> BTreeMap<String, String> {
        let mut looks = looks.into_iter();
        let Some(first) = looks.next() else { return BTreeMap::new() };
        let mut record = first.known.clone();
        let Some(last) = looks.last() else { return record };
        let later = |name: &str| format!("{name}, at the end");
        for (name, value) in last.known.iter().filter(|(name, value)| first.known.get(*name) != Some(value)) {
            record.insert(later(name), value.clone());
        }
        // Where nothing could be seen, nothing is known to be gone.
        let gone = first.known.keys().filter(|name| !last.known.contains_key(*name));
        if !last.machines.is_empty() {
            record.extend(gone.map(|name| (later(name), "not there any more".to_owned())));
        }
        record
    }
}

fn unready(name: &str, machine: &Machine) -> Option<String> {
    let why = machine.unready.as_ref()?;
    Some(format!("{name} is not ready since {}: {why}", machine.since))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Machine, Surroundings};

    fn look(known: &[(&str, &str)]) -> Surroundings {
        let known = known.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let machine = Machine { unready: None, since: "now".into() };
        Surroundings { known, machines: BTreeMap::from([("one".to_owned(), machine)]), diagnostics: None }
    }

    fn lines(looks: &[Surroundings]) -> Vec<String> {
        Surroundings::record(looks).into_iter().map(|(name, value)| format!("{name}: {value}")).collect()
    }

    #[test]
    fn a_record_holds_what_was_first_and_what_differs_at_the_end() {
        let first = look(&[("image/web", "web:1"), ("image/store", "pg:1"), ("node/a", "v1")]);
        let last = look(&[("image/web", "web:2"), ("image/store", "pg:1"), ("node/b", "v1")]);
        assert_eq!(lines(&[first.clone(), first.clone()]), lines(std::slice::from_ref(&first)));
        assert_eq!(
            lines(&[first, last]),
            [
                "image/store: pg:1",
                "image/web: web:1",
                "image/web, at the end: web:2",
                "node/a: v1",
                "node/a, at the end: not there any more",
                "node/b, at the end: v1",
            ]
        );
        assert!(lines(&[]).is_empty());
    }

    #[test]
    fn what_could_not_be_seen_is_not_gone() {
        let blind = Surroundings::unknown("no answer");
        assert_eq!(
            lines(&[look(&[("image/web", "web:1")]), blind]),
            ["image/web: web:1", "surroundings, at the end: not known: no answer"]
        );
        assert!(Surroundings::default().is_empty());
    }
}
