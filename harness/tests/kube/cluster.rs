//! The cluster of these tests, looked at by a way that shares nothing with the harness: kubectl.

use std::{
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;

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

/// Everything that a run leaves if anything does: its namespace, its volumes, its ledger and lease, and processes of the
/// system on any node.
pub(crate) fn left() -> Vec<String> {
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
        left.extend(items(&args).iter().map(|item| format!("{kind} {}", item["metadata"]["name"])));
    }
    let volumes = items(&["get", "persistentvolumes"]).into_iter();
    let claimed =
        volumes.filter_map(|volume| volume["spec"]["claimRef"]["namespace"].as_str().map(str::to_owned));
    left.extend(
        claimed.filter(|namespace| namespace.starts_with("gauntlet-")).map(|at| format!("volume of {at}")),
    );
    left
}

/// Waits until nothing is left; answers how long that took.
pub(crate) fn until_nothing_is_left(within: Duration) -> Duration {
    let begin = Instant::now();
    loop {
        let left = left();
        if left.is_empty() {
            return begin.elapsed();
        }
        assert!(begin.elapsed() < within, "after {within:?} there is still {left:?}");
        std::thread::park_timeout(Duration::from_millis(500));
    }
}
