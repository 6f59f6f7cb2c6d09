//! Drills: one word, one file. What they share: a backup is taken under load, the data are destroyed, and restored from the
//! backup alone; clients' own records say what was lost and for how long.
//!
//! What a backup or a restore runs in a place is decided there, by its form, for it depends on what the place answers. Every
//! program is a step of its own, named after the step of the drill that it belongs to, with a receipt like any other.

use std::time::Duration;

use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::About;
use crate::{
    act::{Act, Place, Program},
    name::Name,
    scenario::Moment,
    step::{Begin, End, Step, StepId, Track},
    system::Component,
    unit::Span,
    yaml::Mistake,
};

pub mod logical;

/// A word under `drills`. Pure.
pub trait DrillKind: Sync {
    /// What is shown of it.
    fn about(&self) -> &'static About;
    /// Why it cannot be drilled on a component, if so. A mistake's path is that of the field within the item.
    fn fits(&self, said: &Drilled<'_>) -> Result<(), Mistake>;
    /// What destroys the data.
    fn destroys(&self, said: &Drilled<'_>) -> Vec<Act>;
}

/// A drill with all names resolved.
#[derive(Debug, Clone, Copy)]
pub struct Drilled<'a> {
    /// Its number in the scenario, from 1.
    pub number: usize,
    /// The component.
    pub component: &'a Name,
    /// What the system file says of it.
    pub spec: &'a Component,
    /// When it begins.
    pub begins: Duration,
}

/// The steps of every drill, by their place in its track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The backup is taken and verified.
    Backup,
    /// Writes are acknowledged that the backup does not hold.
    Write,
    /// The data are destroyed.
    Destroy,
    /// They are restored from the backup.
    Restore,
}

impl Stage {
    /// In order.
    pub const ALL: [Self; 4] = [Self::Backup, Self::Write, Self::Destroy, Self::Restore];

    /// The step of a track.
    pub fn of(self, track: &Name) -> StepId {
        StepId::new(track, 1 + Self::ALL.iter().position(|stage| *stage == self).unwrap_or_default())
    }
}

impl Drilled<'_> {
    /// The track of a drill.
    pub fn track(&self, kind: &dyn DrillKind) -> Track {
        let name = Name::numbered(kind.about().word, self.number);
        let component = self.component;
        let steps = Stage::ALL.map(|stage| {
            let (title, acts) = match stage {
                Stage::Backup => (format!("back {component} up"), vec![]),
                Stage::Write => (format!("writes after the backup of {component}"), vec![]),
                Stage::Destroy => (format!("destroy the data of {component}"), kind.destroys(self)),
                Stage::Restore => (format!("restore {component}"), vec![]),
            };
            let begin = if stage == Stage::Backup { Begin::At(self.begins) } else { Begin::Then };
            let back = Some(vec![]);
            Step {
                id: stage.of(&name),
                title,
                begin,
                acts,
                back,
                effect: vec![],
                gone: vec![],
                end: End::Keep,
            }
        });
        Track { name, steps: steps.into() }
    }

    /// Runs a program at the component's first replica.
    pub fn exec(&self, argv: &[&str], within: Duration) -> Act {
        let argv = argv.iter().map(ToString::to_string).collect();
        let program = Program { argv, stdin: None, stdout: None, stderr: None, within };
        Act::Exec { at: Place::replica(self.component, 1), program }
    }
}

/// The schema of `WORD: COMPONENT` with `at`, `lose` and `within`.
fn item(about: &About, generator: &mut SchemaGenerator) -> Schema {
    let mut fields = Map::new();
    let name = json!({ "type": "string", "pattern": "^[a-z][a-z0-9-]{0,62}$", "description": about.summary });
    fields.insert(about.word.into(), name);
    fields.insert("at".into(), generator.subschema_for::<Moment>().into());
    let lose = json!({ "type": "integer", "minimum": 1,
        "description": "how many writes are acknowledged after the backup before the data are destroyed; 1000 unless said" });
    fields.insert("lose".into(), lose);
    fields.insert("within".into(), generator.subschema_for::<Span>().into());
    super::item(about, fields, [about.word, "at"].map(Value::from).into())
}
