//! What the load process is told: the schedule, fixed before the run, and the requests.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    name::Name,
    seed::Seed,
    system::{Audit, RequestSpec},
};

/// The load of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadPlan {
    /// Every draw of the generator comes from it.
    pub seed: Seed,
    /// How long arrivals go on.
    pub lasts: Duration,
    /// Streams of arrivals, side by side.
    pub streams: Vec<Stream>,
    /// Every request of every behaviour; rows name them by index.
    pub steps: Vec<StepPlan>,
    /// The behaviours that are in use: their name and their range of `steps`.
    pub behaviours: Vec<BehaviourPlan>,
    /// Data sets that are in use: name and file, relative to the system file.
    pub data: BTreeMap<Name, String>,
    /// Asked after the last phase for every key that was written.
    pub audit: Option<Audit>,
    /// The header of an answer that names who gave it.
    pub arm_header: Option<String>,
    /// Most requests in flight; an arrival over it is dropped and counted.
    pub in_flight: u64,
}

/// One behaviour that is in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BehaviourPlan {
    /// Its name.
    pub name: Name,
    /// Index of its first request in `steps`.
    pub first: u16,
    /// How many requests it has.
    pub count: u16,
}

/// One request of one behaviour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepPlan {
    /// The behaviour it belongs to.
    pub behaviour: Name,
    /// The request.
    pub request: RequestSpec,
}

/// A stream of arrivals, each of which begins a behaviour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stream {
    /// Index into `behaviours`, and its share (all shares of a stream sum to 1).
    pub mix: Vec<(u16, f64)>,
    /// Whether arrivals are evenly spaced or random.
    pub arrivals: Arrivals,
    /// The rate over time; segments follow each other without gaps.
    pub segments: Vec<Segment>,
}

/// How arrivals are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arrivals {
    /// Evenly: the k-th arrival comes when the integral of the rate reaches k.
    Even,
    /// A Poisson process of that rate.
    Poisson,
}

/// A stretch of the time line over which the rate goes straight from one value to another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// How long.
    pub lasts: Duration,
    /// Arrivals per second at its beginning.
    pub from: f64,
    /// Arrivals per second at its end.
    pub to: f64,
}

/// The one message to the load process: a JSON line on its standard input. End of file there stops the load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadJob {
    /// The plan.
    pub plan: LoadPlan,
    /// Where requests go: `127.0.0.1:20000`.
    pub authority: String,
    /// The data sets, read by the harness.
    pub data: BTreeMap<Name, Vec<Value>>,
}

impl Stream {
    /// How many arrivals it offers between two moments, on average.
    pub fn offered(&self, from: Duration, to: Duration) -> f64 {
        let (mut begins, mut sum) = (0.0, 0.0);
        for segment in &self.segments {
            let lasts = segment.lasts.as_secs_f64();
            let ends = begins + lasts;
            let (left, right) = (from.as_secs_f64().max(begins), to.as_secs_f64().min(ends));
            if right > left && lasts > 0.0 {
                let rate = |at: f64| segment.from + (segment.to - segment.from) * (at - begins) / lasts;
                sum += (rate(left) + rate(right)) / 2.0 * (right - left);
            }
            begins = ends;
        }
        sum
    }
}
