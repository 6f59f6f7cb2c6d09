//! The time line of a run: phases, faults, rollouts and samples while the load goes on.

use std::{sync::Arc, time::Duration};

use gauntlet_core::{
    evidence::{TroubleKind, What},
    plan::{Phase, Plan},
    port::Meter,
};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};

use super::{
    drills::{self, Kit},
    faults,
    load::Load,
    recorder::Recorder,
    rollouts,
    sets::Sets,
    stop::Stop,
    world::{Tell, World},
};

/// How often metrics are read. CPU at the ends of a phase is interpolated between two readings.
const SAMPLE_EVERY: Duration = Duration::from_millis(500);
const REDRAW_EVERY: Duration = Duration::from_millis(500);

/// Plays phases, faults and rollouts beside the load; comes back when the load has ended, every fault is healed, and
/// every rollout has completed or is taken back.
pub(super) async fn play(
    plan: &Plan,
    load: Load,
    meter: Box<dyn Meter>,
    world: &World,
    recorder: &Arc<Recorder>,
    kit: &Arc<Kit>,
    stop: &Stop,
) {
    let zero = Instant::now();
    recorder.tell(What::LoadBegan);
    let mut beside = JoinSet::new();
    beside.spawn(phases(plan.phases.clone(), zero, recorder.clone(), stop.clone()));
    let sampling = tokio::spawn(sample(meter, recorder.clone()));
    let drawing = tokio::spawn(redraw(recorder.clone()));
    let sets = Arc::new(Sets::of(plan));
    for fault in plan.faults.clone() {
        beside.spawn(faults::track(fault, zero, world.clone(), sets.clone(), stop.clone()));
    }
    for rollout in plan.rollouts.clone() {
        let judged = (recorder.gates(), sets.clone());
        beside.spawn(rollouts::track(rollout, zero, world.clone(), judged, stop.clone()));
    }
    beside.spawn(drills::tracks(plan.drills.clone(), zero, world.clone(), kit.clone(), stop.clone()));
    load.record(plan.load.lasts, recorder, stop).await;
    beside.join_all().await;
    drawing.abort();
    sampling.abort();
    if let Err(ended) = sampling.await
        && ended.is_panic()
    {
        let why = format!("metrics were not read to the end: {ended}");
        recorder.tell(What::Trouble { kind: TroubleKind::Harness, step: None, why });
    }
}

async fn phases(phases: Vec<Phase>, zero: Instant, recorder: Arc<Recorder>, stop: Stop) {
    for phase in phases {
        if !stop.sleep_until(zero + phase.begins).await {
            return;
        }
        recorder.tell(What::Phase { name: phase.name });
    }
}

async fn sample(mut meter: Box<dyn Meter>, recorder: Arc<Recorder>) {
    let mut ticks = interval(SAMPLE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut silent = String::new();
    loop {
        ticks.tick().await;
        let unread = match meter.sample(recorder.now_us()).await {
            Ok((samples, unread)) => {
                recorder.samples(&samples);
                unread.join("; ")
            }
            Err(trouble) => trouble.to_string(),
        };
        if unread != silent {
            tracing::debug!(unread, "metrics that could not be read");
            silent = unread;
        }
    }
}

async fn redraw(recorder: Arc<Recorder>) {
    let mut ticks = interval(REDRAW_EVERY);
    loop {
        ticks.tick().await;
        recorder.tick();
    }
}
