//! The watchdog's life as the harness sees it: started before the first act, beaten all the while, dismissed at the end.

use std::{path::Path, process::Stdio, sync::Arc, time::Duration};

use gauntlet_core::evidence::{TroubleKind, What};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, Command},
    sync::oneshot,
    task::JoinHandle,
    time::{interval, timeout},
};

use super::{
    WATCH_WORD, itself,
    stop::{Early, Stop},
    watch::{BEAT, DONE},
    world::Tell,
};

/// What the watchdog prints once it watches.
pub(super) const WATCHING: &str = "watching";
const WATCHES_WITHIN: Duration = Duration::from_secs(5);

/// A running watchdog.
pub(super) struct Guard {
    child: Child,
    beats: JoinHandle<Option<ChildStdin>>,
    dismiss: oneshot::Sender<()>,
}

impl Guard {
    /// Starts the watchdog of a run, in a session of its own, and the beat.
    pub(super) async fn start(
        run: &str,
        state: &Path,
        lease: Duration,
        stop: &Stop,
        tell: Arc<dyn Tell>,
    ) -> std::io::Result<Self> {
        let log = std::fs::File::options().create(true).append(true).open(state.join("watch.log"))?;
        let mut child = Command::new(itself()?)
            .arg(WATCH_WORD)
            .arg(run)
            .current_dir(state)
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
            return Err(std::io::Error::other(format!(
                "the watchdog does not watch; see {}",
                state.join("watch.log").display()
            )));
        }
        let (dismiss, dismissed) = oneshot::channel();
        let beats = tokio::spawn(beat(input, lease / 3, stop.clone(), tell, dismissed));
        Ok(Self { child, beats, dismiss })
    }

    /// All is healed: the watchdog goes without doing anything.
    pub(super) async fn dismiss(mut self) {
        drop(self.dismiss);
        if let Ok(Some(mut input)) = self.beats.await {
            let _ = input.write_all(&[DONE]).await;
        }
        // One that is frozen has nothing to do any more, whenever it wakes up.
        if timeout(WATCHES_WITHIN, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
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
            let why = format!("the watchdog is gone ({error}): healing and ending the run");
            tell.tell(What::Trouble { kind: TroubleKind::Harness, step: None, why });
            stop.say(Early::Broken);
            return None;
        }
    }
}
