//! The janitor of a cluster: the same `watch` as on this machine, for every run that holds a lease there.

use std::{collections::BTreeMap, io, path::Path, time::Duration};

use futures_util::StreamExt;
use gauntlet_core::port::Trouble;
use gauntlet_kube::{
    Client, Hold, KubeLedger, in_cluster,
    run::{
        expired,
        leases::{Sign, signs},
    },
};
use tokio::{
    io::{AsyncWriteExt, DuplexStream, duplex},
    time::{interval, sleep},
};

use super::{
    heal::unwind,
    takeover::Log,
    watch::{BEAT, DONE, Silence, silence, take_over},
    world::World,
};
use crate::{
    record::{self, Ground, Record},
    target::{self, kube_doors},
};

/// Who holds the lease of a run that the janitor has taken over.
const JANITOR: &str = "janitor";
/// How often it looks for namespaces that outlived their run.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// How long it waits before it tries again what could not be healed.
const AGAIN_AFTER: Duration = Duration::from_secs(15);

/// Watches every run of the cluster until the pod ends.
pub(super) fn serve() -> io::Result<()> {
    crate::cli::log_to_stderr();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = in_cluster().map_err(io::Error::other)?;
        let mut ended = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            () = watch_all(client.clone()) => {}
            () = sweep(client) => {}
            _ = ended.recv() => {}
        }
        Ok(())
    })
}

/// One task a run. A sign of life is a beat on its pipe, as on this machine.
async fn watch_all(client: Client) {
    let mut signs = std::pin::pin!(signs(client.clone()));
    let mut beats = BTreeMap::<String, DuplexStream>::new();
    while let Some(sign) = signs.next().await {
        match sign {
            Sign::Life { run, lease_seconds, holder } => {
                let pipe = beats.entry(run.clone()).or_insert_with(|| {
                    let (near, far) = duplex(64);
                    let lease = Duration::from_secs(lease_seconds.into());
                    tokio::spawn(watch_one(client.clone(), run.clone(), lease, far));
                    tracing::info!("watching run {run}, held by {holder}");
                    near
                });
                // Whoever takes it over has stopped to listen.
                let _ = pipe.write_all(&[BEAT]).await;
            }
            Sign::End { run } => {
                if let Some(mut pipe) = beats.remove(&run) {
                    let _ = pipe.write_all(&[DONE]).await;
                }
            }
        }
    }
}

async fn watch_one(client: Client, run: String, lease: Duration, mut beats: DuplexStream) {
    if silence(&mut beats, lease).await == Silence::Done {
        tracing::info!("run {run} has ended");
        return;
    }
    // Signs that come from now on are our own.
    drop(beats);
    tracing::warn!("run {run} was silent for {lease:?}: taking it over");
    loop {
        match heal(&client, &run, lease).await {
            Ok(residue) if residue.is_empty() => break,
            Ok(residue) => residue.iter().for_each(|trouble| tracing::error!("run {run}: left: {trouble}")),
            Err(trouble) => tracing::error!("run {run}: {trouble}"),
        }
        sleep(AGAIN_AFTER).await;
    }
    tracing::info!("run {run} is healed");
}

/// Takes the lease, heals from the ledger alone, and looks once more a lease later: the old holder may have been about to act.
async fn heal(client: &Client, run: &str, lease: Duration) -> Result<Vec<Trouble>, Trouble> {
    let hold = Hold::of(client.clone(), run, JANITOR);
    let Some(text) = KubeLedger::new(client.clone(), run).record().await? else {
        hold.end().await?;
        return Ok(vec![]);
    };
    let record = record::parse(Path::new("run.json"), text.as_bytes());
    let record = record.map_err(|error| Trouble::failed(format!("read the record of {run}"), error))?;
    let world = world(client, &record)?;
    let take = async || {
        let taken = hold.take().await;
        taken.inspect_err(|trouble| tracing::warn!("{trouble}")).is_ok()
    };
    let residue = take_over(&world, take, async || ()).await?;
    if !residue.is_empty() {
        return Ok(residue);
    }
    hold.end().await?;
    sleep(lease).await;
    Ok(unwind(&world, async || ()).await)
}

fn world(client: &Client, record: &Record) -> Result<World, Trouble> {
    let Ground::Kube(site) = &record.ground else {
        return Err(Trouble::refused(&record.run, "it does not run on a cluster"));
    };
    let kind = target::find(&record.target);
    let kind = kind.ok_or_else(|| Trouble::refused(&record.run, format!("no target {:?}", record.target)))?;
    let doors = kube_doors(client.clone(), record, site);
    Ok(World::of(&doors, std::sync::Arc::new(Log), kind.tempo()))
}

async fn sweep(client: Client) {
    let mut ticks = interval(SWEEP_EVERY);
    loop {
        ticks.tick().await;
        match expired::remove(&client).await {
            Ok(removed) => removed
                .iter()
                .for_each(|name| tracing::warn!("removed {name}: nobody held it, and its time was over")),
            Err(trouble) => tracing::warn!("{trouble}"),
        }
    }
}
