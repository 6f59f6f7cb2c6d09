//! Revisions of a component: named changes that a roll out makes, and how a witness tells which one runs.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Component;
use crate::{act::Revision, name::Name};

/// What a witness calls replicas that run a part of some revision and not the whole of any.
const MIXED: &str = "a mixture";

/// What differs from the component as the system file describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// Settings that are added or get another value. Plain text, no templates: the same on every target.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// Another program, where replicas are processes of this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// Another image, where replicas are containers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

/// One change that can be seen of a running replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    /// A setting and its value.
    Setting(&'a str, &'a str),
    /// A program.
    Program(&'a str),
    /// An image.
    Image(&'a str),
}

impl Changes {
    /// One after the other.
    pub fn each(&self) -> impl Iterator<Item = Change<'_>> {
        let settings = self.settings.iter().map(|(name, value)| Change::Setting(name, value));
        let program = self.program.as_deref().map(Change::Program);
        settings.chain(program).chain(self.image.as_deref().map(Change::Image))
    }
}

impl Component {
    /// The revision of that name, whole in itself.
    pub fn revision(&self, name: &Name) -> Option<Revision> {
        if name.as_str() == Revision::ORIGINAL {
            return Some(Revision::original());
        }
        let changes = self.revisions.get(name)?;
        Some(Revision { name: name.clone(), changes: changes.clone() })
    }

    /// Which revision a running replica is of, told by what is seen of it alone: `seen` says whether a change is there;
    /// none where there is no such thing (an image, of a process). Of several the one with the most changes.
    pub fn told(&self, seen: impl Fn(Change<'_>) -> Option<bool>) -> String {
        let mut touched = false;
        let mut whole: Option<(usize, &Name)> = None;
        for (name, changes) in &self.revisions {
            let there: Vec<bool> = changes.each().filter_map(&seen).collect();
            touched |= there.contains(&true);
            let is_whole = !there.is_empty() && !there.contains(&false);
            if is_whole && whole.is_none_or(|(most, _)| there.len() > most) {
                whole = Some((there.len(), name));
            }
        }
        match whole {
            Some((_, name)) => name.to_string(),
            None if touched => MIXED.to_owned(),
            None => Revision::ORIGINAL.to_owned(),
        }
    }
}

/// What replicas run together: its name when all of so many run one revision, else how many run which.
pub fn together(told: &[String], replicas: usize) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in told {
        *counts.entry(name).or_insert(0) += 1;
    }
    match counts.first_key_value() {
        Some((name, count)) if counts.len() == 1 && *count == replicas => (*name).to_owned(),
        Some(_) => {
            let parts = counts.iter().map(|(name, count)| format!("{name} at {count} of {replicas}"));
            parts.collect::<Vec<_>>().join(", ")
        }
        None => format!("none of {replicas} runs"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Change, together};
    use crate::system::{Component, read};

    fn web() -> Component {
        let text = "format: 1\nname: x\ncomponents:\n  web:\n    ports: [http]\n    ready: { tcp: { port: http } }\n    \
                    revisions:\n      v2: { settings: { VERSION: v2 } }\n      \
                    v3: { settings: { VERSION: v2, CACHE: 'off' }, image: web }\n      v4: { program: web4 }\n\
                    endpoint: { component: web, port: http }\n";
        read(text).unwrap().components.shift_remove_index(0).unwrap().1
    }

    /// What is told of a process with this environment that runs this program.
    fn told(env: &[(&str, &str)], program: &str) -> String {
        let env: BTreeMap<&str, &str> = env.iter().copied().collect();
        web().told(|change| match change {
            Change::Setting(name, value) => Some(env.get(name) == Some(&value)),
            Change::Program(name) => Some(name == program),
            Change::Image(_) => None,
        })
    }

    #[test]
    fn a_revision_is_told_by_all_of_its_changes() {
        assert_eq!(told(&[], "web"), "original");
        assert_eq!(told(&[("VERSION", "v1")], "web"), "original");
        assert_eq!(told(&[("VERSION", "v2")], "web"), "v2");
        assert_eq!(told(&[("VERSION", "v2"), ("CACHE", "off")], "web"), "v3");
        assert_eq!(told(&[], "web4"), "v4");
    }

    #[test]
    fn a_part_of_a_revision_is_neither_that_nor_the_original() {
        assert_eq!(told(&[("CACHE", "off")], "web"), "a mixture");
    }

    #[test]
    fn replicas_run_one_revision_together_only_when_all_of_them_do() {
        let two = ["v2".to_owned(), "original".to_owned()];
        assert_eq!(together(&two, 2), "original at 1 of 2, v2 at 1 of 2");
        assert_eq!(together(&two, 1), "original at 1 of 1, v2 at 1 of 1", "one too many is not together");
        assert_eq!(together(&two[..1], 2), "v2 at 1 of 2");
        assert_eq!(together(&two[..1], 1), "v2");
        assert_eq!(together(&[], 3), "none of 3 runs");
    }

    #[test]
    fn every_revision_is_found_by_its_name_and_the_original_too() {
        let found =
            |name: &str| web().revision(&name.parse().unwrap()).map(|found| found.changes.each().count());
        assert_eq!(
            [found("original"), found("v2"), found("v3"), found("v9")],
            [Some(0), Some(1), Some(3), None]
        );
    }
}
