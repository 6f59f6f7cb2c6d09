//! Child processes that die with the test, however it ends.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A process that is killed when it is dropped, and by the kernel when the test dies.
pub(crate) struct Process {
    child: Child,
}

/// A command that runs below `setpriv`, which sets the signal that the kernel sends when the test dies.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program).stdin(Stdio::null());
    command
}

/// The same as another user, when the test runs as root: PostgreSQL refuses to be root.
pub(crate) fn command_as_postgres(program: impl AsRef<OsStr>) -> Command {
    if !rustix::process::geteuid().is_root() {
        return command(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--pdeathsig", "KILL", "--"])
        .arg(program)
        .stdin(Stdio::null());
    command
}

/// The path of a program of the operating system, or a failure that names its package.
pub(crate) fn program(paths: &[&str], package: &str) -> String {
    let found = paths.iter().find(|path| Path::new(path).exists());
    (*found.unwrap_or_else(|| panic!("none of {paths:?} is there: install the package {package}"))).to_owned()
}

/// A program of the newest PostgreSQL on this machine; Debian keeps each version in a directory of its own.
pub(crate) fn postgres_program(name: &str) -> String {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let numbers = versions.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    format!("/usr/lib/postgresql/{}/bin/{name}", numbers.max().unwrap_or_default())
}

impl Process {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let child = command.spawn().unwrap_or_else(|why| panic!("cannot start {command:?}: {why}"));
        Self { child }
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the process lives");
    }

    /// Signals the process and its children: PostgreSQL's connections are processes.
    pub(crate) fn signal_tree(&self, signal: Signal) {
        self.signal(signal);
        let parent = self.child.id().to_string();
        for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Ok(pid) = name.parse::<i32>() else { continue };
            let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let of = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1));
            if of == Some(&parent) {
                let _ = kill_process(Pid::from_raw(pid).expect("not 0"), signal);
            }
        }
    }

    /// Waits for the end and says the exit code.
    pub(crate) async fn ended(&mut self, within: Duration) -> Option<i32> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status.code();
            }
            assert!(begun.elapsed() < within, "the process still runs after {within:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn kill(&mut self) {
        let _ = self.child.kill();
        self.ended(Duration::from_secs(10)).await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for a named condition; a time-out tells it.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "not within 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
