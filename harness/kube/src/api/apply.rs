//! Objects are put into a cluster by server-side apply, and taken out again.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use gauntlet_core::port::Trouble;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, PropagationPolicy},
    core::{ApiResource, DynamicObject, GroupVersionKind},
    discovery::{Scope, pinned_kind},
    runtime::conditions,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::api::{
    documents::called,
    retry::{passes, retry, retry_while},
    watch,
};

/// Who owns the fields that are applied.
pub const FIELD_MANAGER: &str = "gauntlet";

/// How long it may take until a kind is served whose definition was applied just now.
const DEFINED: Duration = Duration::from_secs(15);
/// Where templates of pods are, by kind: of Deployments and the like, and of CronJobs.
const TEMPLATES: [&str; 2] = ["/spec/template", "/spec/jobTemplate/spec/template"];

/// Puts objects into a cluster, or takes them out.
#[derive(Clone)]
pub struct Applier {
    client: Client,
    limit: Duration,
    namespace: Option<String>,
    labels: BTreeMap<String, String>,
}

impl std::fmt::Debug for Applier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let said = (&self.limit, &self.namespace, &self.labels);
        f.debug_tuple("Applier").field(&said).finish()
    }
}

type Kinds = HashMap<GroupVersionKind, (ApiResource, Scope)>;

impl Applier {
    /// Everything together has that long.
    pub fn new(client: Client, limit: Duration) -> Self {
        Self { client, limit, namespace: None, labels: BTreeMap::new() }
    }

    /// Objects of namespaces go into this one, whatever they say.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// A label for every object and for the pods of its template.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(name.into(), value.into());
        self
    }

    /// Applies the objects, those first that others need, and answers them as the server has them.
    pub async fn apply(&self, mut objects: Vec<DynamicObject>) -> Result<Vec<DynamicObject>, Trouble> {
        let until = Instant::now() + self.limit;
        objects.sort_by_key(rank);
        let (mut kinds, mut applied) = (Kinds::new(), vec![]);
        for mut object in objects {
            let (resource, scope) = self.kind(&mut kinds, &object, until).await?;
            self.mark(&mut object, &scope);
            let api = self.api(&object, &resource, &scope);
            let name = object.metadata.name.clone().unwrap_or_default();
            let mut there = self.put(&api, &name, &object, until).await?;
            // What one server answers has no kind, now and then.
            there.types = object.types.clone();
            if is_definition(&there) {
                self.established(&name, until).await?;
            }
            applied.push(there);
        }
        Ok(applied)
    }

    // One that is on its way out would take the new one with it: it goes first.
    async fn put(
        &self,
        api: &Api<DynamicObject>,
        name: &str,
        object: &DynamicObject,
        until: Instant,
    ) -> Result<DynamicObject, Trouble> {
        let what = format!("applying {}", called(object));
        let (params, patch) = (PatchParams::apply(FIELD_MANAGER).force(), Patch::Apply(object));
        loop {
            let there = retry(until, &what, || api.patch(name, &params, &patch)).await?;
            if there.metadata.deletion_timestamp.is_none() {
                return Ok(there);
            }
            self.absent(api, name, &what, until).await?;
        }
    }

    async fn absent(
        &self,
        api: &Api<DynamicObject>,
        name: &str,
        what: &str,
        until: Instant,
    ) -> Result<(), Trouble> {
        let absent = |seen: Option<&DynamicObject>| seen.is_none();
        let why = format!("it is still there after {:?}", self.limit);
        watch::until(until, api.clone(), name, absent, what, why).await.map(drop)
    }

    /// Deletes the objects, in the reverse order, and waits until they are gone. What is not there is gone.
    pub async fn delete(&self, mut objects: Vec<DynamicObject>) -> Result<(), Trouble> {
        let until = Instant::now() + self.limit;
        objects.sort_by_key(rank);
        let mut kinds = Kinds::new();
        for mut object in objects.into_iter().rev() {
            let (resource, scope) = self.kind(&mut kinds, &object, until).await?;
            self.mark(&mut object, &scope);
            let api = self.api(&object, &resource, &scope);
            let name = object.metadata.name.clone().unwrap_or_default();
            let what = format!("deleting {}", called(&object));
            let params = DeleteParams {
                propagation_policy: Some(PropagationPolicy::Foreground),
                ..DeleteParams::default()
            };
            retry(until, &what, || gone(&api, &name, &params)).await?;
            self.absent(&api, &name, &what, until).await?;
        }
        Ok(())
    }

    async fn kind(
        &self,
        known: &mut Kinds,
        object: &DynamicObject,
        until: Instant,
    ) -> Result<(ApiResource, Scope), Trouble> {
        let what = format!("finding the kind of {}", called(object));
        let types = object.types.as_ref().ok_or_else(|| Trouble::failed(&what, "it has no kind"))?;
        let kind = GroupVersionKind::try_from(types).map_err(|e| Trouble::failed(&what, e))?;
        if let Some(found) = known.get(&kind) {
            return Ok(found.clone());
        }
        let until = until.min(Instant::now() + DEFINED);
        let passes = |error: &kube::Error| passes(error) || missing(error);
        let found = retry_while(until, &what, passes, || pinned_kind(&self.client, &kind));
        let (resource, able) = found.await?;
        known.insert(kind, (resource.clone(), able.scope.clone()));
        Ok((resource, able.scope))
    }

    fn api(&self, object: &DynamicObject, resource: &ApiResource, scope: &Scope) -> Api<DynamicObject> {
        match (scope, &object.metadata.namespace) {
            (Scope::Cluster, _) => Api::all_with(self.client.clone(), resource),
            (Scope::Namespaced, None) => Api::default_namespaced_with(self.client.clone(), resource),
            (Scope::Namespaced, Some(namespace)) => {
                Api::namespaced_with(self.client.clone(), namespace, resource)
            }
        }
    }

    fn mark(&self, object: &mut DynamicObject, scope: &Scope) {
        if let (Scope::Namespaced, Some(namespace)) = (scope, &self.namespace) {
            object.metadata.namespace = Some(namespace.clone());
        }
        if self.labels.is_empty() {
            return;
        }
        object.metadata.labels.get_or_insert_default().extend(self.labels.clone());
        for path in TEMPLATES {
            let template = object.data.pointer_mut(path).and_then(Value::as_object_mut);
            // Other kinds call other things a template; pods have a spec with containers.
            let Some(template) = template.filter(|of| of["spec"]["containers"].is_array()) else { continue };
            let metadata = template.entry("metadata").or_insert_with(|| json!({}));
            for (name, value) in &self.labels {
                metadata["labels"][name] = value.as_str().into();
            }
        }
    }

    async fn established(&self, name: &str, until: Instant) -> Result<(), Trouble> {
        let what = format!("establishing CustomResourceDefinition {name}");
        let definitions: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        let why = format!("not done within {:?}", self.limit);
        watch::until(until, definitions, name, conditions::is_crd_established(), &what, why).await.map(drop)
    }
}

async fn gone(api: &Api<DynamicObject>, name: &str, params: &DeleteParams) -> kube::Result<()> {
    match api.delete(name, params).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(drop),
    }
}

fn missing(error: &kube::Error) -> bool {
    match error {
        kube::Error::Discovery(_) => true,
        kube::Error::Api(status) => status.code == 404,
        _ => false,
    }
}

fn is_definition(object: &DynamicObject) -> bool {
    object.types.as_ref().is_some_and(|types| types.kind == "CustomResourceDefinition")
}

// Those first that others need; equal ones stay in the order of their manifest.
fn rank(object: &DynamicObject) -> usize {
    const ORDER: [&[&str]; 6] = [
        &["Namespace", "CustomResourceDefinition"],
        &["PriorityClass", "StorageClass", "ServiceAccount", "ClusterRole", "Role"],
        &["ClusterRoleBinding", "RoleBinding", "ConfigMap", "Secret", "PersistentVolumeClaim"],
        &["ResourceQuota", "LimitRange", "NetworkPolicy", "PodDisruptionBudget", "Service"],
        &["Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod"],
        &["HorizontalPodAutoscaler", "Ingress"],
    ];
    let kind = object.types.as_ref().map_or("", |types| types.kind.as_str());
    ORDER.iter().position(|kinds| kinds.contains(&kind)).unwrap_or(ORDER.len())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kube::{Client, Config, discovery::Scope};
    use serde_json::Value;

    use super::{Applier, rank};
    use crate::api::documents::{called, documents};

    const MANIFEST: &str = r"
{ apiVersion: example.com/v1, kind: Thing, metadata: { name: thing }, spec: { template: { spec: {} } } }
---
{ apiVersion: apps/v1, kind: Deployment, metadata: { name: web }, spec: { template: { spec: { containers: [] } } } }
---
apiVersion: batch/v1
kind: CronJob
metadata: { name: nightly, labels: { mine: kept } }
spec: { jobTemplate: { spec: { template: { metadata: { labels: { a: b } }, spec: { containers: [] } } } } }
---
{ apiVersion: v1, kind: ServiceAccount, metadata: { name: web, namespace: elsewhere } }
---
{ apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: { name: things.example.com } }
---
{ apiVersion: v1, kind: Namespace, metadata: { name: shop } }
";

    fn applier() -> Applier {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::try_from(Config::new("http://127.0.0.1:9".parse().unwrap())).unwrap();
        Applier::new(client, Duration::from_millis(10)).namespace("shop").label("run", "r1")
    }

    #[test]
    fn what_others_need_comes_first_and_the_rest_stays_in_order() {
        let mut objects = documents("it", MANIFEST).unwrap();
        objects.sort_by_key(rank);
        let order: Vec<_> = objects.iter().map(called).collect();
        assert_eq!(
            order,
            [
                "CustomResourceDefinition things.example.com",
                "Namespace shop",
                "ServiceAccount elsewhere/web",
                "Deployment web",
                "CronJob nightly",
                "Thing thing",
            ]
        );
    }

    #[tokio::test]
    async fn objects_and_templates_of_pods_bear_the_mark() {
        let applier = applier();
        let mut objects = documents("it", MANIFEST).unwrap();
        for object in &mut objects {
            let cluster = ["Namespace", "CustomResourceDefinition"];
            let kind = object.types.as_ref().unwrap().kind.as_str();
            let scope = if cluster.contains(&kind) { Scope::Cluster } else { Scope::Namespaced };
            applier.mark(object, &scope);
            assert_eq!(object.metadata.labels.as_ref().unwrap()["run"], "r1");
            let expected = (scope == Scope::Namespaced).then_some("shop");
            assert_eq!(object.metadata.namespace.as_deref(), expected);
        }
        let of = |at: usize, path: &str| objects[at].data.pointer(path).cloned().unwrap_or(Value::Null);
        assert_eq!(of(0, "/spec/template/metadata"), Value::Null, "no template of a pod");
        assert_eq!(of(1, "/spec/template/metadata/labels/run"), "r1");
        assert_eq!(of(2, "/spec/jobTemplate/spec/template/metadata/labels/run"), "r1");
        assert_eq!(of(2, "/spec/jobTemplate/spec/template/metadata/labels/a"), "b");
        assert_eq!(objects[2].metadata.labels.as_ref().unwrap()["mine"], "kept");
    }

    #[tokio::test]
    async fn an_error_names_the_object_and_the_cause() {
        let objects = documents("it", MANIFEST).unwrap();
        let error = applier().apply(objects).await.unwrap_err().to_string();
        assert!(
            error.starts_with("finding the kind of CustomResourceDefinition things.example.com failed"),
            "{error}"
        );
        assert!(error.contains("refused"), "{error}");
    }
}
