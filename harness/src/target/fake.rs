//! A system in memory, stricter than the real targets, for proving that every way out works: any of its calls can fail
//! or be the last one that its caller ever makes, and acting without a stored receipt is noted.

use std::{
    collections::{BTreeMap, BTreeSet},
    future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use gauntlet_core::{
    act::{Ability, Act, Object, Place, Revision, Signal, Unit},
    name::Name,
    port::{Later, Ledger, Target, Trouble, Witness},
    proof::{Query, Reading},
    receipt::{Prepared, Receipt},
    step::StepId,
    system::{Shares, together},
};

use super::TargetKind;
use crate::run::world::{Tell, World};

/// What a call does instead of its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fuse {
    /// It fails and changes nothing.
    Fails,
    /// It does its work and then fails: an answer that was lost.
    FailsAfter,
    /// It never comes back, before its work: the caller is killed here.
    Hangs,
    /// It never comes back, after its work.
    HangsAfter,
}

/// The system: what runs, what is stored, and what was done wrongly. Outlives its callers, as a real one does.
#[derive(Debug, Default)]
pub struct FakeSystem {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    units: BTreeMap<Unit, (u64, Life)>,
    /// What replicas of a component are started as, and what each was started as.
    wanted: BTreeMap<Name, Revision>,
    runs: BTreeMap<Unit, Revision>,
    /// How traffic is split.
    shares: BTreeMap<Name, Shares>,
    /// How many programs ran at a unit.
    programs: BTreeMap<Unit, u64>,
    next_object: u64,
    receipts: Vec<(StepId, String)>,
    fenced: bool,
    calls: u64,
    fuse: Option<(u64, Fuse)>,
    violations: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Running,
    Paused,
}

impl FakeSystem {
    /// The call with this number (from 1) does that instead. Counting starts anew.
    pub fn arm(&self, call: u64, fuse: Fuse) {
        let mut state = self.state();
        state.calls = 0;
        state.fuse = Some((call, fuse));
    }

    /// All calls work again.
    pub fn disarm(&self) {
        self.state().fuse = None;
    }

    /// How many changing calls were made since `arm`.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Every unit and how it fares, without identities.
    pub fn shape(&self) -> Vec<String> {
        let state = self.state();
        let shown = state.units.iter().map(|(unit, (_, life))| match state.runs.get(unit) {
            Some(revision) if *revision != Revision::original() => {
                format!("{unit} {life:?} {}", revision.name)
            }
            _ => format!("{unit} {life:?}"),
        });
        shown.collect()
    }

    /// What was done without a receipt, or to an object that was not meant.
    pub fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }

    /// Spoils the newest receipt, as a broken disk would.
    pub fn tear_a_receipt(&self) {
        if let Some((_, json)) = self.state().receipts.last_mut() {
            json.truncate(json.len() / 2);
        }
    }

    /// How many programs ran at a unit.
    pub fn programs(&self, unit: &Unit) -> u64 {
        self.state().programs.get(unit).copied().unwrap_or_default()
    }

    /// How many receipts are stored.
    pub fn stored(&self) -> usize {
        self.state().receipts.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a changing call and burns the fuse where it is due.
    async fn call(
        &self,
        what: String,
        work: impl FnOnce(&mut State) -> Result<(), Trouble> + Send,
    ) -> Result<(), Trouble> {
        let due = {
            let mut state = self.state();
            state.calls += 1;
            let calls = state.calls;
            state.fuse.filter(|(at, _)| *at == calls).map(|(_, fuse)| fuse)
        };
        match due {
            Some(Fuse::Fails) => return Err(Trouble::failed(what, "the fuse is burnt")),
            Some(Fuse::Hangs) => future::pending::<()>().await,
            Some(Fuse::FailsAfter | Fuse::HangsAfter) | None => {}
        }
        work(&mut self.state())?;
        match due {
            Some(Fuse::FailsAfter) => Err(Trouble::failed(what, "the fuse is burnt after the work")),
            Some(Fuse::HangsAfter) => future::pending().await,
            _ => Ok(()),
        }
    }
}

impl State {
    fn object(&self, unit: &Unit) -> Option<Object> {
        self.units.get(unit).map(|(number, _)| Object(format!("object {number}")))
    }

    /// The unit of a place, unless it is pinned to an object that is gone.
    fn living(&mut self, at: &Place) -> Option<&mut (u64, Life)> {
        let meant = at.object.is_none() || self.object(&at.unit) == at.object;
        self.units.get_mut(&at.unit).filter(|_| meant)
    }

    fn apply(&mut self, act: &Act) -> Result<(), Trouble> {
        if !matches!(act, Act::Stop { .. }) && !self.has_receipt(act) {
            self.violations.push(format!("{act} without a receipt"));
        }
        match act {
            Act::Start { unit } => self.start(unit),
            Act::Stop { at } if at.unit == Unit::Ground => {
                self.units.clear();
                self.wanted.clear();
                self.shares.clear();
            }
            Act::Configure { unit, revision } => self.want(unit, revision),
            Act::Scale { unit, replicas } => self.scale(unit, *replicas),
            // What it does to what it runs in is nobody's to know.
            Act::Exec { at, .. } => self.ran(at),
            Act::Weigh { unit, shares } => self.split(unit, shares),
            Act::Stop { at } => self.end(at),
            Act::Signal { at, signal: Signal::Pause } => self.turn(at, Life::Paused),
            Act::Signal { at, signal: Signal::Resume } => self.turn(at, Life::Running),
            Act::Signal { at, .. } => self.end(at),
        }
        Ok(())
    }

    fn split(&mut self, unit: &Unit, shares: &Shares) {
        match unit {
            Unit::Component { component } if self.units.contains_key(&Unit::Ground) => {
                self.shares.insert(component.clone(), shares.clone());
            }
            Unit::Component { .. } => {}
            other => self.violations.push(format!("the traffic of {other} is split")),
        }
    }

    fn ran(&mut self, at: &Place) {
        let lives = self.living(at).is_some();
        match lives {
            true => *self.programs.entry(at.unit.clone()).or_default() += 1,
            false if at.object.is_none() && !self.units.contains_key(&Unit::Ground) => {}
            false => self.violations.push(format!("a program ran where {at} is gone")),
        }
    }

    fn end(&mut self, at: &Place) {
        if self.living(at).is_some() {
            self.units.remove(&at.unit);
            self.runs.remove(&at.unit);
        }
    }

    fn start(&mut self, unit: &Unit) {
        if *unit != Unit::Ground && !self.units.contains_key(&Unit::Ground) {
            self.violations.push(format!("{unit} started without ground"));
        }
        self.next_object += 1;
        self.units.entry(unit.clone()).or_insert((self.next_object, Life::Running));
        if let (Unit::Replica { component, .. }, false) = (unit, self.runs.contains_key(unit)) {
            let revision = self.wanted.get(component).cloned().unwrap_or_else(Revision::original);
            self.runs.insert(unit.clone(), revision);
        }
        self.runs.retain(|unit, _| self.units.contains_key(unit));
    }

    fn want(&mut self, unit: &Unit, revision: &Revision) {
        match unit {
            Unit::Component { component } if self.units.contains_key(&Unit::Ground) => {
                self.wanted.insert(component.clone(), revision.clone());
            }
            // With the ground the component is gone.
            Unit::Component { .. } => {}
            other => self.violations.push(format!("{other} is rolled out")),
        }
    }

    fn scale(&mut self, unit: &Unit, replicas: u16) {
        let (Some(component), true) = (unit.component(), self.units.contains_key(&Unit::Ground)) else {
            return;
        };
        let replica = |index| Unit::Replica { component: component.clone(), index };
        self.units.retain(|one, _| !matches!(one, Unit::Replica { component: other, index } if other == component && *index > replicas));
        (1..=replicas).map(replica).for_each(|unit| self.start(&unit));
    }

    fn present(&self, unit: &Unit) -> Shares {
        unit.component().and_then(|component| self.shares.get(component)).cloned().unwrap_or_default()
    }

    fn count(&self, unit: &Unit) -> u16 {
        let own = |one: &&Unit| matches!(one, Unit::Replica { .. }) && one.component() == unit.component();
        u16::try_from(self.units.keys().filter(own).count()).unwrap_or(u16::MAX)
    }

    /// The first replica that does not run what it should.
    fn behind(&self, unit: &Unit) -> Option<Unit> {
        let wanted = self.wanted.get(unit.component()?)?;
        let mut own = self.runs.iter().filter(|(one, _)| one.component() == unit.component());
        own.find(|(_, revision)| *revision != wanted).map(|(one, _)| one.clone())
    }

    /// Replaces a replica by a new one, with an identity of its own.
    fn replace(&mut self, unit: &Unit) {
        self.units.remove(unit);
        self.runs.remove(unit);
        self.start(unit);
    }

    fn runs_together(&self, at: &Place) -> String {
        let own = self.units.keys().filter(|unit| unit.component() == at.unit.component());
        let told: Vec<String> = own.filter_map(|unit| Some(self.runs.get(unit)?.name.to_string())).collect();
        together(&told, told.len())
    }

    fn turn(&mut self, at: &Place, life: Life) {
        if let Some(unit) = self.living(at) {
            unit.1 = life;
        }
    }

    fn has_receipt(&self, act: &Act) -> bool {
        let stored = self.receipts.iter().filter_map(|(_, json)| serde_json::from_str::<Receipt>(json).ok());
        stored.into_iter().any(|receipt| receipt.acts.contains(act) || receipt.undo.contains(act))
    }
}

impl Target for FakeSystem {
    fn abilities(&self) -> Later<'_, BTreeSet<Ability>> {
        Box::pin(async {
            Ok(BTreeSet::from([
                Ability::Start,
                Ability::Kill,
                Ability::Away,
                Ability::Pause,
                Ability::Configure,
                Ability::Scale,
                Ability::Exec,
                Ability::Weigh,
            ]))
        })
    }

    fn prepare<'a>(&'a self, act: &'a Act) -> Later<'a, Prepared> {
        Box::pin(async move {
            let state = self.state();
            let touches = vec![act.unit().clone()];
            let object = state.object(act.unit());
            let (act, undo) = match (act, object) {
                (Act::Configure { unit, revision: to }, _) => {
                    let wanted = unit.component().and_then(|component| state.wanted.get(component));
                    let present = wanted.cloned().unwrap_or_else(Revision::original);
                    let back = Act::Configure { unit: unit.clone(), revision: present.clone() };
                    let idle = present == *to && state.behind(unit).is_none();
                    (act.clone(), if idle { vec![] } else { vec![back] })
                }
                (Act::Scale { unit, replicas }, _) => {
                    let present = state.count(unit);
                    let back = Act::Scale { unit: unit.clone(), replicas: present };
                    (act.clone(), if present == *replicas { vec![] } else { vec![back] })
                }
                (Act::Weigh { unit, shares }, _) => {
                    let present = state.present(unit);
                    let back = Act::Weigh { unit: unit.clone(), shares: present.clone() };
                    (act.clone(), if present == *shares { vec![] } else { vec![back] })
                }
                (Act::Start { unit }, None) => (act.clone(), vec![Act::Stop { at: Place::of(unit.clone()) }]),
                (Act::Start { .. }, Some(_)) => (act.clone(), vec![]),
                (Act::Stop { at } | Act::Signal { at, .. } | Act::Exec { at, .. }, None) => {
                    return Err(Trouble::refused(act, format!("{} does not run", at.unit)));
                }
                (Act::Exec { at, program }, Some(object)) => {
                    let act = Act::Exec { at: at.pinned(object), program: program.clone() };
                    return Ok(Prepared { act, undo: None, idle: false, touches });
                }
                (Act::Stop { at }, Some(object)) => {
                    (Act::Stop { at: at.pinned(object) }, vec![Act::Start { unit: at.unit.clone() }])
                }
                (Act::Signal { at, signal }, Some(object)) => {
                    let pinned = at.pinned(object);
                    let undo = match signal {
                        Signal::Pause => vec![Act::Signal { at: pinned.clone(), signal: Signal::Resume }],
                        Signal::Resume => vec![],
                        _ => vec![Act::Start { unit: at.unit.clone() }],
                    };
                    (Act::Signal { at: pinned, signal: *signal }, undo)
                }
            };
            let idle = act.may_be_idle() && undo.is_empty();
            Ok(Prepared { act, undo: Some(undo), idle, touches })
        })
    }

    fn apply<'a>(&'a self, act: &'a Act) -> Later<'a, ()> {
        Box::pin(async move {
            self.call(act.to_string(), move |state| state.apply(act)).await?;
            let Act::Configure { unit, .. } = act else { return Ok(()) };
            // Replica by replica: it may be cut short between any two.
            while let Some(one) = { self.state().behind(unit) } {
                self.call(format!("{act}: {one}"), |state| {
                    state.replace(&one);
                    Ok(())
                })
                .await?;
            }
            Ok(())
        })
    }

    fn leftovers(&self) -> Later<'_, Vec<Act>> {
        Box::pin(async {
            let empty = self.state().units.is_empty();
            Ok(if empty { vec![] } else { vec![Act::Stop { at: Place::of(Unit::Ground) }] })
        })
    }
}

impl Witness for FakeSystem {
    fn look<'a>(&'a self, ask: &'a Query) -> Later<'a, Reading> {
        Box::pin(async move {
            let mut state = self.state();
            let word = match ask {
                Query::Process { at: Place { unit: Unit::Component { component }, .. } } => {
                    let runs = state.units.keys().any(|unit| unit.component() == Some(component));
                    if runs { "running" } else { "absent" }
                }
                Query::Process { at } => match state.living(at) {
                    None => "absent",
                    Some((_, Life::Running)) => "running",
                    Some((_, Life::Paused)) => "paused",
                },
                Query::Ready { at } | Query::Way { at } => match state.living(at) {
                    None => "refused",
                    Some((_, Life::Running)) => "ready",
                    Some((_, Life::Paused)) => "silent",
                },
                Query::Revision { at } => return Ok(Reading(state.runs_together(at))),
                Query::Shares { at } => return Ok(Reading(state.present(&at.unit).to_string())),
                Query::Replicas { at } => return Ok(Reading(state.count(&at.unit).to_string())),
                Query::Reach { .. } => return Err(Trouble::refused(ask, "the fake has no network")),
                Query::Sql { .. } => return Err(Trouble::refused(ask, "the fake has no database")),
            };
            Ok(Reading(word.into()))
        })
    }
}

impl Ledger for FakeSystem {
    fn put<'a>(&'a self, receipt: &'a Receipt) -> Later<'a, ()> {
        Box::pin(self.call(format!("put {}", receipt.step), move |state| {
            if state.fenced {
                return Err(Trouble::Fenced);
            }
            // Text, as on a disk: what does not survive it does not survive a crash.
            let json = serde_json::to_string(receipt).map_err(|error| Trouble::failed("put", error))?;
            state.receipts.push((receipt.step.clone(), json));
            Ok(())
        }))
    }

    fn clear<'a>(&'a self, step: &'a StepId) -> Later<'a, ()> {
        Box::pin(self.call(format!("clear {step}"), move |state| {
            state.receipts.retain(|(stored, _)| stored != step);
            Ok(())
        }))
    }

    fn open(&self) -> Later<'_, Vec<Receipt>> {
        Box::pin(async {
            let state = self.state();
            let read = |(_, json): &(StepId, String)| {
                serde_json::from_str(json).map_err(|e| Trouble::failed("open", e))
            };
            state.receipts.iter().map(read).collect()
        })
    }

    fn fence(&self) -> Later<'_, ()> {
        Box::pin(self.call("fence".to_owned(), |state| {
            state.fenced = true;
            Ok(())
        }))
    }
}

/// The three doors of a world, all of the one system.
pub fn world(system: &Arc<FakeSystem>, tell: Arc<dyn Tell>) -> World {
    let tempo = super::on_local::OnLocal.tempo();
    World { target: system.clone(), witness: system.clone(), ledger: system.clone(), tell, tempo }
}
