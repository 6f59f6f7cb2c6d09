//! Agent and eye on a real cluster: GAUNTLET_KUBE_TESTS names a kubeconfig of one that has the tools.
//! GAUNTLET_KUBE_TEST_IMAGE names an image with a shell that the nodes have.

#![cfg(test)]

use std::{
    collections::BTreeSet,
    env,
    path::PathBuf,
    time::{Duration, Instant},
};

use gauntlet_core::act::Signal;
use gauntlet_kube::{
    Applier, Client,
    api::documents::documents,
    connect,
    node::{
        agent,
        eye::{self, State},
        line::{Line, Part},
        lines::Lines,
    },
};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{DeleteParams, ListParams},
    runtime::wait::{await_condition, conditions::is_pod_running},
};

/// A shell with children, and a probe that executes into it every second.
const POD: &str = r#"
apiVersion: v1
kind: Pod
metadata: { name: tree, namespace: gauntlet-lines }
spec:
  restartPolicy: Always
  terminationGracePeriodSeconds: 0
  automountServiceAccountToken: false
  containers:
    - name: tree
      image: IMAGE
      imagePullPolicy: IfNotPresent
      command: [sh, -c, "sleep 600 & sleep 600 & sleep 600 & wait"]
      securityContext: { runAsUser: 1234 }
      startupProbe: { exec: { command: [sh, -c, "true"] }, periodSeconds: 1 }
      livenessProbe: { exec: { command: [sh, -c, "true"] }, periodSeconds: 1, failureThreshold: 60 }
"#;
const NAMESPACE: &str = "{ apiVersion: v1, kind: Namespace, metadata: { name: gauntlet-lines } }";

fn kubeconfig() -> PathBuf {
    PathBuf::from(
        env::var_os("GAUNTLET_KUBE_TESTS").expect("GAUNTLET_KUBE_TESTS names the kubeconfig of a cluster"),
    )
}

/// A pod whose processes are signalled and seen.
struct Tree {
    pods: Api<Pod>,
    lines: Lines,
    node: String,
}

impl Tree {
    async fn planted(client: &Client) -> Self {
        let image = env::var("GAUNTLET_KUBE_TEST_IMAGE").unwrap_or_else(|_| "busybox:1.36".into());
        let manifest = format!("{NAMESPACE}\n---{}", POD.replace("IMAGE", &image));
        let applier =
            Applier::new(client.clone(), Duration::from_secs(30)).label("gauntlet.io/test", "lines");
        let applied = applier.apply(documents("the test's pod", &manifest).unwrap()).await.unwrap();
        assert_eq!(applied.len(), 2);
        let pods: Api<Pod> = Api::namespaced(client.clone(), "gauntlet-lines");
        let running = await_condition(pods.clone(), "tree", is_pod_running());
        let pod = tokio::time::timeout(Duration::from_secs(60), running).await.unwrap().unwrap().unwrap();
        assert_eq!(pod.metadata.labels.unwrap()["gauntlet.io/test"], "lines");
        let node = pod.spec.unwrap().node_name.unwrap();
        Self { pods, lines: Lines::new(client.clone()), node }
    }

    async fn container(&self) -> String {
        let status = self.pods.get("tree").await.unwrap().status.unwrap();
        let id = status.container_statuses.unwrap().remove(0).container_id.unwrap();
        id.split_once("://").unwrap().1.to_owned()
    }

    async fn see(&self, id: &str) -> eye::Container {
        let question = eye::Question { containers: BTreeSet::from([id.to_owned()]) };
        self.lines.ask(&self.node, &question).await.unwrap().containers.remove(id).unwrap()
    }

    async fn tell(&self, id: &str, signal: Signal) -> usize {
        let question = agent::Question { container: id.to_owned(), signal };
        self.lines.ask(&self.node, &question).await.unwrap().signalled
    }

    async fn until(&self, id: &str, what: &str, is: impl Fn(&eye::Container) -> bool) -> eye::Container {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let seen = self.see(id).await;
            if is(&seen) {
                return seen;
            }
            assert!(Instant::now() < end, "not seen: {what}; last: {seen:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
#[ignore = "needs a cluster: make test-kube"]
async fn the_eye_sees_what_the_agent_did() {
    let kubeconfig = kubeconfig();
    let client = connect(Some(&kubeconfig), None).await.unwrap();
    let tree = Tree::planted(&client).await;
    let id = tree.container().await;
    let whole =
        tree.until(&id, "a running tree", |seen| seen.state == State::Running && seen.processes >= 4).await;
    assert!(whole.resident_bytes > 0 && whole.root.is_some(), "{whole:?}");

    // The shell and its three sleeps.
    assert!(tree.tell(&id, Signal::Pause).await >= 4);
    tree.until(&id, "paused", |seen| seen.state == State::Paused).await;
    // Probes execute into it meanwhile, and do not wake it.
    for _ in 0..30 {
        let seen = tree.see(&id).await;
        assert_eq!((seen.state, seen.root), (State::Paused, whole.root), "{seen:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(tree.tell(&id, Signal::Resume).await >= 4);
    tree.until(&id, "running again", |seen| seen.state == State::Running).await;

    // The first process is first, so that none sees its children die; the kernel may end the others before the agent does.
    assert!(tree.tell(&id, Signal::Kill).await >= 1);
    tree.until(&id, "absent", |seen| seen.state == State::Absent).await;
    assert_eq!(tree.tell(&id, Signal::Kill).await, 0, "nobody is left to signal");
    let end = Instant::now() + Duration::from_secs(30);
    while tree.container().await == id {
        assert!(Instant::now() < end, "the kubelet did not start it again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let again = tree.container().await;
    tree.until(&again, "its successor", |seen| seen.state == State::Running).await;

    broken_lines_are_opened_again(&client, &tree, &again).await;
    let took = Instant::now();
    for _ in 0..20 {
        tree.see(&again).await;
    }
    println!("one look: {:?}", took.elapsed() / 20);
    let applier = Applier::new(client.clone(), Duration::from_secs(60));
    applier.delete(documents("the namespace", NAMESPACE).unwrap()).await.unwrap();
}

async fn broken_lines_are_opened_again(client: &Client, tree: &Tree, id: &str) {
    let mut line = Line::open(client, &tree.node, Part::Eye).await.unwrap();
    let question = eye::Question { containers: BTreeSet::from(["no id".to_owned()]) };
    let refused = line.ask(&question).await.unwrap_err().to_string();
    assert!(refused.contains("\"no id\" is no container's id"), "{refused}");
    assert!(line.usable(), "a question that is refused leaves the line whole");
    // The agents' pod of that node goes; its successor answers.
    let agents: Api<Pod> = Api::namespaced(client.clone(), gauntlet_kube::cluster::tools::NAMESPACE);
    let of_node = ListParams::default()
        .labels(gauntlet_kube::cluster::tools::AGENT)
        .fields(&format!("spec.nodeName={}", tree.node));
    let pod = agents.list(&of_node).await.unwrap().items.remove(0).metadata.name.unwrap();
    agents.delete(&pod, &DeleteParams::default()).await.unwrap();
    let end = Instant::now() + Duration::from_secs(30);
    while line.usable() {
        assert!(Instant::now() < end, "the line outlived its far end");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let told = line.ask(&eye::Question { containers: BTreeSet::new() }).await.unwrap_err().to_string();
    assert!(
        told.starts_with(&format!("line to the eye of node {} failed: it is closed", tree.node)),
        "{told}"
    );
    println!("a broken line says: {told}");
    let question = eye::Question { containers: BTreeSet::from([id.to_owned()]) };
    while let Err(error) = tree.lines.ask(&tree.node, &question).await {
        println!("meanwhile: {error}");
        assert!(Instant::now() < end, "no agent came back: {error}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
#[ignore = "needs a cluster: make test-kube"]
async fn a_node_without_an_agent_is_told() {
    let kubeconfig = kubeconfig();
    let client = connect(Some(&kubeconfig), None).await.unwrap();
    let error = Line::open(&client, "nowhere", Part::Agent).await.unwrap_err().to_string();
    assert!(error.ends_with("no agent on node nowhere: run `gauntlet cluster install`"), "{error}");
}
