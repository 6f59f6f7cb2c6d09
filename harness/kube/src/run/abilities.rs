//! What can be done on a cluster.

use std::collections::BTreeSet;

use gauntlet_core::{act::Ability, port::Trouble};
use k8s_openapi::api::{
    apps::v1::{DaemonSet, DaemonSetStatus},
    core::v1::Pod,
};
use kube::{Api, Client, api::ListParams};

use crate::{
    api::{patience::ask, wait::reasons},
    run::site::TOOLS,
};

const AGENT: &str = "agent";

/// The most that can be done on any cluster.
pub fn most() -> BTreeSet<Ability> {
    use Ability::{Configure, Exec, Image, Kill, Objects, Pause, Probe, Scale, Start, Weigh};
    BTreeSet::from([Start, Kill, Pause, Configure, Image, Scale, Probe, Weigh, Exec, Objects])
}

/// What can be done on this cluster now: signals need an agent on every node; probes, sets and programs, which may destroy, a
/// namespace that goes with the run. And why there are no signals, with the mend; none: there are.
pub async fn now(client: Client, provisioned: bool) -> Result<(BTreeSet<Ability>, Option<String>), Trouble> {
    let mut can = BTreeSet::from([Ability::Start, Ability::Configure, Ability::Image, Ability::Scale]);
    // What a run did not make it does not remove.
    can.extend(
        provisioned.then_some([Ability::Weigh, Ability::Objects, Ability::Exec]).into_iter().flatten(),
    );
    let why = without_agents(client).await?;
    if why.is_none() {
        can.extend([Ability::Kill, Ability::Pause]);
        can.extend(provisioned.then_some(Ability::Probe));
    }
    Ok((can, why))
}

async fn without_agents(client: Client) -> Result<Option<String>, Trouble> {
    let sets: Api<DaemonSet> = Api::namespaced(client.clone(), TOOLS);
    let agents = ask("find the agents", || sets.get_opt(AGENT)).await?;
    let Some(status) = agents.map(|set| set.status.unwrap_or_default()) else {
        return Ok(Some("the agents are not installed there: run `gauntlet cluster install`".to_owned()));
    };
    if status.number_ready > 0 && status.number_ready == status.desired_number_scheduled {
        return Ok(None);
    }
    let pods: Api<Pod> = Api::namespaced(client, TOOLS);
    let params = ListParams::default().labels(&format!("app.kubernetes.io/name={AGENT}"));
    let pods = ask("find the agents' pods", || pods.list(&params)).await?.items;
    Ok(Some(missing(&status, &pods)))
}

/// Which nodes have no agent that is ready, as far as their pods say it.
fn missing(status: &DaemonSetStatus, pods: &[Pod]) -> String {
    let unready = pods.iter().filter(|pod| !reasons(pod).is_empty()).map(|pod| {
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or("no node");
        let containers = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
        let mut waits = containers.filter_map(|one| one.state.as_ref()?.waiting.as_ref()?.reason.as_deref());
        waits.next().map_or_else(|| node.to_owned(), |why| format!("{node} ({why})"))
    });
    let unready: Vec<String> = unready.collect();
    let (ready, wanted) = (status.number_ready, status.desired_number_scheduled);
    let on = if unready.is_empty() { String::new() } else { format!(", not on {}", unready.join(", ")) };
    format!("the agents are ready on {ready} of {wanted} nodes{on}: wait, or run `gauntlet cluster install`")
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::{from_value, json};

    use super::{DaemonSetStatus, missing};

    #[test]
    fn a_node_without_an_agent_is_named_with_what_it_waits_for() {
        let status =
            DaemonSetStatus { number_ready: 1, desired_number_scheduled: 2, ..DaemonSetStatus::default() };
        let pod = |node: &str, ready: &str, state| -> Pod {
            let container = json!({ "name": "agent", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state });
            let status = json!({ "conditions": [{ "type": "Ready", "status": ready }], "containerStatuses": [container] });
            from_value(json!({ "spec": { "nodeName": node, "containers": [] }, "status": status })).unwrap()
        };
        let waits = json!({ "waiting": { "reason": "ErrImageNeverPull" } });
        let pods = [pod("one", "True", json!({ "running": {} })), pod("two", "False", waits)];
        assert_eq!(
            missing(&status, &pods),
            "the agents are ready on 1 of 2 nodes, not on two (ErrImageNeverPull): wait, or run `gauntlet cluster install`"
        );
        assert!(missing(&status, &[]).starts_with("the agents are ready on 1 of 2 nodes: "));
    }
}
