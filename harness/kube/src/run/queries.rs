//! What a cluster answers of a run: where it is reached, what it logged, what it measures.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use gauntlet_core::{
    act::Unit,
    evidence::Surroundings,
    name::Name,
    port::{Later, Meter, Queries, Trouble},
    secrets::Secrets,
    system::{Metric, System, kubernetes::COMPONENT_LABEL},
};
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::{Api, Client, api::ListParams};

use crate::{
    KubeWitness,
    api::{events, told::within, wait::reasons},
    cluster::nodes,
    deploy::{self, Around, logs},
    run::{
        pods::{self, Replica},
        secrets,
        site::Site,
    },
    witness::meter::KubeMeter,
};

mod surroundings;

/// How long one question may take.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// What a cluster answers of a run.
pub struct KubeQueries {
    client: Client,
    system: Arc<System>,
    site: Arc<Site>,
    witness: Arc<KubeWitness>,
    /// The nodes that carried a pod when they were looked at.
    carriers: Mutex<BTreeSet<String>>,
}

impl KubeQueries {
    /// Answers for one run; metrics are seen by its witness.
    pub fn new(client: Client, system: Arc<System>, site: Arc<Site>, witness: Arc<KubeWitness>) -> Self {
        Self { client, system, site, witness, carriers: Mutex::default() }
    }

    async fn collect(&self, into: &Path) -> Result<(), Trouble> {
        let what = format!("keep logs in {}", into.display());
        let secrets = self.secrets().await?;
        let failed = |error: std::io::Error| Trouble::failed(&what, error);
        fs::create_dir_all(into).map_err(failed)?;
        let events = events::told(&self.client, &self.site.namespace).await?;
        logs::write(&into.join("events.log"), &events, &secrets).map_err(failed)?;
        for component in self.system.components.keys() {
            for (replica, index) in self.replicas(component).await?.iter().zip(1u16..) {
                for previous in [false, true] {
                    if previous && replica.restarts == 0 {
                        continue;
                    }
                    // Of a node that is away no log can be had; the others are kept all the same.
                    let text = match self.log(replica, previous, None).await {
                        Ok(None) => continue,
                        Ok(Some(text)) => text,
                        Err(trouble) => format!("{trouble}\n"),
                    };
                    let ending = if previous { "previous.log" } else { "log" };
                    let file = into.join(format!("{component}-{index}.{ending}"));
                    logs::write(&file, &text, &secrets).map_err(failed)?;
                }
            }
        }
        Ok(())
    }

    async fn tail(&self, unit: &Unit, lines: usize) -> Result<Option<String>, Trouble> {
        let Unit::Replica { component, index } = unit else { return Ok(None) };
        let replicas = self.replicas(component).await?;
        let Some(replica) = replicas.get(usize::from(*index).saturating_sub(1)) else {
            return self.refusals(component).await;
        };
        let waits = self.waits(replica).await?;
        if !waits.is_empty() {
            return Ok(Some(format!("(pod {}) {}", replica.pod, waits.join("; "))));
        }
        let secrets = self.secrets().await?;
        let lines = i64::try_from(lines).ok();
        // One that was restarted just now has said why in its life before.
        let mut text = self.log(replica, replica.restarts > 0, lines).await?;
        if text.is_none() {
            text = self.log(replica, false, lines).await?;
        }
        Ok(text.map(|text| secrets.hide(text.trim_end())).filter(|text| !text.is_empty()))
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.site.namespace)
    }

    /// What a pod waits for, and which node holds it up.
    async fn waits(&self, replica: &Replica) -> Result<Vec<String>, Trouble> {
        let what = format!("look at {}", replica.pod);
        let pod = within(ANSWERED_WITHIN, what, self.pods().get_opt(&replica.pod)).await?;
        let Some(pod) = pod else { return Ok(vec![]) };
        let mut why = reasons(&pod);
        why.extend(nodes::holding_up(&self.client, &[pod]).await);
        Ok(why)
    }

    async fn look_around(&self) -> Result<Surroundings, Trouble> {
        let carriers = || self.carriers.lock().unwrap_or_else(PoisonError::into_inner);
        let before = carriers().clone();
        let seen = surroundings::look(&self.client, &self.system, &self.site, before).await?;
        carriers().extend(seen.machines.keys().cloned());
        Ok(seen)
    }

    /// Why a component has no such pod: what its controllers were refused, such as by a quota.
    async fn refusals(&self, component: &Name) -> Result<Option<String>, Trouble> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), &self.site.namespace);
        let refused = ListParams::default().fields("type=Warning");
        let what = format!("look at the events of {}", self.site.namespace);
        let list = within(ANSWERED_WITHIN, what, events.list(&refused)).await?;
        let sets = self.system.sets(component);
        let of_component = |event: &Event| {
            let name = event.involved_object.name.as_deref().unwrap_or_default();
            // The names of its sets begin like its own.
            name.starts_with(component.as_str()) && !sets.keys().any(|set| name.starts_with(set.as_str()))
        };
        let last = list.items.into_iter().rfind(of_component);
        Ok(last.map(|event| {
            let reason = event.reason.unwrap_or_default();
            format!("(no pod) {reason}: {}", event.message.unwrap_or_default())
        }))
    }

    /// The log of a replica; none while it has none.
    async fn log(
        &self,
        replica: &Replica,
        previous: bool,
        tail: Option<i64>,
    ) -> Result<Option<String>, Trouble> {
        logs::log(&self.pods(), &replica.pod, &replica.container, previous, tail).await
    }

    async fn replicas(&self, component: &Name) -> Result<Vec<Replica>, Trouble> {
        pods::list(&self.pods(), &self.system, component).await
    }

    /// Every value of the generated Secret.
    async fn secrets(&self) -> Result<Secrets, Trouble> {
        secrets::of(&self.client, &self.system, &self.site).await
    }
}

impl Queries for KubeQueries {
    fn endpoint(&self) -> Later<'_, String> {
        Box::pin(async {
            let kube = self.system.kube.as_ref();
            let kube =
                kube.ok_or_else(|| Trouble::refused("endpoint", "the system file has no `kube` section"))?;
            Ok(kube.endpoint.clone())
        })
    }

    fn logs<'a>(&'a self, into: &'a Path) -> Later<'a, ()> {
        Box::pin(self.collect(into))
    }

    fn diagnose<'a>(&'a self, into: &'a Path) -> Later<'a, bool> {
        Box::pin(async move {
            let site = &self.site;
            let (kubeconfig, context) = (site.kubeconfig.as_deref(), site.context.as_deref());
            let system = Some(self.system.as_ref());
            let around = Around { kubeconfig, context, namespace: &site.namespace, system };
            deploy::bundle(&self.client, around, into).await.map(|()| true)
        })
    }

    fn surroundings(&self) -> Later<'_, Surroundings> {
        Box::pin(self.look_around())
    }

    fn hopeless(&self) -> Pin<Box<dyn Future<Output = String> + Send + '_>> {
        Box::pin(deploy::hopeless(&self.client, &self.site.namespace, COMPONENT_LABEL))
    }

    fn last_words<'a>(&'a self, unit: &'a Unit, lines: usize) -> Later<'a, Option<String>> {
        Box::pin(self.tail(unit, lines))
    }

    fn meter(&self, metrics: &BTreeMap<Name, Metric>) -> Box<dyn Meter> {
        Box::new(KubeMeter::new(&self.witness, metrics))
    }
}
