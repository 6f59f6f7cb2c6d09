//! The load process: this binary again, which only offers load. Its standard input stays open while load is wanted;
//! its standard output is frames.

use std::{path::Path, process::Stdio, time::Duration};

use gauntlet_core::{
    evidence::{Frame, LoadCounts, TroubleKind, What},
    plan::load::LoadJob,
};
use gauntlet_load::codec::Decoder;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::{Instant, timeout, timeout_at},
};

use super::{
    LOAD_WORD, itself,
    recorder::Recorder,
    stop::{Early, Stop},
    world::Tell,
};

/// How long the load process may take until its schedule begins.
const BEGINS_WITHIN: Duration = Duration::from_secs(15);
/// How long it may take to end after its input was closed.
const ENDS_WITHIN: Duration = Duration::from_secs(3);
/// How long it may say nothing once its schedule is over: longer than any request or question of the audit takes.
const SILENT_AFTER: Duration = Duration::from_secs(60);

/// A load process whose schedule has begun.
pub(super) struct Load {
    child: Child,
    input: ChildStdin,
    frames: Frames,
}

/// Why there is no load.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadTrouble {
    /// The process could not be started or told its job.
    #[error("the load process did not start")]
    Start(#[from] std::io::Error),
    /// It ended, failed or stayed silent before its schedule began.
    #[error("the load process did not begin: {0}")]
    Begin(String),
}

impl Load {
    /// Starts the process inside the run's private directory (its mark) and waits until its schedule has begun.
    pub(super) async fn begin(job: &LoadJob, private: &Path) -> Result<Self, LoadTrouble> {
        let silent = |_| LoadTrouble::Begin(format!("silent for {BEGINS_WITHIN:?}"));
        timeout(BEGINS_WITHIN, Self::first_frame(job, private)).await.map_err(silent)?
    }

    async fn first_frame(job: &LoadJob, private: &Path) -> Result<Self, LoadTrouble> {
        let mut load = Self::spawn(job, private).await?;
        match load.frames.next().await {
            Some(Frame::Began) => Ok(load),
            Some(Frame::Failed(why)) => Err(LoadTrouble::Begin(why)),
            Some(_) => Err(LoadTrouble::Begin("it sent something else first".into())),
            None => Err(LoadTrouble::Begin("it ended".into())),
        }
    }

    async fn spawn(job: &LoadJob, private: &Path) -> std::io::Result<Self> {
        let mut child = Command::new(itself()?)
            .arg(LOAD_WORD)
            .current_dir(private)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let missing = || std::io::Error::other("a pipe is missing");
        let mut input = child.stdin.take().ok_or_else(missing)?;
        let output = child.stdout.take().ok_or_else(missing)?;
        let mut line = serde_json::to_vec(job)?;
        line.push(b'\n');
        input.write_all(&line).await?;
        input.flush().await?;
        Ok(Self { child, input, frames: Frames { output, decoder: Decoder::default() } })
    }

    /// Records what the process says until its schedule (which lasts that long) and audit are done, or the run ends
    /// early. Without load there is nothing to judge: when it fails, the run ends.
    pub(super) async fn record(self, lasts: Duration, recorder: &Recorder, stop: &Stop) {
        let Self { mut child, input, mut frames } = self;
        let speaks_until = Instant::now() + lasts;
        let counts = tokio::select! {
            counts = frames.record(speaks_until, recorder) => counts,
            () = stop.heard() => {
                // Closing its input is how the process is stopped; it flushes what it has.
                drop(input);
                let rest = frames.record(speaks_until, recorder);
                timeout(ENDS_WITHIN, rest).await.unwrap_or(Err("it did not stop".into()))
            }
        };
        match counts {
            Ok(counts) => recorder.tell(What::LoadEnded(counts)),
            Err(why) => {
                let why = format!("the load process: {why}");
                recorder.tell(What::Trouble { kind: TroubleKind::Load, step: None, why });
                stop.say(Early::Broken);
            }
        }
        if timeout(ENDS_WITHIN, child.wait()).await.is_err() {
            let _ = child.kill().await;
        }
    }
}

struct Frames {
    output: ChildStdout,
    decoder: Decoder,
}

impl Frames {
    /// The next frame; none when the process has ended.
    async fn next(&mut self) -> Option<Frame> {
        let mut buffer = vec![0; 1 << 16];
        loop {
            match self.decoder.next() {
                Ok(Some(frame)) => return Some(frame),
                Ok(None) => {}
                Err(error) => return Some(Frame::Failed(error.to_string())),
            }
            match self.output.read(&mut buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(read) => self.decoder.push(&buffer[..read]),
            }
        }
    }

    async fn record(&mut self, speaks_until: Instant, recorder: &Recorder) -> Result<LoadCounts, String> {
        loop {
            let patience = speaks_until.max(Instant::now()) + SILENT_AFTER;
            let next = timeout_at(patience, self.next()).await;
            match next.map_err(|_| format!("silent for {SILENT_AFTER:?} after the last arrival"))? {
                Some(Frame::Rows(rows)) => recorder.rows(rows),
                Some(Frame::Ended(counts)) => return Ok(counts),
                Some(Frame::Failed(why)) => return Err(why),
                Some(Frame::Began) => return Err("it began twice".into()),
                None => return Err("it ended before its schedule did".into()),
            }
        }
    }
}
