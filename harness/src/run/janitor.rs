//! The janitor of a cluster: the same `watch` as on this machine, for every run that holds a lease there.

use std::{collections::BTreeMap, io, path::Path, time::Duration};

use futures_util::StreamExt;
use gauntlet_core::port::Trouble;
use gauntlet_kube::{
    Client, Hold, KubeLedger, in_cluster, in_cluster_to_watch,
    run::{
        expired,
        leases::{Sign, signs},
    },
};
use tokio::{
    io::{AsyncWriteExt, DuplexStream, duplex},
    sync::watch,
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
        let to_watch = in_cluster_to_watch().map_err(io::Error::other)?;
        let mut ended = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            () = watch_all(client.clone(), to_watch) => {}
            () = sweep(client) => {}
            _ = ended.recv() => {}
        }
        Ok(())
    })
}

/// A run that is watched.
struct Watched {
    /// A sign of life is a beat on its pipe, as on this machine.
    beats: DuplexStream,
    /// The version of its lease that was seen last.
    version: watch::Sender<String>,
}

/// One task a run. What cannot be heard is no silence: while the API server is away everybody is taken to live.
async fn watch_all(client: Client, to_watch: Client) {
    let mut signs = std::pin::pin!(signs(to_watch));
    let mut runs = BTreeMap::<String, Watched>::new();
    let mut deaf = false;
    while let Some(sign) = signs.next().await {
        let away = matches!(sign, Sign::Deaf { .. });
        match sign {
            Sign::Life { run, lease_seconds, holder, version } => {
                let one = runs.entry(run.clone()).or_insert_with(|| {
                    let (beats, far) = duplex(64);
                    let (version, seen) = watch::channel(String::new());
                    let lease = Duration::from_secs(lease_seconds.into());
                    tokio::spawn(watch_one(client.clone(), run.clone(), lease, far, seen));
                    tracing::info!("watching run {run}, held by {holder}");
                    Watched { beats, version }
                });
                one.version.send_replace(version);
                // Whoever takes it over has stopped to listen.
                let _ = one.beats.write_all(&[BEAT]).await;
            }
            Sign::End { run } => {
                if let Some(mut one) = runs.remove(&run) {
                    let _ = one.beats.write_all(&[DONE]).await;
                }
            }
            Sign::Deaf { why } => {
                if !deaf {
                    tracing::warn!(
                        "the watch of the leases: {why}; no run is silent until it is there again"
                    );
                }
                for one in runs.values_mut() {
                    let _ = one.beats.write_all(&[BEAT]).await;
                }
            }
        }
        deaf = away;
    }
}

async fn watch_one(
    client: Client,
    run: String,
    lease: Duration,
    mut beats: DuplexStream,
    seen: watch::Receiver<String>,
) {
    let hold = Hold::of(client.clone(), &run, JANITOR);
    loop {
        match silence(&mut beats, lease).await {
            Silence::Done => {
                tracing::info!("run {run} has ended");
                return;
            }
            Silence::Dead => break,
            Silence::Hung => {}
        }
        // The watch may be deaf without knowing it: a server that hangs breaks no connection.
        match hold.version().await {
            Ok(version) if version.as_ref() == Some(&*seen.borrow()) => break,
            Ok(Some(_)) => tracing::warn!("run {run} lives, though the watch did not tell"),
            Ok(None) => {} // its end will be told
            Err(trouble) => tracing::warn!("run {run} is silent, and so is the API server: {trouble}"),
        }
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
