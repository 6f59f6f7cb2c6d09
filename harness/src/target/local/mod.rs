//! Replicas as processes of this machine, in private directories and on private ports: no root, no Docker.
//!
//! What a run made is found by its mark (a working directory inside the run's private directory), not by memory.
//! A process is a number and a start time, signalled by pidfd.

use std::{collections::BTreeSet, sync::Arc};

use gauntlet_core::{
    act::{Ability, Act, Place, Program, Revision, Signal, Unit},
    port::{Artefacts, Later, Target, Trouble},
    receipt::Prepared,
    system::{Shares, System},
};
use tokio::task::spawn_blocking;

mod account;
mod answers;
mod exec;
mod ground;
mod process;
mod program;
mod recipe;
mod replica;
mod revision;
mod roll;
mod signal;
mod weigh;

pub use program::{MissingProgram, find, missing};
pub use recipe::rehearse;

use self::{
    process::Identity,
    replica::Local,
    roll::{Roll, Rolls},
    weigh::Balancer,
};
use crate::layout::{Layout, Replica};

/// The machine that the harness runs on.
#[derive(Clone)]
pub struct LocalTarget {
    system: Arc<System>,
    layout: Arc<Layout>,
    rolls: Arc<Rolls>,
    artefacts: Option<Arc<dyn Artefacts>>,
}

impl LocalTarget {
    /// A target for one run. Nothing is touched before `apply`.
    pub fn new(system: Arc<System>, layout: Arc<Layout>) -> Self {
        Self { system, layout, rolls: Arc::default(), artefacts: None }
    }

    /// Programs read and write here.
    #[must_use]
    pub fn keeping(self, artefacts: Arc<dyn Artefacts>) -> Self {
        Self { artefacts: Some(artefacts), ..self }
    }

    // Acts block on files and processes; an act that was begun is finished even if nobody waits any more.
    fn block<'a, T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Trouble> + Send + 'static,
    ) -> Later<'a, T> {
        let target = self.clone();
        Box::pin(async move {
            let done = spawn_blocking(move || work(&target)).await;
            done.unwrap_or_else(|panic| Err(Trouble::failed("the local target", panic)))
        })
    }

    fn local(&self, act: &Act) -> Result<Local<'_>, Trouble> {
        let place = self.layout.of(act.unit());
        let replica = place.ok_or_else(|| Trouble::refused(act, "the run has no such replica"))?;
        Ok(Local::new(&self.system, &self.layout, replica))
    }

    fn prepare_now(&self, act: &Act) -> Result<Prepared, Trouble> {
        let may_be_idle = act.may_be_idle();
        let (act, undo) = match act {
            Act::Start { unit: Unit::Ground } => {
                let undo = Act::Stop { at: Place::of(Unit::Ground) };
                (act.clone(), if ground::stands(&self.layout) { vec![] } else { vec![undo] })
            }
            Act::Stop { at } | Act::Signal { at, .. } if at.unit == Unit::Ground => {
                return Err(Trouble::refused(act, "what the ground holds cannot be brought back"));
            }
            Act::Start { unit } => {
                let local = self.local(act)?;
                local.check(&Revision::original())?;
                let undo = Act::Stop { at: Place::of(unit.clone()) };
                (act.clone(), if local.root().is_some() { vec![] } else { vec![undo] })
            }
            Act::Stop { at } => match self.local(act)?.root() {
                None => (act.clone(), vec![]),
                Some(root) => {
                    (Act::Stop { at: at.pinned(root.object()) }, vec![Act::Start { unit: at.unit.clone() }])
                }
            },
            Act::Signal { at, signal } => self.prepare_signal(act, at, *signal)?,
            Act::Configure { unit, revision } => (act.clone(), self.prepare_roll(act, unit, revision)?),
            Act::Scale { unit, replicas } => (act.clone(), self.prepare_scale(act, unit, *replicas)?),
            Act::Weigh { unit, shares } => (act.clone(), self.prepare_weigh(act, unit, shares)?),
            Act::Exec { at, program } => return self.prepare_exec(act, at, program),
        };
        let touches = vec![act.unit().clone()];
        let idle = may_be_idle && undo.is_empty();
        Ok(Prepared { act, undo: Some(undo), idle, touches })
    }

    /// The way back is the split that stands now.
    fn prepare_weigh(&self, act: &Act, unit: &Unit, wanted: &Shares) -> Result<Vec<Act>, Trouble> {
        let balancer = self.balancer(act, unit)?;
        let present = balancer.present().map_err(|error| Trouble::failed(act, error))?;
        let back = Act::Weigh { unit: unit.clone(), shares: present.clone() };
        Ok(if present == *wanted { vec![] } else { vec![back] })
    }

    fn weigh(&self, act: &Act, unit: &Unit, shares: &Shares) -> Result<(), Trouble> {
        // With the ground there is nothing left to split.
        if !ground::stands(&self.layout) {
            return Ok(());
        }
        self.balancer(act, unit)?.split(shares).map_err(|error| Trouble::failed(act, error))
    }

    fn balancer(&self, act: &Act, unit: &Unit) -> Result<Balancer<'_>, Trouble> {
        let Unit::Component { component } = unit else {
            return Err(Trouble::refused(act, "only a component as a whole has traffic to split"));
        };
        let found = Balancer::of(&self.system, &self.layout, component);
        let found = found.map_err(|error| Trouble::failed(act, error))?;
        found.ok_or_else(|| Trouble::refused(act, "nothing in front of it splits its traffic (`weighs`)"))
    }

    fn prepare_exec(&self, act: &Act, at: &Place, program: &Program) -> Result<Prepared, Trouble> {
        let local = self.local(act)?;
        let place = match local.root() {
            Some(root) if pins(at, root) => at.pinned(root.object()),
            // One that was stopped still has its directory, and what is in it.
            None if at.object.is_none() && local.dir().is_dir() => at.clone(),
            None if at.object.is_none() => return Err(Trouble::refused(act, "it was never started")),
            _ => return Err(Trouble::refused(act, "that process is gone")),
        };
        local.find(program, &act.to_string())?;
        let touches = vec![at.unit.clone()];
        let act = Act::Exec { at: place, program: program.clone() };
        Ok(Prepared { act, undo: None, idle: false, touches })
    }

    fn exec(&self, act: &Act, at: &Place, program: &Program) -> Result<(), Trouble> {
        let local = self.local(act)?;
        match local.root() {
            Some(root) if pins(at, root) => local.exec(program, self.artefacts.as_deref()),
            Some(_) => Err(Trouble::failed(act, "that process is gone")),
            // What takes a step back is not pinned; with the ground there is nothing left to take back.
            None if at.object.is_none() && !ground::stands(&self.layout) => Ok(()),
            None if at.object.is_none() => local.exec(program, self.artefacts.as_deref()),
            None => Err(Trouble::failed(act, "that process is gone")),
        }
    }

    fn prepare_signal(&self, act: &Act, at: &Place, signal: Signal) -> Result<(Act, Vec<Act>), Trouble> {
        let root = self.local(act)?.root().ok_or_else(|| Trouble::refused(act, "it does not run"))?;
        if !pins(at, root) {
            return Err(Trouble::refused(act, "that process is gone"));
        }
        let at = at.pinned(root.object());
        let undo = match signal {
            Signal::Kill | Signal::Terminate | Signal::Interrupt => {
                vec![Act::Start { unit: at.unit.clone() }]
            }
            Signal::Pause => vec![Act::Signal { at: at.clone(), signal: Signal::Resume }],
            Signal::Resume => vec![],
        };
        Ok((Act::Signal { at, signal }, undo))
    }

    /// The way back is the revision that runs now; none: all replicas run the wanted one already.
    fn prepare_roll(&self, act: &Act, unit: &Unit, wanted: &Revision) -> Result<Vec<Act>, Trouble> {
        let roll = self.roll(act, unit)?;
        let first = self.layout.replica(roll.component, 1);
        let first = first.ok_or_else(|| Trouble::refused(act, "the run has no such component"))?;
        Local::new(&self.system, &self.layout, first).check(wanted)?;
        let (present, whole) = roll.present().map_err(|error| Trouble::failed(act, error))?;
        if whole && present == *wanted {
            return Ok(vec![]);
        }
        Ok(vec![Act::Configure { unit: unit.clone(), revision: present }])
    }

    /// The way back is the number of those that run now.
    fn prepare_scale(&self, act: &Act, unit: &Unit, wanted: u16) -> Result<Vec<Act>, Trouble> {
        let all = self.all(act, unit)?;
        if usize::from(wanted) > all.len() {
            let why = format!("the run has places for {} replicas", all.len());
            return Err(Trouble::refused(act, why));
        }
        let runs = |replica: &&&Replica| Local::new(&self.system, &self.layout, replica).root().is_some();
        let present = u16::try_from(all.iter().filter(runs).count()).unwrap_or(u16::MAX);
        let back = Act::Scale { unit: unit.clone(), replicas: present };
        Ok(if present == wanted { vec![] } else { vec![back] })
    }

    /// The last ones end, in order; those before them run.
    fn scale(&self, act: &Act, unit: &Unit, wanted: u16) -> Result<(), Trouble> {
        unit.component().into_iter().for_each(|component| _ = self.rolls.supersede(component));
        for replica in self.all(act, unit)?.into_iter().rev() {
            let local = Local::new(&self.system, &self.layout, replica);
            self.rolls.alone(replica, || {
                if replica.index > wanted { local.stop(|| true) } else { local.start() }
            })?;
        }
        Ok(())
    }

    fn all(&self, act: &Act, unit: &Unit) -> Result<Vec<&Replica>, Trouble> {
        let Unit::Component { component } = unit else {
            return Err(Trouble::refused(act, "only a component as a whole has a number of replicas"));
        };
        Ok(self.layout.replicas.iter().filter(|replica| replica.component == *component).collect())
    }

    fn roll<'a>(&'a self, act: &Act, unit: &'a Unit) -> Result<Roll<'a>, Trouble> {
        let Unit::Component { component } = unit else {
            return Err(Trouble::refused(act, "a rollout is of a component as a whole"));
        };
        Ok(Roll { system: &self.system, layout: &self.layout, rolls: &self.rolls, component })
    }

    /// Nobody else starts or ends that replica meanwhile.
    fn alone(&self, act: &Act, work: impl FnOnce(Local<'_>) -> Result<(), Trouble>) -> Result<(), Trouble> {
        let local = self.local(act)?;
        match self.layout.of(act.unit()) {
            Some(replica) => self.rolls.alone(replica, || work(local)),
            None => work(local),
        }
    }

    fn apply_now(&self, act: &Act) -> Result<(), Trouble> {
        match act {
            Act::Start { unit: Unit::Ground } => ground::start(&self.system, &self.layout),
            Act::Stop { at } if at.unit == Unit::Ground => {
                self.rolls.supersede_all();
                ground::stop(&self.layout)
            }
            Act::Start { .. } => self.alone(act, |local| local.start()),
            Act::Stop { at } => {
                at.unit.component().into_iter().for_each(|component| _ = self.rolls.supersede(component));
                self.alone(act, |local| self.guarded(&local, at, |go_on| local.stop(go_on)))
            }
            Act::Configure { unit, revision } => self.roll(act, unit)?.out(act, revision),
            Act::Scale { unit, replicas } => self.scale(act, unit, *replicas),
            Act::Weigh { unit, shares } => self.weigh(act, unit, shares),
            Act::Exec { at, program } => self.exec(act, at, program),
            Act::Signal { at, signal } => {
                let local = self.local(act)?;
                self.guarded(&local, at, |go_on| signal::tree(local.dir(), *signal, go_on))
            }
        }
    }

    // Nothing is done once the object that an act is pinned to is gone: what runs then is a successor.
    fn guarded(
        &self,
        local: &Local<'_>,
        at: &Place,
        work: impl FnOnce(&dyn Fn() -> bool) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        if at.object.is_some() && !local.root().is_some_and(|root| pins(at, root)) {
            return Ok(());
        }
        work(&|| at.object.is_none() || local.remembered().is_some_and(|root| pins(at, root)))
    }
}

fn pins(at: &Place, root: Identity) -> bool {
    at.object.as_ref().is_none_or(|object| Identity::parse(object) == Some(root))
}

/// What processes of this machine can be told.
pub fn abilities() -> BTreeSet<Ability> {
    use Ability::{Away, Configure, Exec, Files, Kill, Pause, Program, Scale, Start, Weigh};
    BTreeSet::from([Start, Kill, Away, Pause, Configure, Program, Scale, Weigh, Exec, Files])
}

impl Target for LocalTarget {
    fn abilities(&self) -> Later<'_, BTreeSet<Ability>> {
        Box::pin(async { Ok(abilities()) })
    }

    fn prepare<'a>(&'a self, act: &'a Act) -> Later<'a, Prepared> {
        let act = act.clone();
        self.block(move |target| target.prepare_now(&act))
    }

    fn apply<'a>(&'a self, act: &'a Act) -> Later<'a, ()> {
        let act = act.clone();
        self.block(move |target| target.apply_now(&act))
    }

    fn leftovers(&self) -> Later<'_, Vec<Act>> {
        self.block(|target| ground::leftovers(&target.layout))
    }
}
