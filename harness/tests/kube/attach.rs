//! Attached runs: whose system they load, what they stand on, and what becomes of them when a node goes away.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use gauntlet_core::{
    act::Place,
    port::Witness,
    proof::Query,
    system::{self, System},
};
use gauntlet_kube::{KubeWitness, Mode, Site, connect};
use serde_json::Value;

use crate::{
    cluster::{here, kubeconfig, kubectl, left, left_of},
    stage::{Stage, root},
};

const QUIET: &str = "
hypothesis: it answers
system: SYSTEM
seed: 1
load:
  - behaviour: mixed
    arrivals: { constant: 60/s }
phases: { baseline: 3s }
generator: { lag: 2s, sent: 50% }
objectives:
  - errors < 50%
";

/// A system that stays; whatever happens, the next test finds no such namespace.
pub(crate) struct Deployed(&'static str);

impl Deployed {
    pub(crate) fn new(namespace: &'static str, system: &Path) -> Self {
        let (config, context) = (kubeconfig().display().to_string(), kubectl(&["config", "current-context"]));
        let at = ["--kubeconfig", &config, "--context", context.trim(), "--namespace", namespace];
        let words = [&["deploy", system.to_str().unwrap()][..], &at].concat();
        let deployed = Self(namespace);
        let ended = Stage::new().gauntlet(&words);
        assert_eq!(ended.code, 0, "{}", ended.text);
        deployed
    }
}

impl Drop for Deployed {
    fn drop(&mut self) {
        kubectl(&["delete", "namespace", self.0, "--ignore-not-found"]);
    }
}

pub(crate) fn attached(namespace: &str, more: &[&str]) -> Vec<String> {
    let more = ["--namespace", namespace].into_iter().chain(more.iter().copied()).map(str::to_owned);
    here().into_iter().chain(more).collect()
}

fn reference() -> std::path::PathBuf {
    root().join("deploy/system.yml")
}

fn on(system: &Path) -> String {
    QUIET.replace("SYSTEM", system.to_str().unwrap())
}

/// The reference system with another node port; its file still names that of the first.
fn second(dir: &Path) -> std::path::PathBuf {
    let overlay = dir.join("overlay");
    fs::create_dir(&overlay).unwrap();
    let up = "../".repeat(overlay.components().count() - 1);
    let base = root().join("deploy/overlays/kind");
    let base = format!("{up}{}", base.strip_prefix("/").unwrap().display());
    let port = r#"[{"op": "replace", "path": "/spec/ports/0/nodePort", "value": 30083}]"#;
    let patch = format!("patches: [{{ target: {{ kind: Service, name: ingress }}, patch: '{port}' }}]\n");
    fs::write(overlay.join("kustomization.yml"), format!("resources: [{base}]\n{patch}")).unwrap();
    let text = fs::read_to_string(reference()).unwrap();
    let data = root().join("service/oracle/questions.json").display().to_string();
    let text = text
        .replace("kind: overlays/kind, production: overlays/production", "other: overlay")
        .replace("namespaces: [causal]", "namespaces: [causal, causal-2]")
        .replace("../service/oracle/questions.json", &data);
    let file = dir.join("system.yml");
    fs::write(&file, text).unwrap();
    file
}

#[test]
#[ignore = "needs a cluster: make test-kube"]
fn a_run_names_what_it_stands_on_and_a_way_to_another_deployment_is_told_with_its_mend() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let other = second(dir.path());
    let _one = Deployed::new("causal", &reference());
    let _two = Deployed::new("causal-2", &other);
    let stage = Stage::new();
    let begun = Instant::now();
    let ended = stage.run(&on(&other), &attached("causal-2", &[]));
    assert_eq!(ended.code, 4, "{}", ended.text);
    for word in ["answered by causal/service-", "not a pod of causal-2", "127.0.0.1:30080", "--endpoint"] {
        assert!(ended.text.contains(word), "no {word:?} in {}", ended.text);
    }
    assert!(begun.elapsed() < Duration::from_secs(30), "it was waited for what no waiting mends");
    assert_eq!(left_of(&stage), Vec::<String>::new());
    let stage = Stage::new();
    let ended = stage.run(&on(&other), &attached("causal-2", &["--endpoint", "127.0.0.1:30083"]));
    assert_eq!(ended.code, 0, "{}", ended.text);
    names_images_nodes_and_versions();
    assert_eq!(left_of(&stage), Vec::<String>::new());
}

/// A run on `causal`, which is deployed.
fn names_images_nodes_and_versions() {
    let stage = Stage::new();
    let ended = stage.run(&on(&reference()), &attached("causal", &[]));
    assert_eq!(ended.code, 0, "{}", ended.text);
    let report = stage.report("report.json");
    let known: Value = serde_json::from_str(&report).unwrap();
    let known = known["provenance"].as_object().unwrap();
    // What kubectl says of the same pods.
    let path = r#"jsonpath={range .items[*].status.containerStatuses[*]}{.name} {.imageID}{"\n"}{end}"#;
    let ids = kubectl(&["get", "pods", "-n", "causal", "-o", path]);
    for (container, id) in ids.lines().filter_map(|line| line.split_once(' ')) {
        let image = known[&format!("image/{container}")].as_str().unwrap();
        assert!(id.contains("sha256:") && image.ends_with(id), "{container}: {id} is not in {image}");
    }
    assert!(known.contains_key("image/ingress/members"));
    let nodes = known.keys().filter(|key| key.starts_with("node/")).count();
    assert!(nodes > 0 && known["kubernetes/version"].as_str().unwrap().starts_with('v'), "{known:?}");
    assert!(!known.keys().any(|key| key.ends_with("at the end")), "{known:?}");
    assert!(stage.report("report.html").contains("image/service"));
    // Again, from the journal alone.
    fs::remove_file(stage.run_dir().join("report.json")).unwrap();
    let replayed = stage.gauntlet(&["replay", "--report", stage.run_dir().to_str().unwrap()]);
    assert_eq!((replayed.code, stage.report("report.json")), (0, report));
    assert_eq!(left_of(&stage), Vec::<String>::new());
}

/// A node's kubelet, stopped; it runs again whatever happens.
struct Stopped(String);

impl Stopped {
    fn new(node: &str) -> Self {
        systemctl(node, "stop");
        Self(node.to_owned())
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        systemctl(&self.0, "start");
        await_ready(&self.0, "True");
    }
}

// On kind a node is a container of this machine, named like the node.
fn systemctl(node: &str, word: &str) {
    let done = Command::new("docker").args(["exec", node, "systemctl", word, "kubelet"]).status().unwrap();
    assert!(done.success(), "systemctl {word} kubelet in {node}");
}

fn await_ready(node: &str, wanted: &str) {
    let path = "jsonpath={.status.conditions[?(@.type=='Ready')].status}";
    let deadline = Instant::now() + Duration::from_secs(120);
    while kubectl(&["get", "node", node, "-o", path]).trim() != wanted {
        assert!(Instant::now() < deadline, "{node} is not {wanted}");
        std::thread::park_timeout(Duration::from_secs(1));
    }
}

#[test]
#[ignore = "needs a cluster: make test-kube"]
fn a_node_that_goes_away_is_named_in_mid_run_and_in_the_set_up() {
    let _system = Deployed::new("causal", &reference());
    let path = "jsonpath={.items[0].spec.nodeName}";
    let node =
        kubectl(&["get", "pods", "-n", "causal", "-l", "app.kubernetes.io/component=service", "-o", path]);
    // A control plane notices within 50 s.
    let long = on(&reference()).replace("baseline: 3s", "baseline: 75s");
    let stage = Stage::new();
    let mut run = stage.start(&long, &attached("causal", &[]));
    stage.await_event("\"event\":\"phase\",\"name\":\"baseline\"");
    let _stopped = Stopped::new(&node);
    let ended = stage.end(&mut run);
    let why = format!("{node} is not ready since");
    assert_eq!(ended.code, 3, "{}", ended.text);
    assert!(stage.report("report.json").contains(&why), "no {why:?} in {}", ended.text);
    // Lines are broken for readers.
    let told = ended.text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("diagnostics are in"), "{}", ended.text);
    let kept = fs::read_to_string(stage.run_dir().join("diagnostics/summary.txt")).unwrap();
    assert!(kept.contains(&node), "no {node} in {kept}");

    await_ready(&node, "Unknown");
    let stage = Stage::new();
    let ended = stage.run(&on(&reference()), &attached("causal", &[]));
    assert_eq!(ended.code, 4, "{}", ended.text);
    for word in [&format!("node {why}"), "Kubelet stopped posting node status"] {
        assert!(ended.text.contains(word), "no {word:?} in {}", ended.text);
    }
    no_signals_without_the_agent_of(&node);
    assert_eq!(left(), Vec::<String>::new());
}

/// A plan whose fault needs every node's agent says which node has none, and starts nothing.
fn no_signals_without_the_agent_of(node: &str) {
    let mut words = vec!["plan".to_owned(), "scenarios/fault/replica-loss.yml".to_owned()];
    words.extend(here());
    let ended = Stage::new().gauntlet(&words.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(ended.code, 2, "{}", ended.text);
    for word in
        ["the target kube cannot", "the agents are ready on", &format!("not on {node}"), "cluster install"]
    {
        assert!(ended.text.contains(word), "no {word:?} in {}", ended.text);
    }
}

const CRASHING: &str = r#"
apiVersion: v1
kind: Pod
metadata: { name: web, namespace: gauntlet-crashing, labels: { app.kubernetes.io/component: web } }
spec:
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 0
  containers:
    - { name: web, image: IMAGE, imagePullPolicy: IfNotPresent, command: [sh, -c, "exit 3"] }
"#;

fn web() -> System {
    let text = "format: 1\nname: x\ncomponents:\n  web: { ports: [http], ready: { tcp: { port: http } } }\n\
                endpoint: { component: web, port: http }\n";
    system::read(text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test-kube"]
async fn a_container_that_the_kubelet_starts_later_waits_and_is_not_absent() {
    let namespace = "gauntlet-crashing";
    let image = std::env::var("GAUNTLET_KUBE_TEST_IMAGE")
        .expect("GAUNTLET_KUBE_TEST_IMAGE names an image with a shell");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pod.yml");
    fs::write(&file, CRASHING.replace("IMAGE", &image)).unwrap();
    kubectl(&["create", "namespace", namespace]);
    let _gone = Deployed(namespace);
    kubectl(&["apply", "-f", file.to_str().unwrap()]);
    let client = connect(Some(&kubeconfig()), None).await.unwrap();
    let site = Site {
        run: "crashing".into(),
        kubeconfig: Some(kubeconfig()),
        context: None,
        namespace: namespace.into(),
        mode: Mode::Attach,
    };
    let witness = KubeWitness::new(client, Arc::new(web()), Arc::new(site));
    let ask = Query::Process { at: Place::replica(&"web".parse().unwrap(), 1) };
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let last = witness.look(&ask).await.unwrap().0;
        if last.starts_with("waiting: CrashLoopBackOff: back-off ")
            && last.ends_with("s, after Error, code 3")
        {
            println!("{last}");
            return;
        }
        assert!(Instant::now() < deadline, "last saw {last}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
