//! An API server that is away for less than a lease fences nobody and spoils no verdict.

use std::{process::Command, thread::park_timeout, time::Duration};

use crate::{
    cluster::{here, kubectl, left},
    stage::Stage,
};

const SHORT: &str = "
hypothesis: an API server that is cut off and restarts spoils nothing
system: SYSTEM
seed: 5
load:
  - behaviour: mixed
    arrivals: { constant: 50/s }
phases: { warm-up: 2s, baseline: 40s, fault: 25s }
faults:
  - kill: service
    at: fault + 5s
tolerates: { service: 1 of 3 }
# What is shown here is no latency; a server that starts takes what processor there is.
generator: { lag: 500ms }
objectives:
  - errors < 0.5%
";

/// With the restart behind it nearly a lease, of which the harness may have used a third when it begins.
const CUT_OFF: Duration = Duration::from_secs(18);

/// Nobody but its own node reaches the API server, and nobody is told: packets are lost. Whatever happens, it ends.
struct Cut<'a> {
    node: &'a str,
    address: String,
}

impl<'a> Cut<'a> {
    fn begin(node: &'a str) -> Self {
        let path = "jsonpath={.status.addresses[?(@.type=='InternalIP')].address}";
        let cut = Self { node, address: kubectl(&["get", "node", node, "-o", path]) };
        assert!(cut.rule("-I"), "no packet filter in {node}");
        cut
    }

    fn rule(&self, what: &str) -> bool {
        let rule = ["-p", "tcp", "--dport", "6443", "!", "-s", &self.address, "-j", "DROP"];
        within(self.node, &[&["iptables", what, "INPUT"][..], &rule].concat())
    }
}

impl Drop for Cut<'_> {
    fn drop(&mut self) {
        self.rule("-D");
    }
}

/// On kind a node is a container of this machine, named like the node.
fn within(node: &str, words: &[&str]) -> bool {
    Command::new("docker").args(["exec", node]).args(words).status().unwrap().success()
}

#[test]
#[ignore = "needs a cluster: make test-kube"]
fn an_api_server_that_is_cut_off_and_then_restarts_in_mid_run_fences_nobody() {
    let label = "node-role.kubernetes.io/control-plane";
    let node = kubectl(&["get", "nodes", "-l", label, "-o", "jsonpath={.items[0].metadata.name}"]);
    let stage = Stage::new();
    let mut run = stage.start(SHORT, &here());
    stage.await_event("\"event\":\"phase\",\"name\":\"baseline\"");
    let cut = Cut::begin(&node);
    park_timeout(CUT_OFF);
    let killed = within(&node, &["pkill", "-KILL", "kube-apiserver"]);
    assert!(killed, "the API server of {node} could not be killed");
    drop(cut);
    let ended = stage.end(&mut run);
    assert_eq!(ended.code, 0, "{}", ended.text);
    assert_eq!(left(), Vec::<String>::new());
}
