//! Rollouts: one word, one file. What they share: one step that configures a component as a whole, its proofs, and the
//! schema of an item.
//!
//! One step, whatever the target: who rolls (a controller of a cluster, or the target itself, replica by replica) and in
//! which order is the target's business. So a word needs to know no target, one receipt holds the whole way back, and a
//! run that is killed in the middle is healed by one idempotent act.

use std::time::Duration;

use schemars::{Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::About;
use crate::{
    act::{Act, Place, Revision, Unit},
    name::Name,
    proof::{Expect, Proof, Query},
    scenario::Moment,
    step::{Begin, End, Step, StepId, Track},
    system::{Component, Shares},
    unit::Span,
    yaml::Mistake,
};

pub mod blue_green;
pub mod canary;
pub mod rollback;
pub mod update;

/// A word under `rollouts`. Pure.
pub trait RolloutKind: Sync {
    /// What is shown of it.
    fn about(&self) -> &'static About;
    /// The revision that it rolls out. A mistake's path is that of the field within the item.
    fn revision(&self, said: &Rolled<'_>) -> Result<Revision, Mistake>;
    /// What it runs beside the component while a judge is asked; none: no judge is asked.
    fn beside(&self) -> Option<Beside> {
        None
    }
    /// The steps that it stands for.
    fn track(&self, said: &Rolled<'_>, revision: &Revision) -> Track {
        said.track(self.about(), revision)
    }
    /// What runs in the end and what stood before it, oldest first, once it is done.
    fn after(&self, past: &mut Vec<Revision>, revision: Revision);
}

/// What runs beside a component while a judge is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// A few replicas, with a share of the traffic that grows.
    Canary,
    /// As many as the component has, with all of the traffic at once.
    Green,
}

impl Beside {
    /// What its set is called behind the component's name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Canary => "canary",
            Self::Green => "green",
        }
    }
}

/// A rollout with all names resolved.
#[derive(Debug, Clone, Copy)]
pub struct Rolled<'a> {
    /// Its number in the scenario, from 1.
    pub number: usize,
    /// The component that is rolled out.
    pub component: &'a Name,
    /// What the system file says of it.
    pub spec: &'a Component,
    /// What it ran so far, oldest first; the last one runs now.
    pub past: &'a [Revision],
    /// To which revision, where that was said.
    pub to: Option<&'a Name>,
    /// When it begins.
    pub begins: Duration,
    /// How long it may take; of what is gated, its last step.
    pub within: Duration,
    /// What it runs beside the component meanwhile, where it is gated.
    pub sets: Option<&'a Sets>,
}

/// What a gated rollout runs beside the component, and how the traffic is split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sets {
    /// Replicas of the new revision.
    pub canary: Name,
    /// Fresh replicas of what ran before; none: it is compared with the component's own.
    pub baseline: Option<Name>,
    /// How many replicas each has.
    pub replicas: u16,
    /// The canary's share of the traffic, step by step, in parts of 10,000.
    pub shares: Vec<u16>,
    /// How long a step lasts at most.
    pub each: Duration,
}

impl Sets {
    /// The baseline first: it is never younger.
    pub fn all(&self) -> impl Iterator<Item = &Name> {
        self.baseline.iter().chain(std::iter::once(&self.canary))
    }

    /// How long the judge may take over all steps.
    pub fn gates(&self) -> Duration {
        self.each * u32::try_from(self.shares.len()).unwrap_or(u32::MAX)
    }

    /// The split while the canary gets so much: the baseline gets as much.
    pub fn at(&self, share: u16) -> Shares {
        Shares(self.all().map(|set| (set.clone(), share)).collect())
    }
}

impl Rolled<'_> {
    /// A track of one step that is kept, and undone only when it does not complete.
    pub fn track(&self, about: &About, revision: &Revision) -> Track {
        let name = Name::numbered(about.word, self.number);
        let before = self.past.last().map_or(Revision::ORIGINAL, |before| before.name.as_str());
        // Taking it back is not the service's to hurry with: each replica may take as long as it may to start.
        let back = self.spec.ready_within.get() * u32::from(self.spec.replicas).max(1);
        let unit = Unit::Component { component: self.component.clone() };
        let step = Step {
            id: StepId::new(&name, 1),
            title: format!("{} {} to {}", about.word, self.component, revision.name),
            begin: Begin::At(self.begins),
            acts: vec![Act::Configure { unit, revision: revision.clone() }],
            back: None,
            effect: self.runs(revision.name.as_str(), self.within),
            gone: self.runs(before, back),
            end: End::Keep,
        };
        Track { name, steps: vec![step] }
    }

    /// Every replica runs the revision, and all of them are ready.
    fn runs(&self, revision: &str, within: Duration) -> Vec<Proof> {
        let proof = |ask, is: &str| Proof { ask, expect: Expect::Is(is.to_owned()), within };
        let ready = (1..=self.spec.replicas)
            .map(|index| proof(Query::Ready { at: Place::replica(self.component, index) }, "ready"));
        let runs = Query::Revision { at: Place::component(self.component) };
        std::iter::once(proof(runs, revision)).chain(ready).collect()
    }
}

/// The schema of `WORD: COMPONENT` with `at`, `within`, and more that is required.
fn item(about: &About, generator: &mut SchemaGenerator, more: &[(&str, Value)]) -> Schema {
    let mut fields = Map::new();
    let name = json!({ "type": "string", "pattern": "^[a-z][a-z0-9-]{0,62}$" });
    let mut component = name.clone();
    component["description"] = about.summary.into();
    fields.insert(about.word.into(), component);
    for (field, description) in more {
        let mut named = name.clone();
        named["description"] = description.clone();
        fields.insert((*field).into(), named);
    }
    fields.insert("at".into(), generator.subschema_for::<Moment>().into());
    fields.insert("within".into(), generator.subschema_for::<Span>().into());
    let required: Vec<Value> =
        [about.word, "at"].into_iter().chain(more.iter().map(|(field, _)| *field)).map(Value::from).collect();
    super::item(about, fields, required)
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::{Rolled, RolloutKind, Sets};
    use crate::{
        act::Revision,
        step::Track,
        system::{self, Component},
        yaml::Mistake,
    };

    fn web() -> Component {
        let text = "format: 1\nname: x\ncomponents:\n  web: { replicas: 2, ready_within: 5s, ports: [http], ready: { tcp: { port: http } },\n    \
                    revisions: { v2: { settings: { VERSION: v2 } }, v3: { image: web-3 } } }\n\
                    endpoint: { component: web, port: http }\n";
        system::read(text).unwrap().components.shift_remove_index(0).unwrap().1
    }

    /// A rollout of `web`, 10 s after the load began, when it ran these revisions before.
    pub(super) fn expand(kind: &dyn RolloutKind, past: &[&str], to: Option<&str>) -> Result<Track, Mistake> {
        let (spec, component) = (web(), "web".parse().unwrap());
        let past: Vec<Revision> =
            past.iter().map(|name| spec.revision(&name.parse().unwrap()).unwrap()).collect();
        let to = to.map(|name| name.parse().unwrap());
        let sets = kind.beside().map(|_| Sets {
            canary: "web-canary".parse().unwrap(),
            baseline: Some("web-baseline".parse().unwrap()),
            replicas: 1,
            shares: vec![500, 2_500],
            each: Duration::from_secs(30),
        });
        let said = Rolled {
            number: 1,
            component: &component,
            spec: &spec,
            past: &past,
            to: to.as_ref(),
            begins: Duration::from_secs(10),
            within: Duration::from_secs(20),
            sets: sets.as_ref(),
        };
        Ok(kind.track(&said, &kind.revision(&said)?))
    }
}
