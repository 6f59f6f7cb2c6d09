//! One run, from a plan to a verdict: journal, watchdog, set-up, load and faults, the way back, the verdict.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use gauntlet_core::{
    evidence::{Began, JOURNAL_FORMAT, Surroundings, TroubleKind, What},
    outcome::Outcome,
    plan::load::LoadJob,
    port::Queries,
};
use tokio::time::timeout;

use super::{
    Done, Options,
    drills::Kit,
    enter::{NotEntered, enter},
    faults::chain,
    gates::Gates,
    guard::{Guard, NotBegun},
    heal::unwind,
    load::Load,
    provenance::provenance,
    read_back::read_back,
    ready::Ready,
    recorder::Recorder,
    stop::{Early, Stop},
    takeover,
    timeline::play,
    world::{Tell, World},
};
use crate::{
    journal::{Journal, Recorded},
    record::{Draft, Record, state_dir},
    report::{self, console::Console},
};

/// How much of a log is shown of a component that did not come up.
const LAST_LINES: usize = 5;
/// How long the way back may wait for diagnostics.
const DIAGNOSED_WITHIN: Duration = Duration::from_secs(60);
/// How long a look around may take: the load waits for it, and the way back.
const LOOKED_WITHIN: Duration = Duration::from_secs(30);

/// A run that has a journal, a ledger and a watchdog.
struct Session {
    ready: Ready,
    record: Record,
    recorder: Arc<Recorder>,
    world: World,
    queries: Arc<dyn Queries>,
    kit: Arc<Kit>,
    stop: Stop,
    endpoint: Option<String>,
}

/// Runs a plan and judges it.
pub(super) async fn run(ready: Ready, scenario: &Path, options: &Options) -> Done {
    let lacking = ready.kind.missing(&ready.system, &ready.root);
    if !lacking.is_empty() && !ready.plan.set_up.steps.is_empty() {
        let why = format!("this machine cannot start the system:\n{}", lacking.join("\n"));
        return Done::without_verdict(Outcome::SetupFailed, why, None);
    }
    let stop = Stop::default();
    let kind = ready.kind;
    let (session, guard) = match open(ready, scenario, options, &stop).await {
        Ok(opened) => opened,
        Err(error) => {
            let outcome = match error {
                NotBegun::Harness(_) => Outcome::Broken,
                NotBegun::Place(_) | NotBegun::Unwatched { .. } => Outcome::SetupFailed,
            };
            let why = kind.named(error.to_string());
            return Done::without_verdict(outcome, format!("the run cannot begin: {why}"), None);
        }
    };
    let session = Arc::new(session);
    // A panic must not skip the way back.
    if let Err(panic) = tokio::spawn(act(session.clone())).await {
        session.trouble(TroubleKind::Harness, format!("the harness panicked: {panic}"));
    }
    let logs_to = session.record.journal.join("logs");
    let residue = unwind(&session.world, async || session.collect_logs(&logs_to).await).await;
    session.recorder.tell(What::Ended);
    let unwritten = session.recorder.close();
    // Before the watchdog goes: killed in between, it finds nothing to do and clears up.
    if residue.is_empty()
        && let Err(error) = Record::remove(&state_dir(), &session.record.run)
    {
        tracing::warn!("the run's record stays behind: {}", chain(&error));
    }
    if residue.is_empty() {
        guard.dismiss().await;
    } else {
        guard.leave().await;
    }
    session.verdict(unwritten)
}

/// Record, journal, watchdog. After an error nothing is left.
async fn open(
    ready: Ready,
    scenario: &Path,
    options: &Options,
    stop: &Stop,
) -> Result<(Session, Guard), NotBegun> {
    stop.on_signals()?;
    let run = name_of_run()?;
    let journal_dir = std::path::absolute(options.reports.join(&ready.plan.scenario).join(&run))?;
    let draft = Draft {
        run: run.clone(),
        target: ready.kind.name(),
        lease: ready.kind.tempo().lease,
        journal: journal_dir,
        system: ready.system.clone(),
        root: ready.root.clone(),
    };
    let record = ready.kind.claim(&draft, &options.at, &state_dir())?;
    let opened = guarded(ready, record, scenario, options, stop).await;
    if opened.is_err() {
        let _ = Record::remove(&state_dir(), &run);
    }
    opened
}

/// The journal and the watchdog of a run that has its record.
async fn guarded(
    ready: Ready,
    record: Record,
    scenario: &Path,
    options: &Options,
    stop: &Stop,
) -> Result<(Session, Guard), NotBegun> {
    let run = &record.run;
    let journal = Journal::create(&record.journal).map_err(|error| io::Error::other(chain(&error)))?;
    let console = Console::new(&ready.plan, io::stdout(), options.style);
    let recorder = Arc::new(Recorder::new(journal, console, Gates::of(&ready.plan), stop.clone())?);
    let (doors, tempo) = takeover::doors(&record).await?;
    let world = World::of(&doors, recorder.clone(), tempo);
    let began = Began {
        format: JOURNAL_FORMAT,
        run: run.clone(),
        wall_clock: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        command: command(scenario, &ready, options),
        provenance: provenance(&ready, &options.earlier),
        plan: ready.plan.clone(),
    };
    // A run that has begun is watched.
    let guard = match Guard::start(&record, stop, recorder.clone()).await {
        Ok(guard) => guard,
        Err(NotBegun::Place(why)) => {
            let kept = diagnosed(doors.queries.as_ref(), &record, stop).await;
            return Err(NotBegun::Unwatched { why, kept });
        }
        Err(error) => return Err(error),
    };
    recorder.tell(What::Began(Box::new(began)));
    let endpoint = options.endpoint.clone();
    let queries = doors.queries;
    let kit = Arc::new(Kit {
        pipes: doors.artefacts,
        recorder: recorder.clone(),
        system: record.system.name.to_string(),
        journal: record.journal.clone(),
    });
    Ok((Session { ready, record, recorder, world, queries, kit, stop: stop.clone(), endpoint }, guard))
}

/// `20261123-120000-3f9a1c`: sorts by time, unique on this machine.
pub(crate) fn name_of_run() -> io::Result<String> {
    let mut salt = [0u8; 3];
    getrandom::fill(&mut salt).map_err(io::Error::other)?;
    let clock = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let digits: String = clock.chars().filter(char::is_ascii_digit).collect();
    let (day, time) = digits.split_at(8.min(digits.len()));
    Ok(format!("{day}-{time}-{:02x}{:02x}{:02x}", salt[0], salt[1], salt[2]))
}

/// The command that repeats the run, with its seed.
fn command(scenario: &Path, ready: &Ready, options: &Options) -> Vec<String> {
    let mut words = vec!["gauntlet".into(), "run".into(), scenario.display().to_string()];
    words.extend(["--target".into(), options.target.clone(), "--seed".into(), ready.plan.seed.0.to_string()]);
    words.extend(options.at.words());
    for set in &options.sets {
        words.extend(["--set".into(), set.to_string()]);
    }
    if let Some(endpoint) = &options.endpoint {
        words.extend(["--endpoint".into(), endpoint.clone()]);
    }
    words
}

/// Set-up, then load and faults. Comes back early when something goes wrong; the way back is the caller's.
async fn act(session: Arc<Session>) {
    if !session.set_up().await {
        return;
    }
    let read = tokio::select! {
        read = read_back(&session.ready.plan, &session.world) => read,
        () = session.stop.heard() => return session.interrupted(),
    };
    if let Err(trouble) = read {
        return session.trouble(TroubleKind::SetUp, trouble.to_string());
    }
    let job = match session.job().await {
        Ok(job) => job,
        Err(why) => return session.trouble(TroubleKind::Load, why),
    };
    let before = session.look_around().await;
    if let Some(seen) = &before {
        session.recorder.tell(What::LookedAround(seen.clone()));
    }
    let dir = session.load_dir();
    let load = tokio::select! {
        load = Load::begin(&job, &dir) => load,
        () = session.stop.heard() => return session.interrupted(),
    };
    match load {
        Ok(load) => {
            let meter = session.queries.meter(&session.ready.plan.metrics);
            let Session { ready, world, recorder, kit, stop, .. } = &*session;
            play(&ready.plan, load, meter, world, recorder, kit, stop).await;
            // Before the way back: with it goes what ran.
            if let Some(seen) = session.look_around().await {
                session.tell_the_end(before, seen).await;
            }
        }
        Err(error) => session.trouble(TroubleKind::Load, chain(&error)),
    }
    session.interrupted();
}

/// Keeps what can be known before the way back takes it away; says where it is.
async fn diagnosed(queries: &dyn Queries, record: &Record, stop: &Stop) -> String {
    let into = record.journal.join("diagnostics");
    let kept = tokio::select! {
        kept = timeout(DIAGNOSED_WITHIN, queries.diagnose(&into)) => kept,
        () = stop.heard() => return String::new(),
    };
    match kept {
        Ok(Ok(true)) => format!("; diagnostics are in {}", into.display()),
        Ok(Ok(false)) => String::new(),
        Ok(Err(trouble)) => format!("; no diagnostics could be kept: {trouble}"),
        Err(_) => format!("; diagnostics are not complete in {}", into.display()),
    }
}

impl Session {
    /// Enters the steps of the set-up one after the other.
    async fn set_up(&self) -> bool {
        for step in &self.ready.plan.set_up.steps {
            let why = tokio::select! {
                entered = enter(step, &self.world) => match entered {
                    Ok(()) => continue,
                    Err(error) => {
                        self.ready.kind.named(chain(&error)) + &self.diagnosed().await + &self.last_words(&error).await
                    }
                },
                why = self.queries.hopeless() => self.ready.kind.named(why) + &self.diagnosed().await,
                () = self.stop.heard() => {
                    self.interrupted();
                    return false;
                }
            };
            self.recorder.tell(What::Trouble { kind: TroubleKind::SetUp, step: Some(step.id.clone()), why });
            return false;
        }
        true
    }

    async fn diagnosed(&self) -> String {
        diagnosed(self.queries.as_ref(), &self.record, &self.stop).await
    }

    /// What a component that did not come up logged last.
    async fn last_words(&self, error: &NotEntered) -> String {
        let NotEntered::Effect { unit, .. } = error else { return String::new() };
        match self.queries.last_words(unit, LAST_LINES).await.ok().flatten() {
            Some(lines) => format!("; {unit} logged last:\n{lines}"),
            None => format!("; {unit} logged nothing"),
        }
    }

    /// What runs, and on what; nothing where the run set nothing up: it is not its business.
    async fn look_around(&self) -> Option<Surroundings> {
        if self.ready.plan.set_up.steps.is_empty() || self.stop.said() == Some(Early::Interrupted) {
            return None;
        }
        let looked = tokio::select! {
            looked = timeout(LOOKED_WITHIN, self.queries.surroundings()) => looked,
            // One that ends early by itself is looked at all the same: it may say why.
            () = self.stop.heard(), if self.stop.said().is_none() => return None,
        };
        let seen = match looked {
            Ok(Ok(seen)) => seen,
            Ok(Err(trouble)) => Surroundings::unknown(trouble),
            Err(_) => Surroundings::unknown(format!("no answer within {LOOKED_WITHIN:?}")),
        };
        Some(seen).filter(|seen| !seen.is_empty())
    }

    /// Where a machine did not stay ready, diagnostics are kept too.
    async fn tell_the_end(&self, before: Option<Surroundings>, mut seen: Surroundings) {
        if before.is_some_and(|before| !before.unsteady(&seen).is_empty()) {
            let kept = self.diagnosed().await;
            seen.diagnostics = Some(kept.trim_start_matches("; ").to_owned()).filter(|kept| !kept.is_empty());
        }
        self.recorder.tell(What::LookedAround(seen));
    }

    async fn job(&self) -> Result<LoadJob, String> {
        let authority = match &self.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => self.queries.endpoint().await.map_err(|trouble| trouble.to_string())?,
        };
        Ok(LoadJob { plan: self.ready.plan.load.clone(), authority, data: self.ready.data.clone() })
    }

    /// The load process bears the run's mark like everything else, where there is ground to stand on.
    fn load_dir(&self) -> PathBuf {
        self.record.private().unwrap_or(&self.record.journal).to_owned()
    }

    fn interrupted(&self) {
        if self.stop.said() == Some(Early::Interrupted) {
            self.recorder.tell(What::Interrupted);
        }
    }

    fn trouble(&self, kind: TroubleKind, why: String) {
        self.recorder.tell(What::Trouble { kind, step: None, why });
    }

    async fn collect_logs(&self, into: &Path) {
        if let Err(trouble) = self.queries.logs(into).await {
            self.trouble(TroubleKind::Harness, trouble.to_string());
        }
    }

    /// Judges the journal as a replay would, and writes the reports.
    fn verdict(&self, unwritten: Option<String>) -> Done {
        let directory = Some(self.record.journal.clone());
        let dir = &self.record.journal;
        if let Some(why) = unwritten {
            return Done::without_verdict(
                Outcome::Broken,
                format!("the journal is incomplete: {why}"),
                directory,
            );
        }
        let recorded = match Recorded::open(dir) {
            Ok(recorded) => recorded,
            Err(error) => return Done::without_verdict(Outcome::Broken, chain(&error), directory),
        };
        let verdict = recorded.judge();
        if let Err(error) = report::write_all(dir, &recorded, &verdict) {
            return Done::without_verdict(Outcome::Broken, chain(&error), directory);
        }
        let elapsed = Duration::from_micros(self.recorder.now_us());
        if let Some(mut console) = self.recorder.console() {
            console.verdict(&verdict, dir, elapsed);
        }
        Done { outcome: verdict.outcome, verdict: Some(verdict), directory, error: None }
    }
}
