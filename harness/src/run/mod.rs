//! Doing: one run, from a plan to a verdict. Everything that acts goes through `enter` and `heal`.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
};

use gauntlet_core::{judge::Verdict, outcome::Outcome};

mod drills;
pub mod enter;
pub mod faults;
pub mod gates;
mod guard;
pub mod heal;
mod janitor;
mod load;
mod members;
pub mod overrides;
mod programs;
mod prove;
mod provenance;
mod read_back;
pub mod ready;
mod recorder;
pub mod rollouts;
mod screen;
pub(crate) mod session;
mod sets;
pub mod stop;
pub mod takeover;
mod timeline;
pub mod watch;
pub mod world;

use overrides::Set;

use crate::{report::console::Style, target::At};

/// What makes this binary the janitor of a cluster.
const JANITOR_WORD: &str = "__janitor";
/// What makes this binary the load process.
const LOAD_WORD: &str = "__load";
/// What makes this binary the watchdog of a run.
const WATCH_WORD: &str = "__watch";
/// What makes this binary the sidecar of an ingress in a cluster.
const MEMBERS_WORD: &str = "__members";

/// How a scenario is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The target's name.
    pub target: String,
    /// Which cluster, and where on it.
    pub at: At,
    /// The directories of attempts that were inconclusive.
    pub earlier: Vec<PathBuf>,
    /// Another seed than the scenario's.
    pub seed: Option<u64>,
    /// Changes to the system file.
    pub sets: Vec<Set>,
    /// Where the load goes instead; nothing is started then.
    pub endpoint: Option<String>,
    /// Hosts that are not this machine and may get load.
    pub allow_hosts: Vec<String>,
    /// Where reports go.
    pub reports: PathBuf,
    /// What the console can do.
    pub style: Style,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            target: "local".into(),
            at: At::default(),
            earlier: vec![],
            seed: None,
            sets: vec![],
            endpoint: None,
            allow_hosts: vec![],
            reports: "reports".into(),
            style: Style::Plain,
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Done {
    /// How.
    pub outcome: Outcome,
    /// Why, when there was enough of a run to judge.
    pub verdict: Option<Verdict>,
    /// Where its journal and reports are.
    pub directory: Option<PathBuf>,
    /// Why there is no verdict.
    pub error: Option<String>,
}

impl Done {
    fn without_verdict(outcome: Outcome, error: String, directory: Option<PathBuf>) -> Self {
        tracing::error!("{error}");
        Self { outcome, verdict: None, directory, error: Some(error) }
    }
}

/// Runs one scenario to its end, on a runtime of its own.
pub fn blocking(scenario: &Path, options: &Options) -> Done {
    let ready = match ready::ready(scenario, options) {
        Ok(ready) => ready,
        Err(bad) => return Done::without_verdict(Outcome::BadScenario, bad.to_string(), None),
    };
    match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime.block_on(session::run(ready, scenario, options)),
        Err(error) => Done::without_verdict(Outcome::Broken, format!("no runtime: {error}"), None),
    }
}

/// The parts that this binary plays beside the command: load process, watchdog, an ingress' sidecar, agent, eye.
pub fn hidden(args: &[OsString]) -> Option<ExitCode> {
    let word = args.get(1)?.to_str()?;
    match word {
        LOAD_WORD => {
            crate::cli::log_to_stderr();
            let ended = gauntlet_load::run();
            if let Err(error) = &ended {
                tracing::error!("load: {}", faults::chain(error));
            }
            Some(if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        WATCH_WORD => Some(takeover::watchdog(args.get(2)?.to_str()?)),
        MEMBERS_WORD => Some(members::sidecar(&args[2..])),
        JANITOR_WORD => Some(ended(janitor::serve())),
        gauntlet_kube::node::agent::WORD => Some(ended(gauntlet_kube::node::agent::run())),
        gauntlet_kube::node::eye::WORD => Some(ended(gauntlet_kube::node::eye::run())),
        gauntlet_kube::node::probe::WORD => Some(ended(gauntlet_kube::node::probe::run())),
        gauntlet_kube::node::idle::WORD => Some(ended(idle())),
        _ => None,
    }
}

fn idle() -> std::io::Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?
        .block_on(gauntlet_kube::node::idle::run())
}

// Who asked reads standard error; there is no log.
fn ended(part: std::io::Result<()>) -> ExitCode {
    match part {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            crate::cli::complain(error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// The running binary, even when its file was replaced by a build meanwhile.
fn itself() -> std::io::Result<PathBuf> {
    let magic = PathBuf::from("/proc/self/exe");
    if magic.exists() { Ok(magic) } else { std::env::current_exe() }
}
