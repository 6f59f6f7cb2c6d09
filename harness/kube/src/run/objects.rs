//! All objects that a namespace's system is made of: exported as YAML documents, removed, and imported again. What a
//! controller makes of others is not among them, nor are volumes, which are data.

use std::{
    io::{Read, Write},
    time::Duration,
};

use gauntlet_core::{
    port::{Streams, Trouble},
    system::kubernetes::COMPONENT_LABEL,
};
use k8s_openapi::api::core::v1::{Namespace, PersistentVolume};
use kube::{
    Api, Client, Discovery, ResourceExt,
    api::{ListParams, TypeMeta},
    core::DynamicObject,
    discovery::{Scope, verbs},
};
use serde_json::{Value, json};
use tokio::{
    task::spawn_blocking,
    time::{Instant, timeout},
};

use crate::{
    api::{apply::Applier, documents::documents, patience::ask, watch},
    deploy::manifests::{kind, without_pods},
    run::{ground, site::Site},
};

/// The program that the ground knows.
const PROGRAM: &str = "objects";
/// Kinds that controllers write, and volumes.
const MADE: [&str; 8] = [
    "Endpoints",
    "EndpointSlice",
    "Event",
    "Lease",
    "PersistentVolumeClaim",
    "Pod",
    "ReplicaSet",
    "ControllerRevision",
];
const WORKLOADS: [&str; 2] = ["Deployment", "StatefulSet"];
/// Objects that every namespace has by itself.
const OWN: [(&str, &str); 2] = [("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")];

/// What is to be done with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// They are written to standard output, the namespace first.
    Export,
    /// All of them are removed, but for the workloads of other components than these.
    Remove(Vec<String>),
    /// The namespace goes, volumes and all.
    RemoveAll,
    /// They are read from standard input and made. Workloads that are not there are made without pods.
    Import {
        /// What lets users in is left out: without pods behind it they would wait there.
        closed: bool,
    },
}

impl Wanted {
    /// From the words of a program.
    pub(super) fn read(argv: &[String]) -> Result<Self, String> {
        let words: Vec<&str> = argv.iter().map(String::as_str).collect();
        match words.as_slice() {
            [PROGRAM, "export"] => Ok(Self::Export),
            [PROGRAM, "remove", components @ ..] if !components.is_empty() => {
                Ok(Self::Remove(components.iter().map(ToString::to_string).collect()))
            }
            [PROGRAM, "remove-all"] => Ok(Self::RemoveAll),
            [PROGRAM, "import"] => Ok(Self::Import { closed: false }),
            [PROGRAM, "import", "closed"] => Ok(Self::Import { closed: true }),
            _ => Err(format!("the ground runs no `{}`", argv.join(" "))),
        }
    }
}

/// The objects of a run's namespace.
pub(super) struct Objects<'a> {
    pub(super) client: &'a Client,
    pub(super) site: &'a Site,
}

impl Objects<'_> {
    pub(super) async fn run(
        &self,
        wanted: Wanted,
        streams: Streams,
        within: Duration,
    ) -> Result<(), Trouble> {
        let Streams { stdin, stdout, stderr } = streams;
        let work = async {
            let mut text = String::new();
            match wanted {
                Wanted::Export => text = self.export().await?,
                Wanted::Import { closed } => self.import(stdin, closed, within).await?,
                Wanted::Remove(components) => self.remove(&components, within).await?,
                Wanted::RemoveAll => self.remove_all(within).await?,
            }
            // Whoever waits at the other end may be slow.
            let kept = spawn_blocking(move || {
                if let Some(mut to) = stdout {
                    to.write_all(text.as_bytes())
                        .map_err(|error| Trouble::failed("export the objects", error))?;
                    to.keep()?;
                }
                stderr.map_or(Ok(()), |complaints| complaints.keep())
            });
            kept.await.unwrap_or_else(|panic| Err(Trouble::failed("export the objects", panic)))
        };
        let ended = timeout(within, work).await;
        ended.unwrap_or_else(|_| Err(Trouble::failed("the objects", format!("not done within {within:?}"))))
    }

    async fn export(&self) -> Result<String, Trouble> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let what = format!("export namespace {}", self.site.namespace);
        let namespace = ask(&what, || namespaces.get(&self.site.namespace)).await?;
        let namespace = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": { "name": self.site.namespace, "labels": named(&namespace), "annotations": namespace.annotations() },
        });
        let mut text = format!("{namespace}\n");
        for object in self.list().await? {
            // JSON is YAML, and no line of it begins with dashes.
            text += &format!("---\n{}\n", json!(bare(object)));
        }
        Ok(text)
    }

    async fn import(
        &self,
        from: Option<Box<dyn Read + Send>>,
        closed: bool,
        within: Duration,
    ) -> Result<(), Trouble> {
        let what = "import the objects";
        let mut from = from.ok_or_else(|| Trouble::failed(what, "it has no input"))?;
        let read = spawn_blocking(move || {
            let mut text = String::new();
            from.read_to_string(&mut text).map(|_| text)
        });
        let text = read.await.map_err(|panic| Trouble::failed(what, panic))?;
        let text = text.map_err(|error| Trouble::failed(what, error))?;
        let objects = documents("the objects", &text)?;
        let space = |object: &DynamicObject| kind(object) == "Namespace";
        if let Some(other) = objects.iter().find(|one| space(one) && one.name_any() != self.site.namespace) {
            let why = format!("they are those of namespace {}", other.name_any());
            return Err(Trouble::refused(what, why));
        }
        // Who still runs is not told anew how many it should be.
        let (spaces, rest): (Vec<_>, Vec<_>) = objects.into_iter().partition(space);
        let applier = Applier::new(self.client.clone(), within).namespace(&self.site.namespace);
        applier.apply(spaces).await?;
        let there = self.list().await?;
        let runs = |object: &DynamicObject| {
            let same =
                |other: &DynamicObject| kind(other) == kind(object) && other.name_any() == object.name_any();
            WORKLOADS.contains(&kind(object)) && there.iter().any(same)
        };
        let stays_out = |object: &DynamicObject| runs(object) || closed && is_door(object);
        let rest = rest.into_iter().filter(|object| !stays_out(object)).collect();
        applier.apply(without_pods(rest)).await.map(drop)
    }

    async fn remove(&self, components: &[String], within: Duration) -> Result<(), Trouble> {
        let goes = |object: &DynamicObject| {
            let component = object.labels().get(COMPONENT_LABEL);
            !WORKLOADS.contains(&kind(object))
                || component.is_some_and(|component| components.contains(component))
        };
        let all = self.list().await?.into_iter().filter(goes).collect();
        Applier::new(self.client.clone(), within).namespace(&self.site.namespace).delete(all).await
    }

    /// Until its volumes are gone too.
    async fn remove_all(&self, within: Duration) -> Result<(), Trouble> {
        let namespace = &self.site.namespace;
        let what = format!("remove namespace {namespace}");
        let volumes: Api<PersistentVolume> = Api::all(self.client.clone());
        let claimed = ground::volumes(self.client, self.site).await?;
        let end = Instant::now() + within;
        let space = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
        let space = serde_json::from_value(space).map_err(|error| Trouble::failed(&what, error))?;
        Applier::new(self.client.clone(), within).delete(vec![space]).await?;
        for volume in claimed {
            let gone = |seen: Option<&PersistentVolume>| seen.is_none();
            let still = format!("volume {volume} is still there");
            watch::until(end, volumes.clone(), &volume, gone, &what, still).await?;
        }
        Ok(())
    }

    /// Those that somebody made.
    async fn list(&self) -> Result<Vec<DynamicObject>, Trouble> {
        let what = format!("list the objects of namespace {}", self.site.namespace);
        let known = ask(&what, || Discovery::new(self.client.clone()).run()).await?;
        let mut all = vec![];
        for group in known.groups() {
            for (resource, can) in group.recommended_resources() {
                let kept = can.scope == Scope::Namespaced
                    && can.supports_operation(verbs::LIST)
                    && can.supports_operation(verbs::CREATE)
                    && can.supports_operation(verbs::DELETE);
                if !kept || MADE.contains(&resource.kind.as_str()) {
                    continue;
                }
                let api: Api<DynamicObject> =
                    Api::namespaced_with(self.client.clone(), &self.site.namespace, &resource);
                let params = ListParams::default();
                let found = ask(&what, || api.list(&params)).await?;
                let types =
                    TypeMeta { api_version: resource.api_version.clone(), kind: resource.kind.clone() };
                let mine = found.items.into_iter().filter(|one| is_made(one, &resource.kind));
                // What a list holds has no kind of its own.
                all.extend(mine.map(|one| DynamicObject { types: Some(types.clone()), ..one }));
            }
        }
        Ok(all)
    }
}

/// Whether users come in by it.
fn is_door(object: &DynamicObject) -> bool {
    let of = object.data.pointer("/spec/type").and_then(Value::as_str);
    match kind(object) {
        "Service" => matches!(of, Some("NodePort" | "LoadBalancer")),
        other => other == "Ingress",
    }
}

/// Whether somebody made it: it belongs to no other object, and not every namespace has it.
fn is_made(object: &DynamicObject, kind: &str) -> bool {
    let name = object.name_any();
    let token = object.data.get("type").is_some_and(|of| of == "kubernetes.io/service-account-token");
    object.owner_references().is_empty() && !token && !OWN.contains(&(kind, name.as_str()))
}

fn named(namespace: &Namespace) -> Value {
    let mut labels = namespace.labels().clone();
    // Every namespace bears it.
    labels.remove("kubernetes.io/metadata.name");
    json!(labels)
}

/// What somebody said of it, without what the server added.
fn bare(object: DynamicObject) -> DynamicObject {
    let DynamicObject { types, metadata, mut data } = object;
    let mut annotations = metadata.annotations.unwrap_or_default();
    annotations.retain(|name, _| {
        !name.starts_with("deployment.kubernetes.io/") && !name.starts_with("kubectl.kubernetes.io/")
    });
    let metadata = k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
        name: metadata.name,
        labels: metadata.labels,
        annotations: (!annotations.is_empty()).then_some(annotations),
        ..Default::default()
    };
    if let Some(fields) = data.as_object_mut() {
        fields.remove("status");
    }
    let service = types.as_ref().is_some_and(|types| types.kind == "Service");
    if let (true, Some(spec)) = (service, data.get_mut("spec").and_then(Value::as_object_mut)) {
        // Addresses are drawn anew; that there is none is a setting.
        if spec.get("clusterIP").is_some_and(|ip| ip != "None") {
            spec.remove("clusterIP");
            spec.remove("clusterIPs");
        }
    }
    DynamicObject { types, metadata, data }
}

#[cfg(test)]
mod tests {
    use kube::core::DynamicObject;
    use serde_json::{Value, json};

    use super::{Wanted, bare, is_door, is_made};

    fn object(value: Value) -> DynamicObject {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_ground_knows_its_programs() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(Wanted::read(&words("objects export")), Ok(Wanted::Export));
        let removed = Wanted::Remove(vec!["a".into(), "b".into()]);
        assert_eq!(Wanted::read(&words("objects remove a b")), Ok(removed));
        assert_eq!(Wanted::read(&words("objects import closed")), Ok(Wanted::Import { closed: true }));
        for wrong in ["objects remove", "objects", "rm -rf /", "objects export all"] {
            assert!(Wanted::read(&words(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_the_server_added_is_left_out_and_what_somebody_said_is_kept() {
        let service = object(json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": "web", "uid": "u", "resourceVersion": "7", "labels": { "a": "b" },
                "annotations": { "kubectl.kubernetes.io/last-applied-configuration": "{}", "mine": "kept" } },
            "spec": { "clusterIP": "10.0.0.7", "clusterIPs": ["10.0.0.7"], "ports": [{ "port": 80, "nodePort": 30080 }] },
            "status": { "loadBalancer": {} },
        }));
        let kept = json!(bare(service));
        assert_eq!(
            kept,
            json!({
                "apiVersion": "v1", "kind": "Service",
                "metadata": { "name": "web", "labels": { "a": "b" }, "annotations": { "mine": "kept" } },
                "spec": { "ports": [{ "port": 80, "nodePort": 30080 }] },
            })
        );
        let headless = object(json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "x" },
            "spec": { "clusterIP": "None", "clusterIPs": ["None"] } }));
        assert_eq!(json!(bare(headless))["spec"]["clusterIP"], "None");
    }

    #[test]
    fn users_come_in_by_a_service_that_is_open_to_them() {
        let service = |of: &str| {
            is_door(&object(json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "x" },
                "spec": { "type": of } })))
        };
        assert_eq!(["NodePort", "LoadBalancer", "ClusterIP"].map(service), [true, true, false]);
    }

    #[test]
    fn what_a_controller_makes_is_not_kept() {
        let of = |metadata: Value| {
            object(json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata }))
        };
        assert!(is_made(&of(json!({ "name": "settings" })), "ConfigMap"));
        assert!(!is_made(&of(json!({ "name": "kube-root-ca.crt" })), "ConfigMap"));
        let owner = json!([{ "apiVersion": "v1", "kind": "Job", "name": "j", "uid": "u" }]);
        assert!(!is_made(&of(json!({ "name": "x", "ownerReferences": owner })), "ConfigMap"));
    }
}
