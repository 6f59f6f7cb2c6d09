//! Seeded defects: each makes the service wrong in one way that a test harness should find. Never in a release image.
//!
//! They lie around the routes and behind the migrations and change nothing inside them, so the code that is released
//! is the code that is tested. One defect is one file and one line of [`KINDS`].
//!
//! - `DEFECT`: defects by name, each with a parameter where it has one, separated by commas: `errors:1%,latency:x1.2`.
//!   Each lies around the ones before it and draws for itself.
//! - `DEFECT_SEED`: a whole number that fixes the draws of a replica; without it they are others at each start.

mod double_writes;
mod draws;
mod errors;
mod failing_migration;
mod kind;
mod latency;
mod leak;
mod lost_writes;
mod lying_readiness;
mod parameter;
mod pause;
mod refusals;
mod slow_start;
mod tail;
mod write;
mod wrong_answers;

use std::hash::{BuildHasher, RandomState};

use crate::changes::Changes;
use crate::config::{Source, host_name};

pub use kind::{Kind, Parameter};

use draws::stream;

const SETTING: &str = "DEFECT";
const SEED: &str = "DEFECT_SEED";

/// All of them.
pub const KINDS: [&Kind; 11] = [
    &errors::KIND,
    &refusals::KIND,
    &latency::KIND,
    &tail::KIND,
    &leak::KIND,
    &wrong_answers::KIND,
    &lost_writes::KIND,
    &double_writes::KIND,
    &slow_start::KIND,
    &failing_migration::KIND,
    &lying_readiness::KIND,
];

/// A setting that selects no defect.
#[derive(Debug, thiserror::Error)]
pub enum DefectError {
    /// No defect has this name.
    #[error("{SETTING}: {0:?} is no defect; write some of these, with commas between them:\n{list}", list = list())]
    Unknown(String),
    /// The parameter cannot be used.
    #[error("{SETTING}: {name}: {wrong}; write {write}")]
    Parameter {
        /// The defect.
        name: &'static str,
        /// What is wrong.
        wrong: String,
        /// What to write instead.
        write: String,
    },
    /// The seed is no number.
    #[error("{SEED}: {0:?} cannot be read; write a whole number such as 42")]
    Seed(String),
}

/// The defects that are asked for; without the setting there is none, which is the control.
pub fn read(source: &dyn Source) -> Result<Changes, DefectError> {
    let get = |name| source.get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let mut changes = Changes::default();
    let Some(asked) = get(SETTING) else { return Ok(changes) };
    let seed = match get(SEED) {
        Some(text) => text.parse().map_err(|_| DefectError::Seed(text))?,
        None => RandomState::new().hash_one(0),
    };
    let replica = get("REPLICA").unwrap_or_else(host_name);
    for (at, one) in asked.split(',').enumerate() {
        let (name, parameter) = match one.trim().split_once(':') {
            Some((name, parameter)) => (name, Some(parameter)),
            None => (one.trim(), None),
        };
        let found = KINDS.iter().find(|kind| kind.name == name);
        let kind = found.ok_or_else(|| DefectError::Unknown(name.to_owned()))?;
        // Replicas, and defects of one replica, must not fail in step.
        kind.seed(parameter, stream(seed, &format!("{replica}/{at}")), &mut changes)?;
    }
    changes.routes.push(Box::new(move |routes, _| {
        tracing::warn!(defects = asked, seed, "this build has defects, on purpose");
        routes
    }));
    Ok(changes)
}

/// Every defect with its parameter, for people.
fn list() -> String {
    KINDS.map(|kind| format!("  {:<20} {}", kind.example(), kind.about)).join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn ask(text: &str) -> Result<Changes, DefectError> {
        read(&BTreeMap::from([(SETTING.to_owned(), text.to_owned())]))
    }

    fn refused(text: &str) -> String {
        ask(text).map(drop).unwrap_err().to_string()
    }

    #[test]
    fn every_defect_is_asked_for_by_its_name_alone_and_by_its_example() {
        for kind in KINDS {
            for text in [kind.name.to_owned(), kind.example()] {
                let changes = ask(&text).unwrap();
                assert!(changes.routes.len() + changes.migrations.len() >= 2, "{text} changes nothing");
            }
        }
        let names: BTreeSet<_> = KINDS.iter().map(|kind| kind.name).collect();
        assert_eq!(names.len(), KINDS.len());
    }

    #[test]
    fn every_defect_is_in_the_documentation() {
        let docs = include_str!("../../docs/defects.md");
        for kind in KINDS {
            let form = kind.parameter.as_ref().map_or("none", |parameter| parameter.form);
            let row = format!("| `{}` | {form} |", kind.example());
            assert!(docs.contains(&row), "docs/defects.md has no row that begins with {row}");
        }
    }

    #[test]
    fn without_the_setting_nothing_is_changed() {
        let changes = ask(" ").unwrap();
        assert!(changes.routes.is_empty() && changes.migrations.is_empty());
    }

    #[test]
    fn several_are_asked_for_with_commas() {
        assert_eq!(ask("errors:0.5%, errors:0.5%,leak").unwrap().routes.len(), 4);
    }

    #[test]
    fn a_misspelt_name_is_refused_with_the_list_of_what_exists() {
        let told = refused("leak,eror:1%");
        assert!(told.contains("\"eror\""), "{told}");
        for kind in KINDS {
            assert!(told.contains(&kind.example()) && told.contains(kind.about), "{told}");
        }
    }

    #[test]
    fn a_wrong_parameter_is_refused_with_what_to_write() {
        for text in [
            "errors:1",
            "errors:0%",
            "errors:101%",
            "errors:",
            "errors:NaN%",
            "latency:1.2",
            "latency:x1",
            "latency:x0.5",
            "latency:+10",
            "latency:+0ms",
            "tail:x4@",
            "tail:x4@2",
            "leak:64",
            "leak:0B",
            "slow-start:20",
            "lying-readiness:200",
            "failing-migration:1",
        ] {
            let told = refused(text);
            let (name, parameter) = text.split_once(':').unwrap();
            assert!(told.starts_with(&format!("DEFECT: {name}: ")), "{told}");
            assert!(told.contains(&format!("{parameter:?}")) && told.contains("; write "), "{told}");
        }
    }

    #[test]
    fn a_seed_that_is_no_number_is_refused() {
        let settings = [("DEFECT", "errors"), ("DEFECT_SEED", "x")];
        let told = read(&BTreeMap::from(settings.map(|(k, v)| (k.to_owned(), v.to_owned())))).map(drop);
        assert!(told.unwrap_err().to_string().starts_with("DEFECT_SEED: \"x\""));
    }
}
