//! Drills: what each lost, for how long, and which backups it restored from.

use gauntlet_core::{
    evidence::Evidence,
    judge::drill::{Account, Level, accounts},
    plan::Plan,
};
use serde::{Deserialize, Serialize};

use crate::journal::Recorded;

/// One drill. Times are in seconds; none: it did not come so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DrillStory {
    /// What a reader calls it: `logical drill of database`.
    pub title: String,
    /// The word.
    pub kind: String,
    /// What was lost and restored.
    pub components: Vec<String>,
    /// Writes that were acknowledged in the whole run.
    pub acknowledged: u64,
    /// Those of them that the drill lost.
    pub lost: Option<u64>,
    /// How long before the destruction the oldest of these was acknowledged: what of a past was lost. Zero: none was.
    pub rpo_s: Option<f64>,
    /// How long before the destruction the newest of these was acknowledged; negative: after it.
    pub newest_s: Option<f64>,
    /// From the destruction to the first right answer on a record.
    pub rto_s: Option<f64>,
    /// From the destruction to the last answer that was wrong, or slower than the scenario bounds it.
    pub full_service_s: Option<f64>,
    /// Where the backups are, below the run's directory.
    pub backups: Vec<String>,
    /// How users fared while the backup was taken.
    pub during_backup: Option<LevelStory>,
    /// How they fared before the first drill began.
    pub before_backup: Option<LevelStory>,
    /// Spoilt backups that were offered.
    pub offered: u64,
    /// Those of them that were refused for the right reason.
    pub refused: u64,
}

/// How users fared for a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LevelStory {
    /// Requests.
    pub requests: u64,
    /// Those of them without a right answer.
    pub errors: u64,
    /// p95 of latency; none: it lies among the failures.
    pub p95_ms: Option<f64>,
}

pub(super) fn fold(plan: &Plan, recorded: &Recorded) -> Vec<DrillStory> {
    if plan.drills.is_empty() {
        return Vec::new();
    }
    let events = recorded.events().iter().map(Evidence::Event);
    let all = accounts(plan, events.chain(recorded.requests().iter().map(Evidence::Request)));
    all.into_iter().map(DrillStory::of).collect()
}

impl DrillStory {
    fn of(account: Account) -> Self {
        let before_s = |us: i64| us as f64 / 1e6;
        let after_s = |us: u64| us as f64 / 1e6;
        let (during, before) = account.effect.unzip();
        // What was acknowledged after the destruction is no past that was lost.
        let rpo_s = account.lost.map(|_| before_s(account.oldest_us.unwrap_or(0).max(0)));
        Self {
            title: account.title,
            kind: account.kind.to_string(),
            components: account.components.iter().map(ToString::to_string).collect(),
            acknowledged: account.acknowledged,
            lost: account.lost,
            rpo_s,
            newest_s: account.newest_us.map(before_s),
            rto_s: account.answer_us.map(after_s),
            full_service_s: account.whole_us.map(after_s),
            backups: account.backups,
            during_backup: during.map(LevelStory::of),
            before_backup: before.map(LevelStory::of),
            offered: account.offered,
            refused: account.refused,
        }
    }
}

impl LevelStory {
    fn of(level: Level) -> Self {
        let p95_ms = level.p95_us.map(|us| us as f64 / 1e3);
        Self { requests: level.requests, errors: level.errors, p95_ms }
    }
}
