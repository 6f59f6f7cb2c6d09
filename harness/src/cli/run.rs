//! `gauntlet run`: runs scenarios and says how each ended.

use std::path::{Path, PathBuf};

use clap::Parser;
use gauntlet_core::outcome::Outcome;

use super::{complain, say, style};
use crate::{
    run::{self, Done, Options, overrides::Set},
    target::At,
};

/// Runs scenarios one after the other; the exit code is that of the worst.
#[derive(Debug, Parser)]
pub(super) struct Args {
    /// Scenario files, or directories of them.
    #[arg(required = true)]
    scenarios: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) how: How,
}

/// How scenarios are run; the same for `run`, `gate` and `plan`.
#[derive(Debug, Parser)]
pub(super) struct How {
    /// Where the system runs (see `gauntlet list targets`).
    #[arg(long, default_value = "local")]
    target: String,
    #[command(flatten)]
    at: Where,
    /// Another seed than the scenario's.
    #[arg(long)]
    seed: Option<u64>,
    /// Changes the system file for this run: `service.program=PATH`, `service.settings.NAME=VALUE`, `service.replicas=N`.
    #[arg(long = "set", value_name = "COMPONENT.FIELD=VALUE")]
    sets: Vec<Set>,
    /// Offers the load to this address instead; nothing is started, and faults are refused. With --namespace it is only
    /// where the system that runs there is reached.
    #[arg(long, value_name = "HOST:PORT")]
    endpoint: Option<String>,
    /// Allows an `--endpoint` that is not on this machine.
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
    /// Where reports go: `<reports>/<scenario>/<run>/`.
    #[arg(long, default_value = "reports")]
    reports: PathBuf,
}

/// Which cluster; the same for every command that goes to one.
#[derive(Debug, Parser)]
pub(super) struct Where {
    /// The kubeconfig file of a cluster; without it that of `gauntlet cluster up`, or with --context the usual ones.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig.
    #[arg(long)]
    context: Option<String>,
    /// Tests the system that already runs in this namespace, instead of one that the run starts for itself.
    #[arg(long)]
    namespace: Option<String>,
    /// Allows a context whose name looks like production.
    #[arg(long)]
    allow_production: bool,
}

impl Where {
    pub(super) fn at(&self) -> At {
        At {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
            namespace: self.namespace.clone(),
            allow_production: self.allow_production,
        }
    }
}

impl How {
    pub(super) fn options(&self) -> Options {
        Options {
            target: self.target.clone(),
            at: self.at.at(),
            earlier: vec![],
            seed: self.seed,
            sets: self.sets.clone(),
            endpoint: self.endpoint.clone(),
            allow_hosts: self.allow_host.clone(),
            reports: self.reports.clone(),
            style: style(),
        }
    }
}

impl Args {
    pub(super) fn run(self) -> Outcome {
        run_all(&self.scenarios, &self.how.options(), 0)
    }
}

/// Runs them all, prints a line each when there are several, and answers the worst outcome.
///
/// An inconclusive scenario is repeated that often; its last attempt counts.
pub(super) fn run_all(paths: &[PathBuf], options: &Options, repeats: usize) -> Outcome {
    let ended = match run_each(paths, options, repeats) {
        Ok(ended) => ended,
        Err(why) => {
            complain(format!("error: {why}"));
            return Outcome::BadScenario;
        }
    };
    if ended.len() > 1 {
        say("");
        for Ended { file, done, .. } in &ended {
            let place = done.directory.as_ref().map(|dir| dir.display().to_string()).unwrap_or_default();
            say(format!("{:<14} {}  {place}", done.outcome, file.display()));
        }
    }
    worst(ended.iter().filter(|ended| ended.counts).map(|ended| ended.done.outcome))
}

/// A scenario that has ended.
pub(super) struct Ended {
    pub(super) file: PathBuf,
    pub(super) done: Done,
    /// Not when it was repeated.
    counts: bool,
}

/// Runs them all, one after the other.
pub(super) fn run_each(paths: &[PathBuf], options: &Options, repeats: usize) -> Result<Vec<Ended>, String> {
    let mut ended = Vec::new();
    for file in scenario_files(paths)? {
        let outcome = attempts(&file, options, repeats, &mut ended);
        // A person who said stop does not want the next one.
        if matches!(outcome, Outcome::Interrupted | Outcome::NotHealed) {
            break;
        }
    }
    Ok(ended)
}

/// The outcome that stands for several.
pub(super) fn worst(outcomes: impl Iterator<Item = Outcome>) -> Outcome {
    outcomes.max_by_key(|outcome| severity(*outcome)).unwrap_or(Outcome::BadScenario)
}

/// Runs one scenario, again while it is inconclusive and may be repeated. Each attempt names those before it.
fn attempts(file: &Path, options: &Options, repeats: usize, ended: &mut Vec<Ended>) -> Outcome {
    let mut options = options.clone();
    loop {
        let done = run::blocking(file, &options);
        let (outcome, directory) = (done.outcome, done.directory.clone());
        let counts = outcome != Outcome::Inconclusive || options.earlier.len() >= repeats;
        ended.push(Ended { file: file.to_owned(), done, counts });
        if counts {
            return outcome;
        }
        options.earlier.extend(directory);
        say(format!("inconclusive: attempt {} of {}", options.earlier.len() + 1, repeats + 1));
    }
}

/// The order in which one outcome stands for several: worst last.
fn severity(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Passed => 0,
        Outcome::Inconclusive => 1,
        Outcome::Failed => 2,
        Outcome::SetupFailed => 3,
        Outcome::Interrupted => 4,
        Outcome::Broken => 5,
        Outcome::NotHealed => 6,
        Outcome::BadScenario => 7,
    }
}

/// Files as they are; directories walked for `.yml` and `.yaml`, in order of names.
pub(crate) fn scenario_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let before = files.len();
            walk(path, &mut files).map_err(|error| format!("{}: {error}", path.display()))?;
            if files.len() == before {
                return Err(format!("{}: no scenario (.yml, .yaml) in this directory", path.display()));
            }
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn walk(dir: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(dir)?.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            walk(&path, files)?;
        } else if path.extension().is_some_and(|ext| ext == "yml" || ext == "yaml") {
            files.push(path);
        }
    }
    Ok(())
}
