//! The plan: everything resolved before anything is touched. Pure data; `gauntlet plan` prints it, the journal begins with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    act::{Ability, Unit},
    judge::canary,
    kind::{Loses, Sets, Stage, Taken},
    name::Name,
    seed::Seed,
    step::{Step, Track},
    system::{Metric, Must, System},
};

mod budget;
mod canaries;
pub mod connections;
mod drills;
mod faults;
mod judged;
pub mod load;
mod mix;
pub mod objective;
mod print;
mod resolve;
mod rollouts;
mod shape;
mod time_line;
mod written;

pub use budget::SETTLE;
pub use canaries::with_sets;
pub use connections::Reach;
pub use judged::CHECKS;
pub use load::{Arrivals, LoadPlan, Segment, StepPlan, Stream};
pub use objective::{Comparison, Measure, Objective};
pub use print::print;
pub use resolve::plan;

/// Everything that a run does and judges.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The scenario's name: the stem of its file.
    pub scenario: String,
    /// What it claims.
    pub hypothesis: String,
    /// The system's name.
    pub system: Name,
    /// `local`, ...
    pub target: String,
    /// Every random choice comes from it.
    pub seed: Seed,
    /// In order, without gaps, from the load's beginning.
    pub phases: Vec<Phase>,
    /// The load.
    pub load: LoadPlan,
    /// Starts the system: one step for the ground, one for each component.
    pub set_up: Track,
    /// One track for each fault.
    pub faults: Vec<FaultPlan>,
    /// One track for each rollout.
    #[serde(default)]
    pub rollouts: Vec<RolloutPlan>,
    /// One track for each drill.
    #[serde(default)]
    pub drills: Vec<DrillPlan>,
    /// What must be met.
    pub objectives: Vec<Objective>,
    /// The checks of correctness that are asked for, by name.
    pub checks: Vec<Name>,
    /// How many replicas each component has, and what each is entitled to.
    pub replicas: BTreeMap<Name, Replicas>,
    /// The metrics that objectives name.
    pub metrics: BTreeMap<Name, Metric>,
    /// What is read back from components and must hold.
    pub musts: Vec<(Name, Must)>,
    /// Who must reach what, and who must not; a row for each source.
    #[serde(default)]
    pub connections: Vec<Reach>,
    /// When the generator's own evidence is worth nothing.
    pub generator: GeneratorLimits,
    /// What the target must be able to do.
    pub needs: BTreeSet<Ability>,
    /// What will be touched by faults and rollouts.
    pub touches: BTreeSet<Unit>,
}

/// A stretch of the time line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// `warm-up`, `baseline`, `fault`, `recovery`, ...
    pub name: Name,
    /// From the load's beginning.
    pub begins: Duration,
    /// From the load's beginning.
    pub ends: Duration,
    /// A warm-up is recorded, not judged.
    pub judged: bool,
}

/// One fault: the words that were written, and the track they stand for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultPlan {
    /// The kind: `kill`, `pause`, ...
    pub kind: Name,
    /// What a reader calls it: `pause service-2`.
    pub title: String,
    /// When it begins, from the load's beginning.
    pub begins: Duration,
    /// How long it lasts; zero: it is undone at once.
    pub lasts: Duration,
    /// Its steps.
    pub track: Track,
}

/// One rollout: the words that were written, and the track they stand for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloutPlan {
    /// The kind: `update` or `rollback`.
    pub kind: Name,
    /// What a reader calls it: `update service to v2`.
    pub title: String,
    /// The component.
    pub component: Name,
    /// The revision that it goes to.
    pub to: Name,
    /// When it begins, from the load's beginning.
    pub begins: Duration,
    /// How long it was given: as long it is reckoned with.
    pub within: Duration,
    /// The same with what the target needs more. One that takes longer has failed.
    pub allowed: Duration,
    /// Its steps.
    pub track: Track,
    /// What a judge compares while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryPlan>,
}

/// What a judge compares while a rollout goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CanaryPlan {
    /// The sets, and how the traffic is split.
    pub sets: Sets,
    /// What the judge is asked.
    pub judge: canary::Config,
}

/// One drill: the words that were written, and the track they stand for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillPlan {
    /// The kind: `logical`, ...
    pub kind: Name,
    /// What a reader calls it: `logical drill of database`.
    pub title: String,
    /// The components.
    pub components: Vec<Name>,
    /// When it begins, from the load's beginning.
    pub begins: Duration,
    /// How long it may all take.
    pub within: Duration,
    /// How many writes are acknowledged after the backup before the data are destroyed.
    pub lose: u64,
    /// Which of those that were acknowledged may be missing afterwards.
    pub loses: Loses,
    /// What is backed up, in the order in which it is restored.
    pub takes: Vec<Taken>,
    /// What each step is for.
    pub stages: Vec<Stage>,
    /// Its steps, one for each stage.
    pub track: Track,
}

impl DrillPlan {
    /// Its steps, and what each is for.
    pub fn steps(&self) -> impl Iterator<Item = (Stage, &Step)> {
        self.stages.iter().copied().zip(&self.track.steps)
    }

    /// The step of a stage that it has.
    pub fn step(&self, stage: Stage) -> Option<&Step> {
        self.steps().find(|(found, _)| *found == stage).map(|(_, step)| step)
    }

    /// Until when it is reckoned with, from the load's beginning.
    pub fn ends(&self) -> Duration {
        self.begins.saturating_add(self.within)
    }
}

impl RolloutPlan {
    /// Until when it is reckoned with, from the load's beginning.
    pub fn ends(&self) -> Duration {
        self.begins.saturating_add(self.within)
    }

    /// From when on it may replace replicas of its component: a canary not before every step has had its least time.
    pub fn replaces_from(&self) -> Duration {
        let gates = self.canary.as_ref().map(|canary| {
            let steps = u64::try_from(canary.sets.shares.len()).unwrap_or(u64::MAX);
            Duration::from_secs(canary.judge.least_seconds.saturating_mul(steps))
        });
        self.begins.saturating_add(gates.unwrap_or_default())
    }
}

/// How many replicas, and what each is entitled to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Replicas {
    /// How many.
    pub count: u16,
    /// Cores a replica; 0: no allotment.
    pub cores: f64,
    /// Bytes a replica; 0: no allotment.
    pub memory: u64,
}

/// When the generator's own evidence is worth nothing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GeneratorLimits {
    /// The 99th percentile of its own lag may not be over this.
    pub lag_p99: Duration,
    /// The share of the schedule that it must have sent.
    pub sent: f64,
}

/// What the pure planner is told of the world.
#[derive(Debug, Clone, PartialEq)]
pub struct Known<'a> {
    /// The system file.
    pub system: &'a System,
    /// The target's name.
    pub target: &'a str,
    /// What the target can do here and now.
    pub abilities: BTreeSet<Ability>,
    /// Why it cannot do what such targets can, and what mends it.
    pub lacking: BTreeMap<Ability, String>,
    /// How much longer than on this machine a proof may take there: its objects are made by controllers.
    pub slack: Duration,
}

impl<'a> Known<'a> {
    /// A target that lacks nothing of its kind, and is as quick as this machine.
    pub fn on(system: &'a System, target: &'a str, abilities: BTreeSet<Ability>) -> Self {
        Self { system, target, abilities, lacking: BTreeMap::new(), slack: Duration::ZERO }
    }
}

impl Plan {
    /// The phase in which something that was intended at this moment of the load's time line falls.
    pub fn phase_at(&self, us: u64) -> Option<&Phase> {
        let at = Duration::from_micros(us);
        self.phases.iter().find(|phase| phase.begins <= at && at < phase.ends)
    }

    /// The phases that are judged.
    pub fn judged(&self) -> impl Iterator<Item = &Phase> {
        self.phases.iter().filter(|phase| phase.judged)
    }

    /// How long the load lasts.
    pub fn lasts(&self) -> Duration {
        self.phases.last().map_or(Duration::ZERO, |phase| phase.ends)
    }
}
