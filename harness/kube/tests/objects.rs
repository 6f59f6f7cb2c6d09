//! Objects on a real cluster: put there, waited for, taken out. GAUNTLET_KUBE_TESTS names a kubeconfig;
//! GAUNTLET_KUBE_TEST_IMAGE names an image with a shell that the nodes have.

#![cfg(test)]

use std::{
    env,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use gauntlet_core::{
    act::{Place, Unit},
    port::Witness,
    proof::Query,
    system::System,
};
use gauntlet_kube::{
    Applier, Client, KubeWitness, Mode, Site,
    api::{documents::documents, wait::rollouts},
    connect,
};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use serde_json::json;

/// A kind, a thing of that kind before it, and workloads that cannot come up.
const MANIFEST: &str = r#"
apiVersion: test.gauntlet.io/v1
kind: Thing
metadata: { name: one }
spec: { size: 3 }
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: things.test.gauntlet.io }
spec:
  group: test.gauntlet.io
  names: { kind: Thing, plural: things }
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema: { openAPIV3Schema: { type: object, x-kubernetes-preserve-unknown-fields: true } }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: fine }
spec:
  selector: { matchLabels: { app: fine } }
  template:
    metadata: { labels: { app: fine } }
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{ name: app, image: IMAGE, imagePullPolicy: IfNotPresent, command: [sleep, "600"] }]
---
{ apiVersion: v1, kind: Namespace, metadata: { name: gauntlet-objects } }
"#;

/// What a workload that does not come up must say.
const ILL: [(&str, &str, &str); 3] = [
    (
        "{ containers: [{ name: app, image: IMAGE, imagePullPolicy: Never, command: [sh, -c, exit 3] }] }",
        "Deployment",
        "code 3",
    ),
    (
        "{ containers: [{ name: app, image: none.invalid/no:1, imagePullPolicy: Never }] }",
        "StatefulSet",
        "ErrImageNeverPull",
    ),
    (
        "{ nodeSelector: { none: such }, containers: [{ name: app, image: IMAGE }] }",
        "Deployment",
        "Unschedulable: 0/",
    ),
];

async fn client() -> Client {
    let kubeconfig =
        env::var_os("GAUNTLET_KUBE_TESTS").expect("GAUNTLET_KUBE_TESTS names the kubeconfig of a cluster");
    connect(Some(Path::new(&kubeconfig)), None).await.unwrap()
}

fn image() -> String {
    env::var("GAUNTLET_KUBE_TEST_IMAGE").unwrap_or_else(|_| "busybox:1.36".into())
}

#[tokio::test]
#[ignore = "needs a cluster: make test-kube"]
async fn objects_come_are_waited_for_and_go() {
    let client = client().await;
    let manifest = || documents("the test", &MANIFEST.replace("IMAGE", &image())).unwrap();
    let applier = Applier::new(client.clone(), Duration::from_secs(120))
        .namespace("gauntlet-objects")
        .label("gauntlet.io/test", "objects");
    for round in ["the first time", "again, while the cluster still forgets"] {
        let applied = applier.apply(manifest()).await.expect(round);
        rollouts(&client, &applied, Duration::from_secs(60)).await.expect(round);
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("test.gauntlet.io", "v1", "Thing"));
        let things: Api<DynamicObject> = Api::namespaced_with(client.clone(), "gauntlet-objects", &kind);
        let thing = things.get("one").await.expect(round);
        assert_eq!(thing.metadata.labels.unwrap()["gauntlet.io/test"], "objects");
        if round == "the first time" {
            // Nobody waits for the end of this one.
            let api: Api<Namespace> = Api::all(client.clone());
            api.delete("gauntlet-objects", &DeleteParams::default()).await.unwrap();
        }
    }
    ill_workloads_say_why(&client).await;
    applier.delete(manifest()).await.unwrap();
    applier
        .delete(manifest().into_iter().filter(|one| one.metadata.name.as_deref() == Some("fine")).collect())
        .await
        .unwrap();
}

/// Side by side: each is given the time that a busy machine needs to start a container, and none comes up.
async fn ill_workloads_say_why(client: &Client) {
    let applier = Applier::new(client.clone(), Duration::from_secs(30)).namespace("gauntlet-objects");
    let each = ILL.iter().enumerate().map(|(at, (pod, kind, why))| {
        let (applier, pod) = (&applier, pod.replace("IMAGE", &image()));
        async move {
            let manifest = format!(
                "{{ apiVersion: apps/v1, kind: {kind}, metadata: {{ name: ill-{at} }}, spec: {{ selector: {{ \
                 matchLabels: {{ app: ill-{at} }} }}, template: {{ metadata: {{ labels: {{ app: ill-{at} }} }}, spec: \
                 {pod} }} }} }}"
            );
            let applied = applier.apply(documents("the test", &manifest).unwrap()).await.unwrap();
            let error = rollouts(client, &applied, Duration::from_secs(15)).await.unwrap_err().to_string();
            println!("{error}");
            assert!(error.starts_with(&format!("rollout of {kind} gauntlet-objects/ill-{at} failed")), "{error}");
            assert!(error.contains(why), "{error}");
        }
    });
    join_all(each).await;
}

const HELD: &str = r#"
{ apiVersion: v1, kind: Namespace, metadata: { name: gauntlet-held } }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: strange, finalizers: [example.com/held] }
"#;

#[tokio::test]
#[ignore = "needs a cluster: make test-kube"]
async fn who_holds_a_namespace_that_is_to_go_is_named() {
    let client = client().await;
    let applier = Applier::new(client.clone(), Duration::from_secs(60)).namespace("gauntlet-held");
    applier.apply(documents("the test", HELD).unwrap()).await.unwrap();
    let site = Site {
        run: "held".to_owned(),
        kubeconfig: None,
        context: None,
        namespace: "gauntlet-held".to_owned(),
        mode: Mode::Provision { overlay: "none".into() },
    };
    let none = json!({ "format": 1, "name": "none", "components": {}, "endpoint": { "component": "none", "port": "http" } });
    let system: System = serde_json::from_value(none).unwrap();
    let witness = KubeWitness::new(client.clone(), Arc::new(system), Arc::new(site));
    let ask = Query::Process { at: Place { unit: Unit::Ground, object: None } };
    assert_eq!(witness.look(&ask).await.unwrap().0, "running");
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces.delete("gauntlet-held", &DeleteParams::default()).await.unwrap();
    let seen = until(&witness, &ask, |seen| seen.starts_with("going")).await;
    let maps: Api<ConfigMap> = Api::namespaced(client, "gauntlet-held");
    let free = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    maps.patch("strange", &PatchParams::default(), &free).await.unwrap();
    until(&witness, &ask, |seen| seen == "absent").await;
    assert_eq!(seen, "going, held by ConfigMap strange (finalizer example.com/held)");
}

async fn until(witness: &KubeWitness, ask: &Query, wanted: impl Fn(&str) -> bool) -> String {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let seen = witness.look(ask).await.unwrap().0;
        if wanted(&seen) {
            return seen;
        }
        assert!(Instant::now() < end, "last saw {seen}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
