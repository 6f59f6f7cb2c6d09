//! The story of a run: everything that a report shows, as one pure fold over its evidence. Every format reads this and
//! the verdict, nothing else, so no two of them can disagree.
//!
//! Times named `_s` are seconds on the load's time line (zero: the load began) unless the field says otherwise.

use std::collections::BTreeMap;

use gauntlet_core::{
    evidence::{Began, Event, Operation, Request, Surroundings, What},
    plan::{Measure, Objective, Phase, Plan},
};
use serde::Serialize;

use crate::journal::{Recorded, table::AUDIT_STEP};

mod behaviours;
mod canaries;
mod connections;
mod drills;
mod faults;
mod generator;
mod phases;
mod resources;
mod seconds;
mod series;
mod timeline;

pub use behaviours::BehaviourStory;
pub use canaries::{CanaryStory, SplitStory};
pub use connections::ConnectionStory;
pub use drills::DrillStory;
pub use faults::{FaultStory, ProofStory};
pub use generator::GeneratorStory;
pub use phases::{PhaseStory, Quantiles};
pub use resources::{Point, Usage};
pub use seconds::Bucket;
pub use series::{Gain, GainKind};
pub(super) use timeline::Titles;
pub use timeline::{Moment, MomentKind, SettingStory};

/// What a report shows of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Story {
    /// The run's name.
    pub run: String,
    /// The scenario's name.
    pub scenario: String,
    /// What it claims.
    pub hypothesis: String,
    /// The system's name.
    pub system: String,
    /// Where it ran.
    pub target: String,
    /// Every random choice came from it.
    pub seed: u64,
    /// When it began, RFC 3339.
    pub wall_clock: String,
    /// The version of the harness.
    pub version: String,
    /// The command that repeats it.
    pub command: Vec<String>,
    /// Commit, digests, machine; images and nodes where the target tells them, at the end too where they differ then.
    pub provenance: BTreeMap<String, String>,
    /// How long the run took, set-up and healing included, in seconds.
    pub took_s: f64,
    /// When the load began, in seconds since the run began; none: it never did.
    pub load_began_s: Option<f64>,
    /// What the journal lacks.
    pub torn: Vec<String>,
    /// What must be met, in the order of the scenario.
    pub objectives: Vec<ObjectiveStory>,
    /// The phases, in order.
    pub phases: Vec<PhaseStory>,
    /// The faults, in the order of the plan.
    pub faults: Vec<FaultStory>,
    /// The rollouts, in the order of the plan.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rollouts: Vec<FaultStory>,
    /// The drills, in the order of the plan, and what was measured.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drills: Vec<DrillStory>,
    /// Their stages, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drill_stages: Vec<FaultStory>,
    /// The canaries among them, and what was compared.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub canaries: Vec<CanaryStory>,
    /// Who reached what, before the load began.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub connections: Vec<ConnectionStory>,
    /// The behaviours: their shares of the load, and how they fared in the judged phases.
    pub behaviours: Vec<BehaviourStory>,
    /// What the generator says of itself.
    pub generator: GeneratorStory,
    /// Requirements that were read back.
    pub settings: Vec<SettingStory>,
    /// Series that components export: their increase in each judged phase.
    pub series: Vec<Gain>,
    /// CPU and memory of each replica.
    pub resources: Vec<Usage>,
    /// How many seconds each of `seconds` stands for: more than one in a long run.
    pub bucket_s: u64,
    /// What completed over time.
    pub seconds: Vec<Bucket>,
    /// What happened, in order.
    pub timeline: Vec<Moment>,
}

/// What must be met.
#[derive(Debug, Clone, Serialize)]
pub struct ObjectiveStory {
    /// As it was written.
    pub text: String,
    /// The bound as it was written: `< 200ms`.
    pub bound: String,
    /// Where the charts of latency can show it: the quantile of all behaviours and the bound in milliseconds.
    #[serde(skip)]
    pub latency: Option<(f64, f64)>,
    /// Where the chart of throughput can show it: right answers a second.
    #[serde(skip)]
    pub throughput: Option<f64>,
}

impl ObjectiveStory {
    fn of(objective: &Objective) -> Self {
        let from = objective.text.find(['<', '>']).unwrap_or(0);
        Self {
            text: objective.text.clone(),
            bound: objective.text.get(from..).unwrap_or_default().trim().to_owned(),
            latency: match objective.measure {
                Measure::Latency { quantile, behaviour: None } => Some((quantile, objective.bound / 1e3)),
                _ => None,
            },
            throughput: matches!(objective.measure, Measure::Throughput).then_some(objective.bound),
        }
    }
}

impl Story {
    /// Folds the evidence of a run.
    pub fn of(recorded: &Recorded) -> Self {
        let Began { run, wall_clock, version, command, plan, .. } = recorded.began();
        let clock = Clock::of(recorded.events());
        let rows = Rows::of(recorded.requests());
        let (bucket_s, seconds) = seconds::fold(plan, &rows);
        Self {
            run: run.clone(),
            scenario: plan.scenario.clone(),
            hypothesis: plan.hypothesis.clone(),
            system: plan.system.to_string(),
            target: plan.target.clone(),
            seed: plan.seed.0,
            wall_clock: wall_clock.clone(),
            version: version.clone(),
            command: command.clone(),
            provenance: provenance(recorded),
            took_s: recorded.events().last().map_or(0.0, |event| seconds_of(event.at_us)),
            load_began_s: clock.zero_us.map(seconds_of),
            torn: recorded.torn.clone(),
            objectives: plan.objectives.iter().map(ObjectiveStory::of).collect(),
            phases: plan.phases.iter().map(|phase| PhaseStory::of(phase, &rows)).collect(),
            faults: faults::fold(plan, recorded.events(), clock),
            rollouts: faults::rollouts(plan, recorded.events(), clock),
            drills: drills::fold(plan, recorded),
            drill_stages: faults::drills(plan, recorded.events(), clock),
            canaries: canaries::fold(plan, recorded),
            connections: connections::fold(plan, recorded.events()),
            behaviours: behaviours::fold(plan, &rows),
            generator: generator::fold(plan, recorded.events(), &rows),
            settings: timeline::settings(recorded.events()),
            series: series::fold(plan, recorded.samples(), clock),
            resources: resources::fold(plan, recorded.samples(), clock, bucket_s),
            bucket_s,
            seconds,
            timeline: timeline::fold(plan, recorded.events(), clock),
        }
    }

    /// Faults, rollouts and drills: what charts show as spans.
    pub fn spans(&self) -> impl Iterator<Item = &FaultStory> {
        self.faults.iter().chain(&self.rollouts).chain(&self.drill_stages)
    }

    /// The end of the time line that charts show.
    pub fn ends_s(&self) -> f64 {
        let phases = self.phases.last().map_or(0.0, |phase| phase.ends_s);
        self.seconds.last().map_or(0.0, |bucket| bucket.at_s + self.bucket_s as f64).max(phases)
    }

    /// The command that repeats the run, as one would type it.
    pub fn command_line(&self) -> String {
        command_line(&self.command)
    }
}

/// What the run was made with, and what it found there.
fn provenance(recorded: &Recorded) -> BTreeMap<String, String> {
    let mut all = recorded.began().provenance.clone();
    let looks = recorded.events().iter().filter_map(|event| match &event.what {
        What::LookedAround(seen) => Some(seen),
        _ => None,
    });
    all.extend(Surroundings::record(looks));
    all
}

/// A command as one would type it.
pub(super) fn command_line(words: &[String]) -> String {
    words.iter().map(|word| typed(word)).collect::<Vec<_>>().join(" ")
}

/// A word as a shell wants it.
fn typed(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// From the run's clock to the load's.
#[derive(Debug, Clone, Copy)]
struct Clock {
    zero_us: Option<u64>,
}

impl Clock {
    fn of(events: &[Event]) -> Self {
        let began = events.iter().find(|event| matches!(event.what, What::LoadBegan));
        Self { zero_us: began.map(|event| event.at_us) }
    }

    /// Seconds on the load's time line, negative before it; none when there was no load.
    fn load_s(self, at_us: u64) -> Option<f64> {
        // Whole microseconds are subtracted, so that 27.01 s does not become 27.009999999999998.
        let us = |zero: u64| i128::from(at_us) - i128::from(zero);
        self.zero_us.map(|zero| us(zero) as f64 / 1e6)
    }

    /// A stretch of the load's time line on the run's clock.
    fn stretch(self, phase: &Phase) -> Option<(u64, u64)> {
        let us = |at: std::time::Duration| u64::try_from(at.as_micros()).unwrap_or(u64::MAX);
        self.zero_us.map(|zero| (zero.saturating_add(us(phase.begins)), zero.saturating_add(us(phase.ends))))
    }
}

/// The rows of a run: the load, and the audit that asks for records after it.
struct Rows<'a> {
    load: Vec<&'a Request>,
    audit: Vec<&'a Request>,
}

impl<'a> Rows<'a> {
    fn of(requests: &'a [Request]) -> Self {
        let asks = |row: &&Request| row.step == AUDIT_STEP || row.operation == Operation::Audit;
        let (audit, load) = requests.iter().partition(asks);
        Self { load, audit }
    }

    /// Those that were intended within a judged phase.
    fn judged(&self, plan: &Plan) -> impl Iterator<Item = &'a Request> {
        self.load
            .iter()
            .copied()
            .filter(|row| plan.phase_at(row.intended_us).is_some_and(|phase| phase.judged))
    }
}

fn seconds_of(us: u64) -> f64 {
    us as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::typed;

    #[test]
    fn a_command_is_shown_as_a_shell_reads_it_back() {
        assert_eq!(typed("scenarios/gate/benchmarks.yml"), "scenarios/gate/benchmarks.yml");
        assert_eq!(typed("my scenario.yml"), "'my scenario.yml'");
        assert_eq!(typed("it's"), r"'it'\''s'");
        assert_eq!(typed(""), "''");
    }
}
