//! Who watches, as the harness sees it: there before the first act, beaten all the while, dismissed at the end. On this
//! machine a process of ours, on a cluster the janitor.

use std::{process::Stdio, sync::Arc, time::Duration};

use gauntlet_core::{
    evidence::{TroubleKind, What},
    port::Trouble,
};
use gauntlet_kube::{Hold, Site, connect};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, Command},
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::{
    WATCH_WORD, itself,
    stop::{Early, Stop},
    watch::{BEAT, DONE},
    world::Tell,
};
use crate::record::{Ground, Record, run_dir, state_dir};

/// What the watchdog prints once it watches.
pub(super) const WATCHING: &str = "watching";
const WATCHES_WITHIN: Duration = Duration::from_secs(5);

/// Why a run does not begin.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotBegun {
    /// The harness itself cannot.
    #[error(transparent)]
    Harness(#[from] std::io::Error),
    /// Where it should run, it cannot.
    #[error(transparent)]
    Place(#[from] Trouble),
    /// The same, where something of it is kept.
    #[error("{why}{kept}")]
    Unwatched {
        /// Why.
        why: Trouble,
        /// Where the diagnostics are.
        kept: String,
    },
}

/// Someone who watches.
pub(super) enum Guard {
    /// A process of this machine, at the other end of a pipe.
    Process {
        /// The process.
        child: Child,
        /// Beats, and gives the pipe back.
        beats: JoinHandle<Option<ChildStdin>>,
        /// Ends the beat.
        dismiss: oneshot::Sender<()>,
    },
    /// The janitor of a cluster, which sees a lease renewed.
    Lease {
        /// The lease.
        hold: Box<Hold>,
        /// Renews it.
        beats: JoinHandle<()>,
    },
}

impl Guard {
    /// Begins to be watched.
    pub(super) async fn start(record: &Record, stop: &Stop, tell: Arc<dyn Tell>) -> Result<Self, NotBegun> {
        match &record.ground {
            Ground::Local(_) => {
                let started = watched_by_process(record, stop, tell).await;
                started.map_err(|error| std::io::Error::other(format!("the watchdog: {error}")).into())
            }
            Ground::Kube(site) => Ok(watched_by_janitor(record, site, stop, tell).await?),
        }
    }

    /// All is healed: the watcher goes without doing anything.
    pub(super) async fn dismiss(self) {
        match self {
            Self::Process { mut child, beats, dismiss } => {
                drop(dismiss);
                if let Ok(Some(mut input)) = beats.await {
                    let _ = input.write_all(&[DONE]).await;
                }
                // One that is frozen has nothing to do any more, whenever it wakes up.
                if timeout(WATCHES_WITHIN, child.wait()).await.is_err() {
                    let _ = child.kill().await;
                }
            }
            Self::Lease { hold, beats } => {
                beats.abort();
                // The janitor takes what is left of it.
                if let Err(trouble) = hold.end().await {
                    tracing::warn!("{trouble}");
                }
            }
        }
    }

    /// Something is left: who watches is to heal it.
    pub(super) async fn leave(self) {
        match self {
            // The process ends by itself: it would do no more than was tried already.
            this @ Self::Process { .. } => this.dismiss().await,
            Self::Lease { beats, .. } => beats.abort(),
        }
    }
}

/// Starts the watchdog of a run, in a session of its own, and the beat.
async fn watched_by_process(record: &Record, stop: &Stop, tell: Arc<dyn Tell>) -> std::io::Result<Guard> {
    let state = run_dir(&state_dir(), &record.run);
    let log = std::fs::File::options().create(true).append(true).open(state.join("watch.log"))?;
    let mut child = Command::new(itself()?)
        .arg(WATCH_WORD)
        .arg(&record.run)
        .current_dir(&state)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()?;
    let missing = || std::io::Error::other("a pipe is missing");
    let input = child.stdin.take().ok_or_else(missing)?;
    let output = child.stdout.take().ok_or_else(missing)?;
    let mut line = String::new();
    let _ = timeout(WATCHES_WITHIN, BufReader::new(output).read_line(&mut line)).await;
    if line.trim() != WATCHING {
        let log = state.join("watch.log");
        return Err(std::io::Error::other(format!("it does not watch; see {}", log.display())));
    }
    let (dismiss, dismissed) = oneshot::channel();
    let beats = tokio::spawn(beat(input, record.lease / 3, stop.clone(), tell, dismissed));
    Ok(Guard::Process { child, beats, dismiss })
}

/// Beats until dismissed. A beat that cannot be written means that nobody watches any more: the run heals and ends.
async fn beat(
    mut input: ChildStdin,
    pace: Duration,
    stop: Stop,
    tell: Arc<dyn Tell>,
    mut dismissed: oneshot::Receiver<()>,
) -> Option<ChildStdin> {
    let mut ticks = interval(pace);
    loop {
        tokio::select! {
            _ = &mut dismissed => return Some(input),
            _ = ticks.tick() => {}
        }
        if let Err(error) = input.write_all(&[BEAT]).await {
            unwatched(&stop, tell.as_ref(), &error.to_string());
            return None;
        }
    }
}

/// Stores what is needed to heal the run where the janitor finds it, takes the lease, and renews it.
async fn watched_by_janitor(
    record: &Record,
    site: &Site,
    stop: &Stop,
    tell: Arc<dyn Tell>,
) -> Result<Guard, Trouble> {
    let client = connect(site.kubeconfig.as_deref(), site.context.as_deref()).await?;
    let text = serde_json::to_string(record).map_err(|error| Trouble::failed("store the record", error))?;
    let holder = format!("harness {}", record.holder.pid);
    let hold = Hold::begin(client, &record.run, &holder, &text, record.lease).await?;
    let beats = tokio::spawn(renew(hold.clone(), record.lease, stop.clone(), tell));
    Ok(Guard::Lease { hold: Box::new(hold), beats })
}

/// Renews until it is ended. The API server may go away just before a beat, and for as long as the lease: only then is the
/// run the janitor's.
async fn renew(hold: Hold, lease: Duration, stop: Stop, tell: Arc<dyn Tell>) {
    let pace = lease / 3;
    let mut ticks = interval(pace);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = Instant::now();
    loop {
        ticks.tick().await;
        let late = |_| Err(Trouble::failed("renew the lease", format!("no answer within {pace:?}")));
        let why = match timeout(pace, hold.renew()).await.unwrap_or_else(late) {
            Ok(()) => {
                seen = Instant::now();
                continue;
            }
            Err(Trouble::Fenced) => Trouble::Fenced.to_string(),
            Err(trouble) if seen.elapsed() >= lease + pace => trouble.to_string(),
            Err(trouble) => {
                tracing::debug!("{trouble}; it is renewed again");
                continue;
            }
        };
        unwatched(&stop, tell.as_ref(), &why);
        return;
    }
}

fn unwatched(stop: &Stop, tell: &dyn Tell, why: &str) {
    let why = format!("nobody watches any more ({why}): healing and ending the run");
    tell.tell(What::Trouble { kind: TroubleKind::Harness, step: None, why });
    stop.say(Early::Broken);
}
