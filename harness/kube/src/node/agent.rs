//! The agent of a node: signals all processes of a container, by pidfd, so that a number that was used again is never
//! hit. It is asked over a line, and answers what it did; whether that took effect is for the eye to say.

use std::{
    collections::BTreeSet,
    fs, io,
    path::Path,
    time::{Duration, Instant},
};

use gauntlet_core::act::Signal;
use rustix::{
    fd::OwnedFd,
    io::Errno,
    process::{Pid, PidfdFlags, Signal as Number, pidfd_open, pidfd_send_signal},
};
use serde::{Deserialize, Serialize};

use crate::node::desk;

/// What makes the `gauntlet` binary the agent of a node.
pub const WORD: &str = "__agent";
/// A container that still forks after this long is not caught up with.
const LIMIT: Duration = Duration::from_secs(2);

/// What an agent is told: signal all processes of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The container's id: 64 hex digits, as the pod's status has it behind `containerd://`.
    pub container: String,
    /// What its processes get.
    pub signal: Signal,
}

/// What an agent did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signalled {
    /// To how many processes it was sent. None: the container has no process.
    pub signalled: usize,
}

/// Plays the agent on standard input and output until the line is closed.
pub fn run() -> io::Result<()> {
    desk::serve(|question| signal(Path::new("/proc"), &question))
}

// Who a process is: its number is used again after its end, together with its start it is not. Parents sort first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Identity {
    started: u64,
    pid: i32,
}

fn signal(proc: &Path, question: &Question) -> Result<Signalled, String> {
    let id = question.container.as_str();
    if id.len() != 64 || !id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)) {
        return Err(format!("{id:?} is no container's id"));
    }
    let until = Instant::now() + LIMIT;
    let (mut reached, mut done) = (BTreeSet::new(), BTreeSet::new());
    loop {
        let mut open = processes(proc, id).map_err(|e| format!("{}: {e}", proc.display()))?;
        if open.iter().any(|one| u32::try_from(one.pid) == Ok(std::process::id())) {
            return Err("the container is the agent's own".to_owned());
        }
        open.retain(|one| !done.contains(one));
        for one in &open {
            if send(proc, id, *one, question.signal).map_err(|e| format!("process {}: {e}", one.pid))? {
                reached.insert(*one);
            }
        }
        done.extend(open.iter().copied());
        if open.is_empty() || once(question.signal) {
            return Ok(Signalled { signalled: reached.len() });
        }
        if Instant::now() > until {
            return Err(format!("{} processes signalled within {LIMIT:?}, and more come", reached.len()));
        }
    }
}

// Asking a program's children to end while it ends by itself means something else to many programs.
fn once(signal: Signal) -> bool {
    matches!(signal, Signal::Terminate | Signal::Interrupt)
}

fn processes(proc: &Path, container: &str) -> io::Result<BTreeSet<Identity>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(proc)? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if inside(proc, pid, container)?
            && let Some(started) = living_since(proc, pid)?
        {
            found.insert(Identity { started, pid });
        }
    }
    Ok(found)
}

// Identity and container are read after the handle is open: from then on they cannot become another process'.
fn send(proc: &Path, container: &str, who: Identity, signal: Signal) -> io::Result<bool> {
    let Some(handle) = handle(who.pid)? else { return Ok(false) };
    if living_since(proc, who.pid)? != Some(who.started) || !inside(proc, who.pid, container)? {
        return Ok(false);
    }
    match pidfd_send_signal(&handle, number(signal)) {
        Err(Errno::SRCH) => Ok(false),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(true),
    }
}

fn handle(pid: i32) -> io::Result<Option<OwnedFd>> {
    let Some(pid) = Pid::from_raw(pid) else { return Ok(None) };
    match pidfd_open(pid, PidfdFlags::empty()) {
        Err(Errno::SRCH) => Ok(None),
        other => Ok(Some(other?)),
    }
}

fn inside(proc: &Path, pid: i32, container: &str) -> io::Result<bool> {
    let groups = still_there(fs::read_to_string(proc.join(format!("{pid}/cgroup"))))?;
    Ok(groups.is_some_and(|groups| of_container(&groups, container)))
}

// `<hierarchy>:<controllers>:<path>` a line. Runtimes call a container's group `<id>`, `cri-containerd-<id>.scope`,
// `crio-<id>.scope` or `...slice:cri-containerd:<id>`; what runs beneath belongs to it. Its conmon does not.
fn of_container(groups: &str, id: &str) -> bool {
    let paths = groups.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    paths.flat_map(|path| path.split('/')).any(|part| {
        let part = part.strip_suffix(".scope").unwrap_or(part);
        let before = part.strip_suffix(id);
        before.is_some_and(|before| {
            before.is_empty() || (before.ends_with(['-', ':']) && !before.ends_with("conmon-"))
        })
    })
}

// When the process started, unless it is gone or only waits to be reaped.
fn living_since(proc: &Path, pid: i32) -> io::Result<Option<u64>> {
    let Some(stat) = still_there(fs::read_to_string(proc.join(format!("{pid}/stat"))))? else {
        return Ok(None);
    };
    // The name, in parentheses, may hold blanks and parentheses.
    let behind_name = stat.rsplit_once(") ").map(|(_, fields)| fields);
    let mut fields = behind_name.unwrap_or_default().split(' ');
    let (state, started) = (fields.next(), fields.nth(18).and_then(|field| field.parse().ok()));
    match (state, started) {
        (Some("Z" | "X"), _) => Ok(None),
        (_, Some(started)) => Ok(Some(started)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat is not understood"))),
    }
}

// A process that ended meanwhile is no mistake.
fn still_there<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => Ok(None),
        Err(error) => Err(error),
    }
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

#[cfg(test)]
mod tests {
    use gauntlet_core::act::Signal;

    use super::{Question, of_container, signal};
    use crate::node::staged::{ID, Staged, state, until};

    fn told(staged: &Staged, signalled: Signal) -> Result<usize, String> {
        let question = Question { container: ID.into(), signal: signalled };
        signal(staged.proc(), &question).map(|answer| answer.signalled)
    }

    #[test]
    fn a_container_is_known_by_its_group() {
        let scope = format!("9:name=systemd:/\n0::/kubepods.slice/pod1.slice/cri-containerd-{ID}.scope");
        assert!(of_container(&scope, ID));
        assert!(of_container(&format!("1:cpu:/kubepods/burstable/pod1/{ID}"), ID));
        assert!(of_container(&format!("0::/../../pod1.slice:cri-containerd:{ID}"), ID));
        assert!(of_container(&format!("0::/kubepods/crio-{ID}.scope/inner"), ID));
    }

    #[test]
    fn its_monitor_and_its_neighbours_are_not_it() {
        let other = ID.replace('a', "b");
        assert!(!of_container(&format!("0::/kubepods/crio-conmon-{ID}.scope"), ID));
        assert!(!of_container(&format!("0::/kubepods/cri-containerd-{other}.scope"), ID));
        assert!(!of_container(&format!("0::/kubepods/x{ID}"), ID));
        assert!(!of_container("9:name=systemd:/\n0::/", ID));
    }

    #[test]
    fn the_whole_tree_is_paused_resumed_and_killed() {
        let staged = Staged::tree();
        assert_eq!(told(&staged, Signal::Pause), Ok(3));
        until("all are stopped", || staged.pids().iter().all(|pid| state(*pid) == 'T'));
        assert_eq!(told(&staged, Signal::Resume), Ok(3));
        until("none is stopped", || staged.pids().iter().all(|pid| state(*pid) != 'T'));
        assert_eq!(told(&staged, Signal::Kill), Ok(3));
        staged.wait_until_dead();
        assert_eq!(told(&staged, Signal::Kill), Ok(0));
    }

    #[test]
    fn a_process_of_another_container_is_left_alone() {
        let staged = Staged::tree();
        staged.belongs_to(staged.pids()[1], &ID.replace('a', "b"));
        assert_eq!(told(&staged, Signal::Pause), Ok(2));
        until("the rest is stopped", || state(staged.pids()[2]) == 'T');
        assert_ne!(state(staged.pids()[1]), 'T');
    }

    #[test]
    fn the_agent_never_signals_itself() {
        let staged = Staged::tree();
        staged.show(std::process::id());
        assert_eq!(told(&staged, Signal::Pause).unwrap_err(), "the container is the agent's own");
    }

    #[test]
    fn what_is_no_id_is_refused() {
        let staged = Staged::tree();
        for container in ["", "a", "../..", &ID.to_uppercase(), &format!("{ID}0")] {
            let question = Question { container: container.into(), signal: Signal::Kill };
            assert!(signal(staged.proc(), &question).unwrap_err().ends_with("is no container's id"));
        }
    }

    #[test]
    fn a_question_is_what_the_documentation_says() {
        let question: Question =
            serde_json::from_str(&format!(r#"{{"container":"{ID}","signal":"pause"}}"#)).unwrap();
        assert_eq!(question, Question { container: ID.into(), signal: Signal::Pause });
    }
}
