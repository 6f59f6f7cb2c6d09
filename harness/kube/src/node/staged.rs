//! For tests: a process tree of this machine, shown under a made-up /proc as a container's.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// The id of the container that the tree is shown as.
pub(crate) const ID: &str = "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd";

/// A shell with two children, and a /proc that shows them.
pub(crate) struct Staged {
    proc: TempDir,
    shell: Child,
    pids: Vec<u32>,
}

impl Staged {
    /// Starts the tree: the shell first, then its children.
    pub(crate) fn tree() -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", "sleep 600 & sleep 600 & wait"]).stdin(Stdio::null());
        let shell = shell.spawn().unwrap();
        let mut pids = vec![];
        until("the shell has two children", || {
            pids = vec![shell.id()];
            pids.extend(children(shell.id()));
            pids.len() == 3 && pids[1..].iter().all(|pid| name(*pid) == "sleep")
        });
        let staged = Self { proc: tempfile::tempdir().unwrap(), shell, pids };
        staged.pids.iter().for_each(|pid| staged.show(*pid));
        staged
    }

    /// The made-up /proc.
    pub(crate) fn proc(&self) -> &Path {
        self.proc.path()
    }

    /// The processes, the root first.
    pub(crate) fn pids(&self) -> &[u32] {
        &self.pids
    }

    /// Shows one more process as part of the container.
    pub(crate) fn show(&self, pid: u32) {
        let dir = self.proc().join(pid.to_string());
        fs::create_dir(&dir).unwrap();
        for file in ["stat", "statm", "task"] {
            symlink(format!("/proc/{pid}/{file}"), dir.join(file)).unwrap();
        }
        self.belongs_to(pid, ID);
    }

    /// Moves a process to a container.
    pub(crate) fn belongs_to(&self, pid: u32, id: &str) {
        let group = format!("3:cpuset:/\n0::/kubepods.slice/pod1.slice/cri-containerd-{id}.scope\n");
        fs::write(self.proc().join(format!("{pid}/cgroup")), group).unwrap();
    }

    /// Waits until none of them lives.
    pub(crate) fn wait_until_dead(&self) {
        until("all are dead", || self.pids.iter().all(|pid| matches!(state(*pid), 'Z' | 'X')));
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        for pid in &self.pids[1..] {
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).stderr(Stdio::null()).status();
        }
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// The state of a process; `X` once it is gone.
pub(crate) fn state(pid: u32) -> char {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").and_then(|(_, fields)| fields.chars().next()).unwrap_or('X')
}

/// Waits for something that comes by itself.
pub(crate) fn until(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !is() {
        assert!(Instant::now() < end, "not seen within 10 s: {what}");
        std::thread::yield_now();
    }
}

fn name(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

fn children(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}
