//! Taking a run over: by its watchdog when the harness is dead or hung, or by `gauntlet heal`. Needs only the record.

use std::{
    io::{self, Write},
    os::fd::AsFd,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use gauntlet_core::{
    evidence::What,
    port::{Queries, Trouble},
    receipt::Receipt,
};
use gauntlet_kube::{Hold, connect};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use tokio::{net::unix::pipe, runtime::Runtime};

use super::{
    guard::WATCHING,
    watch::{silence, take_over, watch},
    world::{Tell, World},
};
use crate::{
    record::{Ground, Holder, Record, state_dir},
    target::{self, Doors, Tempo},
};

/// How long a killed holder may take to be gone.
const DIES_WITHIN: Duration = Duration::from_secs(5);

/// Hears what a takeover does: the watchdog's log, or standard error.
pub(super) struct Log;

impl Tell for Log {
    fn tell(&self, what: What) {
        match serde_json::to_string(&what) {
            Ok(text) => tracing::info!("{text}"),
            Err(error) => tracing::warn!("an event that cannot be shown: {error}"),
        }
    }
}

/// The doors of a recorded run.
pub(super) async fn doors(record: &Record) -> Result<(Doors, Tempo), Trouble> {
    let kind = target::find(&record.target);
    let kind = kind.ok_or_else(|| Trouble::refused(&record.run, format!("no target {:?}", record.target)))?;
    Ok((kind.doors(record).await?, kind.tempo()))
}

async fn world(record: &Record) -> Result<(World, Arc<dyn Queries>), Trouble> {
    let (doors, tempo) = doors(record).await?;
    Ok((World::of(&doors, Arc::new(Log), tempo), doors.queries))
}

/// `gauntlet heal`: fences the holder, heals, and forgets the run when nothing is left.
pub fn blocking(record: &Record) -> Vec<Trouble> {
    let Ok(runtime) = runtime() else { return vec![Trouble::failed("heal", "no runtime")] };
    runtime.block_on(async {
        let (world, queries) = match world(record).await {
            Ok(opened) => opened,
            Err(trouble) => return vec![trouble],
        };
        let kill = async || kill(record.holder);
        let taken = take_over(&world, kill, async || keep_logs(record, queries.as_ref()).await).await;
        let mut residue = taken.unwrap_or_else(|trouble| vec![trouble]);
        if residue.is_empty() {
            residue.extend(ended(record).await.err());
        }
        forget(record, &residue);
        residue
    })
}

/// On a cluster, ledger and lease go as well: there may be no janitor that would end them.
async fn ended(record: &Record) -> Result<(), Trouble> {
    let Ground::Kube(site) = &record.ground else { return Ok(()) };
    let client = connect(site.kubeconfig.as_deref(), site.context.as_deref()).await?;
    Hold::of(client, &record.run, "heal").end().await
}

/// `gauntlet status`: what a run's ledger holds.
pub fn in_force(record: &Record) -> Result<Vec<Receipt>, Trouble> {
    let runtime = runtime().map_err(|error| Trouble::failed("status", error))?;
    runtime.block_on(async { doors(record).await?.0.ledger.open().await })
}

/// The watchdog's process: a session of its own, so that no terminal takes it along.
pub(super) fn watchdog(run: &str) -> ExitCode {
    crate::cli::log_to_stderr();
    match watch_run(run) {
        Ok(residue) if residue.is_empty() => ExitCode::SUCCESS,
        Ok(residue) => {
            residue.iter().for_each(|trouble| tracing::error!("left: {trouble}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            tracing::error!("watch: {error}");
            ExitCode::FAILURE
        }
    }
}

fn watch_run(run: &str) -> io::Result<Vec<Trouble>> {
    rustix::process::setsid()?;
    let record = Record::open(&state_dir(), run).map_err(io::Error::other)?;
    let beats = io::stdin().as_fd().try_clone_to_owned()?;
    runtime()?.block_on(async {
        let mut beats = pipe::Receiver::from_owned_fd(beats)?;
        writeln!(io::stdout(), "{WATCHING}")?;
        io::stdout().flush()?;
        let (world, queries) = world(&record).await.map_err(io::Error::other)?;
        let kill = async || kill(record.holder);
        let keep = async || keep_logs(&record, queries.as_ref()).await;
        let watched = watch(silence(&mut beats, record.lease), &world, kill, keep).await;
        let Some(residue) = watched.map_err(io::Error::other)? else { return Ok(vec![]) };
        forget(&record, &residue);
        Ok(residue)
    })
}

/// Ends the old holder for good, so that it cannot act behind the back of who heals. Says whether it is dead.
fn kill(holder: Holder) -> bool {
    let pid = i32::try_from(holder.pid).ok().and_then(Pid::from_raw);
    let Some(Ok(fd)) = pid.map(|pid| pidfd_open(pid, PidfdFlags::empty())) else { return !holder.alive() };
    // The descriptor is of that very process only if it still has the holder's start.
    if holder.alive() && pidfd_send_signal(&fd, Signal::KILL).is_ok() {
        let mut fds = [PollFd::new(&fd, PollFlags::IN)];
        let deadline = Instant::now() + DIES_WITHIN;
        while holder.alive() && Instant::now() < deadline {
            let _ = poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 50_000_000 }));
        }
    }
    !holder.alive()
}

fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

async fn keep_logs(record: &Record, queries: &dyn Queries) {
    if let Err(trouble) = queries.logs(&record.journal.join("logs")).await {
        tracing::warn!("{trouble}");
    }
}

/// A run of which nothing is left needs no record.
fn forget(record: &Record, residue: &[Trouble]) {
    if residue.is_empty()
        && let Err(error) = Record::remove(&state_dir(), &record.run)
    {
        tracing::warn!("the run's record stays behind: {error}");
    }
}
