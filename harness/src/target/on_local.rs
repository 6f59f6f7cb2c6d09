//! `local`: a run on this machine.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
    sync::Arc,
    time::Duration,
};

use gauntlet_core::{
    act::{Ability, Unit},
    name::Name,
    port::{Later, Meter, Queries, Trouble},
    system::{Metric, System},
    yaml::Mistake,
};

use super::{
    At, Can, Doors, TargetKind, Tempo,
    local::{self, LocalTarget},
};
use crate::{
    artefacts::{ArtefactFolder, Pipes},
    layout::Layout,
    ledger::FileLedger,
    logs,
    ports::claim,
    record::{Draft, Ground, Record, run_dir, state_dir},
    witness::{LocalWitness, Sampler},
};

/// The kind.
pub(super) struct OnLocal;

impl TargetKind for OnLocal {
    fn name(&self) -> &'static str {
        "local"
    }

    fn about(&self) -> &'static str {
        "processes of this machine, each in a private directory; no root, no Docker"
    }

    fn most(&self) -> BTreeSet<Ability> {
        local::abilities()
    }

    fn starts_processes(&self) -> bool {
        true
    }

    fn tempo(&self) -> Tempo {
        Tempo {
            lease: Duration::from_secs(5),
            slack: Duration::ZERO,
            pace: Duration::from_millis(20),
            appears: Duration::from_secs(2),
            held: Duration::ZERO,
            undo: Duration::from_secs(12),
            roll: Duration::from_secs(120),
            one_by_one: true,
        }
    }

    fn abilities<'a>(&'a self, _: &'a System, _: &'a At) -> Later<'a, Can> {
        Box::pin(async { Ok((local::abilities(), BTreeMap::new())) })
    }

    fn rehearse(&self, system: &System, root: &Path) -> Vec<Mistake> {
        let lacking = system.components.iter().filter(|(_, component)| component.local.is_none());
        let lacking = lacking.map(|(name, _)| {
            let what = format!("`{name}` has no `local` recipe, so the target local cannot start it");
            let mend =
                "add `local: { program: ... }`, or give the address of one that runs with `--endpoint`";
            Mistake::of_key(format!("components.{name}"), what).mend(mend)
        });
        lacking.chain(local::rehearse(system, root)).collect()
    }

    fn missing(&self, system: &System, root: &Path) -> Vec<String> {
        local::missing(system, root).iter().map(ToString::to_string).collect()
    }

    fn claim(&self, draft: &Draft, _: &At, state: &Path) -> io::Result<Record> {
        // Not in the checkout: accounts such as `postgres` must be able to reach it.
        let private = Path::new("/var/tmp").join(format!("gauntlet-{}", draft.run));
        let layout = |first| Layout::plan(&draft.system, &draft.run, &private, &draft.root, first);
        let (_, count) = layout(0);
        let claimed = claim(state, count, |first| draft.store(state, Ground::Local(layout(first).0)));
        claimed.map_err(io::Error::other)
    }

    fn doors<'a>(&'a self, record: &'a Record) -> Later<'a, Doors> {
        Box::pin(async {
            let Ground::Local(layout) = &record.ground else {
                return Err(Trouble::refused(&record.run, "it does not run on this machine"));
            };
            let (system, layout) = (Arc::new(record.system.clone()), Arc::new(layout.clone()));
            let artefacts = Arc::new(Pipes::over(ArtefactFolder::of(&record.journal)));
            let target = LocalTarget::new(system.clone(), layout.clone()).keeping(artefacts.clone());
            Ok(Doors {
                target: Arc::new(target),
                artefacts,
                witness: Arc::new(LocalWitness::new(system.clone(), layout.clone())),
                ledger: Arc::new(FileLedger::new(&run_dir(&state_dir(), &record.run))),
                queries: Arc::new(LocalQueries { system, layout }),
            })
        })
    }
}

/// What this machine answers of a run.
struct LocalQueries {
    system: Arc<System>,
    layout: Arc<Layout>,
}

impl Queries for LocalQueries {
    fn endpoint(&self) -> Later<'_, String> {
        Box::pin(async {
            let authority = self.layout.authority(&self.system.endpoint);
            authority.ok_or_else(|| Trouble::refused("endpoint", "it is no port of a component"))
        })
    }

    fn logs<'a>(&'a self, into: &'a Path) -> Later<'a, ()> {
        Box::pin(async {
            let kept = logs::collect(&self.layout, into);
            kept.map_err(|error| Trouble::failed(format!("keep logs in {}", into.display()), error))
        })
    }

    fn diagnose<'a>(&'a self, _: &'a Path) -> Later<'a, bool> {
        Box::pin(async { Ok(false) })
    }

    fn last_words<'a>(&'a self, unit: &'a Unit, lines: usize) -> Later<'a, Option<String>> {
        Box::pin(async move { Ok(logs::tail(&self.layout, unit, lines)) })
    }

    fn meter(&self, metrics: &BTreeMap<Name, Metric>) -> Box<dyn Meter> {
        Box::new(Sampler::new(&self.system, self.layout.clone(), metrics))
    }
}
