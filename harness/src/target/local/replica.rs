//! Starting and stopping one replica as a process of this machine.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command as Spawn, Stdio},
    thread,
    time::Duration,
};

use gauntlet_core::{
    act::{Program, Revision, Signal},
    port::{Artefacts, Streams, Trouble},
    secrets::whole_lines,
    system::System,
};

use super::{
    account::Account,
    exec::{self, ending},
    ground,
    process::{self, Identity},
    recipe::{Command, Recipe},
    revision, signal,
};
use crate::{
    layout::{Layout, Replica},
    logs,
};

/// Who the root of the process tree is, written right after it was started.
const ROOT: &str = ".gauntlet-root";
/// Says that files and `before` are done: a later start keeps the data.
const PREPARED: &str = ".gauntlet-prepared";
/// How long one `before` command may take.
const BEFORE: Duration = Duration::from_secs(60);

/// One replica's place and recipe.
pub(super) struct Local<'a> {
    system: &'a System,
    layout: &'a Layout,
    replica: &'a Replica,
    /// As the kernel shows it.
    dir: PathBuf,
}

impl<'a> Local<'a> {
    pub(super) fn new(system: &'a System, layout: &'a Layout, replica: &'a Replica) -> Self {
        let dir = layout.dir(replica);
        let below = dir.strip_prefix(&layout.private).unwrap_or(&dir);
        Self { system, layout, replica, dir: process::canonical(&layout.private).join(below) }
    }

    /// The directory that marks its processes.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The root of its process tree, when that runs.
    pub(super) fn root(&self) -> Option<Identity> {
        let identity = self.remembered()?;
        let alive = process::read(identity.pid).is_some_and(|found| found.identity == identity);
        (alive && process::bears_mark(identity.pid, &self.dir)).then_some(identity)
    }

    /// The root that was started last, whether it still runs or not.
    pub(super) fn remembered(&self) -> Option<Identity> {
        serde_json::from_slice(&fs::read(self.dir.join(ROOT)).ok()?).ok()
    }

    /// Whether it runs, and was started as this revision.
    pub(super) fn runs(&self, revision: &Revision) -> io::Result<bool> {
        Ok(self.root().is_some() && revision::started_as(&self.dir)? == *revision)
    }

    /// Whether everything that a start needs is on this machine. Reads only.
    pub(super) fn check(&self, revision: &Revision) -> Result<(), Trouble> {
        let component = self.system.components.get(&self.replica.component);
        let local = component.and_then(|component| component.local.as_ref());
        let local = local
            .ok_or_else(|| Trouble::refused(self.what("start"), "the component has no `local` recipe"))?;
        let before = local.before.iter().filter_map(|command| command.first());
        let program = revision.changes.program.as_ref().unwrap_or(&local.program);
        for program in std::iter::once(program).chain(before) {
            super::program::find(&self.replica.component, local, program, &self.layout.root)
                .map_err(|missing| Trouble::failed(self.what("start"), missing))?;
        }
        Ok(())
    }

    /// Starts it, unless it runs already. A restart keeps what the first start left on disk.
    pub(super) fn start(&self) -> Result<(), Trouble> {
        if self.root().is_some() {
            return Ok(());
        }
        let revision = revision::wanted(self.system, self.layout, &self.replica.component);
        let revision = revision.map_err(|e| Trouble::failed(self.what("start"), e))?;
        let recipe = Recipe::new(self.system, self.layout, self.replica, &revision)?;
        let command = recipe.command()?;
        // What a dead root or a start that was cut short left behind would hold ports and locks.
        signal::tree(&self.dir, Signal::Kill, || true)?;
        if !self.dir.join(PREPARED).exists() {
            self.prepare(&recipe)?;
        }
        // All that is in its directory is its account's: a backup of it is whole.
        revision::starts_as(&self.dir, recipe.account, &revision)
            .map_err(|e| Trouble::failed(self.what("start"), e))?;
        self.launch(&recipe, &command)
    }

    /// Asks the root to end, waits, then kills whatever is left of the tree.
    pub(super) fn stop(&self, go_on: impl Fn() -> bool) -> Result<(), Trouble> {
        if let Some(root) = self.root().filter(|_| go_on()) {
            let component = self.system.components.get(&self.replica.component);
            let stop = component.and_then(|component| component.local.as_ref()).map(|local| local.stop);
            let stop = stop.unwrap_or_default();
            let asked = signal::one(root, &self.dir, stop.signal);
            let handle = asked.map_err(|e| Trouble::failed(self.what("stop"), e))?;
            // A frozen process reads its signals once it is thawed.
            signal::tree(&self.dir, Signal::Resume, &go_on)?;
            if let Some(handle) = handle {
                signal::ended(&handle, stop.within.get());
            }
        }
        signal::tree(&self.dir, Signal::Kill, go_on)
    }

    fn prepare(&self, recipe: &Recipe<'_>) -> Result<(), Trouble> {
        let failed =
            |e: io::Error| Trouble::failed(self.what("start"), format!("{}: {e}", self.dir.display()));
        // A first start that was cut short begins anew.
        if self.dir.exists() {
            fs::remove_dir_all(&self.dir).map_err(failed)?;
        }
        ground::make_dir(&self.dir, 0o700).map_err(failed)?;
        Account::own(recipe.account, &self.dir).map_err(failed)?;
        for (name, text) in recipe.files()? {
            self.write(recipe.account, &name, &text).map_err(failed)?;
        }
        for command in recipe.before()? {
            self.run(recipe, &command)?;
        }
        self.write(recipe.account, Path::new(PREPARED), "").map_err(failed)
    }

    fn write(&self, account: Option<Account>, name: &Path, text: &str) -> io::Result<()> {
        let mut dir = self.dir.clone();
        for part in name.parent().into_iter().flat_map(Path::components) {
            dir.push(part);
            ground::make_dir(&dir, 0o700)?;
            Account::own(account, &dir)?;
        }
        let path = self.dir.join(name);
        ground::write(&path, text.as_bytes())?;
        Account::own(account, &path)
    }

    fn launch(&self, recipe: &Recipe<'_>, command: &Command) -> Result<(), Trouble> {
        let failed = |e: io::Error| Trouble::failed(self.what("start"), e);
        let forgotten = fs::remove_file(self.dir.join(ROOT));
        forgotten
            .or_else(|e| if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e) })
            .map_err(failed)?;
        let mut child = self.spawn(recipe, command)?;
        let pid = i32::try_from(child.id()).unwrap_or(0);
        // Nobody has reaped it yet, so the number is still its own.
        if let Some(root) = process::read(pid) {
            let text = serde_json::to_string(&root.identity).unwrap_or_default();
            self.write(recipe.account, Path::new(ROOT), &text).map_err(failed)?;
        }
        let reap = thread::Builder::new().name(format!("reap-{}", self.name())).stack_size(64 << 10);
        reap.spawn(move || child.wait()).map(|_| ()).map_err(failed)
    }

    // Runs a command of `before` to its end.
    fn run(&self, recipe: &Recipe<'_>, command: &Command) -> Result<(), Trouble> {
        let what = self.what(&format!("run {} before the start of", command.program.display()));
        let failed = |e: io::Error| Trouble::failed(&what, e);
        let from = fs::metadata(self.layout.log(self.replica)).map_or(0, |about| about.len());
        let mut child = self.spawn(recipe, command)?;
        let handle = signal::handle(child.id()).map_err(failed)?;
        let in_time = signal::ended(&handle, BEFORE);
        // What it left running has no part in the replica.
        signal::tree(&self.dir, Signal::Kill, || true)?;
        let status = child.wait().map_err(failed)?;
        match (in_time, status.success()) {
            (true, true) => Ok(()),
            (false, _) => Err(Trouble::failed(&what, format!("it did not end within {BEFORE:?}"))),
            (true, false) => {
                Err(Trouble::failed(&what, format!("{}: {}", ending(status), self.last_words(from))))
            }
        }
    }

    fn spawn(&self, recipe: &Recipe<'_>, command: &Command) -> Result<Child, Trouble> {
        let failed =
            |e: io::Error| Trouble::failed(self.what("start"), format!("{}: {e}", command.program.display()));
        let log = self.open_log(recipe.account).map_err(failed)?;
        let mut spawn = self.command(recipe, &command.program, &command.args)?;
        // A process group of its own, so that Ctrl-C at the terminal does not reach it.
        spawn.process_group(0);
        spawn.stdin(Stdio::null()).stdout(log.try_clone().map_err(failed)?).stderr(log);
        spawn.spawn().map_err(failed)
    }

    fn command(&self, recipe: &Recipe<'_>, program: &Path, args: &[String]) -> Result<Spawn, Trouble> {
        let mut spawn = Spawn::new(program);
        spawn.args(args).env_clear().envs(recipe.environment()?).current_dir(&self.dir);
        if let Some(account) = recipe.account {
            spawn.uid(account.uid).gid(account.gid);
        }
        Ok(spawn)
    }

    /// Where the first word of a program leads. Reads only.
    pub(super) fn find(&self, program: &Program, what: &str) -> Result<PathBuf, Trouble> {
        let component = self.system.components.get(&self.replica.component);
        let local = component.and_then(|component| component.local.as_ref());
        let local = local.ok_or_else(|| Trouble::refused(what, "the component has no `local` recipe"))?;
        let Some(first) = program.argv.first() else {
            return Err(Trouble::refused(what, "it names no program"));
        };
        super::program::find(&self.replica.component, local, first, &self.layout.root)
            .map_err(|missing| Trouble::refused(what, missing))
    }

    /// Runs a program to its end, as the replica would.
    pub(super) fn exec(&self, program: &Program, artefacts: Option<&dyn Artefacts>) -> Result<(), Trouble> {
        let what = self.what(&format!("run {program} at"));
        let failed = |e: io::Error| Trouble::failed(&what, e);
        let path = self.find(program, &what)?;
        let revision = revision::wanted(self.system, self.layout, &self.replica.component).map_err(failed)?;
        let recipe = Recipe::new(self.system, self.layout, self.replica, &revision)?;
        let spawn = self.command(&recipe, &path, program.argv.get(1..).unwrap_or_default())?;
        let secrets = logs::secrets(self.layout).map_err(failed)?;
        exec::run(spawn, program, Streams::open(program, artefacts, &what)?, &secrets, &what)
    }

    fn open_log(&self, account: Option<Account>) -> io::Result<File> {
        let path = self.layout.log(self.replica);
        let log = OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
        Account::own(account, &path)?;
        Ok(log)
    }

    // The end of what was logged since, without secrets: it goes into messages.
    fn last_words(&self, from: u64) -> String {
        let read = || -> io::Result<String> {
            let mut log = File::open(self.layout.log(self.replica))?;
            let end = log.metadata()?.len();
            let begin = from.max(end.saturating_sub(2_000));
            log.seek(SeekFrom::Start(begin))?;
            let mut bytes = Vec::new();
            log.take(2_000).read_to_end(&mut bytes)?;
            let text = String::from_utf8_lossy(&bytes);
            Ok(logs::secrets(self.layout)?.hide(whole_lines(&text, begin > from).trim()))
        };
        read().unwrap_or_else(|e| format!("(its log cannot be read: {e})"))
    }

    fn name(&self) -> String {
        format!("{}-{}", self.replica.component, self.replica.index)
    }

    fn what(&self, verb: &str) -> String {
        format!("{verb} {}", self.name())
    }
}
