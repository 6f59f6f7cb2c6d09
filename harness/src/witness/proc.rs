//! What /proc shows of a run: which processes work inside its private directory or call it their home, and whether they
//! are stopped.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use rustix::{
    io::Errno,
    process::{Gid, Uid, geteuid},
    thread::{set_thread_res_gid, set_thread_res_uid},
};

use crate::layout::Layout;

/// A process that works inside the run's private directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// Its number.
    pub(super) pid: u32,
    /// Its parent's number.
    pub(super) parent: u32,
    /// When it started, in clock ticks since boot.
    pub(super) started: u64,
    /// CPU time of itself and of its children that were waited for, in clock ticks.
    pub(super) cpu_ticks: u64,
    /// Whether every thread of it is stopped.
    pub(super) stopped: bool,
    /// Where it works, or where it was started when it has gone elsewhere.
    pub(super) cwd: PathBuf,
}

/// The living processes of the run, or those inside one directory of it.
pub(super) fn under(layout: &Layout, dir: Option<&Path>) -> io::Result<Vec<Seen>> {
    let private = resolved(&layout.private);
    let dir = match dir.and_then(|dir| dir.strip_prefix(&layout.private).ok()) {
        None => private,
        Some(below) => private.join(below),
    };
    let own = std::process::id();
    let numbers =
        fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(|pid| *pid != own).filter_map(|pid| see(pid, &dir).transpose()).collect()
}

/// Number and start out of `process 4711 started 81234`.
pub(super) fn named(object: &str) -> Option<(u32, u64)> {
    let words: Vec<&str> = object.split(' ').collect();
    match words.as_slice() {
        ["process", pid, "started", started] => Some((pid.parse().ok()?, started.parse().ok()?)),
        _ => None,
    }
}

/// `running`, `paused` or `absent`. `pinned` asks for that very process.
pub(super) fn word(seen: &[Seen], pinned: Option<(u32, u64)>) -> &'static str {
    let there = match pinned {
        Some(identity) => seen.iter().any(|one| (one.pid, one.started) == identity),
        None => !seen.is_empty(),
    };
    match there {
        false => "absent",
        true if seen.iter().all(|one| one.stopped) => "paused",
        true => "running",
    }
}

/// The root of a tree: the oldest process whose parent is not among them.
pub(super) fn root(seen: &[Seen]) -> Option<(u32, u64)> {
    let orphans = seen.iter().filter(|one| !seen.iter().any(|other| other.pid == one.parent));
    orphans.min_by_key(|one| (one.started, one.pid)).map(|one| (one.pid, one.started))
}

/// A process' environment, and the names of the files that it runs (of a script, also the script's).
pub(super) type Beginning = (BTreeMap<String, String>, Vec<String>);

/// What a process was started with, as the kernel keeps it. None: it has ended meanwhile.
pub(super) fn started_with(pid: u32) -> io::Result<Option<Beginning>> {
    let read = |file: &str| there(allowed(pid, || fs::read(format!("/proc/{pid}/{file}"))));
    let Some((environment, command)) = read("environ")?.zip(read("cmdline")?) else { return Ok(None) };
    let texts = |bytes: &[u8]| -> Vec<String> {
        bytes.split(|byte| *byte == 0).map(|part| String::from_utf8_lossy(part).into_owned()).collect()
    };
    let pairs = texts(&environment);
    let settings = pairs.iter().filter_map(|pair| pair.split_once('='));
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let exe = there(allowed(pid, || fs::read_link(format!("/proc/{pid}/exe"))))?;
    let words = texts(&command).into_iter().take(2).map(PathBuf::from);
    let names = words.chain(exe).filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    Ok(Some((settings, names.collect())))
}

// None: it does not belong there, or it has ended meanwhile. A look that failed for another reason says nothing.
fn see(pid: u32, dir: &Path) -> io::Result<Option<Seen>> {
    let Some(cwd) = there(allowed(pid, || fs::read_link(format!("/proc/{pid}/cwd"))))? else {
        return Ok(None);
    };
    let bytes = cwd.as_os_str().as_bytes();
    let name = bytes.strip_suffix(b" (deleted)").unwrap_or(bytes);
    let mut cwd = PathBuf::from(std::ffi::OsStr::from_bytes(name));
    if !cwd.starts_with(dir) {
        match started_in(pid)? {
            Some(home) if home.starts_with(dir) => cwd = home,
            _ => return Ok(None),
        }
    }
    let Some(stat) = there(fs::read_to_string(format!("/proc/{pid}/stat")))? else { return Ok(None) };
    let Some(Stat { state, parent, started, cpu_ticks }) = Stat::of(&stat) else {
        return Err(io::Error::other(format!("/proc/{pid}/stat: {stat:?}")));
    };
    let living = !matches!(state, 'Z' | 'X');
    Ok(living.then(|| Seen { pid, parent, started, cpu_ticks, stopped: all_stopped(pid), cwd }))
}

// The harness gives every component its own directory as `HOME`.
fn started_in(pid: u32) -> io::Result<Option<PathBuf>> {
    let Some(environment) = there(allowed(pid, || fs::read(format!("/proc/{pid}/environ"))))? else {
        return Ok(None);
    };
    let mut entries = environment.split(|byte| *byte == 0).filter_map(|entry| entry.split_at_checked(5));
    let home = entries.find(|(name, _)| *name == b"HOME=").map(|(_, home)| home);
    Ok(home.map(|home| resolved(Path::new(std::ffi::OsStr::from_bytes(home)))))
}

// A process that ended while it was read (ESRCH where its directory was open already), or somebody else's.
fn there<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    let ended = |error: &io::Error| error.raw_os_error() == Some(Errno::SRCH.raw_os_error());
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
            Ok(None)
        }
        Err(error) if ended(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

// What root is refused (in a container without CAP_SYS_PTRACE) is asked again as the process' owner, by a thread of its
// own: the account is changed for that thread alone.
fn allowed<T: Send>(pid: u32, read: impl Fn() -> io::Result<T> + Send + Sync) -> io::Result<T> {
    match read() {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && geteuid().is_root() => {}
        other => return other,
    }
    let owner = fs::metadata(format!("/proc/{pid}"))?;
    let (uid, gid) = (Uid::from_raw(owner.uid()), Gid::from_raw(owner.gid()));
    std::thread::scope(|scope| {
        let asked = std::thread::Builder::new().spawn_scoped(scope, move || {
            set_thread_res_gid(None, gid, None)?;
            set_thread_res_uid(None, uid, None)?;
            read()
        });
        asked?.join().unwrap_or_else(|_| Err(io::Error::other("the question was cut short")))
    })
}

fn all_stopped(pid: u32) -> bool {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    let states =
        tasks.flatten().filter_map(|task| Stat::of(&fs::read_to_string(task.path().join("stat")).ok()?));
    let mut states = states.map(|stat| stat.state).peekable();
    states.peek().is_some() && states.all(|state| matches!(state, 'T' | 'Z' | 'X'))
}

fn resolved(path: &Path) -> PathBuf {
    // Its parent outlives it.
    let parent = path.parent().and_then(|parent| parent.canonicalize().ok());
    match (path.canonicalize(), parent, path.file_name()) {
        (Ok(path), _, _) => path,
        (Err(_), Some(parent), Some(name)) => parent.join(name),
        _ => path.to_owned(),
    }
}

struct Stat {
    state: char,
    parent: u32,
    started: u64,
    cpu_ticks: u64,
}

impl Stat {
    // Fields are numbered as in proc(5); the second, in parentheses, may hold blanks.
    fn of(text: &str) -> Option<Self> {
        let behind_name = &text[text.rfind(')')? + 1..];
        let fields: Vec<&str> = behind_name.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3).copied();
        let ticks = |number: usize| field(number)?.parse::<u64>().ok();
        Some(Self {
            state: field(3)?.chars().next()?,
            parent: field(4)?.parse().ok()?,
            started: ticks(22)?,
            cpu_ticks: ticks(14)? + ticks(15)? + ticks(16)? + ticks(17)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{Seen, Stat, named, root, word};

    fn seen(pid: u32, parent: u32, stopped: bool) -> Seen {
        Seen { pid, parent, started: u64::from(pid) * 10, cpu_ticks: 0, stopped, cwd: PathBuf::from("/x") }
    }

    #[test]
    fn cpu_time_counts_children_that_were_waited_for() {
        let stat = Stat::of("7 (a ) b) T 1 7 7 0 -1 0 1 0 0 0 7 8 9 10 20 0 1 0 81234 1 1").unwrap();
        assert_eq!((stat.state, stat.parent, stat.started, stat.cpu_ticks), ('T', 1, 81234, 34));
    }

    #[test]
    fn a_tree_is_paused_only_when_every_process_is_stopped() {
        assert_eq!(word(&[seen(1, 0, true), seen(2, 1, true)], None), "paused");
        assert_eq!(word(&[seen(1, 0, true), seen(2, 1, false)], None), "running");
    }

    #[test]
    fn a_pinned_process_is_absent_when_only_a_successor_runs() {
        assert_eq!(word(&[seen(2, 1, false)], Some((1, 10))), "absent");
        assert_eq!(word(&[seen(1, 0, false)], Some((1, 11))), "absent");
        assert_eq!(word(&[seen(1, 0, false)], Some((1, 10))), "running");
    }

    #[test]
    fn a_process_is_started_with_an_environment_and_a_program() {
        let mut sleep = std::process::Command::new("sleep").arg("60").env("GREETING", "a=b").spawn().unwrap();
        // The kernel sets the environment out a moment after the program was begun.
        let mut seen = super::started_with(sleep.id());
        while matches!(&seen, Ok(Some((settings, _))) if settings.is_empty()) {
            seen = super::started_with(sleep.id());
        }
        sleep.kill().unwrap();
        sleep.wait().unwrap();
        let (settings, programs) = seen.unwrap().unwrap();
        assert_eq!(settings.get("GREETING").map(String::as_str), Some("a=b"));
        assert!(programs.iter().any(|name| name == "sleep"), "{programs:?}");
        assert_eq!(super::started_with(sleep.id()).unwrap(), None);
    }

    #[test]
    fn no_process_is_absent() {
        assert_eq!(word(&[], None), "absent");
    }

    #[test]
    fn the_root_is_the_oldest_without_a_parent_among_them() {
        assert_eq!(root(&[seen(5, 4, false), seen(4, 1, false), seen(9, 1, false)]), Some((4, 40)));
    }

    #[test]
    fn an_object_of_another_kind_names_no_process() {
        assert_eq!(named("process 4711 started 81234"), Some((4711, 81234)));
        assert_eq!(named("container 4711"), None);
    }
}
