//! Targets: they act. `abilities`, `prepare`, `apply`, `leftovers`, whatever the catalogue of faults grows to.
//!
//! [`local`] acts on this machine, `gauntlet-kube` on a cluster; a [`TargetKind`] puts its target, witness, ledger and
//! queries together for a run.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use gauntlet_core::{
    act::Ability,
    port::{Later, Ledger, Queries, Target, Witness},
    system::System,
    yaml::Mistake,
};

pub mod fake;
pub mod local;
mod on_kube;
mod on_local;

pub(crate) use on_kube::{doors as kube_doors, production};

use crate::{
    artefacts::Pipes,
    record::{Draft, Record},
};

/// Where systems can run, in the order in which they are listed.
pub const TARGETS: &[&dyn TargetKind] = &[&on_local::OnLocal, &on_kube::OnKube];

/// What can be done, and why something that such targets can do cannot, with the mend.
pub type Can = (BTreeSet<Ability>, BTreeMap<Ability, String>);

/// One line of the list of targets.
pub trait TargetKind: Sync {
    /// The word of `--target`.
    fn name(&self) -> &'static str;
    /// One sentence.
    fn about(&self) -> &'static str;
    /// The most that it can do anywhere.
    fn most(&self) -> BTreeSet<Ability>;
    /// How fast it is.
    fn tempo(&self) -> Tempo;
    /// Whether it starts components as the system file's `local` and `settings` say.
    fn starts_processes(&self) -> bool {
        false
    }
    /// How often an inconclusive gate may be repeated there.
    fn repeats(&self) -> usize {
        0
    }
    /// What it can do here and now, and why not more. Only reads; an error says why nothing can be done there at all.
    fn abilities<'a>(&'a self, system: &'a System, at: &'a At) -> Later<'a, Can>;
    /// What of a system file could never start there. Nothing is asked of the world but files.
    fn rehearse(&self, system: &System, root: &Path) -> Vec<Mistake>;
    /// A trouble with the name of its cause before it and what mends it behind, where such targets know it.
    fn named(&self, why: String) -> String {
        why
    }
    /// What this machine lacks to start the system, and how to get it.
    fn missing(&self, system: &System, root: &Path) -> Vec<String>;
    /// Takes what only this run may have, and stores its record.
    fn claim(&self, draft: &Draft, at: &At, state: &Path) -> io::Result<Record>;
    /// The doors of a recorded run.
    fn doors<'a>(&'a self, record: &'a Record) -> Later<'a, Doors>;
}

/// Which cluster, and where on it. On this machine nothing of it matters.
#[derive(Debug, Clone, Default)]
pub struct At {
    /// A kubeconfig file.
    pub kubeconfig: Option<PathBuf>,
    /// A context of it.
    pub context: Option<String>,
    /// The namespace of a system that runs already.
    pub namespace: Option<String>,
    /// Whether a context that looks like production is meant.
    pub allow_production: bool,
}

impl At {
    /// As it is said on the command line.
    pub(crate) fn words(&self) -> Vec<String> {
        let kubeconfig = self.kubeconfig.as_ref().map(|file| file.display().to_string());
        let said =
            [("--kubeconfig", &kubeconfig), ("--context", &self.context), ("--namespace", &self.namespace)];
        let said = said.into_iter().filter_map(|(word, value)| Some([word.to_owned(), value.clone()?]));
        let mut words: Vec<String> = said.flatten().collect();
        words.extend(self.allow_production.then(|| "--allow-production".to_owned()));
        words
    }
}

/// How fast a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tempo {
    /// How long the holder of a run may be silent.
    pub lease: Duration,
    /// How much longer than on this machine a proof may take.
    pub slack: Duration,
    /// How often a witness is asked while a proof is awaited.
    pub pace: Duration,
    /// How long what was started may be unseen before it counts as ended. One look that misses it says nothing.
    pub appears: Duration,
    /// How long a way back may wait for what the place itself holds back, beyond the time of its proof.
    pub held: Duration,
    /// How long one undo may take before the next on the same unit is tried.
    pub undo: Duration,
    /// The same for a rollout that is taken back: all replicas of a component, one after the other where it is done here.
    pub roll: Duration,
    /// Whether replicas are stopped one by one before the ground ends. Where their logs go with them, they are not.
    pub one_by_one: bool,
}

/// All that a run has to do with where it runs.
#[derive(Clone)]
pub struct Doors {
    /// Acts.
    pub target: Arc<dyn Target>,
    /// Sees.
    pub witness: Arc<dyn Witness>,
    /// Remembers.
    pub ledger: Arc<dyn Ledger>,
    /// Answers.
    pub queries: Arc<dyn Queries>,
    /// Keeps what programs write, and hands them what they read.
    pub artefacts: Arc<Pipes>,
}

/// The target of that name.
pub fn find(name: &str) -> Option<&'static dyn TargetKind> {
    TARGETS.iter().copied().find(|kind| kind.name() == name)
}

#[cfg(test)]
mod tests {
    use super::At;

    #[test]
    fn a_run_that_is_repeated_goes_to_the_same_place() {
        let at = At { context: Some("here".into()), namespace: Some("shop".into()), ..At::default() };
        assert_eq!(at.words(), ["--context", "here", "--namespace", "shop"]);
        assert_eq!(At::default().words(), Vec::<String>::new());
    }
}
