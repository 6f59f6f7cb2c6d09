//! Namespaces that outlived their run: nobody holds them, and their time is over.

use std::collections::BTreeSet;

use gauntlet_core::port::Trouble;
use k8s_openapi::{
    api::{coordination::v1::Lease, core::v1::Namespace},
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams},
};

use crate::{
    api::patience::{ask, ask_gone},
    run::site::{EXPIRES, RUN_LABEL, TOOLS},
};

/// Removes them; answers their names.
pub async fn remove(client: &Client) -> Result<Vec<String>, Trouble> {
    let (namespaces, leases): (Api<Namespace>, Api<Lease>) =
        (Api::all(client.clone()), Api::namespaced(client.clone(), TOOLS));
    let of_runs = ListParams::default().labels(RUN_LABEL);
    let held = ask("list the leases", || leases.list(&of_runs)).await?;
    let held: BTreeSet<String> =
        held.items.into_iter().filter_map(|lease| run(lease.metadata.labels)).collect();
    let found = ask("list the namespaces of runs", || namespaces.list(&of_runs)).await?;
    let now = Timestamp::now();
    let mut removed = vec![];
    for namespace in found.items {
        let Some(name) = namespace.metadata.name.clone() else { continue };
        let held = run(namespace.metadata.labels.clone()).is_none_or(|run| held.contains(&run));
        if held || namespace.metadata.deletion_timestamp.is_some() || !is_over(&namespace, now) {
            continue;
        }
        let orderly = DeleteParams::default();
        ask_gone(format!("remove namespace {name}"), || namespaces.delete(&name, &orderly)).await?;
        removed.push(name);
    }
    Ok(removed)
}

fn run(labels: Option<std::collections::BTreeMap<String, String>>) -> Option<String> {
    labels?.remove(RUN_LABEL)
}

// One that does not say when it ends was not made by a run.
fn is_over(namespace: &Namespace, now: Timestamp) -> bool {
    let until = namespace.metadata.annotations.as_ref().and_then(|notes| notes.get(EXPIRES));
    until.and_then(|until| until.parse::<Timestamp>().ok()).is_some_and(|until| until < now)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;
    use serde_json::json;

    use super::{Namespace, is_over};

    #[test]
    fn only_a_time_that_is_said_can_be_over() {
        let namespace = |notes| -> Namespace {
            serde_json::from_value(json!({ "metadata": { "annotations": notes } })).unwrap()
        };
        let now: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        assert!(is_over(&namespace(json!({ "gauntlet.dev/expires": "2026-01-01T23:59:59Z" })), now));
        assert!(!is_over(&namespace(json!({ "gauntlet.dev/expires": "2026-01-02T00:00:01Z" })), now));
        assert!(!is_over(&namespace(json!({ "gauntlet.dev/expires": "soon" })), now));
        assert!(!is_over(&namespace(json!({})), now));
    }
}
