//! Network policies as a table: what is allowed is open, everything else closed; and a policy that is wrong either way is told.

use std::fs;

use crate::{
    cluster::{here, left_of},
    own::{Own, PORTS},
    stage::{Ended, Stage, root},
};

const OPEN: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: whoever-wants }
spec:
  podSelector: { matchLabels: { app.kubernetes.io/component: database } }
  policyTypes: [Ingress]
  ingress: [{}]
";

const NO_SCRAPE: &str = "
patches:
  - target: { kind: NetworkPolicy, name: scrape }
    patch: '{ \"$patch\": delete, apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: { name: scrape } }'
";

fn run(system: &str) -> Ended {
    let text = fs::read_to_string(root().join("scenarios/kube/network-policies.yml")).unwrap();
    let text = text.replace("../../deploy/system.yml", system);
    let text = text.replace("{ warm-up: 3s, baseline: 10s }", "{ warm-up: 2s, baseline: 5s }");
    // No time is judged, and others may use the machine meanwhile.
    let text = text + "generator: { lag: 2s, sent: 50% }\n";
    let stage = Stage::new();
    let ended = stage.run(&text, &here());
    assert_eq!(left_of(&stage), Vec::<String>::new());
    ended
}

#[test]
#[ignore = "needs a cluster: make test-kube"]
fn the_policies_let_in_what_they_must_and_nothing_else() {
    let ended = run(root().join("deploy/system.yml").to_str().unwrap());
    assert_eq!(ended.code, 0, "{}", ended.text);
}

#[test]
#[ignore = "needs a cluster: make test-kube"]
fn a_policy_that_lets_in_too_much_or_too_little_fails_by_the_connections() {
    let own = Own::new(PORTS[3], &[("open.yml", OPEN)], NO_SCRAPE);
    let ended = run(own.system().to_str().unwrap());
    assert_eq!(ended.code, 1, "{}", ended.text);
    // However the terminal breaks its lines.
    let text = ended.text.split_whitespace().collect::<Vec<_>>().join(" ");
    for told in [
        // Who has a way out and none in: a neighbour.
        "open and must not be: database:sql (open)",
        "closed and must not be: ingress:metrics (silent), service:metrics (silent)",
    ] {
        assert!(text.contains(told), "no {told:?} in {}", ended.text);
    }
}
