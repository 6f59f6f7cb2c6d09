//! The words of a scenario, and the steps that each stands for. One word, one file, one line in a list; help, schema
//! and docs are derived from the list.

use std::time::Duration;

use schemars::{Schema, SchemaGenerator};

use crate::{
    act::{Act, Place, Signal},
    name::Name,
    plan::Known,
    proof::Proof,
    step::{Begin, End, Step, StepId, Track},
    yaml::Mistake,
};

pub mod fault;
pub mod set_up;

/// The faults, in the order in which they are listed.
pub const FAULTS: &[&dyn Kind] = &[&fault::kill::Kill, &fault::pause::Pause];

/// A word of the scenario. Pure.
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
    /// An item of `faults`, as YAML.
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

/// The fault of that word.
pub fn fault(word: &str) -> Option<&'static dyn Kind> {
    FAULTS.iter().copied().find(|kind| kind.about().word == word)
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

    use super::FAULTS;
    use crate::{scenario::Fault, yaml};

    #[test]
    fn every_example_is_read_as_its_own_kind() {
        for kind in FAULTS {
            let about = kind.about();
            let read: Fault = yaml::read(&yaml::tree(about.example.as_bytes()).unwrap()).unwrap();
            assert_eq!(read.word.as_str(), about.word);
        }
    }

    #[test]
    fn every_word_is_a_name_and_stands_for_one_kind() {
        let words: BTreeSet<_> = FAULTS.iter().map(|kind| kind.about().word).collect();
        assert_eq!(words.len(), FAULTS.len());
        assert!(words.iter().all(|word| word.parse::<crate::name::Name>().is_ok()));
    }

    #[test]
    fn every_fault_is_a_file_of_its_own() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/kind/fault");
        let names =
            std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let stems = names.filter_map(|name| Some(name.strip_suffix(".rs")?.replace('_', "-")));
        let stems: BTreeSet<String> = stems.filter(|stem| stem != "mod").collect();
        assert_eq!(stems, FAULTS.iter().map(|kind| kind.about().word.to_owned()).collect());
    }
}
