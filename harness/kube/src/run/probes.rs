//! Probes are brought to where connections come from: a container more in a component's first pod (an ephemeral one: it
//! cannot be removed, so only in a namespace that goes with the run), or a pod of its own that plays a stranger.

use std::{collections::BTreeSet, fmt::Debug, time::Duration};

use gauntlet_core::{
    name::Name,
    port::Trouble,
    system::{Stranger, System},
};
use k8s_openapi::api::{
    apps::v1::DaemonSet,
    core::v1::{Namespace, Pod},
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    api::patience::{ask, ask_gone, is_conflict},
    node::idle,
    run::{
        pods,
        site::{self, EXPIRES, PROBE, RUN_LABEL, Site, TOOLS},
    },
};

/// How long a namespace that goes is waited for, and how often it is looked for.
const GONE_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Where a run's probes are.
pub(crate) struct Probes<'a> {
    pub(crate) client: &'a Client,
    pub(crate) system: &'a System,
    pub(crate) site: &'a Site,
}

impl Probes<'_> {
    /// Only reads: whether it could be brought there.
    pub(crate) async fn prepare(&self, source: &Name) -> Result<(), Trouble> {
        let what = format!("probe from {source}");
        if !self.site.is_provisioned() {
            let why = "in a namespace that the run did not make it could not be removed again";
            return Err(Trouble::refused(what, why));
        }
        self.image().await?;
        if self.stranger(source).is_none() {
            self.first_pod(source).await?;
        }
        Ok(())
    }

    /// Brings it there; one that is there already is left alone.
    pub(crate) async fn start(&self, source: &Name) -> Result<(), Trouble> {
        let container = container(&self.image().await?);
        match self.stranger(source) {
            Some(stranger) => self.start_stranger(source, stranger, &container).await,
            None => self.start_beside(source, &container).await,
        }
    }

    async fn start_beside(&self, source: &Name, container: &Value) -> Result<(), Trouble> {
        let name = self.first_pod(source).await?;
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.site.namespace);
        let what = format!("probe from {source} in pod {name}");
        let pod = ask(&what, || pods.get(&name)).await?;
        let there = pod.spec.and_then(|spec| spec.ephemeral_containers).unwrap_or_default();
        if there.iter().any(|one| one.name == PROBE) {
            return Ok(());
        }
        let more = json!({ "spec": { "ephemeralContainers": [container] } });
        let (params, patch) = (PatchParams::default(), Patch::Strategic(&more));
        ask(what, || pods.patch_ephemeral_containers(&name, &params, &patch)).await.map(drop)
    }

    async fn start_stranger(
        &self,
        source: &Name,
        stranger: &Stranger,
        container: &Value,
    ) -> Result<(), Trouble> {
        let namespace = self.site.namespace_of(stranger);
        self.namespace(namespace).await?;
        let mut labels = stranger.labels.clone();
        labels.insert(RUN_LABEL.to_owned(), self.site.run.clone());
        let pod = json!({
            "metadata": { "name": self.site.probe(source), "labels": labels },
            "spec": {
                "containers": [container],
                "automountServiceAccountToken": false,
                "enableServiceLinks": false,
                "terminationGracePeriodSeconds": 1,
                "nodeSelector": { "kubernetes.io/os": "linux" },
            },
        });
        let what = format!("probe from {source} in namespace {namespace}");
        let pod: Pod = serde_json::from_value(pod).map_err(|error| Trouble::failed(&what, error))?;
        made(&Api::namespaced(self.client.clone(), namespace), what, &pod).await
    }

    /// A namespace that is not there is made for the run, with its mark; one that is there is left as it is, and that of
    /// another run refused: it goes when that run ends. One that goes already is waited out.
    async fn namespace(&self, name: &str) -> Result<(), Trouble> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let what = format!("make namespace {name}");
        let until = Instant::now() + GONE_WITHIN;
        while let Some(there) = ask(&what, || namespaces.get_opt(name)).await? {
            let goes = there.metadata.deletion_timestamp.is_some();
            match there.labels().get(RUN_LABEL) {
                Some(_) if goes && Instant::now() < until => sleep(LOOK_EVERY).await,
                Some(run) if *run != self.site.run => {
                    let why = format!("run {run} made it, and removes it when it ends: wait until then");
                    return Err(Trouble::failed(what, why));
                }
                _ => return Ok(()),
            }
        }
        let expires = site::expires()?;
        let namespace = json!({ "metadata": {
            "name": name,
            "labels": { RUN_LABEL: self.site.run },
            "annotations": { EXPIRES: expires },
        } });
        let namespace: Namespace =
            serde_json::from_value(namespace).map_err(|error| Trouble::failed(&what, error))?;
        made(&namespaces, what, &namespace).await
    }

    /// Takes away what stands outside the run's own namespace; what stands inside goes with it.
    pub(crate) async fn stop_all(&self) -> Result<(), Trouble> {
        let at_once = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
        let marked = self.marked();
        for namespace in self.elsewhere() {
            let what = format!("remove the probes in namespace {namespace}");
            let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
            ask_gone(&what, || pods.delete_collection(&at_once, &marked)).await?;
            if self.is_own(namespace).await? {
                let namespaces: Api<Namespace> = Api::all(self.client.clone());
                let orderly = DeleteParams::default();
                ask_gone(&what, || namespaces.delete(namespace, &orderly)).await?;
            }
        }
        Ok(())
    }

    /// Takes one away. A container more in a pod ends with the pod.
    pub(crate) async fn stop(&self, source: &Name) -> Result<(), Trouble> {
        let Some(stranger) = self.stranger(source) else { return Ok(()) };
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), self.site.namespace_of(stranger));
        let at_once = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
        let name = self.site.probe(source);
        ask_gone(format!("remove pod {name}"), || pods.delete(&name, &at_once)).await
    }

    /// Whether something stands outside the run's own namespace.
    pub(crate) async fn are_left(&self) -> Result<bool, Trouble> {
        let marked = self.marked();
        for namespace in self.elsewhere() {
            let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
            let what = format!("list the probes in namespace {namespace}");
            let left = !ask(what, || pods.list(&marked)).await?.items.is_empty();
            if left || self.is_own(namespace).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn is_own(&self, namespace: &str) -> Result<bool, Trouble> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let found = ask(format!("find namespace {namespace}"), || namespaces.get_opt(namespace)).await?;
        Ok(found.is_some_and(|found| self.site.marks(&found)))
    }

    fn marked(&self) -> ListParams {
        ListParams::default().labels(&format!("{RUN_LABEL}={}", self.site.run))
    }

    fn elsewhere(&self) -> BTreeSet<&str> {
        let strangers = self.system.kube.iter().flat_map(|kube| kube.strangers.values());
        let mut all: BTreeSet<&str> = strangers.map(|stranger| self.site.namespace_of(stranger)).collect();
        all.remove(self.site.namespace.as_str());
        all
    }

    fn stranger(&self, source: &Name) -> Option<&Stranger> {
        self.system.kube.as_ref()?.strangers.get(source)
    }

    async fn first_pod(&self, source: &Name) -> Result<String, Trouble> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.site.namespace);
        let first = pods::list(&pods, self.system, source).await?.into_iter().next();
        first
            .map(|replica| replica.pod)
            .ok_or_else(|| Trouble::failed(format!("probe from {source}"), "it has no pod"))
    }

    /// The image of the tools on this cluster.
    async fn image(&self) -> Result<String, Trouble> {
        let sets: Api<DaemonSet> = Api::namespaced(self.client.clone(), TOOLS);
        let what = "find the image of the tools";
        let agents = ask(what, || sets.get_opt("agent")).await?;
        let image = agents.and_then(|set| set.spec?.template.spec?.containers.into_iter().next()?.image);
        image.ok_or_else(|| Trouble::failed(what, "there is no agent: run `gauntlet cluster install`"))
    }
}

/// Makes an object, unless it is there already.
pub(crate) async fn made<K>(api: &Api<K>, what: String, object: &K) -> Result<(), Trouble>
where
    K: Clone + Debug + DeserializeOwned + Serialize,
{
    let params = PostParams::default();
    let once = || async {
        match api.create(&params, object).await {
            Err(error) if is_conflict(&error) => Ok(()),
            other => other.map(drop),
        }
    };
    ask(what, once).await
}

/// Within the strictest pod security level.
fn container(image: &str) -> Value {
    json!({
        "name": PROBE,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/usr/bin/gauntlet", idle::WORD],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "runAsNonRoot": true,
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": { "drop": ["ALL"] },
            "seccompProfile": { "type": "RuntimeDefault" },
        },
    })
}
