//! On a real cluster: `make test-kube`, or `GAUNTLET_KUBE_TESTS=KUBECONFIG cargo nextest run --run-ignored all` for any
//! cluster with the tools (`gauntlet cluster install`) and the images. Ports 30080 to 30083 of 127.0.0.1 lead to its node ports.

#![cfg(test)]

mod attach;
mod canary;
mod causes;
mod cluster;
#[path = "../shared/conformance.rs"]
mod conformance;
mod connections;
mod deploy;
mod drill;
mod dry_run;
mod gate;
mod images;
mod ingress;
mod outage;
mod own;
mod parity;
mod rights;
mod sabotage;
mod sigkill;
#[path = "../it/stage.rs"]
#[expect(dead_code, reason = "what only runs on this machine leave is looked for elsewhere")]
mod stage;
mod target;
