//! Where programs run for a replica that is stopped: a pod with its image, its environment and its volumes, and nothing of
//! its own to do. It is gone before the replica starts again, so no two write into one volume.
//!
//! Only in a namespace that the run made, where replicas are stopped at all: it goes with it at the latest.

use std::time::Duration;

use gauntlet_core::{name::Name, port::Trouble, system::System};
use k8s_openapi::{
    api::{
        apps::v1::{Deployment, StatefulSet},
        core::v1::{PersistentVolumeClaim, Pod, PodSpec},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, ResourceExt,
    api::DeleteParams,
    runtime::conditions::{is_deleted, is_pod_running},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    api::{
        patience::{ask, ask_gone},
        wait, watch,
    },
    run::{
        pods::{Replica, replica, selected},
        probes::made,
        site::{RUN_LABEL, Site},
        workload::{Kind, Workload},
    },
};

/// How long it may take to run: its image is there already, its volume was just let go.
const RUNS_WITHIN: Duration = Duration::from_secs(60);
/// How long it may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(60);
/// It does nothing, and ends at once when it is told to.
const IDLE: &str = "trap 'exit 0' TERM INT; while :; do sleep 1 & wait $!; done";

/// The stand-ins of a run.
pub(super) struct StandIns<'a> {
    pub(super) client: &'a Client,
    pub(super) system: &'a System,
    pub(super) site: &'a Site,
}

impl StandIns<'_> {
    /// The one for that replica; it is made when it is not there.
    pub(super) async fn make(
        &self,
        workload: &Workload,
        component: &Name,
        index: u16,
    ) -> Result<Replica, Trouble> {
        let name = name_of(component, index);
        let what = format!("make pod {name}");
        let (_, container) = selected(self.system, component);
        let (spec, claims) = self.template(workload, &what).await?;
        for claim in &claims {
            made(
                &Api::namespaced(self.client.clone(), &self.site.namespace),
                what.clone(),
                &claim.of(workload, index),
            )
            .await?;
        }
        let spec = idle(spec, &container, claims.iter().map(|claim| claim.volume(workload, index)))
            .map_err(|why| Trouble::failed(&what, why))?;
        let pod = json!({
            "metadata": { "name": name, "labels": { RUN_LABEL: self.site.run } },
            "spec": spec,
        });
        let pod: Pod = serde_json::from_value(pod).map_err(|error| Trouble::failed(&what, error))?;
        made(&self.pods(), what.clone(), &pod).await?;
        let silent = format!("it does not run after {RUNS_WITHIN:?}");
        let end = Instant::now() + RUNS_WITHIN;
        match watch::until(end, self.pods(), &name, is_pod_running(), &what, &silent).await {
            Ok(Some(pod)) => Ok(replica(&pod, &container)),
            Ok(None) => Err(Trouble::failed(what, "it was removed")),
            Err(error) => {
                let pods = self.pods();
                let pod = ask(&what, || pods.get_opt(&name)).await?;
                Err(pod.map_or(error, |pod| {
                    Trouble::failed(what, format!("{silent}: {}", wait::reasons(&pod).join(", ")))
                }))
            }
        }
    }

    /// Removes it and waits until it is gone; nothing when there is none.
    pub(super) async fn remove(&self, component: &Name, index: u16) -> Result<(), Trouble> {
        let name = name_of(component, index);
        let what = format!("remove pod {name}");
        let pods = self.pods();
        let Some(pod) = ask(&what, || pods.get_opt(&name)).await? else { return Ok(()) };
        let soon = DeleteParams { grace_period_seconds: Some(1), ..DeleteParams::default() };
        ask_gone(&what, || pods.delete(&name, &soon)).await?;
        let uid = pod.uid().unwrap_or_default();
        let gone = is_deleted(&uid);
        let still = format!("it is still there after {GONE_WITHIN:?}");
        watch::until(Instant::now() + GONE_WITHIN, pods, &name, gone, &what, still).await.map(drop)
    }

    /// What the workload makes its pods of, and the volumes that it claims for each.
    async fn template(&self, workload: &Workload, what: &str) -> Result<(PodSpec, Vec<Claim>), Trouble> {
        let (name, namespace) = (&workload.name, &self.site.namespace);
        let (template, claims) = match workload.kind {
            Kind::Deployment => {
                let api: Api<Deployment> = Api::namespaced(self.client.clone(), namespace);
                let spec = ask(what, || api.get(name)).await?.spec;
                (spec.map(|spec| spec.template), vec![])
            }
            Kind::StatefulSet => {
                let api: Api<StatefulSet> = Api::namespaced(self.client.clone(), namespace);
                let spec = ask(what, || api.get(name)).await?.spec.unwrap_or_default();
                let first = spec.ordinals.and_then(|ordinals| ordinals.start).unwrap_or(0);
                let claims = spec.volume_claim_templates.into_iter().flatten();
                (Some(spec.template), claims.map(|claim| Claim { claim, first }).collect())
            }
        };
        let spec = template.and_then(|template| template.spec);
        Ok((spec.ok_or_else(|| Trouble::failed(what, "its workload has no template"))?, claims))
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.site.namespace)
    }
}

fn name_of(component: &Name, index: u16) -> String {
    format!("{component}-{index}-stand-in")
}

/// A volume that every pod of a StatefulSet claims for itself.
struct Claim {
    claim: PersistentVolumeClaim,
    /// The number of the first pod.
    first: i32,
}

impl Claim {
    fn template(&self) -> &str {
        self.claim.metadata.name.as_deref().unwrap_or_default()
    }

    /// As the controller calls it: a volume that was lost is made again, and the pod that comes later finds it.
    fn name(&self, workload: &Workload, index: u16) -> String {
        let ordinal = self.first + i32::from(index) - 1;
        format!("{}-{}-{ordinal}", self.template(), workload.name)
    }

    fn of(&self, workload: &Workload, index: u16) -> PersistentVolumeClaim {
        let ObjectMeta { labels, annotations, .. } = self.claim.metadata.clone();
        let metadata = ObjectMeta {
            name: Some(self.name(workload, index)),
            labels,
            annotations,
            ..ObjectMeta::default()
        };
        PersistentVolumeClaim { metadata, spec: self.claim.spec.clone(), status: None }
    }

    fn volume(&self, workload: &Workload, index: u16) -> Value {
        json!({ "name": self.template(), "persistentVolumeClaim": { "claimName": self.name(workload, index) } })
    }
}

/// The pod of a replica without its program: nothing is asked of it, and it listens nowhere.
fn idle(spec: PodSpec, container: &str, volumes: impl Iterator<Item = Value>) -> Result<Value, String> {
    let mut spec = serde_json::to_value(spec).map_err(|error| error.to_string())?;
    let all =
        spec.get_mut("containers").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
    let mut own = all.into_iter().find(|one| one["name"] == *container);
    let own = own.as_mut().and_then(Value::as_object_mut);
    let own = own.ok_or_else(|| format!("its workload has no container {container:?}"))?;
    for asked in ["args", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "ports"] {
        own.remove(asked);
    }
    own.insert("command".into(), json!(["sh", "-c", IDLE]));
    spec["containers"] = json!([own]);
    if let Some(fields) = spec.as_object_mut() {
        fields.remove("initContainers");
    }
    spec["restartPolicy"] = json!("Never");
    spec["terminationGracePeriodSeconds"] = json!(1);
    let more: Vec<Value> = volumes.collect();
    match spec.get_mut("volumes").and_then(Value::as_array_mut) {
        Some(there) => there.extend(more),
        None => spec["volumes"] = json!(more),
    }
    Ok(spec)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::PodSpec;
    use serde_json::json;

    use super::{Claim, idle};
    use crate::run::workload::{Kind, Workload};

    #[test]
    fn it_has_all_that_the_replica_has_but_its_program() {
        let spec: PodSpec = serde_json::from_value(json!({
            "initContainers": [{ "name": "first" }],
            "containers": [{ "name": "beside" }, {
                "name": "database", "image": "postgres", "args": ["postgres"], "env": [{ "name": "PGDATA", "value": "/data" }],
                "livenessProbe": { "tcpSocket": { "port": 1 } }, "volumeMounts": [{ "name": "data", "mountPath": "/data" }],
            }],
            "volumes": [{ "name": "tmp", "emptyDir": {} }],
            "securityContext": { "runAsUser": 999 },
        }))
        .unwrap();
        let claim = serde_json::from_value(json!({ "metadata": { "name": "data" } })).unwrap();
        let claim = Claim { claim, first: 0 };
        let workload = Workload { kind: Kind::StatefulSet, name: "database".into(), replicas: 0 };
        let made = idle(spec, "database", [claim.volume(&workload, 1)].into_iter()).unwrap();
        assert_eq!(made["volumes"][1]["persistentVolumeClaim"]["claimName"], "data-database-0");
        assert_eq!(made["containers"].as_array().unwrap().len(), 1);
        let own = &made["containers"][0];
        assert_eq!((&own["image"], &own["env"][0]["name"]), (&json!("postgres"), &json!("PGDATA")));
        assert!(own.get("livenessProbe").is_none() && own.get("args").is_none(), "{own}");
        assert_eq!(made["securityContext"]["runAsUser"], 999);
        assert!(made.get("initContainers").is_none(), "{made}");
    }
}
