//! A scenario: what was written, before anything is resolved. The planner gives it its meaning.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    name::Name,
    unit::{Percent, Span},
    yaml::{self, Mistake, Places},
};

pub mod connection;
pub mod drill;
pub mod fault;
pub mod load;
pub mod moment;
pub mod rollout;
mod schema;
pub mod tolerance;

pub use connection::Destination;
pub use drill::Drill;
pub use fault::{Fault, Pick};
pub use load::{Load, Shape};
pub use moment::Moment;
pub use rollout::{Against, Gated, Rollout};
pub use schema::schema;
pub use tolerance::Tolerance;

/// The format of scenario files. A reader refuses any other.
pub const SCENARIO_FORMAT: u32 = 1;

/// A scenario: a claim about a system under load and faults.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The version of this file's format: 1.
    #[serde(default = "format_one")]
    #[schemars(extend("const" = SCENARIO_FORMAT))]
    pub format: u32,
    /// What it claims, in one sentence.
    pub hypothesis: String,
    /// The system file, relative to this file.
    pub system: String,
    /// Every random choice comes from it; 1 unless said.
    #[serde(default = "seed_one")]
    pub seed: u64,
    /// Streams of users, side by side.
    #[serde(default)]
    pub load: Vec<Load>,
    /// The time line: names and lengths in order. A phase named `warm-up` is recorded, not judged.
    #[schemars(extend("minProperties" = 1))]
    pub phases: IndexMap<Name, Span>,
    /// What is done to the system.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// What is rolled out anew meanwhile.
    #[serde(default)]
    pub rollouts: Vec<Rollout>,
    /// Backups that are taken, lost data that are restored.
    #[serde(default)]
    pub drills: Vec<Drill>,
    /// Components whose data a drill may destroy.
    #[serde(default, rename = "may-lose")]
    pub may_lose: Vec<Name>,
    /// Who may connect to what: `COMPONENT:PORT: [SOURCE]`, or an address of `kube.addresses` by its name. A source is a
    /// component, a stranger of `kube.strangers`, or `all`. Every source is tried, and what is not allowed must be closed.
    #[serde(default)]
    pub connections: IndexMap<Destination, Vec<Name>>,
    /// How many replicas of a component may be down at the same time; one less than all unless said.
    #[serde(default)]
    pub tolerates: BTreeMap<Name, Tolerance>,
    /// What must be met: `p95 < 200ms`, `throughput > 1000/s in fault`, `errors of BEHAVIOUR < 0.5%`,
    /// `recovery < 5s`, `rpo < 30s`, `rto < 60s`, `memory of COMPONENT < 2GB`, `cpu of COMPONENT < 70%`, `METRIC > 85%`.
    #[serde(default)]
    pub objectives: Vec<String>,
    /// The checks of correctness.
    #[serde(default)]
    #[schemars(schema_with = "schema::checks")]
    pub checks: Vec<Name>,
    /// When the load generator's own evidence is worth nothing.
    #[serde(default)]
    pub generator: Generator,
    /// Where everything stands in the file.
    #[serde(skip)]
    pub places: Places,
}

/// When the load generator's own evidence is worth nothing.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Generator {
    /// Most lag of the generator itself, at its 99th percentile; 20 ms unless said.
    pub lag: Span,
    /// Least share of the schedule that must be sent; 99 % unless said.
    pub sent: Percent,
    /// Most requests in flight; arrivals over it are dropped and counted. 2000 unless said.
    pub in_flight: u64,
}

impl Default for Generator {
    fn default() -> Self {
        Self { lag: Span::from_micros(20_000), sent: Percent::of(0.99), in_flight: 2_000 }
    }
}

/// Reads a scenario file. Names are resolved by [`crate::plan::plan`].
pub fn read(text: impl AsRef<[u8]>) -> Result<Scenario, Vec<Mistake>> {
    let tree = yaml::tree(text.as_ref()).map_err(|mistake| vec![mistake])?;
    yaml::format(&tree, SCENARIO_FORMAT).map_err(|mistake| vec![mistake])?;
    let scenario: Scenario = yaml::read(&tree)?;
    Ok(Scenario { places: Places::of(&tree), ..scenario })
}

fn format_one() -> u32 {
    SCENARIO_FORMAT
}

fn seed_one() -> u64 {
    1
}

#[cfg(test)]
mod tests {
    use super::read;

    const LEAST: &str = "hypothesis: it holds\nsystem: system.yml\nphases: { baseline: 5s }\n";

    #[test]
    fn what_is_not_written_has_its_default() {
        let scenario = read(LEAST).unwrap();
        assert_eq!((scenario.format, scenario.seed), (1, 1));
        assert_eq!(scenario.generator.lag.to_string(), "20ms");
        assert_eq!(scenario.generator.sent.to_string(), "99%");
        assert_eq!(scenario.generator.in_flight, 2_000);
    }

    #[test]
    fn one_limit_of_the_generator_can_be_written_alone() {
        let scenario = read(format!("{LEAST}generator: {{ in-flight: 50 }}\n")).unwrap();
        assert_eq!((scenario.generator.in_flight, scenario.generator.lag.micros()), (50, 20_000));
    }

    #[test]
    fn phases_keep_the_order_of_the_file() {
        let scenario = read(LEAST.replace("{ baseline: 5s }", "{ z: 1s, a: 2s, m: 3s }")).unwrap();
        assert_eq!(scenario.phases.keys().map(|name| name.as_str()).collect::<Vec<_>>(), ["z", "a", "m"]);
    }
}
