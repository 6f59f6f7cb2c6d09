//! PostgreSQL and Redis as the reference system starts them.

use std::{path::PathBuf, sync::Arc};

use gauntlet::artefacts::ArtefactFolder;
use gauntlet_core::{
    act::{Act, Signal},
    proof::Query,
};
use serde_json::{Value, json};

use crate::{
    conformance::{Runs, runs_programs},
    ground::{Run, replica, system},
};

fn components() -> Value {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/system.yml"));
    let system: Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    system["components"].clone()
}

#[tokio::test]
async fn postgresql_killed_whole_keeps_what_it_acknowledged() {
    let mut all = components();
    let run = system(json!({ "database": all["database"].take() }), json!(["database-password"]));
    let run = Run::up(run, &PathBuf::from("/")).await;
    let at = replica("database", 1);
    let at_name = crate::ground::name("database");
    for must in &run.system.components[&at_name].must {
        assert_eq!(run.sql(&at, &must.sql).await, must.is);
    }
    run.sql(&at, "create table kept (x int); insert into kept values (7); select 'done'").await;
    for signal in [Signal::Kill, Signal::Interrupt] {
        let prepared = run.signal(&at, signal).await;
        run.await_reading(&Query::Process { at: at.clone() }, "absent").await;
        assert_eq!(run.ready(&at).await, "refused");
        run.apply(&prepared.back()[0]).await;
        let took = run.await_reading(&Query::Ready { at: at.clone() }, "ready").await;
        eprintln!("after {signal}: ready again after {took:?}");
        assert_eq!(run.sql(&at, "select x from kept").await, "7");
    }
    let paused = run.signal(&at, Signal::Pause).await;
    assert_eq!(run.process(&at).await, "paused");
    assert_eq!(run.ready(&at).await, "silent");
    run.apply(&paused.back()[0]).await;
    run.await_reading(&Query::Ready { at: at.clone() }, "ready").await;
    let begin = std::time::Instant::now();
    run.apply(&Act::Stop { at: at.clone() }).await;
    eprintln!("stopped after {:?}", begin.elapsed());
    assert_eq!(run.process(&at).await, "absent");
    let password = std::fs::read_to_string(run.layout.secrets()).unwrap();
    assert!(!run.logs().contains(password.split('"').nth(3).unwrap()));
}

#[tokio::test]
async fn programs_run_where_the_database_does() {
    let mut all = components();
    let run = system(json!({ "database": all["database"].take() }), json!(["database-password"]));
    let run = Run::up(run, &PathBuf::from("/")).await;
    let dir = tempfile::tempdir().unwrap();
    let artefacts = Arc::new(ArtefactFolder::of(dir.path()));
    let target = run.target.clone().keeping(artefacts.clone());
    let at = replica("database", 1);
    runs_programs(&Runs { target: &target, witness: &run.witness, artefacts: &*artefacts, at: at.clone() })
        .await;
    let left = std::fs::read_dir("/proc").unwrap().filter(|entry| {
        let process = entry.as_ref().unwrap().path();
        let read = std::fs::read_to_string(process.join("comm"));
        let here =
            std::fs::read_link(process.join("cwd")).is_ok_and(|dir| dir.starts_with(&run.layout.private));
        here && read.is_ok_and(|name| name.trim() == "psql")
    });
    assert_eq!(left.count(), 0, "what did not end in time was killed");
}

#[tokio::test]
async fn redis_answers_and_is_silent_when_frozen() {
    let mut all = components();
    let run = system(json!({ "cache": all["cache"].take() }), json!([]));
    let run = Run::up(run, &PathBuf::from("/")).await;
    let at = replica("cache", 1);
    let paused = run.signal(&at, Signal::Pause).await;
    assert_eq!(run.ready(&at).await, "silent");
    run.apply(&paused.back()[0]).await;
    assert_eq!(run.ready(&at).await, "ready");
    run.apply(&Act::Stop { at: at.clone() }).await;
    assert_eq!(run.ready(&at).await, "refused");
}
