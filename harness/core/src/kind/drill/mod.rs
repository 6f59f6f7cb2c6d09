//! Drills: one word, one file. What they share: a backup is taken under load, the data are destroyed, and restored from the
//! backup alone; clients' own records say what was lost and for how long.
//!
//! What a backup or a restore runs in a place is decided there, by its form, for it depends on what the place answers. Every
//! program is a step of its own, named after the step of the drill that it belongs to, with a receipt like any other.

use std::{fmt, time::Duration};

use schemars::{Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::About;
use crate::{
    act::{Ability, Act, Place, Program, Unit},
    name::Name,
    proof::{Expect, Proof, Query},
    scenario::Moment,
    step::{Begin, End, Step, StepId, Track},
    system::Component,
    unit::Span,
    yaml::Mistake,
};

pub mod cold_cache;
pub mod configuration;
pub mod logical;
pub mod point_in_time;
pub mod redis_aof;
pub mod redis_rdb;
pub mod refusals;
pub mod total_loss;

/// A word under `drills`. Pure.
pub trait DrillKind: Sync {
    /// What is shown of it.
    fn about(&self) -> &'static About;
    /// Why it cannot be drilled on these components, if so. A mistake's path is that of the field within the item.
    fn fits(&self, said: &Drilled<'_>) -> Result<(), Mistake>;
    /// What is done, in order.
    fn stages(&self, said: &Drilled<'_>) -> Vec<Staged>;
    /// What is backed up, in the order in which it is restored.
    fn takes(&self, said: &Drilled<'_>) -> Vec<Taken>;
    /// Which acknowledged writes may be missing afterwards.
    fn loses(&self) -> Loses;
    /// Whether it destroys anything.
    fn destroys(&self) -> bool {
        true
    }
    /// What the target must be able to do besides what the acts need.
    fn needs(&self, _: &Drilled<'_>) -> Vec<Ability> {
        vec![Ability::Exec]
    }
}

/// A drill with all names resolved.
#[derive(Debug, Clone, Copy)]
pub struct Drilled<'a> {
    /// Its number in the scenario, from 1.
    pub number: usize,
    /// The components, and what the system file says of each; in the order of the system file.
    pub components: &'a [(&'a Name, &'a Component)],
    /// Whether these are all that the system has.
    pub all: bool,
    /// When it begins.
    pub begins: Duration,
    /// Whether the target keeps configuration as objects of the ground, not as files of each replica.
    pub objects: bool,
}

/// What a step of a drill is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The server keeps its log for the backup.
    Hold,
    /// The backups are taken and verified.
    Backup,
    /// Spoilt copies of the backups are offered to a restore, and must be refused.
    Refuse,
    /// Writes are acknowledged that the backup does not hold.
    Write,
    /// The data are destroyed.
    Destroy,
    /// The backup is extended by the log since it was taken.
    Extend,
    /// The components are stopped. What takes that back starts them, and completes the drill.
    Stop,
    /// The data are restored from the backups.
    Restore,
}

/// One stage of a drill: a step before it has its name.
#[derive(Debug, Clone)]
pub struct Staged {
    /// What it is for.
    pub stage: Stage,
    /// What is known beforehand of what it does.
    pub acts: Vec<Act>,
    /// What takes back the programs among its acts.
    pub back: Vec<Act>,
    /// Shows that it took effect.
    pub effect: Vec<Proof>,
    /// Shows that nothing of it is left.
    pub gone: Vec<Proof>,
}

/// What is backed up of one replica, or of the ground.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// The replica, or the ground.
    pub at: Place,
    /// How.
    pub form: Form,
}

/// A form of backup, and how it is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// A dump of the database.
    Dump,
    /// A base backup and the log after it, restored to its end.
    BaseAndLog,
    /// The same, restored to just before the transaction that the stage `destroy` printed.
    BaseAndLogBefore,
    /// The snapshot that a replica of Redis would get.
    Snapshot,
    /// Redis' append-only files.
    AppendOnly,
    /// What the replica's directory holds besides data: files, secrets among them. Always sealed.
    Configuration,
    /// The objects of the ground, secrets among them. Always sealed.
    Objects,
}

/// Which acknowledged writes may be missing after a drill.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loses {
    /// Those that were acknowledged since the backup began, and all of them that came after it.
    #[default]
    SinceBackup,
    /// Those that were acknowledged since the destruction began.
    SinceDestruction,
    /// None.
    Nothing,
}

impl Staged {
    /// A stage that only asks: what it runs is decided there.
    fn asks(stage: Stage) -> Self {
        Self { stage, acts: vec![], back: vec![], effect: vec![], gone: vec![] }
    }

    /// A stage of these acts, with nothing to take back.
    fn acts(stage: Stage, acts: Vec<Act>) -> Self {
        Self { acts, ..Self::asks(stage) }
    }
}

impl Drilled<'_> {
    /// The track of a drill, and what each of its steps is for.
    pub fn track(&self, kind: &dyn DrillKind) -> (Track, Vec<Stage>) {
        let name = self.name(kind.about());
        let staged = kind.stages(self);
        let stages = staged.iter().map(|staged| staged.stage).collect();
        let step = |(number, staged): (usize, Staged)| Step {
            id: StepId::new(&name, number + 1),
            title: format!("{} {}", staged.stage, self.names()),
            begin: if number == 0 { Begin::At(self.begins) } else { Begin::Then },
            acts: staged.acts,
            back: Some(staged.back),
            effect: staged.effect,
            gone: staged.gone,
            end: End::Keep,
        };
        let steps = staged.into_iter().enumerate().map(step).collect();
        (Track { name, steps }, stages)
    }

    /// The name of its track.
    pub fn name(&self, about: &About) -> Name {
        Name::numbered(about.word, self.number)
    }

    /// The components, for a reader.
    pub fn names(&self) -> String {
        self.components.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// The only component; a mistake where several were named.
    pub(super) fn one(&self, about: &'static About) -> Result<(&Name, &Component), Mistake> {
        match self.components {
            [(name, spec)] => Ok((name, spec)),
            _ => Err(Mistake::at(about.word, format!("`{}` is drilled on one component", about.word))
                .mend(format!("write `{}: COMPONENT`, one item of the list for each", about.word))),
        }
    }

    /// Every replica of every component.
    fn replicas(&self) -> impl Iterator<Item = (Place, &Component)> {
        self.components.iter().flat_map(|(name, spec)| {
            (1..=spec.replicas).map(move |index| (Place::replica(name, index), *spec))
        })
    }

    /// What is backed up of their configuration: files of each replica, or all objects of the ground at once.
    fn configuration(&self) -> Vec<Taken> {
        if self.objects {
            return vec![Taken { at: Place::of(Unit::Ground), form: Form::Objects }];
        }
        self.replicas().map(|(at, _)| Taken { at, form: Form::Configuration }).collect()
    }

    /// The ability to have configuration backed up and restored.
    fn configurable(&self) -> Vec<Ability> {
        vec![Ability::Exec, if self.objects { Ability::Objects } else { Ability::Files }]
    }

    /// All replicas end, the last component first; what takes it back starts them, and they are ready then.
    fn stop(&self) -> Staged {
        let places: Vec<_> = self.replicas().collect();
        let process = |at: &Place, is| proof(Query::Process { at: at.clone() }, is, STOPPED_WITHIN);
        let ready = |(at, spec): &(Place, &Component)| {
            proof(Query::Ready { at: at.clone() }, "ready", spec.ready_within.get())
        };
        Staged {
            stage: Stage::Stop,
            acts: places.iter().rev().map(|(at, _)| Act::Stop { at: at.clone() }).collect(),
            back: vec![],
            effect: places.iter().map(|(at, _)| process(at, "absent")).collect(),
            gone: places.iter().map(ready).collect(),
        }
    }

    /// A drill of what is destroyed and restored while it is stopped.
    fn stopped(&self, destroy: Vec<Act>) -> Vec<Staged> {
        vec![
            Staged::asks(Stage::Backup),
            Staged::asks(Stage::Write),
            self.stop(),
            Staged::acts(Stage::Destroy, destroy),
            Staged::asks(Stage::Restore),
        ]
    }

    /// The first replica of the first component.
    fn first(&self) -> Place {
        let name =
            self.components.first().map_or_else(|| Name::known("nothing"), |(name, _)| (*name).clone());
        Place::replica(&name, 1)
    }
}

/// How long a replica may take to end.
const STOPPED_WITHIN: Duration = Duration::from_secs(30);

/// How long a program may take that asks or changes little.
const SHORT: Duration = Duration::from_secs(60);

fn proof(ask: Query, is: &str, within: Duration) -> Proof {
    Proof { ask, expect: Expect::Is(is.to_owned()), within }
}

/// Runs a script of the shell in the environment of a replica.
fn shell(at: &Place, script: &str) -> Act {
    run(at, ["sh", "-euc", script].map(str::to_owned).into(), SHORT)
}

fn run(at: &Place, argv: Vec<String>, within: Duration) -> Act {
    let program = Program { argv, stdin: None, stdout: None, stderr: None, within };
    Act::Exec { at: at.clone(), program }
}

/// What the ground is asked to do with the objects that the system is configured by.
fn objects(words: impl IntoIterator<Item = String>) -> Act {
    run(&Place::of(Unit::Ground), ["objects".to_owned()].into_iter().chain(words).collect(), SHORT)
}

/// Statements that a server's own account of itself in its environment is enough to run.
fn sql(at: &Place, database: Option<&str>, statements: &str) -> Act {
    let quiet = ["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"];
    let database = database.map(|name| format!("--dbname={name}"));
    let command = format!("--command={statements}");
    run(at, quiet.map(str::to_owned).into_iter().chain(database).chain([command]).collect(), SHORT)
}

/// A server keeps its log from now on, until that is taken back.
fn hold(at: &Place, track: &Name) -> Staged {
    let slot = slot(track);
    let make = format!("select from pg_create_physical_replication_slot('{slot}', true)");
    let drop = format!(
        "select count(pg_drop_replication_slot(slot_name)) from pg_replication_slots where slot_name = '{slot}'"
    );
    // A server that was just started again may still read its log.
    let script = format!(
        "i=0; while [ $i -lt 60 ] && ! pg_isready --quiet; do i=$((i + 1)); sleep 0.5; done\n\
         psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --command=\"{drop}\"\nrm -rf -- \"$PGDATA.{slot}\""
    );
    Staged { back: vec![shell(at, &script)], ..Staged::acts(Stage::Hold, vec![sql(at, None, &make)]) }
}

/// The replication slot of a drill; its log is kept in a directory of that name beside the data.
pub fn slot(track: &Name) -> String {
    format!("gauntlet_{}", track.as_str().replace('-', "_"))
}

/// Redis' data are removed while it is stopped.
fn wipe_redis(at: &Place) -> Act {
    shell(at, "rm -rf -- \"${REDIS_DIR:?}\"/*")
}

/// The schema of `WORD: COMPONENT` with `at`, `lose` and `within`.
fn item(about: &About, generator: &mut SchemaGenerator) -> Schema {
    let name = json!({ "type": "string", "pattern": NAME, "description": about.summary });
    with_word(about, generator, name)
}

/// The same, with one component or several.
fn items(about: &About, generator: &mut SchemaGenerator) -> Schema {
    let name = json!({ "type": "string", "pattern": NAME });
    let names = json!({ "oneOf": [name, { "type": "array", "minItems": 1, "items": name }], "description": about.summary });
    with_word(about, generator, names)
}

const NAME: &str = "^[a-z][a-z0-9-]{0,62}$";

fn with_word(about: &About, generator: &mut SchemaGenerator, word: Value) -> Schema {
    let mut fields = Map::new();
    fields.insert(about.word.into(), word);
    fields.insert("at".into(), generator.subschema_for::<Moment>().into());
    let lose = json!({ "type": "integer", "minimum": 1,
        "description": "how many writes are acknowledged after the backup before the data are destroyed; 1000 unless said" });
    fields.insert("lose".into(), lose);
    fields.insert("within".into(), generator.subschema_for::<Span>().into());
    super::item(about, fields, [about.word, "at"].map(Value::from).into())
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hold => "keep the log of",
            Self::Backup => "back up",
            Self::Refuse => "offer spoilt backups to",
            Self::Write => "writes after the backup of",
            Self::Destroy => "destroy the data of",
            Self::Extend => "back up the newest log of",
            Self::Stop => "stop",
            Self::Restore => "restore",
        })
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.form, self.at)
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dump => "dump",
            Self::BaseAndLog | Self::BaseAndLogBefore => "base backup and log",
            Self::Snapshot => "snapshot",
            Self::AppendOnly => "append-only files",
            Self::Configuration => "configuration",
            Self::Objects => "objects",
        })
    }
}
