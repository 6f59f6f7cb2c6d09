//! The cluster of these tests, looked at by a way that shares nothing with the harness: kubectl.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::stage::Stage;

/// The kubeconfig of the cluster.
pub(crate) fn kubeconfig() -> PathBuf {
    let named = std::env::var_os("GAUNTLET_KUBE_TESTS").filter(|value| !value.is_empty());
    PathBuf::from(named.expect("GAUNTLET_KUBE_TESTS names the kubeconfig of a cluster: see `make test-kube`"))
}

/// Asks kubectl; answers what it printed.
pub(crate) fn kubectl(args: &[&str]) -> String {
    let output = Command::new("kubectl").arg("--kubeconfig").arg(kubeconfig()).args(args).output().unwrap();
    assert!(output.status.success(), "kubectl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The arguments that send a command to this cluster.
pub(crate) fn here() -> Vec<String> {
    let kubeconfig = kubeconfig().display().to_string();
    ["--target", "kube", "--kubeconfig", &kubeconfig].map(str::to_owned).into()
}

/// Everything that a run leaves if anything does: its namespace, its volumes, its pods, its ledger and lease.
pub(crate) fn left() -> Vec<String> {
    found().into_iter().map(|(_, what)| what).collect()
}

/// The same of one run, whatever runs beside it.
pub(crate) fn left_of_run(run: &str) -> Vec<String> {
    left_of_runs(&[run.to_owned()])
}

/// The same of one test's runs.
pub(crate) fn left_of(stage: &Stage) -> Vec<String> {
    let scenarios = fs::read_dir(stage.dir().join("reports")).into_iter().flatten();
    let runs = scenarios.flat_map(|scenario| fs::read_dir(scenario.unwrap().path()).unwrap());
    let runs: Vec<String> = runs.map(|run| run.unwrap().file_name().into_string().unwrap()).collect();
    left_of_runs(&runs)
}

fn left_of_runs(runs: &[String]) -> Vec<String> {
    found().into_iter().filter(|(run, _)| runs.contains(run)).map(|(_, what)| what).collect()
}

// Whose it is, and what.
fn found() -> Vec<(String, String)> {
    let items = |args: &[&str]| -> Vec<Value> {
        let list: Value = serde_json::from_str(&kubectl(&[args, &["-o", "json"]].concat())).unwrap();
        list["items"].as_array().unwrap().clone()
    };
    let mut left = vec![];
    for (kind, args) in [
        ("namespace", vec!["get", "namespaces", "-l", "gauntlet.dev/run"]),
        ("ledger", vec!["get", "configmaps", "-n", "gauntlet-system", "-l", "gauntlet.dev/run"]),
        ("pod", vec!["get", "pods", "--all-namespaces", "-l", "gauntlet.dev/run"]),
        ("lease", vec!["get", "leases", "-n", "gauntlet-system", "-l", "gauntlet.dev/run"]),
    ] {
        left.extend(items(&args).iter().map(|item| {
            let run = item["metadata"]["labels"]["gauntlet.dev/run"].as_str().unwrap();
            (run.to_owned(), format!("{kind} {}", item["metadata"]["name"]))
        }));
    }
    let volumes = items(&["get", "persistentvolumes"]).into_iter();
    let claimed =
        volumes.filter_map(|volume| volume["spec"]["claimRef"]["namespace"].as_str().map(str::to_owned));
    left.extend(claimed.filter_map(|at| {
        let run = at.strip_prefix("gauntlet-")?.to_owned();
        Some((run, format!("volume of {at}")))
    }));
    left
}

/// All objects of the cluster and all processes of its nodes, by name; events come and go, and metrics lag.
pub(crate) fn everything() -> BTreeMap<String, usize> {
    let kinds = kubectl(&["api-resources", "--verbs=list", "-o", "name"]);
    let kinds = kinds.lines().filter(|kind| !kind.starts_with("events") && !kind.ends_with("metrics.k8s.io"));
    let kinds = kinds.collect::<Vec<_>>().join(",");
    let path = r#"jsonpath={range .items[*]}{.kind} {.metadata.namespace}/{.metadata.name}{"\n"}{end}"#;
    let objects = kubectl(&["get", &kinds, "--all-namespaces", "-o", path]);
    let mut all = BTreeMap::new();
    let processes = processes().into_iter().map(|(node, name, _)| format!("process {name} on {node}"));
    for what in objects.lines().map(str::to_owned).chain(processes) {
        *all.entry(what).or_default() += 1;
    }
    all
}

/// What is there that was not, or the other way round.
pub(crate) fn differs(before: &BTreeMap<String, usize>) -> Vec<String> {
    let now = everything();
    let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let of = |all: &BTreeMap<String, usize>, what: &String| all.get(what).copied().unwrap_or_default();
    let differ = names.into_iter().filter(|what| of(before, what) != of(&now, what));
    differ.map(|what| format!("{what}: {} before, {} now", of(before, what), of(&now, what))).collect()
}

/// Processes of all nodes that are frozen.
pub(crate) fn frozen() -> Vec<String> {
    let frozen = processes().into_iter().filter(|(_, _, state)| *state == 'T');
    frozen.map(|(node, name, _)| format!("{name} on {node} is frozen")).collect()
}

// Node, name, and state of every process. On kind a node is a container of this machine, named like the node.
fn processes() -> Vec<(String, String, char)> {
    let nodes = kubectl(&["get", "nodes", "-o", r#"jsonpath={range .items[*]}{.metadata.name}{"\n"}{end}"#]);
    let mut found = vec![];
    for node in nodes.lines() {
        let all = ["exec", node, "sh", "-c", "cat /proc/[0-9]*/stat 2>/dev/null; true"];
        let output = Command::new("docker").args(all).output().unwrap();
        assert!(output.status.success(), "{node}: {}", String::from_utf8_lossy(&output.stderr));
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let (before, after) = line.rsplit_once(") ").unwrap();
            let name = before.split_once('(').unwrap().1;
            found.push((node.to_owned(), name.to_owned(), after.chars().next().unwrap()));
        }
    }
    found
}

/// Waits until nothing is left.
pub(crate) fn until_nothing_is_left(within: Duration) {
    until_empty(within, left);
}

/// Waits until nothing is left of one test's runs.
pub(crate) fn until_nothing_is_left_of(stage: &Stage, within: Duration) {
    until_empty(within, || left_of(stage));
}

pub(crate) fn until_empty(within: Duration, left: impl Fn() -> Vec<String>) {
    let begin = Instant::now();
    loop {
        let left = left();
        if left.is_empty() {
            return;
        }
        assert!(begin.elapsed() < within, "after {within:?} there is still {left:#?}");
        std::thread::park_timeout(Duration::from_millis(500));
    }
}
