//! Seeing on a cluster: pods by a watch of the API server, processes by the eye of their node, sockets by a connection
//! through the kubelet. Shares no code with what acts.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use gauntlet_core::{
    act::{Object, Place, Unit},
    name::Name,
    port::{Later, Trouble, Witness},
    proof::{Query, Reading},
    system::{Component, Ready, System},
};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};

pub(crate) mod forward;
mod ground;
mod http;
pub mod meter;
mod pods;
mod reach;
mod ready;
mod rollout;
mod shares;
mod sql;
mod way;

use self::pods::{Pods, Replica};
use crate::{
    node::{eye, lines::Lines},
    run::site::Site,
};

/// How long one question may take.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
const ABSENT: &str = "absent";
const RUNNING: &str = "running";
const WAITING: &str = "waiting";

/// Sees one run's pods.
pub struct KubeWitness {
    client: Client,
    system: Arc<System>,
    site: Arc<Site>,
    pods: Arc<Pods>,
    eyes: Arc<Lines>,
}

impl KubeWitness {
    /// A witness for one run. The watch begins now.
    pub fn new(client: Client, system: Arc<System>, site: Arc<Site>) -> Self {
        let pods = Arc::new(Pods::watch(&client, &site.namespace, system.clone()));
        let eyes = Arc::new(Lines::new(client.clone()));
        Self { client, system, site, pods, eyes }
    }

    async fn read(&self, ask: &Query) -> Result<Reading, Trouble> {
        let reading = match ask {
            Query::Process { at } if at.unit == Unit::Ground => {
                ground::seen(&self.client, &self.site).await?
            }
            Query::Process { at: Place { unit: Unit::Component { component }, .. } } => {
                let pods = self.pods.replicas(component).await?;
                if pods.is_empty() { ABSENT } else { RUNNING }.to_owned()
            }
            Query::Process { at: Place { unit: Unit::Probe { source }, .. } } => self.probe(source).await?,
            Query::Reach { at: Place { unit: Unit::Probe { source }, .. }, to } => {
                return self.reach(ask, source, to).await;
            }
            Query::Reach { .. } => return Err(Trouble::refused(ask, "it is asked of a probe")),
            Query::Process { at } => self.process(ask, at).await?,
            Query::Revision { at } => {
                let (name, component) = self.component(ask, at)?;
                let replicas = self.pods.replicas(name).await?;
                let site = &self.site.namespace;
                let progress = rollout::progress(&self.client, site, name, ANSWERS_WITHIN).await?;
                rollout::revision(component, &replicas, progress)
            }
            Query::Shares { .. } => self.shares(ask).await?,
            Query::Replicas { at } => {
                let (name, _) = self.component(ask, at)?;
                let replicas = self.pods.replicas(name).await?;
                replicas.iter().filter(|replica| replica.id.is_some()).count().to_string()
            }
            Query::Ready { at } => {
                let (name, component) = self.component(ask, at)?;
                match self.replica(name, at).await? {
                    None => "no pod".to_owned(),
                    Some(replica) => self.access(name, component, &replica).ready().await,
                }
            }
            Query::Way { at } => {
                let (_, component) = self.component(ask, at)?;
                let kube = self.system.kube.as_ref();
                let kube =
                    kube.ok_or_else(|| Trouble::refused(ask, "the system file has no `kube` section"))?;
                self.way(ask, component, &kube.endpoint).await?
            }
            Query::Sql { at, statement } => {
                let (name, component) = self.component(ask, at)?;
                let Ready::Postgres { .. } = component.ready else {
                    return Err(Trouble::refused(ask, "the component's `ready` is no PostgreSQL session"));
                };
                let replica = self.replica(name, at).await?;
                let replica = replica.ok_or_else(|| Trouble::failed(ask, "no pod"))?;
                let value = self.access(name, component, &replica).sql(statement).await;
                value.map_err(|error| Trouble::failed(ask, error.told()))?
            }
        };
        Ok(Reading(reading))
    }

    async fn process(&self, ask: &Query, at: &Place) -> Result<String, Trouble> {
        let (name, _) = self.component(ask, at)?;
        let (id, node) = match &at.object {
            Some(object) => named(object).ok_or_else(|| Trouble::refused(ask, "no container is named so"))?,
            None => match self.replica(name, at).await? {
                Some(Replica { id: Some(id), node, .. }) => (id, node),
                Some(Replica { held: Some(why), .. }) => return Ok(format!("{WAITING}: {why}")),
                _ => return Ok(ABSENT.to_owned()),
            },
        };
        let question = eye::Question { containers: BTreeSet::from([id.clone()]) };
        let seen = self.eyes.ask(&node, &question).await?;
        Ok(seen.containers.get(&id).map_or(ABSENT.to_owned(), |container| container.state.to_string()))
    }

    fn component(&self, ask: &Query, at: &Place) -> Result<(&Name, &Component), Trouble> {
        let component = at.unit.component();
        let component = component.ok_or_else(|| Trouble::refused(ask, "the ground has no such thing"))?;
        let found = self.system.components.get_key_value(component);
        found.ok_or_else(|| Trouble::refused(ask, "the system has no such component"))
    }

    async fn replica(&self, component: &Name, at: &Place) -> Result<Option<Replica>, Trouble> {
        let Unit::Replica { index, .. } = at.unit else { return Ok(None) };
        let replicas = self.pods.replicas(component).await?;
        Ok(replicas.into_iter().nth(usize::from(index).saturating_sub(1)))
    }

    fn access<'a>(
        &'a self,
        name: &'a Name,
        component: &'a Component,
        replica: &'a Replica,
    ) -> ready::Access<'a> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.site.namespace);
        ready::Access {
            client: &self.client,
            site: &self.site,
            system: &self.system,
            pods,
            name,
            component,
            replica,
        }
    }
}

/// Id and node out of `container ID on NODE`.
fn named(object: &Object) -> Option<(String, String)> {
    let (id, node) = object.0.strip_prefix("container ")?.split_once(" on ")?;
    Some((id.to_owned(), node.to_owned()))
}

impl Witness for KubeWitness {
    fn look<'a>(&'a self, ask: &'a Query) -> Later<'a, Reading> {
        Box::pin(self.read(ask))
    }
}
