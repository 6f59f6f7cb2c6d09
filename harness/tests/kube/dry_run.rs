//! The API server takes every manifest, and warns of nothing: nothing unknown, nothing deprecated, nothing that the
//! namespace's pod security forbids.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    sync::Arc,
    time::Duration,
};

use gauntlet_core::{
    act::{Act, Place, Unit},
    port::Target,
    system,
};
use gauntlet_kube::{KubeTarget, Mode, Site, connect};
use serde_json::{Value, json};

use crate::{
    cluster::{kubeconfig, kubectl, until_nothing_is_left},
    own::upwards,
    stage::root,
    target::Gone,
};

const GONE_WITHIN: Duration = Duration::from_secs(60);

/// What the harness generates for a namespace, read back from one that it made: the Secret, and the way to the API server.
async fn generated() -> Vec<Value> {
    let run = format!("generates-{}", std::process::id());
    let site = Site {
        namespace: format!("gauntlet-{run}"),
        run,
        kubeconfig: Some(kubeconfig()),
        context: None,
        // The overlay without a node port, which the dry run of the other one needs.
        mode: Mode::Provision { overlay: root().join("deploy/overlays/production") },
    };
    let namespace = site.namespace.clone();
    let _gone = Gone(namespace.clone());
    let client = connect(site.kubeconfig.as_deref(), None).await.unwrap();
    let system = system::read(fs::read_to_string(root().join("deploy/system.yml")).unwrap()).unwrap();
    let target = KubeTarget::new(client, Arc::new(system), Arc::new(site));
    target.apply(&Act::Start { unit: Unit::Ground }).await.unwrap();
    let mut found = vec![];
    for object in ["secret/causal-secrets", "networkpolicy/api-server"] {
        let object = kubectl(&["get", object, "-n", &namespace, "-o", "json"]);
        let object: Value = serde_json::from_str(&object).unwrap();
        let mut bare = object.clone();
        bare["metadata"] = json!({ "name": object["metadata"]["name"] });
        found.push(bare);
    }
    target.apply(&Act::Stop { at: Place::of(Unit::Ground) }).await.unwrap();
    found
}

fn apply(file: &Path, more: &[&str]) -> Output {
    let mut kubectl = Command::new("kubectl");
    kubectl.arg("--kubeconfig").arg(kubeconfig());
    kubectl.args(["apply", "--server-side", "--validate=strict"]).args(more).arg("-f").arg(file);
    kubectl.output().unwrap()
}

/// An overlay and more objects, rendered for a namespace.
fn rendered(dir: &Path, overlay: &str, namespace: &str, more: &[Value]) -> String {
    let more = serde_json::to_string(&json!({ "apiVersion": "v1", "kind": "List", "items": more })).unwrap();
    fs::write(dir.join("more.json"), more).unwrap();
    let base = upwards(dir, &root().join("deploy/overlays").join(overlay));
    let lines = format!("namespace: {namespace}\nresources: [{base}, more.json]\n");
    fs::write(dir.join("kustomization.yml"), lines).unwrap();
    kubectl(&["kustomize", dir.to_str().unwrap()])
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test-kube"]
async fn the_api_server_takes_every_overlay_without_a_warning() {
    let generated = generated().await;
    let namespace = format!("dry-run-{}", std::process::id());
    let _gone = Gone(namespace.clone());
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let labels = fs::read_to_string(root().join("deploy/base/namespace.yml")).unwrap();
    let labels = labels.replace("name: causal", &format!("name: {namespace}"));
    assert!(labels.contains("pod-security.kubernetes.io/warn: restricted"), "{labels}");
    fs::write(dir.path().join("namespace.yml"), labels).unwrap();
    let made = apply(&dir.path().join("namespace.yml"), &[]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    for overlay in ["kind", "production"] {
        let text = rendered(dir.path(), overlay, &namespace, &generated);
        fs::write(dir.path().join("all.yml"), &text).unwrap();
        let output = apply(&dir.path().join("all.yml"), &["--dry-run=server"]);
        let (out, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && told.is_empty(), "{overlay}: {told}");
        let taken = out.lines().filter(|line| line.ends_with("(server dry run)")).count();
        assert_eq!(taken, text.split("\n---\n").count(), "{overlay}: {out}");
    }
    let left = kubectl(&["get", "all,secrets,networkpolicies", "-n", &namespace, "-o", "name"]);
    assert_eq!(left, "", "a dry run leaves nothing");
    until_nothing_is_left(GONE_WITHIN);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test-kube"]
async fn the_way_to_the_api_server_is_the_same_by_hand_and_by_the_harness() {
    let template = root().join("deploy/base/network/api-server.tmpl");
    let of_api_server = "kubernetes.io/service-name=kubernetes";
    let template = format!("go-template-file={}", template.display());
    let by_hand = kubectl(&["get", "endpointslices", "-n", "default", "-l", of_api_server, "-o", &template]);
    let by_hand: Value = serde_saphyr::from_str(&by_hand).unwrap();
    let generated = generated().await;
    assert_eq!(generated[1]["spec"]["egress"], by_hand["spec"]["egress"]);
    assert_eq!(generated[1]["spec"]["policyTypes"], by_hand["spec"]["policyTypes"]);
    until_nothing_is_left(GONE_WITHIN);
}
