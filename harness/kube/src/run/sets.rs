//! Sets on a cluster: a Deployment and a Service each, copied from those of the component that a set stands beside. What
//! share of the traffic a set gets stands on its Service, as two labels. The cluster itself carries labels of a Service to
//! its EndpointSlices, and those are all that the sidecar of an ingress may read: a split needs no right more, outlives
//! every ingress and its sidecar, and reaches a new one with the addresses.

use std::collections::BTreeMap;

use gauntlet_core::{
    act::Act,
    name::Name,
    port::Trouble,
    system::{SetOf, Shares, System},
};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Service};
use kube::{
    Api, Client,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;

use crate::{
    api::patience::ask,
    deploy::Placing,
    members::{FROM, UPTO},
    run::{
        pods::selected,
        site::{RUN_LABEL, Site},
        workload::{self, Kind, Workload},
    },
};

mod copy;

/// The sets of one run.
pub(crate) struct Sets<'a> {
    pub(crate) client: &'a Client,
    pub(crate) system: &'a System,
    pub(crate) site: &'a Site,
}

/// What a component has, and its sets are copied from.
struct Original {
    deployment: Deployment,
    services: Vec<Service>,
    container: String,
}

impl Sets<'_> {
    /// Says why a set could not be started. Nothing is touched.
    pub(crate) async fn prepare(&self, act: &Act, set: &Name, of: &SetOf) -> Result<(), Trouble> {
        let original = self.original(act, of).await?;
        original.copied(set, of).map(drop).map_err(|why| Trouble::refused(act, why))
    }

    /// Makes what a set is missing of its Deployment and its Service. It has no pods yet.
    pub(crate) async fn make(&self, act: &Act, set: &Name, of: &SetOf) -> Result<(), Trouble> {
        if !self.site.is_provisioned() {
            return Err(Trouble::refused(act, "the run did not make the namespace"));
        }
        let has_pods = workload::find(self.client, &self.site.namespace, set).await?.is_some();
        let is_reached = self.services().await?.iter().any(|service| is_named(service, set));
        if has_pods && is_reached {
            return Ok(());
        }
        let original = self.original(act, of).await?;
        let (deployment, service) = original.copied(set, of).map_err(|why| Trouble::failed(act, why))?;
        let missing = [(has_pods, deployment), (is_reached, service)];
        let missing = missing.into_iter().filter(|(there, _)| !there).map(|(_, object)| object).collect();
        let mark = (RUN_LABEL, self.site.run.as_str());
        let placing = Placing { client: self.client, namespace: &self.site.namespace, mark };
        placing.more(missing).await
    }

    /// How a component's traffic is to be split now.
    pub(crate) async fn present(&self, of: &Name) -> Result<Shares, Trouble> {
        let services = self.services().await?;
        let share = |set: &Name| {
            let labels = services.iter().find(|service| is_named(service, set))?.metadata.labels.as_ref()?;
            let at = |end: &str| labels.get(end)?.parse::<u16>().ok();
            Some((set.clone(), at(UPTO)?.saturating_sub(at(FROM)?)))
        };
        let shares = self.system.sets(of).into_keys().filter_map(share);
        Ok(Shares(shares.filter(|(_, share)| *share > 0).collect()))
    }

    /// The way back from a split; none: it is split so already.
    pub(crate) async fn prepare_split(
        &self,
        act: &Act,
        of: &Name,
        wanted: &Shares,
    ) -> Result<Option<Shares>, Trouble> {
        if !self.site.is_provisioned() {
            return Err(Trouble::refused(act, "in a namespace that the run did not make there are no sets"));
        }
        let (services, sets) = (self.services().await?, self.system.sets(of));
        let lacks = |set: &Name| !services.iter().any(|service| is_named(service, set));
        let mut asked = wanted.0.iter().filter(|(_, share)| **share > 0).map(|(set, _)| set);
        if let Some(set) = asked.find(|set| !sets.contains_key(set) || lacks(set)) {
            return Err(Trouble::refused(act, format!("{set} has no Service: it was not started")));
        }
        let present = self.present(of).await?;
        Ok((present != *wanted).then_some(present))
    }

    /// Writes each set's share on its Service.
    pub(crate) async fn split(&self, act: &Act, of: &Name, shares: &Shares) -> Result<(), Trouble> {
        let api = self.api();
        let services = self.services().await?;
        let draws: BTreeMap<&Name, (u16, u16)> =
            shares.draws().map(|(set, from, upto)| (set, (from, upto))).collect();
        for set in self.system.sets(of).into_keys() {
            let (from, upto) = draws.get(set).copied().unwrap_or_default();
            match services.iter().any(|service| is_named(service, set)) {
                true => {
                    let said = json!({ "metadata": { "labels": { FROM: from.to_string(), UPTO: upto.to_string() } } });
                    let (params, patch) = (PatchParams::default(), Patch::Merge(&said));
                    ask(act, || api.patch(set.as_str(), &params, &patch)).await?;
                }
                // What is not there gets nothing.
                false if upto > from => return Err(Trouble::failed(act, format!("{set} has no Service"))),
                false => {}
            }
        }
        Ok(())
    }

    async fn original(&self, act: &Act, of: &SetOf) -> Result<Original, Trouble> {
        let found = workload::find(self.client, &self.site.namespace, &of.of).await?;
        let Some(Workload { kind: Kind::Deployment, name, .. }) = found else {
            let why = format!("{} has no Deployment that a set could be copied from", of.of);
            return Err(Trouble::refused(act, why));
        };
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), &self.site.namespace);
        let deployment = ask(act, || api.get(&name)).await?;
        let (_, container) = selected(self.system, &of.of);
        Ok(Original { deployment, services: self.services().await?, container })
    }

    async fn services(&self) -> Result<Vec<Service>, Trouble> {
        let (api, all) = (self.api(), ListParams::default());
        let what = format!("list the Services of {}", self.site.namespace);
        Ok(ask(what, || api.list(&all)).await?.items)
    }

    fn api(&self) -> Api<Service> {
        Api::namespaced(self.client.clone(), &self.site.namespace)
    }
}

fn is_named(service: &Service, set: &Name) -> bool {
    service.metadata.name.as_deref() == Some(set.as_str())
}
