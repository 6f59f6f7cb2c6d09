//! The eye of a node: says from /proc what the processes of containers do. It is asked over a line, needs no capability,
//! and shares no code with the agent: what acts does not vouch for itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs, io,
    path::{Path, PathBuf},
};

use rustix::param::{clock_ticks_per_second, page_size};
use serde::{Deserialize, Serialize};

use crate::node::desk;

/// What makes the `gauntlet` binary the eye of a node.
pub const WORD: &str = "__eye";

/// What an eye is asked: how these containers are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The containers' ids: 64 hex digits each.
    pub containers: BTreeSet<String>,
}

/// What an eye saw, in one pass over /proc.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// How many clock ticks make a second.
    pub ticks_per_second: u64,
    /// Every container that was asked for.
    pub containers: BTreeMap<String, Container>,
}

/// The processes of one container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// What its own processes do: its first one and what descends from it. What is executed into it meanwhile (a probe,
    /// a shell) makes a paused container no running one.
    pub state: State,
    /// Its first process.
    pub root: Option<Root>,
    /// CPU time of all processes in it, and of their children that were waited for.
    pub cpu_ticks: u64,
    /// Memory that they hold. What they share counts once for each.
    pub resident_bytes: u64,
    /// How many processes there are in it.
    pub processes: usize,
}

/// Who a container's first process is: never the same again, unlike a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Root {
    /// Its number on the node.
    pub pid: u32,
    /// When it started, in clock ticks since boot.
    pub started: u64,
}

/// What a container's processes do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// At least one thread is not stopped.
    Running,
    /// Every thread of every process is stopped.
    Paused,
    /// There is no process.
    #[default]
    Absent,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Running => "running",
            State::Paused => "paused",
            State::Absent => "absent",
        })
    }
}

/// Plays the eye on standard input and output until the line is closed.
pub fn run() -> io::Result<()> {
    desk::serve(|question| look(Path::new("/proc"), &question))
}

fn look(proc: &Path, question: &Question) -> Result<Seen, String> {
    let hex = |id: &&String| id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if let Some(id) = question.containers.iter().find(|id| !hex(id)) {
        return Err(format!("{id:?} is no container's id"));
    }
    let mut members: BTreeMap<&String, Vec<Member>> = BTreeMap::new();
    for dir in numbered(proc).map_err(|error| told(proc, &error))? {
        let found = Member::of(&dir, &question.containers).map_err(|error| told(&dir, &error))?;
        if let Some((id, member)) = found {
            members.entry(id).or_default().push(member);
        }
    }
    let seen = question.containers.iter().map(|id| {
        let container = members.get(id).map(|members| Container::of(members)).unwrap_or_default();
        (id.clone(), container)
    });
    Ok(Seen { ticks_per_second: clock_ticks_per_second(), containers: seen.collect() })
}

fn told(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

fn numbered(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![];
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit())) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

// One living process of a container.
#[derive(Debug)]
struct Member {
    root: Root,
    parent: u32,
    stopped: bool,
    cpu_ticks: u64,
    resident_bytes: u64,
}

impl Member {
    // Nothing when it belongs to none of the containers, or ends while it is read.
    fn of<'a>(dir: &Path, ids: &'a BTreeSet<String>) -> io::Result<Option<(&'a String, Self)>> {
        let Some(groups) = read(&dir.join("cgroup"))? else { return Ok(None) };
        let Some(id) = owner(&groups, ids) else { return Ok(None) };
        let Some(stat) = read(&dir.join("stat"))? else { return Ok(None) };
        let stat = Stat::of(&stat).ok_or_else(|| invalid("stat is not understood"))?;
        let Some(memory) = read(&dir.join("statm"))? else { return Ok(None) };
        let pages: Option<u64> = memory.split(' ').nth(1).and_then(|pages| pages.parse().ok());
        let pages = pages.ok_or_else(|| invalid("statm is not understood"))?;
        if stat.ended() {
            return Ok(None);
        }
        let Some(stopped) = all_stopped(&dir.join("task"))? else { return Ok(None) };
        let root = Root { pid: stat.pid, started: stat.started };
        let resident_bytes = pages * page_size() as u64;
        Ok(Some((id, Self { root, parent: stat.parent, stopped, cpu_ticks: stat.cpu_ticks, resident_bytes })))
    }
}

impl Container {
    fn of(members: &[Member]) -> Self {
        let known: BTreeSet<u32> = members.iter().map(|one| one.root.pid).collect();
        let heads = members.iter().filter(|one| !known.contains(&one.parent));
        let root = heads.map(|one| one.root).min_by_key(|root| (root.started, root.pid));
        let paused = root.is_some_and(|root| family(root.pid, members).all(|one| one.stopped));
        Self {
            state: if paused { State::Paused } else { State::Running },
            root,
            cpu_ticks: members.iter().map(|one| one.cpu_ticks).sum(),
            resident_bytes: members.iter().map(|one| one.resident_bytes).sum(),
            processes: members.len(),
        }
    }
}

// A process and all that descends from it.
fn family(root: u32, members: &[Member]) -> impl Iterator<Item = &Member> {
    let mut family = BTreeSet::from([root]);
    loop {
        let before = family.len();
        let of_family = members.iter().filter(|one| family.contains(&one.parent)).map(|one| one.root.pid);
        let born: Vec<u32> = of_family.collect();
        family.extend(born);
        if family.len() == before {
            break;
        }
    }
    members.iter().filter(move |one| family.contains(&one.root.pid))
}

// The container whose group a process is in. A group is named after its container, with the runtime's word before it;
// conmon, which watches a container, has a group beside it.
fn owner<'a>(groups: &str, ids: &'a BTreeSet<String>) -> Option<&'a String> {
    for line in groups.lines() {
        for name in line.rsplit('/') {
            let name = name.strip_suffix(".scope").unwrap_or(name);
            let Some((word, id)) = name.len().checked_sub(64).and_then(|at| name.split_at_checked(at)) else {
                continue;
            };
            let runtime = word.is_empty() || word.ends_with('-') || word.ends_with(':');
            if runtime && !word.contains("conmon") && ids.contains(id) {
                return ids.get(id);
            }
        }
    }
    None
}

// Nothing when it has ended meanwhile.
fn all_stopped(tasks: &Path) -> io::Result<Option<bool>> {
    let threads = match numbered(tasks) {
        Err(error) if vanished(&error) => return Ok(None),
        other => other?,
    };
    let mut living = 0;
    for thread in threads {
        let Some(text) = read(&thread.join("stat"))? else { continue };
        let stat = Stat::of(&text).ok_or_else(|| invalid("a thread's stat is not understood"))?;
        if stat.ended() {
            continue;
        }
        if stat.state != 'T' {
            return Ok(Some(false));
        }
        living += 1;
    }
    Ok((living > 0).then_some(true))
}

fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read(path) {
        // A program may call itself anything.
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if vanished(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn vanished(error: &io::Error) -> bool {
    // ESRCH: it ended between opening and reading.
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(3)
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

struct Stat {
    pid: u32,
    state: char,
    parent: u32,
    cpu_ticks: u64,
    started: u64,
}

impl Stat {
    // Fields are numbered as in proc(5); the second, in parentheses, may hold blanks and parentheses.
    fn of(text: &str) -> Option<Self> {
        let (before, after) = (text.split_once(" (")?.0, text.rsplit_once(") ")?.1);
        let fields: Vec<&str> = after.split_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self {
            pid: before.parse().ok()?,
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            cpu_ticks: (14..=17).map(number).sum::<Option<u64>>()?,
            started: number(22)?,
        })
    }

    fn ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, process::Command};

    use super::{Container, Member, Question, Root, Stat, State, look, owner};
    use crate::node::staged::{ID, Staged, until};

    fn member(pid: u32, parent: u32, stopped: bool) -> Member {
        let root = Root { pid, started: u64::from(pid) };
        Member { root, parent, stopped, cpu_ticks: 1, resident_bytes: 10 }
    }

    fn seen(staged: &Staged) -> Container {
        let question = Question { containers: BTreeSet::from([ID.to_owned()]) };
        look(staged.proc(), &question).unwrap().containers.remove(ID).unwrap()
    }

    fn kill(signal: &str, pids: &[u32]) {
        let pids = pids.iter().map(ToString::to_string);
        assert!(Command::new("kill").arg(signal).args(pids).status().unwrap().success());
    }

    #[test]
    fn a_tree_of_this_machine_is_seen_as_it_is() {
        let staged = Staged::tree();
        let first = seen(&staged);
        assert_eq!((first.state, first.processes), (State::Running, 3));
        assert_eq!(first.root.unwrap().pid, staged.pids()[0]);
        assert!(first.resident_bytes > 100_000, "{first:?}");
        kill("-STOP", &staged.pids()[..2]);
        until("two are stopped", || {
            staged.pids()[..2].iter().all(|pid| crate::node::staged::state(*pid) == 'T')
        });
        assert_eq!(seen(&staged).state, State::Running, "one of three still runs");
        kill("-STOP", staged.pids());
        until("it is paused", || seen(&staged).state == State::Paused);
        assert_eq!(seen(&staged).root, first.root);
        kill("-KILL", staged.pids());
        until("it is absent", || seen(&staged).state == State::Absent);
        assert_eq!(seen(&staged), Container::default());
    }

    #[test]
    fn a_process_that_is_executed_into_a_paused_container_does_not_wake_it() {
        let members = [member(5, 1, true), member(6, 5, true), member(9, 1, false)];
        let container = Container::of(&members);
        assert_eq!((container.state, container.root.unwrap().pid), (State::Paused, 5));
        assert_eq!((container.processes, container.cpu_ticks, container.resident_bytes), (3, 3, 30));
        let members = [member(5, 1, true), member(6, 5, true), member(7, 6, false)];
        assert_eq!(Container::of(&members).state, State::Running, "a grandchild runs");
    }

    #[test]
    fn what_cannot_be_read_is_no_absence() {
        let staged = Staged::tree();
        let group = staged.proc().join(format!("{}/cgroup", staged.pids()[1]));
        fs::remove_file(&group).unwrap();
        fs::create_dir(&group).unwrap();
        let question = Question { containers: BTreeSet::from([ID.to_owned()]) };
        let error = look(staged.proc(), &question).unwrap_err();
        assert!(error.contains(&format!("/{}: ", staged.pids()[1])), "{error}");
    }

    #[test]
    fn a_container_without_a_process_is_absent_and_no_other_is_told() {
        let staged = Staged::tree();
        let other = ID.replace('a', "e");
        let question = Question { containers: BTreeSet::from([other.clone()]) };
        let seen = look(staged.proc(), &question).unwrap();
        assert_eq!(seen.containers.len(), 1);
        assert_eq!(seen.containers[&other].state, State::Absent);
        assert!(seen.ticks_per_second > 0);
    }

    #[test]
    fn a_group_names_its_container_and_a_monitor_is_none() {
        let ids = BTreeSet::from([ID.to_owned()]);
        let of = |name: String| owner(&format!("9:cpu:/\n0::/kubepods/{name}\n"), &ids).is_some();
        assert!(of(ID.to_owned()) && of(format!("cri-containerd-{ID}.scope")));
        assert!(of(format!("crio-{ID}.scope/inner")) && of(format!("pod1.slice:cri-containerd:{ID}")));
        assert!(!of(format!("crio-conmon-{ID}.scope")) && !of(format!("é{ID}")) && !of(ID[1..].to_owned()));
        assert!(!of(format!("{ID}0")));
    }

    #[test]
    fn cpu_time_counts_children_that_were_waited_for() {
        let stat = Stat::of("7 (a ) b) T 1 7 7 0 -1 0 1 0 0 0 7 8 9 10 20 0 1 0 81234 1 1").unwrap();
        assert_eq!((stat.pid, stat.state, stat.parent), (7, 'T', 1));
        assert_eq!((stat.started, stat.cpu_ticks), (81234, 34));
        assert!(Stat::of("7 (a) T 1").is_none());
    }

    #[test]
    fn an_answer_is_what_the_documentation_says() {
        let text = serde_json::to_string(&Container::of(&[member(5, 1, true)])).unwrap();
        let expected = r#"{"state":"paused","root":{"pid":5,"started":5},"cpu_ticks":1,"resident_bytes":10,"processes":1}"#;
        assert_eq!(text, expected);
    }
}
