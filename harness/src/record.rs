//! The record of a run: what is needed to heal it when its process is gone. One directory a run, small and durable.

use std::{
    env,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use gauntlet_core::system::System;
use gauntlet_kube::Site;
use rustix::process::getuid;
use serde::{Deserialize, Serialize};

use crate::layout::Layout;

/// The format of `run.json`. A reader refuses any other.
pub const RECORD_FORMAT: u32 = 2;

/// What is needed to heal a run, whoever does it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// `RECORD_FORMAT` of the writer.
    pub format: u32,
    /// The run's name, and that of its directory.
    pub run: String,
    /// The target that it runs on: `local`, `kube`.
    pub target: String,
    /// The process that holds the run.
    pub holder: Holder,
    /// How long the holder may be silent before another process takes over.
    pub lease: Duration,
    /// Where the evidence goes.
    pub journal: PathBuf,
    /// The system file as it was read; it names secrets, it does not hold them.
    pub system: System,
    /// What the run stands on.
    pub ground: Ground,
}

/// What a run stands on, by target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ground {
    /// Directories and ports of this machine.
    Local(Layout),
    /// A namespace of a cluster.
    Kube(Site),
}

/// A record that lacks only the ground.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The run's name.
    pub run: String,
    /// The target's name.
    pub target: &'static str,
    /// How long the holder may be silent.
    pub lease: Duration,
    /// Where the evidence goes.
    pub journal: PathBuf,
    /// The system file as it was read.
    pub system: System,
    /// The directory of the system file.
    pub root: PathBuf,
}

impl Draft {
    /// Stores the record of a run that this process holds.
    pub fn store(&self, state: &Path, ground: Ground) -> Result<Record, RecordError> {
        let record = Record {
            format: RECORD_FORMAT,
            run: self.run.clone(),
            target: self.target.to_owned(),
            holder: Holder::me().map_err(|source| RecordError::Io { path: "/proc/self".into(), source })?,
            lease: self.lease,
            journal: self.journal.clone(),
            system: self.system.clone(),
            ground,
        };
        record.create(state)?;
        Ok(record)
    }
}

/// A process: its number is used again after its end, together with its start it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// When it started, in clock ticks since boot.
    pub started: u64,
}

/// Why a record cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Reading or writing failed.
    #[error("{path}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no record.
    #[error("{path} is no record of a run")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// Another version of the program wrote it.
    #[error("{path} has format {found}; this version reads format {RECORD_FORMAT}")]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
    },
    /// A run's name is the name of a directory.
    #[error(
        "{run:?} cannot name a run: letters, digits, dots, dashes and underscores only, not starting with a dot"
    )]
    Name {
        /// What was given.
        run: String,
    },
}

/// Every run by name, with its record or why it cannot be read.
pub type Listed = Vec<(String, Result<Record, RecordError>)>;

/// The directory of all records: `$XDG_STATE_HOME/gauntlet`, or below `~/.local/state`, or below `/var/tmp`.
pub fn state_dir() -> PathBuf {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || absolute("HOME").map(|home| home.join(".local/state"));
    match absolute("XDG_STATE_HOME").or_else(home) {
        Some(state) => state.join("gauntlet"),
        None => PathBuf::from(format!("/var/tmp/gauntlet-state-{}", getuid().as_raw())),
    }
}

/// The directory of one run's record and ledger.
pub fn run_dir(state: &Path, run: &str) -> PathBuf {
    state.join(run)
}

impl Ground {
    /// The ports of this machine that it takes.
    pub fn ports(&self) -> Vec<u16> {
        match self {
            Self::Local(layout) => {
                layout.replicas.iter().flat_map(|replica| replica.ports.values().copied()).collect()
            }
            Self::Kube(_) => vec![],
        }
    }
}

impl Record {
    /// A directory that bears the run's mark on this machine, for what the harness itself starts; none: no such thing.
    pub fn private(&self) -> Option<&Path> {
        match &self.ground {
            Ground::Local(layout) => {
                Some(&layout.private).filter(|private| private.exists()).map(PathBuf::as_path)
            }
            Ground::Kube(_) => None,
        }
    }

    /// Stores it durably; answers the run's directory. A run of that name must not exist yet.
    pub fn create(&self, state: &Path) -> Result<PathBuf, RecordError> {
        let dir = checked(state, &self.run)?;
        let io = |source| RecordError::Io { path: dir.clone(), source };
        let path = dir.join("run.json");
        let bytes = serde_json::to_vec_pretty(self)
            .map_err(|source| RecordError::Malformed { path: path.clone(), source })?;
        DirBuilder::new().recursive(true).mode(0o700).create(state).map_err(io)?;
        DirBuilder::new().mode(0o700).create(&dir).map_err(io)?;
        let stored = DirBuilder::new().mode(0o700).create(dir.join("open")).and_then(|()| {
            store(&path, &bytes)?;
            sync(state)
        });
        if stored.is_err() {
            // Half a record (a full disk) is nobody's run.
            let _ = fs::remove_dir_all(&dir);
        }
        stored.map_err(io)?;
        Ok(dir)
    }

    /// Reads one run's record.
    pub fn open(state: &Path, run: &str) -> Result<Self, RecordError> {
        read(&checked(state, run)?.join("run.json"))
    }

    /// Every run in the directory by name, with its record or why it cannot be read.
    pub fn list(state: &Path) -> Result<Listed, RecordError> {
        let io = |source| RecordError::Io { path: state.to_owned(), source };
        let entries = match fs::read_dir(state) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
            other => other.map_err(io)?,
        };
        let mut runs = Vec::new();
        for entry in entries {
            let entry = entry.map_err(io)?;
            let path = entry.path().join("run.json");
            // Without it nothing was touched yet, or nothing is left.
            if path.exists() {
                runs.push((entry.file_name().to_string_lossy().into_owned(), read(&path)));
            }
        }
        runs.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(runs)
    }

    /// Removes a run's directory; one that is gone already has succeeded.
    pub fn remove(state: &Path, run: &str) -> Result<(), RecordError> {
        let dir = checked(state, run)?;
        // The record goes first: what is left of a removal that was cut short is no run any more.
        let gone = |removed: io::Result<()>| match removed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        };
        let removed =
            gone(fs::remove_file(dir.join("run.json"))).and_then(|()| gone(fs::remove_dir_all(&dir)));
        removed.map_err(|source| RecordError::Io { path: dir, source })
    }

    /// Whether the process that holds the run still runs.
    pub fn holder_alive(&self) -> bool {
        self.holder.alive()
    }
}

impl Holder {
    /// This very process.
    pub fn me() -> io::Result<Self> {
        let pid = std::process::id();
        let started = started(pid)?.ok_or_else(|| io::Error::other("/proc does not show this process"))?;
        Ok(Self { pid, started })
    }

    /// Whether that very process still runs.
    pub fn alive(self) -> bool {
        matches!(started(self.pid), Ok(Some(started)) if started == self.started)
    }
}

/// Writes a file so that after a crash it is there whole or not at all, mode 0600.
pub(crate) fn store(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("json.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(new, path)?;
    path.parent().map_or(Ok(()), sync)
}

/// Makes the entries of a directory durable.
pub(crate) fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn checked(state: &Path, run: &str) -> Result<PathBuf, RecordError> {
    let plain = run.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    let good = plain && !run.is_empty() && !run.starts_with('.');
    if good { Ok(run_dir(state, run)) } else { Err(RecordError::Name { run: run.to_owned() }) }
}

fn read(path: &Path) -> Result<Record, RecordError> {
    let bytes = fs::read(path).map_err(|source| RecordError::Io { path: path.to_owned(), source })?;
    parse(path, &bytes)
}

/// Reads a record; `path` says where it is from.
pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Record, RecordError> {
    let malformed = |source| RecordError::Malformed { path: path.to_owned(), source };
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(malformed)?;
    match value.get("format").and_then(serde_json::Value::as_u64) {
        Some(format) if format != u64::from(RECORD_FORMAT) => {
            Err(RecordError::Format { path: path.to_owned(), found: format })
        }
        _ => serde_json::from_value(value).map_err(malformed),
    }
}

// None: no such process, or one that only waits to be reaped.
fn started(pid: u32) -> io::Result<Option<u64>> {
    let stat = match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let Some((_, fields)) = stat.rsplit_once(") ") else { return Ok(None) };
    let mut fields = fields.split_ascii_whitespace();
    let living = fields.next().is_some_and(|state| !matches!(state, "Z" | "X"));
    let ticks = fields.nth(18).and_then(|ticks| ticks.parse().ok());
    Ok(ticks.filter(|_| living))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

    use gauntlet_core::system::System;

    use super::{Ground, Holder, RECORD_FORMAT, Record, RecordError};
    use crate::layout::Layout;

    fn record(run: &str) -> Record {
        let system: System = serde_json::from_value(serde_json::json!({
            "format": 1, "name": "tiny", "endpoint": { "component": "web", "port": "http" },
            "components": { "web": { "ports": ["http"], "ready": { "tcp": { "port": "http" } } } },
        }))
        .unwrap();
        let (layout, _) = Layout::plan(&system, run, Path::new("/var/tmp/x"), Path::new("/"), 20_000);
        Record {
            format: RECORD_FORMAT,
            run: run.into(),
            target: "local".into(),
            holder: Holder::me().unwrap(),
            lease: Duration::from_secs(5),
            journal: "/var/tmp/journal".into(),
            system,
            ground: Ground::Local(layout),
        }
    }

    #[test]
    fn what_was_stored_is_listed_opened_and_removed() {
        let state = tempfile::tempdir().unwrap();
        let dir = record("one").create(state.path()).unwrap();
        assert_eq!(fs::metadata(dir.join("run.json")).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(Record::open(state.path(), "one").unwrap(), record("one"));
        let names: Vec<_> = Record::list(state.path()).unwrap().into_iter().map(|(run, _)| run).collect();
        assert_eq!(names, ["one"]);
        Record::remove(state.path(), "one").unwrap();
        Record::remove(state.path(), "one").unwrap();
        assert!(Record::list(state.path()).unwrap().is_empty());
    }

    #[test]
    fn a_removal_that_was_cut_short_is_finished() {
        let state = tempfile::tempdir().unwrap();
        let dir = record("one").create(state.path()).unwrap();
        fs::remove_file(dir.join("run.json")).unwrap();
        Record::remove(state.path(), "one").unwrap();
        assert!(!dir.exists());
    }

    #[test]
    fn a_run_of_the_same_name_is_refused() {
        let state = tempfile::tempdir().unwrap();
        record("one").create(state.path()).unwrap();
        assert!(matches!(record("one").create(state.path()), Err(RecordError::Io { .. })));
    }

    #[test]
    fn an_unknown_format_is_refused_and_the_file_is_named() {
        let state = tempfile::tempdir().unwrap();
        let dir = record("one").create(state.path()).unwrap();
        fs::write(dir.join("run.json"), r#"{"format":9,"anything":true}"#).unwrap();
        let told = Record::open(state.path(), "one").unwrap_err().to_string();
        assert!(told.contains("run.json has format 9") && told.contains("reads format 2"), "{told}");
        assert!(Record::list(state.path()).unwrap()[0].1.is_err());
    }

    #[test]
    fn a_name_that_leaves_the_directory_is_refused() {
        let state = tempfile::tempdir().unwrap();
        for run in ["", "..", "a/b", ".hidden"] {
            assert!(matches!(Record::remove(state.path(), run), Err(RecordError::Name { .. })), "{run}");
        }
    }

    #[test]
    fn a_holder_is_alive_only_with_its_own_start() {
        let me = Holder::me().unwrap();
        assert!(me.alive());
        assert!(!Holder { started: me.started + 1, ..me }.alive());
        assert!(!Holder { pid: u32::MAX >> 1, ..me }.alive());
    }

    #[test]
    fn no_directory_means_no_runs() {
        assert!(Record::list(Path::new("/proc/no-such-state")).unwrap().is_empty());
    }
}
