//! An API server that is away for less than a lease fences nobody and spoils no verdict.

use std::{process::Command, thread::park_timeout, time::Duration};

use crate::{
    cluster::{here, kubectl, left},
    stage::Stage,
};

const SHORT: &str = "
hypothesis: an API server that hangs and restarts spoils nothing
system: SYSTEM
seed: 5
load:
  - behaviour: mixed
    arrivals: { constant: 50/s }
phases: { warm-up: 2s, baseline: 65s, fault: 25s }
faults:
  - kill: service
    at: fault + 5s
tolerates: { service: 1 of 3 }
# What is shown here is no latency; a server that starts takes what processor there is.
generator: { lag: 500ms }
objectives:
  - errors < 0.5%
";

/// Nearly a lease, of which the harness may have used a third when it begins.
const HANGS: Duration = Duration::from_secs(26);

#[test]
#[ignore = "needs a cluster: make test-kube"]
fn an_api_server_that_hangs_and_then_restarts_in_mid_run_fences_nobody() {
    let label = "node-role.kubernetes.io/control-plane";
    // On kind a node is a container of this machine, named like the node.
    let node = kubectl(&["get", "nodes", "-l", label, "-o", "jsonpath={.items[0].metadata.name}"]);
    let stage = Stage::new();
    let mut run = stage.start(SHORT, &here());
    stage.await_event("\"event\":\"phase\",\"name\":\"baseline\"");
    let signal = |name: &str| {
        let words = ["exec", &node, "pkill", name, "kube-apiserver"];
        let sent = Command::new("docker").args(words).status().unwrap();
        assert!(sent.success(), "the API server of {node} did not get {name}");
    };
    signal("-STOP");
    park_timeout(HANGS);
    signal("-CONT");
    // Until whoever lost a lease of their own meanwhile has it again.
    park_timeout(HANGS / 2);
    signal("-KILL");
    let ended = stage.end(&mut run);
    assert_eq!(ended.code, 0, "{}", ended.text);
    assert_eq!(left(), Vec::<String>::new());
}
