//! From files to a plan: everything is read and checked before anything is touched.

use std::{
    collections::BTreeMap,
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
};

use gauntlet_core::{
    name::Name,
    plan::{Known, Plan, plan, with_sets},
    scenario,
    system::{self, System},
    yaml::{self, Book, Mistake, Places},
};
use serde_json::Value;

use super::Options;
use crate::target::{self, Can, TARGETS, TargetKind};

/// A plan and what it was made from.
pub struct Ready {
    /// Where it will run.
    pub kind: &'static dyn TargetKind,
    /// The plan.
    pub plan: Plan,
    /// The system file, with `--set` applied.
    pub system: System,
    /// The system file's directory.
    pub root: PathBuf,
    /// The data sets in use.
    pub data: BTreeMap<Name, Vec<Value>>,
    /// Files that decided what the plan is, for the record.
    pub files: BTreeMap<String, PathBuf>,
}

/// Why there is no plan. Nothing was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadScenario(Vec<String>);

impl BadScenario {
    /// One reason.
    pub fn because(why: impl fmt::Display) -> Self {
        Self(vec![why.to_string()])
    }

    fn of(file: &Path, mistakes: &[Mistake]) -> Self {
        Self(mistakes.iter().map(|mistake| mistake.show(&file.display().to_string())).collect())
    }
}

impl fmt::Display for BadScenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for why in &self.0 {
            writeln!(f, "error: {why}")?;
        }
        write!(f, "nothing was started")
    }
}

/// Reads a scenario and its system, and plans.
pub fn ready(file: &Path, options: &Options) -> Result<Ready, BadScenario> {
    let bytes = read(file)?;
    let mut said = scenario::read(&bytes).map_err(|mistakes| BadScenario::of(file, &mistakes))?;
    if let Some(seed) = options.seed {
        said.seed = seed;
    }
    let beside = file.parent().unwrap_or(Path::new("."));
    let system_file = beside.join(&said.system);
    let (mut system, root) = self::system(&system_file)?;
    let kind = kind(&options.target)?;
    for set in &options.sets {
        if set.is_of_processes() && !kind.starts_processes() {
            let why =
                format!("--set {set}: on the target {} manifests say that, not the system file", kind.name());
            return Err(BadScenario::because(why));
        }
        set.apply(&mut system).map_err(BadScenario::because)?;
    }
    // Where the system runs already, that is only where its users reach it.
    let reached = options.endpoint.as_ref().filter(|_| attaches(kind, options));
    if let (Some(endpoint), Some(kube)) = (reached, &mut system.kube) {
        may_be_loaded(endpoint, options)?;
        kube.endpoint.clone_from(endpoint);
    }
    let system = with_sets(system, &said);
    let alone = options.endpoint.as_ref().filter(|_| reached.is_none());
    let (abilities, lacking) = match alone {
        Some(_) => (kind.most(), BTreeMap::new()),
        None => abilities(kind, &system, options)?,
    };
    let known = Known { system: &system, target: kind.name(), abilities, lacking, slack: kind.tempo().slack };
    let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let mut plan = plan(&name, &said, &known).map_err(|mistakes| BadScenario::of(file, &mistakes))?;
    if let Some(endpoint) = alone {
        only_load(&mut plan, endpoint, options)?;
    } else {
        startable(kind, &system, &root, &system_file)?;
    }
    let data = data(&plan, &root)?;
    let mut files =
        BTreeMap::from([("scenario".to_owned(), file.to_owned()), ("system".to_owned(), system_file)]);
    files.extend(plan.load.data.iter().map(|(name, path)| (format!("data/{name}"), root.join(path))));
    Ok(Ready { kind, plan, system, root, data, files })
}

/// Reads a system file; answers it and the directory that its paths are relative to.
pub fn system(file: &Path) -> Result<(System, PathBuf), BadScenario> {
    let system = system::read(&read(file)?).map_err(|mistakes| BadScenario::of(file, &mistakes))?;
    let parent = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let root = std::path::absolute(parent)
        .map_err(|error| BadScenario::because(format!("{}: {error}", file.display())))?;
    Ok((system, root))
}

/// Longer files are no scenarios; they are refused without being read.
const LONGEST: u64 = 4 << 20;

fn read(file: &Path) -> Result<Vec<u8>, BadScenario> {
    let told = |error: std::io::Error| BadScenario::because(format!("{}: {error}", file.display()));
    let length = std::fs::metadata(file).map_err(told)?.len();
    if length > LONGEST {
        return Err(BadScenario::because(format!(
            "{}:1:1: the file has {length} bytes; no scenario or system file is longer than {LONGEST}",
            file.display()
        )));
    }
    std::fs::read(file).map_err(told)
}

/// A component that the target has no recipe for could never start, nor one whose templates cannot be rendered.
fn startable(kind: &dyn TargetKind, system: &System, root: &Path, file: &Path) -> Result<(), BadScenario> {
    let told = |mistakes: Vec<Mistake>| BadScenario::of(file, &mistakes);
    let places = Places::of(&yaml::tree(&read(file)?).map_err(|mistake| told(vec![mistake]))?);
    let mut book = Book::new(&places);
    kind.rehearse(system, root).into_iter().for_each(|mistake| book.say(mistake));
    book.close().map_err(told)
}

fn kind(target: &str) -> Result<&'static dyn TargetKind, BadScenario> {
    let names: Vec<&str> = TARGETS.iter().map(|known| known.name()).collect();
    target::find(target).ok_or_else(|| {
        BadScenario::because(format!("--target {target}: no such target; there are: {}", names.join(", ")))
    })
}

/// What the target can do here and now.
fn abilities(kind: &dyn TargetKind, system: &System, options: &Options) -> Result<Can, BadScenario> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| BadScenario::because(format!("no runtime: {error}")))?;
    let told = |trouble| BadScenario::because(format!("--target {}: {trouble}", kind.name()));
    runtime.block_on(kind.abilities(system, &options.at)).map_err(told)
}

/// Whether the run takes part in a system that its target finds running.
fn attaches(kind: &dyn TargetKind, options: &Options) -> bool {
    options.at.namespace.is_some() && !kind.starts_processes()
}

/// Only this machine, unless the owner of another one agrees.
fn may_be_loaded(endpoint: &str, options: &Options) -> Result<(), BadScenario> {
    let host = endpoint.rsplit_once(':').map_or(endpoint, |(host, _)| host).trim_matches(['[', ']']);
    let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if !here && !options.allow_hosts.iter().any(|allowed| allowed == host) {
        let why = format!(
            "--endpoint {endpoint}: {host} is not this machine; if its owner agrees, say --allow-host {host}"
        );
        return Err(BadScenario::because(why));
    }
    Ok(())
}

/// With `--endpoint` alone the system is somebody else's: nothing is started, and nothing is broken.
fn only_load(plan: &mut Plan, endpoint: &str, options: &Options) -> Result<(), BadScenario> {
    may_be_loaded(endpoint, options)?;
    let faults = plan.faults.first().map(|fault| ("faults", fault.title.clone()));
    let rollouts = plan.rollouts.first().map(|rollout| ("rollouts", rollout.title.clone()));
    let drills = plan.drills.first().map(|drill| ("drills", drill.title.clone()));
    let connections = plan.connections.first().map(|row| ("connections", format!("from {}", row.from)));
    if let Some((what, title)) = faults.or(rollouts).or(drills).or(connections) {
        let why = format!("--endpoint {endpoint}: {what} ({title}) need a system that this run started");
        return Err(BadScenario::because(why));
    }
    plan.set_up.steps.clear();
    plan.musts.clear();
    Ok(())
}

fn data(plan: &Plan, root: &Path) -> Result<BTreeMap<Name, Vec<Value>>, BadScenario> {
    let mut data = BTreeMap::new();
    for (name, path) in &plan.load.data {
        let file = root.join(path);
        let told = |why: String| BadScenario::because(format!("{}: data set {name}: {why}", file.display()));
        let text = std::fs::read(&file).map_err(|error| told(error.to_string()))?;
        let items: Vec<Value> =
            serde_json::from_slice(&text).map_err(|error| told(format!("no JSON array: {error}")))?;
        if items.is_empty() {
            return Err(told("it is empty".into()));
        }
        data.insert(name.clone(), items);
    }
    Ok(data)
}
