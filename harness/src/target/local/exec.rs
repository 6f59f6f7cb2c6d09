//! Running a program to its end at the place of a replica: in its directory, with its environment, as its account.

use std::{
    io::{self, Read, Write},
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, ExitStatus, Stdio},
    thread::{self, JoinHandle},
};

use gauntlet_core::{
    act::Program,
    port::{Keep, Streams, Trouble},
    secrets::Secrets,
};
use rustix::process::{Pid, Signal, kill_process_group};

use super::signal;

/// Of what a program complained, so much at its end is told.
const COMPLAINTS: usize = 2_000;

/// Runs the program to its end. What it wrote is kept if it ended well.
pub(super) fn run(
    mut spawn: std::process::Command,
    program: &Program,
    streams: Streams,
    secrets: &Secrets,
    what: &str,
) -> Result<(), Trouble> {
    let pipe = |wanted: bool| if wanted { Stdio::piped() } else { Stdio::null() };
    // A process group of its own, so that it ends with what it started.
    spawn.process_group(0).stdin(pipe(streams.stdin.is_some())).stdout(pipe(streams.stdout.is_some()));
    let mut child = spawn.stderr(Stdio::piped()).spawn().map_err(|error| Trouble::failed(what, error))?;
    let Streams { stdin, stdout, stderr } = streams;
    let (feed, drain, complaints) = pipes(&mut child, stdin, stdout);
    let ended = finish(&mut child, program);
    let complaints = complaints.and_then(|thread| thread.join().ok()).unwrap_or_default();
    let fed = feed.map_or(Ok(()), joined);
    let drained = drain.map(joined).transpose();
    let status = ended.map_err(|error| Trouble::failed(what, error))?;
    let Some(status) = status else {
        let why = format!("it did not end within {:?}, and was killed", program.within);
        return Err(Trouble::failed(what, why));
    };
    if !status.success() {
        let said = secrets.hide(String::from_utf8_lossy(&complaints).trim());
        let what = what.to_owned();
        return Err(match status.code() {
            Some(code) => Trouble::Exited { what, code, said },
            None => Trouble::failed(what, format!("{}: {said}", ending(status))),
        });
    }
    fed.map_err(|error| Trouble::failed(what, format!("its input: {error}")))?;
    let drained = drained.map_err(|error| Trouble::failed(what, format!("its output: {error}")))?;
    if let Some(mut told) = stderr {
        told.write_all(&complaints).map_err(|error| Trouble::failed(what, error))?;
        told.keep()?;
    }
    drained.map_or(Ok(()), |whole| whole.keep())
}

type Running<T> = JoinHandle<io::Result<T>>;
/// What feeds a program, what drains it, and what hears its complaints.
type Pipes = (Option<Running<()>>, Option<Running<Box<dyn Keep>>>, Option<JoinHandle<Vec<u8>>>);

/// Everything flows at once: a program that complains much must not wait for one that reads nothing.
fn pipes(child: &mut Child, stdin: Option<Box<dyn Read + Send>>, stdout: Option<Box<dyn Keep>>) -> Pipes {
    let feed = child.stdin.take().zip(stdin).map(|(mut to, mut from)| {
        thread::spawn(move || match io::copy(&mut from, &mut to) {
            // It needed no more than it read; whether that is well its exit code says.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        })
    });
    let drain = child.stdout.take().zip(stdout).map(|(mut from, mut to)| {
        thread::spawn(move || {
            io::copy(&mut from, &mut to)?;
            to.flush()?;
            Ok(to)
        })
    });
    let complaints = child.stderr.take().map(|from| thread::spawn(move || last(from)));
    (feed, drain, complaints)
}

/// None: it did not end in time, and was killed.
fn finish(child: &mut Child, program: &Program) -> io::Result<Option<ExitStatus>> {
    let handle = signal::handle(child.id())?;
    let in_time = signal::ended(&handle, program.within);
    // Nobody has reaped it yet, so the number is still its own. What it left running would hold the pipes open.
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let status = child.wait()?;
    Ok(in_time.then_some(status))
}

fn last(mut from: impl Read) -> Vec<u8> {
    let (mut kept, mut buffer) = (vec![], [0; 4096]);
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        kept.extend_from_slice(&buffer[..read]);
        let surplus = kept.len().saturating_sub(COMPLAINTS);
        kept.drain(..surplus);
    }
    kept
}

fn joined<T>(thread: Running<T>) -> io::Result<T> {
    thread.join().unwrap_or_else(|_| Err(io::Error::other("its thread panicked")))
}

/// How a program ended.
pub(super) fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}
