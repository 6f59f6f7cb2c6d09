//! What can be done on a cluster.

use std::collections::BTreeSet;

use gauntlet_core::{act::Ability, port::Trouble};
use k8s_openapi::api::apps::v1::DaemonSet;
use kube::{Api, Client};

use crate::{api::patience::ask, run::site::TOOLS};

/// The most that can be done on any cluster.
pub fn most() -> BTreeSet<Ability> {
    use Ability::{Configure, Exec, Image, Kill, Objects, Pause, Probe, Scale, Start, Weigh};
    BTreeSet::from([Start, Kill, Pause, Configure, Image, Scale, Probe, Weigh, Exec, Objects])
}

/// What can be done on this cluster now: signals need an agent on every node; probes, sets and programs, which may destroy, a
/// namespace that goes with the run.
pub async fn now(client: Client, provisioned: bool) -> Result<BTreeSet<Ability>, Trouble> {
    let sets: Api<DaemonSet> = Api::namespaced(client, TOOLS);
    let agents = ask("find the agents", || sets.get_opt("agent")).await?;
    let ready = agents.and_then(|set| set.status).is_some_and(|status| {
        status.number_ready > 0 && status.number_ready == status.desired_number_scheduled
    });
    let mut can = BTreeSet::from([Ability::Start, Ability::Configure, Ability::Image, Ability::Scale]);
    // What a run did not make it does not remove.
    can.extend(
        provisioned.then_some([Ability::Weigh, Ability::Objects, Ability::Exec]).into_iter().flatten(),
    );
    if ready {
        can.extend([Ability::Kill, Ability::Pause]);
        can.extend(provisioned.then_some(Ability::Probe));
    }
    Ok(can)
}
