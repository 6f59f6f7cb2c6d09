//! Acting on a cluster: replicas are pods, started and stopped by the scale of their workload; signals go through the
//! agent of the pod's node, because a container's first process ignores signals from inside.

use std::{collections::BTreeSet, sync::Arc};

use gauntlet_core::{
    act::{Ability, Act, Object, Place, Program, Revision, Signal, Unit},
    name::Name,
    port::{Artefacts, Later, Streams, Target, Trouble},
    receipt::Prepared,
    system::{SetOf, System},
};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tokio::time::{Duration, Instant, sleep};

use crate::{
    api::patience::ask,
    node::{agent, line::Part, lines::Lines},
    run::{
        abilities, exec, ground,
        objects::{Objects, Wanted},
        pods::{self, Pinned, Replica, selected},
        probes::Probes,
        secrets,
        sets::Sets,
        site::Site,
        stand_in::StandIns,
        workload::{
            self, Workload,
            revise::{self, Standing},
        },
    },
};

/// A kubelet tells that a container runs up to seconds after its ports answer.
const TOLD_WITHIN: Duration = Duration::from_secs(5);
/// How often it is looked for meanwhile.
const ASKED_EVERY: Duration = Duration::from_millis(200);

/// A namespace of a cluster.
pub struct KubeTarget {
    client: Client,
    system: Arc<System>,
    site: Arc<Site>,
    agents: Lines,
    artefacts: Option<Arc<dyn Artefacts>>,
}

impl KubeTarget {
    /// A target for one run. Nothing is touched before `apply`.
    pub fn new(client: Client, system: Arc<System>, site: Arc<Site>) -> Self {
        let agents = Lines::new(client.clone());
        Self { client, system, site, agents, artefacts: None }
    }

    /// Programs read and write here.
    #[must_use]
    pub fn keeping(self, artefacts: Arc<dyn Artefacts>) -> Self {
        Self { artefacts: Some(artefacts), ..self }
    }

    async fn prepare_now(&self, act: &Act) -> Result<Prepared, Trouble> {
        let may_be_idle = act.may_be_idle();
        let (act, undo) = match act {
            Act::Start { unit: Unit::Ground } => {
                let made = ground::prepare(&self.client, &self.system, &self.site).await?;
                let undo = Act::Stop { at: Place::of(Unit::Ground) };
                (act.clone(), if made { vec![] } else { vec![undo] })
            }
            Act::Stop { at } | Act::Signal { at, .. } if at.unit == Unit::Ground => {
                return Err(Trouble::refused(act, "what the ground holds cannot be brought back"));
            }
            Act::Start { unit: Unit::Component { .. } } => return Err(whole(act)),
            Act::Start { unit: Unit::Replica { component, index } } => {
                (act.clone(), self.prepare_start(act, component, *index).await?)
            }
            Act::Start { unit: Unit::Probe { source } } => {
                self.probes().prepare(source).await?;
                (act.clone(), vec![Act::Stop { at: Place::of(act.unit().clone()) }])
            }
            Act::Stop { at: Place { unit: Unit::Probe { .. }, .. } } => {
                return Err(Trouble::refused(act, "a probe ends with the run"));
            }
            Act::Stop { at } => match self.found(act, at).await? {
                None => (act.clone(), vec![]),
                // Pods are counted: with the one that is stopped, those behind it move up, and the last one is missing.
                Some(Found { at, last, .. }) => (Act::Stop { at }, vec![Act::Start { unit: last }]),
            },
            Act::Signal { at, signal } => self.prepare_signal(act, at, *signal).await?,
            Act::Configure { unit, revision } => {
                (act.clone(), self.prepare_configure(act, unit, revision).await?)
            }
            Act::Scale { unit, replicas } => (act.clone(), self.prepare_scale(act, unit, *replicas).await?),
            Act::Weigh { unit, shares } => {
                let back = self.sets().prepare_split(act, whole_of(act, unit)?, shares).await?;
                let back = back.map(|shares| Act::Weigh { unit: unit.clone(), shares });
                (act.clone(), Vec::from_iter(back))
            }
            Act::Exec { at, program } => return self.prepare_exec(act, at, program).await,
        };
        let touches = vec![act.unit().clone()];
        let idle = may_be_idle && undo.is_empty();
        Ok(Prepared { act, undo: Some(undo), idle, touches })
    }

    /// The way back from starting a replica. In a namespace that the run did not make it must be there already.
    async fn prepare_start(&self, act: &Act, component: &Name, index: u16) -> Result<Vec<Act>, Trouble> {
        let there = self.replicas(component).await?.len() >= usize::from(index);
        if there {
            return Ok(vec![]);
        }
        if !self.site.is_provisioned() {
            let (select, _) = selected(&self.system, component);
            let why = format!("namespace {} has no such pod (selector {select})", self.site.namespace);
            return Err(Trouble::refused(act, why));
        }
        let unit = Unit::Replica { component: component.clone(), index };
        match (self.workload(component).await?, self.set_of(component)) {
            (None, Some(of)) => self.sets().prepare(act, component, of).await?,
            (None, None) => return Err(Trouble::refused(act, "no workload is labelled so")),
            (Some(_), _) => {}
        }
        Ok(vec![Act::Stop { at: Place::of(unit) }])
    }

    /// Whether the container has the program is known when it is run: images need no shell to look with.
    async fn prepare_exec(&self, act: &Act, at: &Place, program: &Program) -> Result<Prepared, Trouble> {
        if program.argv.is_empty() {
            return Err(Trouble::refused(act, "it names no program"));
        }
        if at.unit == Unit::Ground {
            Wanted::read(&program.argv).map_err(|why| Trouble::refused(act, why))?;
            if !self.site.is_provisioned() {
                return Err(Trouble::refused(act, "the run did not make what is there"));
            }
            return Ok(Prepared { act: act.clone(), undo: None, idle: false, touches: vec![Unit::Ground] });
        }
        let at = match self.awaited(act, at).await? {
            Some(found) => found.at,
            None if self.stopped(at).await?.is_some() => at.clone(),
            None => return Err(Trouble::refused(act, "it does not run")),
        };
        let touches = vec![at.unit.clone()];
        let act = Act::Exec { at, program: program.clone() };
        Ok(Prepared { act, undo: None, idle: false, touches })
    }

    async fn exec(&self, act: &Act, at: &Place, program: &Program) -> Result<(), Trouble> {
        let what = act.to_string();
        if at.unit == Unit::Ground && self.site.is_provisioned() {
            let wanted = Wanted::read(&program.argv).map_err(|why| Trouble::refused(act, why))?;
            let streams = Streams::open(program, self.artefacts.as_deref(), &what)?;
            return self.objects().run(wanted, streams, program.within).await;
        }
        let Unit::Replica { component, index } = &at.unit else {
            return Err(Trouble::refused(act, "a program runs at one replica"));
        };
        let here = self.replicas(component).await?;
        let replica = match &at.object {
            Some(object) => here.iter().find(|one| is_pinned(one, object)),
            None => here.get(usize::from(*index).saturating_sub(1)),
        };
        let replica = match replica {
            Some(replica) => replica.clone(),
            None => match self.stopped(at).await? {
                Some(workload) => self.stand_ins().make(&workload, component, *index).await?,
                // What takes a step back is not pinned; with the workload there is nothing left to take back.
                None if at.object.is_none() && self.workload(component).await?.is_none() => return Ok(()),
                None => return Err(Trouble::failed(act, "it does not run")),
            },
        };
        let secrets = secrets::of(&self.client, &self.system, &self.site).await?;
        let streams = Streams::open(program, self.artefacts.as_deref(), &what)?;
        exec::run(&self.pods(), &replica, program, streams, &secrets, &what).await
    }

    /// The workload of a replica that it is told not to have; none: it should run, or the run did not start it.
    async fn stopped(&self, at: &Place) -> Result<Option<Workload>, Trouble> {
        let Place { unit: Unit::Replica { component, index }, object: None } = at else { return Ok(None) };
        if !self.site.is_provisioned() {
            return Ok(None);
        }
        let workload = self.workload(component).await?;
        Ok(workload.filter(|workload| workload.replicas < i32::from(*index)))
    }

    async fn prepare_signal(
        &self,
        act: &Act,
        at: &Place,
        signal: Signal,
    ) -> Result<(Act, Vec<Act>), Trouble> {
        let found = self.awaited(act, at).await?;
        let Found { at, pinned, .. } = found.ok_or_else(|| Trouble::refused(act, "it does not run"))?;
        // Only looks: a node without an agent is told before anything is touched.
        self.agents.reach(&pinned.node, Part::Agent).await?;
        let undo = match signal {
            // The kubelet starts it again.
            Signal::Kill | Signal::Terminate | Signal::Interrupt | Signal::Resume => vec![],
            Signal::Pause => vec![Act::Signal { at: at.clone(), signal: Signal::Resume }],
        };
        Ok((Act::Signal { at, signal }, undo))
    }

    /// The way back is the revision that the workload stands for now; none: it is the wanted one already.
    async fn prepare_configure(
        &self,
        act: &Act,
        unit: &Unit,
        wanted: &Revision,
    ) -> Result<Vec<Act>, Trouble> {
        let standing = self.standing(act, unit).await?;
        let standing = standing.ok_or_else(|| Trouble::refused(act, "no workload is labelled so"))?;
        let present = standing.present();
        let back = Act::Configure { unit: unit.clone(), revision: present.clone() };
        Ok(if present == *wanted { vec![] } else { vec![back] })
    }

    /// The way back is the number that the workload is told now.
    async fn prepare_scale(&self, act: &Act, unit: &Unit, wanted: u16) -> Result<Vec<Act>, Trouble> {
        let workload = self.workload(whole_of(act, unit)?).await?;
        let workload = workload.ok_or_else(|| Trouble::refused(act, "no workload is labelled so"))?;
        let present = u16::try_from(workload.replicas).unwrap_or_default();
        let back = Act::Scale { unit: unit.clone(), replicas: present };
        Ok(if present == wanted { vec![] } else { vec![back] })
    }

    async fn configure(&self, act: &Act, unit: &Unit, wanted: &Revision) -> Result<(), Trouble> {
        match self.standing(act, unit).await? {
            Some(standing) => standing.configure(&self.client, &self.site.namespace, act, wanted).await,
            // With its workload everything that was changed of it is gone.
            None if *wanted == Revision::original() => Ok(()),
            None => Err(Trouble::failed(act, "its workload is gone")),
        }
    }

    async fn standing(&self, act: &Act, unit: &Unit) -> Result<Option<Standing>, Trouble> {
        let Unit::Component { component } = unit else {
            return Err(Trouble::refused(act, "a rollout is of a component as a whole"));
        };
        let (_, container) = selected(&self.system, component);
        revise::standing(&self.client, &self.site.namespace, (component, &container)).await
    }

    async fn apply_now(&self, act: &Act) -> Result<(), Trouble> {
        match act {
            Act::Start { unit: Unit::Ground } => ground::start(&self.client, &self.system, &self.site).await,
            Act::Stop { at } if at.unit == Unit::Ground => {
                ground::stop(&self.client, &self.system, &self.site).await
            }
            Act::Start { unit: Unit::Probe { source } } => self.probes().start(source).await,
            Act::Stop { at: Place { unit: Unit::Probe { source }, .. } } => self.probes().stop(source).await,
            Act::Start { unit: Unit::Replica { component, index } } => {
                if let Some(of) = self.set_of(component) {
                    self.sets().make(act, component, of).await?;
                }
                if self.site.is_provisioned() {
                    self.stand_ins().remove(component, *index).await?;
                }
                self.scale(act, component, |count| count.max(i32::from(*index))).await
            }
            Act::Start { unit: Unit::Component { .. } } => Err(whole(act)),
            Act::Stop { at } => self.stop(act, at).await,
            Act::Signal { at, signal } => self.signal(act, at, *signal).await,
            Act::Configure { unit, revision } => self.configure(act, unit, revision).await,
            Act::Scale { unit, replicas } => {
                self.scale(act, whole_of(act, unit)?, |_| i32::from(*replicas)).await
            }
            Act::Weigh { unit, shares } => self.sets().split(act, whole_of(act, unit)?, shares).await,
            Act::Exec { at, program } => self.exec(act, at, program).await,
        }
    }

    async fn stop(&self, act: &Act, at: &Place) -> Result<(), Trouble> {
        let Unit::Replica { component, index } = &at.unit else { return Ok(()) };
        if !self.site.is_provisioned() {
            return Err(Trouble::refused(act, "the run did not start it"));
        }
        let Some(object) = &at.object else {
            return self.scale(act, component, |count| count.min(i32::from(*index) - 1)).await;
        };
        let here = self.replicas(component).await?;
        let Some(replica) = here.iter().find(|one| is_pinned(one, object)) else { return Ok(()) };
        let first = json!({ "metadata": { "annotations": { pods::DELETION_COST: pods::LEAVES } } });
        let pods = self.pods();
        let (params, merged) = (PatchParams::default(), Patch::Merge(&first));
        ask(act, || pods.patch(&replica.pod, &params, &merged)).await?;
        // Those that were told to leave a moment ago may still be here.
        let stay = here.iter().filter(|one| !one.leaves && one.uid != replica.uid).count();
        let left = i32::try_from(stay).unwrap_or(i32::MAX);
        self.scale(act, component, |count| count.min(left)).await
    }

    async fn signal(&self, act: &Act, at: &Place, signal: Signal) -> Result<(), Trouble> {
        let pinned = match &at.object {
            Some(object) => {
                Pinned::parse(object).ok_or_else(|| Trouble::refused(act, "no container is named so"))?
            }
            None => match self.found(act, at).await? {
                Some(found) => found.pinned,
                None => return Ok(()),
            },
        };
        let question = agent::Question { container: pinned.id, signal };
        // A container that is gone has no processes; what runs then is a successor.
        self.agents.ask(&pinned.node, &question).await?;
        Ok(())
    }

    async fn scale(&self, act: &Act, component: &Name, to: impl Fn(i32) -> i32) -> Result<(), Trouble> {
        let Some(workload) = self.workload(component).await? else {
            return match act {
                Act::Start { .. } => Err(Trouble::failed(act, "its workload is gone")),
                // With its workload a replica is gone.
                _ => Ok(()),
            };
        };
        let wanted = to(workload.replicas);
        if wanted == workload.replicas {
            return Ok(());
        }
        workload.scale(&self.client, &self.site.namespace, wanted).await
    }

    async fn workload(&self, component: &Name) -> Result<Option<Workload>, Trouble> {
        workload::find(&self.client, &self.site.namespace, component).await
    }

    /// The replica that a place means, pinned; none: it does not run, or the object is gone.
    async fn found(&self, act: &Act, at: &Place) -> Result<Option<Found>, Trouble> {
        let Unit::Replica { component, index } = &at.unit else { return Ok(None) };
        let here = self.replicas(component).await?;
        let replica = match &at.object {
            Some(object) => {
                Pinned::parse(object).ok_or_else(|| Trouble::refused(act, "no container is named so"))?;
                here.iter().find(|one| is_pinned(one, object))
            }
            None => here.get(usize::from(*index).saturating_sub(1)),
        };
        let last = u16::try_from(here.len()).unwrap_or(u16::MAX);
        let last = Unit::Replica { component: component.clone(), index: last };
        let pinned = replica.and_then(Pinned::of);
        Ok(pinned.map(|pinned| Found { at: at.pinned(pinned.object()), pinned, last }))
    }

    /// The same of a replica that may have answered before the kubelet told that it runs: it is waited for.
    async fn awaited(&self, act: &Act, at: &Place) -> Result<Option<Found>, Trouble> {
        let told = Instant::now() + TOLD_WITHIN;
        loop {
            let found = self.found(act, at).await?;
            let comes = matches!(at, Place { unit: Unit::Replica { .. }, object: None });
            if found.is_some() || !comes || Instant::now() >= told || self.stopped(at).await?.is_some() {
                return Ok(found);
            }
            sleep(ASKED_EVERY).await;
        }
    }

    async fn replicas(&self, component: &Name) -> Result<Vec<Replica>, Trouble> {
        pods::list(&self.pods(), &self.system, component).await
    }

    fn set_of(&self, component: &Name) -> Option<&SetOf> {
        self.system.components.get(component)?.set.as_ref()
    }

    fn sets(&self) -> Sets<'_> {
        Sets { client: &self.client, system: &self.system, site: &self.site }
    }

    fn objects(&self) -> Objects<'_> {
        Objects { client: &self.client, site: &self.site }
    }

    fn stand_ins(&self) -> StandIns<'_> {
        StandIns { client: &self.client, system: &self.system, site: &self.site }
    }

    fn probes(&self) -> Probes<'_> {
        Probes { client: &self.client, system: &self.system, site: &self.site }
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.site.namespace)
    }
}

/// A replica that runs.
struct Found {
    /// The place, pinned to it.
    at: Place,
    pinned: Pinned,
    /// The last one of its component.
    last: Unit,
}

fn whole_of<'a>(act: &Act, unit: &'a Unit) -> Result<&'a Name, Trouble> {
    match unit {
        Unit::Component { component } => Ok(component),
        _ => Err(Trouble::refused(act, "only a component as a whole has a number of replicas")),
    }
}

fn whole(act: &Act) -> Trouble {
    Trouble::refused(act, "a component is started replica by replica")
}

fn is_pinned(replica: &Replica, object: &Object) -> bool {
    Pinned::of(replica).is_some_and(|pinned| pinned.object() == *object)
}

impl Target for KubeTarget {
    fn abilities(&self) -> Later<'_, BTreeSet<Ability>> {
        Box::pin(async { Ok(abilities::now(self.client.clone(), self.site.is_provisioned()).await?.0) })
    }

    fn prepare<'a>(&'a self, act: &'a Act) -> Later<'a, Prepared> {
        Box::pin(self.prepare_now(act))
    }

    fn apply<'a>(&'a self, act: &'a Act) -> Later<'a, ()> {
        Box::pin(self.apply_now(act))
    }

    fn leftovers(&self) -> Later<'_, Vec<Act>> {
        Box::pin(async {
            let left = ground::is_left(&self.client, &self.system, &self.site).await?;
            Ok(if left { vec![Act::Stop { at: Place::of(Unit::Ground) }] } else { vec![] })
        })
    }
}
