//! A stage for whole runs: a private state and report directory, and what is needed to look at a run from outside.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every file of a directory, however deep.
pub(crate) fn files_below(dir: PathBuf) -> Vec<PathBuf> {
    let mut found = vec![];
    let mut open = vec![dir];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found
}

/// Does work for each of these, in as many lanes at once.
pub(crate) fn in_lanes<L: Send, T: Send>(
    lanes: impl IntoIterator<Item = L>,
    all: impl IntoIterator<Item = T, IntoIter: Send>,
    work: impl Fn(&L, T) + Sync,
) {
    let (left, work) = (Mutex::new(all.into_iter()), &work);
    let next = &|| left.lock().unwrap().next();
    thread::scope(|scope| {
        for lane in lanes {
            scope.spawn(move || {
                while let Some(one) = next() {
                    work(&lane, one);
                }
            });
        }
    });
}

/// How a command ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) text: String,
}

/// Directories of one test.
pub(crate) struct Stage {
    dir: tempfile::TempDir,
}

const PATIENCE: Duration = Duration::from_secs(120);

impl Stage {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir_in("/var/tmp").unwrap() }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The program under test, with a state of its own.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gauntlet"));
        command
            .current_dir(root())
            .env("XDG_STATE_HOME", self.dir().join("state"))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn gauntlet(&self, args: &[&str]) -> Ended {
        let output = self.command().args(args).output().unwrap();
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        Ended { code: output.status.code().unwrap_or(-1), text }
    }

    fn write(&self, scenario: &str) -> PathBuf {
        let file = self.dir().join("scenario.yml");
        let system = root().join("deploy/system.yml");
        fs::write(&file, scenario.replace("SYSTEM", system.to_str().unwrap())).unwrap();
        file
    }

    /// Starts a scenario whose `SYSTEM` is the reference system.
    pub(crate) fn start(&self, scenario: &str, more: &[String]) -> Child {
        let file = self.write(scenario);
        self.begin(self.command(), "run", &file, more)
    }

    /// Runs a scenario as `gauntlet drill` does.
    pub(crate) fn drill(&self, scenario: &str, more: &[String]) -> Ended {
        let mut child = self.begin(self.command(), "drill", &self.write(scenario), more);
        self.end(&mut child)
    }

    /// Runs a scenario as root of an ordinary container would: it may not look at processes of other accounts.
    pub(crate) fn run_contained(&self, scenario: &str) -> Ended {
        let contained = self.command();
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace"]).arg(contained.get_program());
        command.current_dir(root()).stdin(Stdio::null());
        command.envs(contained.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let mut child = self.begin(command, "run", &self.write(scenario), &[]);
        self.end(&mut child)
    }

    fn begin(&self, mut command: Command, word: &str, file: &Path, more: &[String]) -> Child {
        let output = fs::File::create(self.dir().join("output")).unwrap();
        command.arg(word).arg(file).arg("--reports").arg(self.dir().join("reports")).args(more);
        command.stdout(output.try_clone().unwrap()).stderr(output).spawn().unwrap()
    }

    pub(crate) fn run(&self, scenario: &str, more: &[String]) -> Ended {
        let mut child = self.start(scenario, more);
        self.end(&mut child)
    }

    pub(crate) fn end(&self, child: &mut Child) -> Ended {
        let status = child.wait().unwrap();
        Ended {
            code: status.code().unwrap_or(-1),
            text: fs::read_to_string(self.dir().join("output")).unwrap(),
        }
    }

    pub(crate) fn has_run(&self) -> bool {
        self.dir().join("reports").exists()
    }

    /// The directory of the only run.
    pub(crate) fn run_dir(&self) -> PathBuf {
        self.await_some("a run's directory", || {
            let dir = self.dir().join("reports/scenario");
            fs::read_dir(dir).ok()?.next()?.ok().map(|entry| entry.path())
        })
    }

    pub(crate) fn report(&self, name: &str) -> String {
        fs::read_to_string(self.run_dir().join(name)).unwrap()
    }

    /// What was judged and came out in this state.
    pub(crate) fn findings(&self, state: &str) -> Vec<String> {
        let report: Value = serde_json::from_str(&self.report("report.json")).unwrap();
        let findings = report["findings"].as_array().unwrap();
        let mut found: Vec<String> = findings
            .iter()
            .filter(|finding| finding["state"] == state)
            .map(|finding| finding["what"].as_str().unwrap().to_owned())
            .collect();
        found.dedup();
        found
    }

    /// Waits until the journal holds such a line.
    pub(crate) fn await_event(&self, what: &str) {
        self.await_some(what, || {
            let events = fs::read_to_string(self.run_dir().join("events.jsonl")).unwrap_or_default();
            events.contains(what).then_some(())
        });
    }

    pub(crate) fn await_some<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look() {
                return found;
            }
            let output = || fs::read_to_string(self.dir().join("output")).unwrap_or_default();
            assert!(Instant::now() < deadline, "{what} did not come: {}", output());
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// The child of a process whose command line has this word.
    pub(crate) fn child_named(&self, parent: u32, word: &str) -> u32 {
        self.await_some(word, || {
            fs::read_dir("/proc")
                .unwrap()
                .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
                .find(|pid| {
                    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
                    let ppid = stat
                        .rsplit_once(") ")
                        .and_then(|(_, rest)| rest.split(' ').nth(1)?.parse::<u32>().ok());
                    let cmdline = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                    ppid == Some(parent) && cmdline.split(|b| *b == 0).any(|arg| arg == word.as_bytes())
                })
        })
    }

    pub(crate) fn signal(&self, pid: u32, signal: &str) {
        assert!(Command::new("kill").args(["-s", signal, &pid.to_string()]).status().unwrap().success());
    }

    /// The run's private directory, as its record names it.
    pub(crate) fn private(&self) -> PathBuf {
        let record = self.await_some("a record", || {
            let mut runs = fs::read_dir(self.dir().join("state/gauntlet")).ok()?;
            runs.find_map(|run| fs::read_to_string(run.ok()?.path().join("run.json")).ok())
        });
        let record: Value = serde_json::from_str(&record).unwrap();
        PathBuf::from(record["ground"]["local"]["private"].as_str().unwrap())
    }

    /// The values of the run's secrets.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let text = fs::read_to_string(self.private().join("secrets.json")).unwrap();
        let secrets: std::collections::BTreeMap<String, String> = serde_json::from_str(&text).unwrap();
        secrets.into_values().collect()
    }

    /// Every file that the run left.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        files_below(self.run_dir())
    }

    /// What of this stage's runs is still there: processes by their working directory, private directories, records.
    pub(crate) fn left(&self) -> Vec<String> {
        let mut left = vec![];
        let runs: Vec<String> = fs::read_dir(self.dir().join("reports/scenario"))
            .map(|entries| entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect())
            .unwrap_or_default();
        for run in runs {
            let private = format!("/var/tmp/gauntlet-{run}");
            if Path::new(&private).exists() {
                left.push(private.clone());
            }
            for entry in fs::read_dir("/proc").unwrap() {
                let path = entry.unwrap().path();
                if let Ok(cwd) = fs::read_link(path.join("cwd"))
                    && cwd.to_string_lossy().starts_with(&private)
                {
                    left.push(format!("process {}", path.display()));
                }
            }
        }
        if let Ok(entries) = fs::read_dir(self.dir().join("state/gauntlet")) {
            left.extend(
                entries
                    .map(|e| e.unwrap().path())
                    .filter(|path| path.is_dir())
                    .map(|path| path.display().to_string()),
            );
        }
        left
    }

    pub(crate) fn assert_nothing_left(&self) {
        assert_eq!(self.left(), Vec::<String>::new());
        assert_eq!(self.gauntlet(&["status"]).text.trim(), "nothing is in force");
    }
}
