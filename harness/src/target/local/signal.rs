//! Signals to whole process trees, by pidfd, so that a number that was used again is never hit.

use std::{
    io,
    path::Path,
    time::{Duration, Instant},
};

use gauntlet_core::{act::Signal, port::Trouble};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::OwnedFd,
    io::Errno,
    process::{Pid, PidfdFlags, Signal as Number, pidfd_open, pidfd_send_signal},
};

use super::process::{Identity, Process, bears_mark, marked, read};

/// How long a tree may take to die, freeze or thaw once it is signalled.
const LIMIT: Duration = Duration::from_secs(5);
/// How long to look away between two scans; an exit ends it early.
const PAUSE: Duration = Duration::from_millis(2);

/// Signals every process inside the directory, again and again until all of them show the effect: a tree may grow
/// while it is signalled. `go_on` is asked before each scan; once it says no, nothing is touched any more.
pub(super) fn tree(dir: &Path, signal: Signal, go_on: impl Fn() -> bool) -> Result<(), Trouble> {
    let what = || format!("{signal} the processes in {}", dir.display());
    let until = Instant::now() + LIMIT;
    while go_on() {
        let mut waiting = marked(dir).map_err(|e| Trouble::failed(what(), e))?;
        waiting.retain(|process| !shows(signal, process));
        let handles = send_all(&waiting, dir, signal).map_err(|e| Trouble::failed(what(), e))?;
        if waiting.is_empty() || !repeats(signal) {
            break;
        }
        if Instant::now() > until {
            let pids: Vec<_> = waiting.iter().map(|process| process.identity.pid).collect();
            return Err(Trouble::failed(what(), format!("no effect on {pids:?} within {LIMIT:?}")));
        }
        wait_any(&handles, PAUSE);
    }
    Ok(())
}

/// Signals one process, if it is still the same one and bears the mark. Answers the handle to wait on.
pub(super) fn one(identity: Identity, dir: &Path, signal: Signal) -> io::Result<Option<OwnedFd>> {
    let Some(handle) = hold(identity, dir)? else { return Ok(None) };
    match pidfd_send_signal(&handle, number(signal)) {
        Err(Errno::SRCH) => Ok(None),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(Some(handle)),
    }
}

/// Waits until the process has ended; says whether it did in time.
pub(super) fn ended(handle: &OwnedFd, within: Duration) -> bool {
    wait_any(std::slice::from_ref(handle), within)
}

/// A handle to the process of that number.
pub(super) fn handle(pid: u32) -> io::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH)?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

// Identity and mark are read after the handle is open: from then on they cannot become another process'.
fn hold(identity: Identity, dir: &Path) -> io::Result<Option<OwnedFd>> {
    let Some(pid) = Pid::from_raw(identity.pid) else { return Ok(None) };
    let handle = match pidfd_open(pid, PidfdFlags::empty()) {
        Err(Errno::SRCH) => return Ok(None),
        other => other?,
    };
    let same = read(identity.pid).is_some_and(|process| process.identity == identity);
    Ok((same && bears_mark(identity.pid, dir)).then_some(handle))
}

fn send_all(processes: &[Process], dir: &Path, signal: Signal) -> io::Result<Vec<OwnedFd>> {
    let mut handles = Vec::new();
    for process in processes {
        handles.extend(one(process.identity, dir, signal)?);
    }
    Ok(handles)
}

fn wait_any(handles: &[OwnedFd], within: Duration) -> bool {
    let until = Instant::now() + within;
    let mut fds: Vec<_> = handles.iter().map(|handle| PollFd::new(handle, PollFlags::IN)).collect();
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        match poll(&mut fds, Some(&timeout)) {
            Err(Errno::INTR) => {}
            other => return other.is_ok_and(|ready| ready > 0),
        }
    }
}

fn shows(signal: Signal, process: &Process) -> bool {
    match signal {
        Signal::Pause => process.state == 'T',
        Signal::Resume => process.state != 'T',
        Signal::Kill | Signal::Terminate | Signal::Interrupt => false,
    }
}

// Asking twice to end politely means something else to many programs.
fn repeats(signal: Signal) -> bool {
    !matches!(signal, Signal::Terminate | Signal::Interrupt)
}

fn number(signal: Signal) -> Number {
    match signal {
        Signal::Kill => Number::KILL,
        Signal::Terminate => Number::TERM,
        Signal::Interrupt => Number::INT,
        Signal::Pause => Number::STOP,
        Signal::Resume => Number::CONT,
    }
}
