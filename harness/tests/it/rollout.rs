//! Rollouts of the local target, with real processes: what runs afterwards, what a stall leaves, and the way back.

use std::{path::Path, time::Duration};

use gauntlet_core::{
    act::{Act, Place, Revision, Signal, Unit},
    name::Name,
    port::{Target, Trouble, Witness},
    proof::Query,
};
use serde_json::{Value, json};

use crate::ground::{Run, replica, system};

fn web() -> Value {
    json!({
        "replicas": 2,
        "ports": ["http"],
        "ready_within": "4s",
        "settings": { "PORT": "{{ port.http }}" },
        "revisions": {
            "v2": { "settings": { "VERSION": "v2" } },
            "broken": { "settings": { "PORT": "none" } },
            "deaf": { "program": "sleep" },
        },
        "local": { "program": "sh", "args": ["-c", "exec python3 -m http.server $PORT --bind {{ host }}"] },
        "ready": { "http": { "port": "http", "path": "/" } },
    })
}

async fn up() -> Run {
    Run::up(system(json!({ "web": web() }), json!([])), Path::new("/")).await
}

fn web_name() -> Name {
    "web".parse().unwrap()
}

fn configure(run: &Run, revision: &str) -> Act {
    let found = run.system.components[&web_name()].revision(&revision.parse().unwrap());
    Act::Configure { unit: Unit::Component { component: web_name() }, revision: found.unwrap() }
}

async fn runs(run: &Run) -> String {
    run.witness.look(&Query::Revision { at: Place::component(&web_name()) }).await.unwrap().0
}

#[tokio::test]
async fn every_replica_is_replaced_and_the_way_back_returns_them_all() {
    let run = up().await;
    assert_eq!(runs(&run).await, "original");
    let prepared = run.prepare(&configure(&run, "v2")).await.unwrap();
    assert_eq!(runs(&run).await, "original", "to prepare changes nothing");
    run.apply(&prepared.act).await;
    assert_eq!(runs(&run).await, "v2");
    for index in 1..=2 {
        assert_eq!(run.ready(&replica("web", index)).await, "ready");
    }
    let again = run.prepare(&prepared.act).await.unwrap();
    assert!(again.idle && again.back().is_empty(), "{again:?}");
    for _ in 0..2 {
        for undo in prepared.back() {
            run.apply(undo).await;
        }
        assert_eq!(runs(&run).await, "original");
    }
}

#[tokio::test]
async fn a_replica_that_does_not_come_up_stalls_and_the_others_serve() {
    let run = up().await;
    let prepared = run.prepare(&configure(&run, "broken")).await.unwrap();
    run.apply(&prepared.act).await;
    assert_eq!(run.ready(&replica("web", 1)).await, "refused");
    assert_eq!(run.ready(&replica("web", 2)).await, "ready");
    assert_eq!(runs(&run).await, "original at 1 of 2");
    run.apply(&prepared.back()[0]).await;
    assert_eq!(runs(&run).await, "original");
    assert_eq!(run.ready(&replica("web", 1)).await, "ready");
}

#[tokio::test]
async fn a_replica_that_is_killed_afterwards_comes_back_as_the_same_revision() {
    let run = up().await;
    run.apply(&configure(&run, "v2")).await;
    let killed = run.signal(&replica("web", 2), Signal::Kill).await;
    assert_eq!(runs(&run).await, "v2 at 1 of 2");
    run.apply(&killed.back()[0]).await;
    run.await_reading(&Query::Revision { at: Place::component(&web_name()) }, "v2").await;
}

#[tokio::test]
async fn another_process_takes_up_what_was_cut_short() {
    let run = up().await;
    let prepared = run.prepare(&configure(&run, "v2")).await.unwrap();
    // Who acts goes away in the middle; the thread that rolls is told by the act that comes after it.
    let cut = tokio::time::timeout(Duration::from_millis(700), run.target.apply(&prepared.act)).await;
    assert!(cut.is_err());
    run.apply(&prepared.back()[0]).await;
    run.await_reading(&Query::Revision { at: Place::component(&web_name()) }, "original").await;
    for index in 1..=2 {
        assert_eq!(run.ready(&replica("web", index)).await, "ready");
    }
}

#[tokio::test]
async fn what_cannot_be_rolled_out_here_is_refused_before_anything_is_touched() {
    let run = up().await;
    let refused = |told: Result<_, Trouble>| matches!(told, Err(Trouble::Refused { .. }));
    let unit = replica("web", 1).unit;
    assert!(refused(run.prepare(&Act::Configure { unit, revision: Revision::original() }).await));
    assert_eq!(runs(&run).await, "original");
}

#[tokio::test]
async fn with_the_ground_a_component_is_gone_and_nothing_is_started_on_it() {
    let run = up().await;
    run.apply(&configure(&run, "v2")).await;
    run.apply(&Act::Stop { at: Place::of(Unit::Ground) }).await;
    run.apply(&configure(&run, "original")).await;
    assert_eq!(run.process(&Place::component(&web_name())).await, "absent");
    assert_eq!(run.process(&Place::of(Unit::Ground)).await, "absent");
}
