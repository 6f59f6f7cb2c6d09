//! The words of a scenario, and the steps that each stands for. One word, one file, one line in a list; help, schema
//! and docs are derived from the list.

use std::time::Duration;

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value};

use crate::{
    act::{Act, Place, Signal},
    name::Name,
    plan::Known,
    proof::Proof,
    step::{Begin, End, Step, StepId, Track},
    yaml::Mistake,
};

pub use drill::{DrillKind, Drilled, Form, Loses, Stage, Taken};
pub use rollout::{Beside, Rolled, RolloutKind, Sets};
pub use server::keeps_data;

pub mod drill;
pub mod fault;
pub mod rollout;
mod server;
pub mod set_up;

/// The faults, in the order in which they are listed.
pub const FAULTS: &[&dyn Kind] = &[&fault::kill::Kill, &fault::pause::Pause, &fault::scale_in::ScaleIn];

/// The rollouts, in the order in which they are listed.
pub const ROLLOUTS: &[&dyn RolloutKind] = &[
    &rollout::update::Update,
    &rollout::rollback::Rollback,
    &rollout::canary::Canary,
    &rollout::blue_green::BlueGreen,
];

/// The drills, in the order in which they are listed.
pub const DRILLS: &[&dyn DrillKind] = &[
    &drill::logical::Logical,
    &drill::point_in_time::PointInTime,
    &drill::total_loss::TotalLoss,
    &drill::configuration::Configuration,
    &drill::redis_rdb::RedisRdb,
    &drill::redis_aof::RedisAof,
    &drill::cold_cache::ColdCache,
    &drill::refusals::Refusals,
];

/// A word under `faults`. Pure.
pub trait Kind: Sync {
    /// What is shown of it.
    fn about(&self) -> &'static About;
    /// The steps that it stands for. A mistake's path is that of the field within the fault.
    fn expand(&self, said: &Said<'_>, known: &Known<'_>) -> Result<Track, Mistake>;
}

/// What is shown of a kind.
pub struct About {
    /// The word.
    pub word: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// An item of `faults`, `rollouts` or `drills`, as YAML.
    pub example: &'static str,
    /// The JSON Schema of such an item.
    pub schema: fn(&'static About, &mut SchemaGenerator) -> Schema,
}

/// A fault with all names resolved.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    /// Its number in the scenario, from 1.
    pub number: usize,
    /// The component that it hits.
    pub component: &'a Name,
    /// The replicas that it hits.
    pub picks: &'a [u16],
    /// When it begins.
    pub begins: Duration,
    /// How long it lasts, when that was said.
    pub lasts: Option<Duration>,
}

/// The schema of an item of a list of words: these fields, some of which are required.
fn item(about: &About, fields: Map<String, Value>, required: Vec<Value>) -> Schema {
    json_schema!({
        "title": about.word,
        "description": about.summary,
        "type": "object",
        "properties": fields,
        "required": required,
        "additionalProperties": false,
    })
}

/// The fault of that word.
pub fn fault(word: &str) -> Option<&'static dyn Kind> {
    FAULTS.iter().copied().find(|kind| kind.about().word == word)
}

/// The rollout of that word.
pub fn rollout(word: &str) -> Option<&'static dyn RolloutKind> {
    ROLLOUTS.iter().copied().find(|kind| kind.about().word == word)
}

/// The drill of that word.
pub fn drill(word: &str) -> Option<&'static dyn DrillKind> {
    DRILLS.iter().copied().find(|kind| kind.about().word == word)
}

impl Said<'_> {
    /// The replicas, not pinned yet.
    pub fn places(&self) -> impl Iterator<Item = Place> {
        self.picks.iter().map(|index| Place::replica(self.component, *index))
    }

    /// The same signal for every replica.
    pub fn signals(&self, signal: Signal) -> Vec<Act> {
        self.places().map(|at| Act::Signal { at, signal }).collect()
    }

    /// A track of one step that is undone so long after it began.
    pub fn track(
        &self,
        about: &About,
        acts: Vec<Act>,
        proofs: (Vec<Proof>, Vec<Proof>),
        lasts: Duration,
    ) -> Track {
        let units: Vec<_> = acts.iter().map(|act| act.unit().to_string()).collect();
        let name = Name::numbered(about.word, self.number);
        let step = Step {
            id: StepId::new(&name, 1),
            title: format!("{} {}", about.word, units.join(", ")),
            begin: Begin::At(self.begins),
            acts,
            back: None,
            effect: proofs.0,
            gone: proofs.1,
            end: End::After(lasts),
        };
        Track { name, steps: vec![step] }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{DRILLS, FAULTS, ROLLOUTS};
    use crate::{
        scenario::{Drill, Fault, Rollout},
        yaml,
    };

    #[test]
    fn every_example_is_read_as_its_own_kind() {
        for kind in FAULTS {
            let about = kind.about();
            let read: Fault = yaml::read(&yaml::tree(about.example.as_bytes()).unwrap()).unwrap();
            assert_eq!(read.word.as_str(), about.word);
        }
        for kind in ROLLOUTS {
            let about = kind.about();
            let read: Rollout = yaml::read(&yaml::tree(about.example.as_bytes()).unwrap()).unwrap();
            assert_eq!(read.word.as_str(), about.word);
        }
        for kind in DRILLS {
            let about = kind.about();
            let read: Drill = yaml::read(&yaml::tree(about.example.as_bytes()).unwrap()).unwrap();
            assert_eq!(read.word.as_str(), about.word);
        }
    }

    #[test]
    fn every_word_is_a_name_and_stands_for_one_kind() {
        let all = || words(FAULTS.iter().map(|kind| kind.about())).into_iter();
        let both: BTreeSet<_> = all().chain(words(ROLLOUTS.iter().map(|kind| kind.about()))).collect();
        assert_eq!(both.len(), FAULTS.len() + ROLLOUTS.len());
        assert!(both.iter().all(|word| word.parse::<crate::name::Name>().is_ok()));
    }

    #[test]
    fn every_word_is_a_file_of_its_own() {
        assert_eq!(files("fault"), words(FAULTS.iter().map(|kind| kind.about())));
        assert_eq!(files("rollout"), words(ROLLOUTS.iter().map(|kind| kind.about())));
        assert_eq!(files("drill"), words(DRILLS.iter().map(|kind| kind.about())));
    }

    fn words(all: impl Iterator<Item = &'static super::About>) -> BTreeSet<String> {
        all.map(|about| about.word.to_owned()).collect()
    }

    fn files(folder: &str) -> BTreeSet<String> {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/kind").join(folder);
        let names =
            std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let stems = names.filter_map(|name| Some(name.strip_suffix(".rs")?.replace('_', "-")));
        stems.filter(|stem| stem != "mod").collect()
    }
}
