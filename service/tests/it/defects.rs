//! Each seeded defect does what its name says, and nothing else.

mod rates;
mod starts;
mod times;

use std::process::Command;

use crate::client::Reply;
use crate::world::{Replica, World, question};

const ATE: &str = "/api/v1/interventions/ate";
const EXPERIMENTS: &str = "/api/v1/experiments";
const BINARY: &str = env!("CARGO_BIN_EXE_causal-service-defects");

/// A ready replica with defects whose draws are fixed.
async fn with(world: &World, defect: &str) -> Replica {
    let replica = world.start_binary(BINARY, "one", &[("DEFECT", defect), ("DEFECT_SEED", "42")]);
    replica.is_ready().await;
    replica
}

async fn ask(replica: &Replica, samples: u64, seed: u64) -> Reply {
    replica.post(ATE, &question(samples, seed)).await
}

#[test]
fn a_misspelt_defect_stops_the_start_and_is_told_with_the_list() {
    for (defect, told) in
        [("eror:1%", "\"eror\" is no defect"), ("errors:1", "DEFECT: errors: \"1\" has no %")]
    {
        let done = Command::new(BINARY).env_clear().env("DEFECT", defect).output().expect("it runs");
        let err = String::from_utf8(done.stderr).expect("UTF-8");
        assert_eq!(done.status.code(), Some(2), "{err}");
        assert!(err.contains(told) && err.contains("errors:1%"), "{err}");
    }
}
