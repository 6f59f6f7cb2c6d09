//! Processes that bear a run's mark: their working directory lies inside a directory of the run, or the `HOME` that they
//! were started with does. The first outlives a program that writes over its environment (PostgreSQL), the second one
//! that goes elsewhere (a daemon). Read from /proc.

use std::{
    ffi::OsStr,
    fs, io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    thread,
};

use gauntlet_core::act::Object;
use rustix::{
    process::{Gid, Uid, geteuid},
    thread::{set_thread_res_gid, set_thread_res_uid},
};
use serde::{Deserialize, Serialize};

/// Who a process is: its number is used again after its end, together with its start it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Identity {
    /// When it started, in clock ticks since boot. First, so that parents sort before their children.
    pub(super) started: u64,
    /// Its number.
    pub(super) pid: i32,
}

/// A process as /proc shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) identity: Identity,
    /// `R`, `S`, `T`, ...
    pub(super) state: char,
}

impl Identity {
    /// As an act's object.
    pub(super) fn object(self) -> Object {
        Object(format!("process {} started {}", self.pid, self.started))
    }

    /// From an act's object.
    pub(super) fn parse(object: &Object) -> Option<Self> {
        let (pid, started) = object.0.strip_prefix("process ")?.split_once(" started ")?;
        Some(Self { pid: pid.parse().ok()?, started: started.parse().ok()? })
    }
}

/// The process of that number, unless it is gone or only waits to be reaped.
pub(super) fn read(pid: i32) -> Option<Process> {
    parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Whether the process works inside the directory, or was started there.
pub(super) fn bears_mark(pid: i32, dir: &Path) -> bool {
    let Some(cwd) = seen(pid, || fs::read_link(format!("/proc/{pid}/cwd"))) else { return false };
    alive_path(cwd).starts_with(dir) || home(pid).is_some_and(|home| canonical(&home).starts_with(dir))
}

fn home(pid: i32) -> Option<PathBuf> {
    let environment = seen(pid, || fs::read(format!("/proc/{pid}/environ")))?;
    let value = environment.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(b"HOME="))?;
    Some(PathBuf::from(OsStr::from_bytes(value)))
}

// Root inside a container may lack the right to look at another account's processes (CAP_SYS_PTRACE); their owner may.
fn seen<T: Send>(pid: i32, look: impl Fn() -> io::Result<T> + Sync) -> Option<T> {
    match look() {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && geteuid().is_root() => {
            as_owner(pid, look).ok()
        }
        seen => seen.ok(),
    }
}

// A thread changes its account for itself only, and this one ends with the look.
fn as_owner<T: Send>(pid: i32, look: impl Fn() -> io::Result<T> + Sync) -> io::Result<T> {
    let owner = fs::metadata(format!("/proc/{pid}"))?;
    let become_owner = || {
        set_thread_res_gid(None, Gid::from_raw(owner.gid()), None)?;
        set_thread_res_uid(None, Uid::from_raw(owner.uid()), None)
    };
    thread::scope(|scope| {
        let looking = || become_owner().map_err(io::Error::from).and_then(|()| look());
        let looking = thread::Builder::new().spawn_scoped(scope, looking)?;
        looking.join().unwrap_or_else(|_| Err(io::Error::other("the look panicked")))
    })
}

/// Every living process that bears the mark of the directory, oldest first; never this process itself.
pub(super) fn marked(dir: &Path) -> io::Result<Vec<Process>> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        if pid != own && bears_mark(pid, dir) {
            found.extend(read(pid));
        }
    }
    found.sort_by_key(|process| process.identity);
    Ok(found)
}

/// The path as the kernel shows it in /proc, also when the directory does not exist (any more).
pub(super) fn canonical(path: &Path) -> PathBuf {
    if let Ok(path) = fs::canonicalize(path) {
        return path;
    }
    match (path.parent().and_then(|parent| fs::canonicalize(parent).ok()), path.file_name()) {
        (Some(parent), Some(name)) => parent.join(name),
        _ => path.to_owned(),
    }
}

// The kernel appends this once a directory is removed.
fn alive_path(cwd: PathBuf) -> PathBuf {
    match cwd.to_str().and_then(|text| text.strip_suffix(" (deleted)")) {
        Some(path) => PathBuf::from(path),
        None => cwd,
    }
}

// The name in parentheses may hold anything, so fields are counted from the last one.
fn parse(pid: i32, stat: &str) -> Option<Process> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let started = fields.nth(18)?.parse().ok()?;
    let living = !matches!(state, 'Z' | 'X' | 'x');
    living.then_some(Process { identity: Identity { started, pid }, state })
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{Identity, alive_path, canonical, marked, parse, read};

    const STAT: &str = "42 (a) b) S 1 42 42 0 -1 4194304 1 0 0 0 7 8 9 10 20 0 1 0 81234 1 1 1";

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let process = parse(42, STAT).unwrap();
        assert_eq!(process.identity, Identity { started: 81234, pid: 42 });
        assert_eq!(process.state, 'S');
    }

    #[test]
    fn a_zombie_is_no_process() {
        assert_eq!(parse(42, &STAT.replace(") S", ") Z")), None);
    }

    #[test]
    fn an_identity_reads_back_from_its_object() {
        let identity = Identity { started: 81234, pid: 4711 };
        assert_eq!(identity.object().0, "process 4711 started 81234");
        assert_eq!(Identity::parse(&identity.object()), Some(identity));
    }

    #[test]
    fn this_process_is_read_but_never_among_the_marked() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(read(own).unwrap().identity.pid, own);
        assert!(marked(Path::new("/")).unwrap().iter().all(|process| process.identity.pid != own));
    }

    #[test]
    fn a_removed_directory_still_marks() {
        assert_eq!(alive_path(PathBuf::from("/a/b (deleted)")), PathBuf::from("/a/b"));
    }

    #[test]
    fn a_missing_directory_is_named_as_the_kernel_would() {
        assert_eq!(canonical(Path::new("/proc/self/../no-such")), PathBuf::from("/proc/no-such"));
    }
}
