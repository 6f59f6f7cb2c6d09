//! Running a program to its end in a replica's container, by pods/exec: its streams lead to artefacts of the run.

use std::{
    io::{self, Read, Write},
    time::Duration,
};

use gauntlet_core::{
    act::Program,
    port::{Keep, Streams, Trouble},
    secrets::Secrets,
};
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::Status};
use kube::{
    Api,
    api::{AttachParams, AttachedProcess},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::{Notify, mpsc},
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};

use crate::{api::told::told, run::pods::Replica};

/// How long it may take until the program runs.
const OPEN: Duration = Duration::from_secs(10);
/// Of what a program complained, so much at its end is told.
const COMPLAINTS: usize = 2_000;
/// So much is read at once.
const CHUNK: usize = 64 << 10;
/// So many chunks may wait for the slower side.
const WAITING: usize = 16;

/// Runs the program to its end. What it wrote is kept if it ended well.
pub(super) async fn run(
    pods: &Api<Pod>,
    replica: &Replica,
    program: &Program,
    streams: Streams,
    secrets: &Secrets,
    what: &str,
) -> Result<(), Trouble> {
    let mut params = AttachParams::default().container(&replica.container).stdin(streams.stdin.is_some());
    params.max_stdin_buf_size = Some(CHUNK);
    params.max_stdout_buf_size = Some(CHUNK);
    let opening = timeout(OPEN, pods.exec(&replica.pod, &program.argv, &params)).await;
    let opened = opening.map_err(|_| Trouble::failed(what, format!("not begun within {OPEN:?}")))?;
    let mut process = opened.map_err(|error| Trouble::failed(what, told(&error)))?;
    let Streams { stdin, stdout, stderr } = streams;
    let flowing = timeout(program.within, flow(&mut process, stdin, stdout)).await;
    let Ok(flowed) = flowing else {
        process.abort();
        // Nothing ends a program in a container but the container's own end.
        let why = format!("it did not end within {:?}; it may still run", program.within);
        return Err(Trouble::failed(what, why));
    };
    let complaints = flowed.complaints.clone();
    let whole = flowed.well(secrets, what)?;
    // Whoever waits at the other end may be slow.
    let kept = spawn_blocking(move || {
        if let Some(mut told) = stderr {
            told.write_all(&complaints)
                .map_err(|error| Trouble::failed("keep what it complained of", error))?;
            told.keep()?;
        }
        whole.map_or(Ok(()), |whole| whole.keep())
    });
    kept.await.unwrap_or_else(|panic| Err(Trouble::failed(what, panic)))
}

/// How the streams and the program ended.
struct Flowed {
    fed: io::Result<()>,
    drained: io::Result<Option<Box<dyn Keep>>>,
    complaints: Vec<u8>,
    status: Option<Status>,
}

/// Everything flows at once: a program that complains much must not wait for one that reads nothing.
async fn flow(
    process: &mut AttachedProcess,
    from: Option<Box<dyn Read + Send>>,
    into: Option<Box<dyn Keep>>,
) -> Flowed {
    let (stdin, stdout, stderr) = (process.stdin(), process.stdout(), process.stderr());
    let status = process.take_status();
    let ended = Notify::new();
    let feed = async {
        let (Some(to), Some(from)) = (stdin, from) else { return Ok(()) };
        // The client's pipe does not break when the program ends: nobody would ever take the rest.
        tokio::select! {
            fed = feed(from, to) => fed,
            () = ended.notified() => Ok(()),
        }
    };
    let complaints = async {
        match stderr {
            Some(from) => last(from).await,
            None => vec![],
        }
    };
    let status = async {
        let status = match status {
            Some(status) => status.await,
            None => None,
        };
        ended.notify_one();
        status
    };
    let (fed, drained, complaints, status) = tokio::join!(feed, drain(stdout, into), complaints, status);
    Flowed { fed, drained, complaints, status }
}

impl Flowed {
    fn well(self, secrets: &Secrets, what: &str) -> Result<Option<Box<dyn Keep>>, Trouble> {
        let status = self.status.ok_or_else(|| Trouble::failed(what, "the connection to it was lost"))?;
        if status.status.as_deref() != Some("Success") {
            let said = secrets.hide(String::from_utf8_lossy(&self.complaints).trim());
            return Err(match exit_code(&status) {
                Some(code) => Trouble::Exited { what: what.to_owned(), code, said },
                None => Trouble::failed(what, format!("{}: {said}", ending(&status))),
            });
        }
        self.fed.map_err(|error| Trouble::failed(what, format!("its input: {error}")))?;
        self.drained.map_err(|error| Trouble::failed(what, format!("its output: {error}")))
    }
}

/// Files are read and written on threads of their own: a slow disk holds up nothing else.
async fn feed(mut from: Box<dyn Read + Send>, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
    let (chunks, mut read) = mpsc::channel::<Vec<u8>>(WAITING);
    let reader: JoinHandle<io::Result<()>> = spawn_blocking(move || {
        loop {
            let mut chunk = vec![0; CHUNK];
            let count = from.read(&mut chunk)?;
            chunk.truncate(count);
            if count == 0 || chunks.blocking_send(chunk).is_err() {
                return Ok(());
            }
        }
    });
    while let Some(chunk) = read.recv().await {
        if to.write_all(&chunk).await.is_err() {
            // It needed no more than it read; whether that is well its exit code says.
            break;
        }
    }
    drop(read);
    let _ = to.shutdown().await;
    reader.await.unwrap_or_else(|panic| Err(io::Error::other(panic)))
}

async fn drain(
    from: Option<impl AsyncRead + Unpin>,
    to: Option<Box<dyn Keep>>,
) -> io::Result<Option<Box<dyn Keep>>> {
    let Some(mut from) = from else { return Ok(to) };
    let Some(mut to) = to else {
        tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
        return Ok(None);
    };
    let (chunks, mut written) = mpsc::channel::<Vec<u8>>(WAITING);
    let writer: JoinHandle<io::Result<Box<dyn Keep>>> = spawn_blocking(move || {
        while let Some(chunk) = written.blocking_recv() {
            to.write_all(&chunk)?;
        }
        to.flush()?;
        Ok(to)
    });
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = from.read(&mut chunk).await?;
        if count == 0 || chunks.send(chunk[..count].to_vec()).await.is_err() {
            break;
        }
    }
    drop(chunks);
    writer.await.unwrap_or_else(|panic| Err(io::Error::other(panic))).map(Some)
}

async fn last(mut from: impl AsyncRead + Unpin) -> Vec<u8> {
    let (mut kept, mut chunk) = (vec![], vec![0; 4096]);
    while let Ok(count @ 1..) = from.read(&mut chunk).await {
        kept.extend_from_slice(&chunk[..count]);
        let surplus = kept.len().saturating_sub(COMPLAINTS);
        kept.drain(..surplus);
    }
    kept
}

fn exit_code(status: &Status) -> Option<i32> {
    let causes = status.details.as_ref()?.causes.as_deref()?;
    let code = causes.iter().find(|cause| cause.reason.as_deref() == Some("ExitCode"))?;
    code.message.as_deref()?.parse().ok()
}

/// What the container runtime says of a program that was never run.
fn ending(status: &Status) -> String {
    status.message.clone().unwrap_or_else(|| "it failed".to_owned())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
    use serde_json::json;

    use super::{ending, exit_code, last};

    fn status(value: serde_json::Value) -> Status {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn an_ending_is_the_exit_code_or_what_the_runtime_says() {
        let code = json!({ "status": "Failure", "reason": "NonZeroExitCode", "message": "command terminated",
            "details": { "causes": [{ "reason": "ExitCode", "message": "3" }] } });
        assert_eq!(exit_code(&status(code)), Some(3));
        let missing =
            json!({ "status": "Failure", "message": "exec: \"nothing\": executable file not found" });
        assert_eq!(ending(&status(missing)), "exec: \"nothing\": executable file not found");
    }

    #[tokio::test]
    async fn of_complaints_the_end_is_kept() {
        let text = format!("{}the end", "x".repeat(10_000));
        let kept = last(text.as_bytes()).await;
        assert_eq!(kept.len(), super::COMPLAINTS);
        assert!(kept.ends_with(b"the end"));
    }
}
