//! Conformance of the cluster's target: the same body as over this machine.

use std::{sync::Arc, time::Duration};

use gauntlet::artefacts::ArtefactFolder;
use gauntlet_core::{
    act::{Act, Place, Unit},
    name::Name,
    port::{Target, Witness},
    proof::Query,
    system::{self, System},
};
use gauntlet_kube::{KubeTarget, KubeWitness, Mode, Site, connect};
use tokio::time::{Instant, sleep};

use crate::{
    cluster::{kubeconfig, kubectl, left_of_run},
    conformance::{Runs, Subject, conforms, runs_programs},
    own::{Own, PORTS},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// The reference system without its ingress, whose Service holds the node port all the same: no other run may meanwhile.
fn without_ingress(own: &Own) -> System {
    let text = std::fs::read_to_string(own.system()).unwrap();
    let mut system = system::read(text).unwrap();
    system.components.shift_remove(&"ingress".parse::<Name>().unwrap());
    system
}

pub(crate) async fn awaits(witness: &dyn Witness, ask: Query, expected: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let last = witness.look(&ask).await.map_or_else(|trouble| trouble.to_string(), |reading| reading.0);
        if last == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{ask}: wanted {expected}, last saw {last}");
        sleep(Duration::from_millis(200)).await;
    }
}

/// Starts every component but sets, one after the other, each when the one before is ready.
pub(crate) async fn all_up(target: &dyn Target, witness: &dyn Witness, system: &System) {
    for (component, spec) in system.components.iter().filter(|(_, spec)| spec.set.is_none()) {
        for index in 1..=spec.replicas {
            target.apply(&Act::Start { unit: Place::replica(component, index).unit }).await.unwrap();
        }
        for index in 1..=spec.replicas {
            awaits(witness, Query::Ready { at: Place::replica(component, index) }, "ready").await;
        }
    }
}

/// Whatever happens, the next test finds no such namespace.
pub(crate) struct Gone(pub(crate) String);

impl Drop for Gone {
    fn drop(&mut self) {
        kubectl(&["delete", "namespace", &self.0, "--ignore-not-found"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test-kube"]
async fn a_cluster_does_what_every_target_does() {
    let own = Own::new(PORTS[2], &[], "");
    let run = format!("conformance-{}", std::process::id());
    let site = Arc::new(Site {
        namespace: format!("gauntlet-{run}"),
        run: run.clone(),
        kubeconfig: Some(kubeconfig()),
        context: None,
        mode: Mode::Provision { overlay: own.overlay() },
    });
    let _gone = Gone(site.namespace.clone());
    let client = connect(site.kubeconfig.as_deref(), None).await.unwrap();
    let system = Arc::new(without_ingress(&own));
    let witness = KubeWitness::new(client.clone(), system.clone(), site.clone());
    let kept = tempfile::tempdir().unwrap();
    let artefacts = Arc::new(ArtefactFolder::of(kept.path()));
    let target = KubeTarget::new(client, system.clone(), site).keeping(artefacts.clone());
    let ground = Place::of(Unit::Ground);
    let start = Act::Start { unit: Unit::Ground };
    let prepared = target.prepare(&start).await.unwrap();
    assert_eq!(prepared.back(), [Act::Stop { at: ground.clone() }]);
    target.apply(&start).await.unwrap();
    target.apply(&start).await.unwrap();
    all_up(&target, &witness, &system).await;
    let at = Place::replica(&"service".parse().unwrap(), 2);
    let revision = system.components[at.unit.component().unwrap()].revision(&"v2".parse().unwrap()).unwrap();
    conforms(&Subject { target: &target, witness: &witness, at, revision, patience: PATIENCE }).await;
    let database = Place::replica(&"database".parse().unwrap(), 1);
    awaits(&witness, Query::Sql { at: database, statement: "show fsync".into() }, "on").await;
    let at = Place::replica(&"database".parse().unwrap(), 1);
    runs_programs(&Runs { target: &target, witness: &witness, artefacts: &*artefacts, at }).await;
    for undo in prepared.back().iter().chain(prepared.back()) {
        target.apply(undo).await.unwrap();
    }
    awaits(&witness, Query::Process { at: ground }, "absent").await;
    assert_eq!(target.leftovers().await.unwrap(), []);
    assert_eq!(left_of_run(&run), Vec::<String>::new());
}
