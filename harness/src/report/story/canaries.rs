//! Canaries: what was compared with what, when, and why it was decided so.

use std::time::Duration;

use gauntlet_core::{
    act::Revision,
    judge::{
        canary::{Decision, Estimate},
        gate::{Account, accounts},
    },
    plan::Plan,
    step::{End, StepId},
};
use serde::Serialize;

use crate::journal::Recorded;

/// One canary.
#[derive(Debug, Clone, Serialize)]
pub struct CanaryStory {
    /// What the rollout is called.
    pub title: String,
    /// The set of the new revision, and the revision.
    pub canary: String,
    /// What it was compared with.
    pub against: String,
    /// The steps of the split.
    pub steps: Vec<SplitStory>,
    /// Every metric as the last decision saw it.
    pub metrics: Vec<Estimate>,
    /// The effect of each metric that would be harm, in words, in the order of `metrics`.
    pub harm: Vec<String>,
}

/// A step of the split. Seconds of the load's time line.
#[derive(Debug, Clone, Serialize)]
pub struct SplitStory {
    /// The canary's share of the traffic.
    pub share: f64,
    /// From when on its requests were judged.
    pub from_s: Option<f64>,
    /// How long it might last.
    pub each_s: f64,
    /// The first second that was not judged any more.
    pub judged_upto_s: Option<u64>,
    /// What was decided; none: it did not come so far.
    pub decision: Option<Decision>,
}

pub(super) fn fold(plan: &Plan, recorded: &Recorded) -> Vec<CanaryStory> {
    if plan.rollouts.iter().all(|rollout| rollout.canary.is_none()) {
        return Vec::new();
    }
    let all = accounts(plan, recorded.evidence());
    let of = |account: Account| {
        let rollout = plan.rollouts.iter().find(|rollout| rollout.title == account.title);
        let component = rollout.map(|rollout| rollout.component.to_string()).unwrap_or_default();
        let to = rollout.map(|rollout| rollout.to.to_string()).unwrap_or_default();
        let before = Revision::original().name;
        let gate = |id: &StepId| {
            let steps = rollout.into_iter().flat_map(|rollout| &rollout.track.steps);
            steps.into_iter().find(|step| step.id == *id).map_or(Duration::ZERO, |step| match step.end {
                End::Gate(each) => each,
                _ => Duration::ZERO,
            })
        };
        let steps = account.open.iter().zip(&account.plan.sets.shares).map(|((id, from_us, _), share)| {
            let decided = account.decided.iter().find(|(step, ..)| step == id);
            SplitStory {
                share: f64::from(*share) / f64::from(gauntlet_core::system::Shares::WHOLE),
                from_s: from_us.map(|us| us as f64 / 1e6),
                each_s: gate(id).as_secs_f64(),
                judged_upto_s: decided.map(|(_, upto, _)| *upto),
                decision: decided.map(|(.., decision)| decision.clone()),
            }
        });
        CanaryStory {
            canary: format!("{} ({to})", account.plan.sets.canary),
            against: match &account.plan.sets.baseline {
                Some(baseline) => {
                    format!("{baseline} ({before}), started at the same time, with an equal share")
                }
                None => format!("{component} ({before}), the replicas that ran before, with all the rest"),
            },
            steps: steps.collect(),
            harm: account.metrics.iter().map(|metric| account.plan.judge.harm(&metric.metric)).collect(),
            metrics: account.metrics,
            title: account.title,
        }
    };
    all.into_iter().map(of).collect()
}
