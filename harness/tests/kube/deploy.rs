//! A system that stays: deployed, deployed again, tested where it is, described, and removed.

use serde_json::Value;

use crate::{
    cluster::{here, kubeconfig, kubectl, left_of},
    stage::Stage,
};

const NAMESPACE: &str = "causal";
const FAULTY: &str = "
hypothesis: an attached run leaves everything running
system: SYSTEM
seed: 3
load:
  - behaviour: mixed
    arrivals: { constant: 60/s }
phases: { baseline: 3s, fault: 8s }
faults:
  - pause: service
    pick: [2]
    at: fault
    for: 2s
tolerates: { service: 1 of 3 }
generator: { lag: 2s, sent: 50% }
objectives:
  - errors < 50%
";

/// Names and identities of what must not change.
fn there() -> Vec<String> {
    let kinds = "pods,persistentvolumeclaims,services,deployments,statefulsets,secrets";
    let list: Value = serde_json::from_str(&kubectl(&["get", kinds, "-n", NAMESPACE, "-o", "json"])).unwrap();
    let items = list["items"].as_array().unwrap();
    let mut there: Vec<String> = items
        .iter()
        .map(|item| format!("{} {} {}", item["kind"], item["metadata"]["name"], item["metadata"]["uid"]))
        .collect();
    there.sort();
    there
}

/// The volumes that are bound to its claims.
fn volumes() -> Vec<String> {
    let path = "jsonpath={range .items[*]}persistentvolume/{.spec.volumeName}{\"\\n\"}{end}";
    kubectl(&["get", "persistentvolumeclaims", "-n", NAMESPACE, "-o", path])
        .lines()
        .map(str::to_owned)
        .collect()
}

/// Whatever happens, the next test finds no such namespace.
struct Gone;

impl Drop for Gone {
    fn drop(&mut self) {
        kubectl(&["delete", "namespace", NAMESPACE, "--ignore-not-found"]);
    }
}

#[test]
#[ignore = "needs a cluster: make test-kube"]
fn a_system_is_deployed_twice_tested_described_and_removed() {
    let stage = Stage::new();
    let (config, context) = (kubeconfig().display().to_string(), kubectl(&["config", "current-context"]));
    let at = ["--kubeconfig", config.as_str(), "--context", context.trim()];
    let _gone = Gone;
    let right = |words: &[&str]| {
        let ended = stage.gauntlet(&[words, &at].concat());
        assert_eq!(ended.code, 0, "{words:?}: {}", ended.text);
        ended.text
    };
    assert!(right(&["deploy"]).contains("secret drawn"));
    let before = there();
    assert!(right(&["deploy"]).contains("secret kept"));
    assert_eq!(there(), before, "a second deployment changes nothing");

    let attached = [here(), vec!["--namespace".to_owned(), NAMESPACE.to_owned()]].concat();
    let ended = stage.run(FAULTY, &attached);
    assert_eq!(ended.code, 0, "{}", ended.text);
    assert_eq!(there(), before, "an attached run leaves everything as it was");
    assert_eq!(left_of(&stage), Vec::<String>::new());

    let into = stage.dir().join("diagnostics");
    right(&["diagnose", "--namespace", NAMESPACE, "--into", &into.display().to_string()]);
    let logs = std::fs::read_dir(into.join("logs")).unwrap().count();
    assert!(logs >= 6, "{logs} logs of six pods");

    let volumes = volumes();
    assert!(!volumes.is_empty());
    let refused = stage.gauntlet(&[&["undeploy", "--namespace", NAMESPACE][..], &at].concat());
    assert_eq!(refused.code, 2, "{}", refused.text);
    right(&["undeploy", "--namespace", NAMESPACE, "--yes"]);
    let left = kubectl(&["get", "namespaces,persistentvolumes", "-o", "name"]);
    let left: Vec<&str> = left.lines().collect();
    let namespace = format!("namespace/{NAMESPACE}");
    let gone = |one: &String| !left.contains(&one.as_str());
    assert!([namespace].iter().chain(&volumes).all(gone), "{left:?}");
}
