//! Faults: one word, one file. What they share: proofs over the replicas that are hit, and the schema of an item.

use std::time::Duration;

use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::{About, Said};
use crate::{
    act::Place,
    proof::{Expect, Proof, Query},
    scenario::{Moment, Pick},
    unit::Span,
};

pub mod kill;
pub mod pause;
pub mod scale_in;

/// One proof for every replica that is hit.
fn each(said: &Said<'_>, ask: fn(Place) -> Query, is: &str, within: Duration) -> Vec<Proof> {
    said.places().map(|at| Proof { ask: ask(at), expect: Expect::Is(is.to_owned()), within }).collect()
}

/// The processes of a replica.
fn process(at: Place) -> Query {
    Query::Process { at }
}

/// The readiness of a replica.
fn ready(at: Place) -> Query {
    Query::Ready { at }
}

/// Every replica that was hit runs and is ready again.
fn well_again(said: &Said<'_>, within: Duration) -> Vec<Proof> {
    let running = each(said, process, "running", within);
    running.into_iter().chain(each(said, ready, "ready", within)).collect()
}

/// The schema of `WORD: COMPONENT` with `pick`, `at` and `for`, some of which are required.
fn item(about: &About, generator: &mut SchemaGenerator, required: &[&str]) -> Schema {
    let mut fields = Map::new();
    let component =
        json!({ "type": "string", "description": about.summary, "pattern": "^[a-z][a-z0-9-]{0,62}$" });
    fields.insert(about.word.into(), component);
    fields.insert("pick".into(), generator.subschema_for::<Pick>().into());
    fields.insert("at".into(), generator.subschema_for::<Moment>().into());
    fields.insert("for".into(), generator.subschema_for::<Span>().into());
    let required: Vec<Value> = [about.word].iter().chain(required).map(|field| (*field).into()).collect();
    super::item(about, fields, required)
}

#[cfg(test)]
pub(super) mod tests {
    use std::{collections::BTreeSet, fmt::Write as _, time::Duration};

    use crate::{
        act::Ability,
        kind::{Kind, Said},
        plan::Known,
        step::Track,
        system::{self, System},
        yaml::Mistake,
    };

    fn system() -> System {
        let text = "format: 1\nname: x\ncomponents:\n  service: { replicas: 3, ports: [http], ready: { tcp: { port: http } } }\n\
                    endpoint: { component: service, port: http }\n";
        system::read(text).unwrap()
    }

    /// A fault on `service`, 10 s after the load began.
    pub(in crate::kind) fn expand(
        kind: &dyn Kind,
        picks: &[u16],
        seconds: Option<u64>,
    ) -> Result<Track, Mistake> {
        expand_where(kind, BTreeSet::from([Ability::Away]), picks, seconds)
    }

    /// The same on a target that can do that.
    pub(in crate::kind) fn expand_where(
        kind: &dyn Kind,
        abilities: BTreeSet<Ability>,
        picks: &[u16],
        seconds: Option<u64>,
    ) -> Result<Track, Mistake> {
        let system = system();
        let known = Known::on(&system, "local", abilities);
        let component = "service".parse().unwrap();
        let lasts = seconds.map(Duration::from_secs);
        kind.expand(
            &Said { number: 1, component: &component, picks, begins: Duration::from_secs(10), lasts },
            &known,
        )
    }

    /// A track as lines.
    pub(in crate::kind) fn shown(track: &Track) -> String {
        let mut text = String::new();
        for step in &track.steps {
            writeln!(text, "{}: {}, {:?} to {:?}", step.id, step.title, step.begin, step.end).unwrap();
            step.acts.iter().for_each(|act| writeln!(text, "  act    {act}").unwrap());
            step.effect.iter().for_each(|proof| writeln!(text, "  effect {proof}").unwrap());
            step.gone.iter().for_each(|proof| writeln!(text, "  gone   {proof}").unwrap());
        }
        text
    }
}
