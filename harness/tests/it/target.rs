//! Conformance of the local target: what it does is what the witness sees, and nothing is left.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration};

use gauntlet::{
    layout::Layout,
    logs,
    record::{Ground, Record},
    target::local::{self, LocalTarget},
    witness::Sampler,
};
use gauntlet_core::{
    act::{Ability, Act, Object, Place, Program, Revision, Signal, Unit},
    evidence::{CPU_SECONDS, RESIDENT_BYTES},
    port::{Meter, Target, Trouble},
    proof::Query,
    system::{Shares, System},
};
use serde_json::{Value, json};

use crate::{
    conformance::{Subject, conforms},
    ground::{Run, replica, state, system},
};

// A server that answers, and a tree of processes that does nothing.
fn stand_ins() -> System {
    system(json!({ "web": web(1), "tree": tree() }), json!([]))
}

fn web(replicas: u16) -> Value {
    json!({
        "replicas": replicas,
        "ports": ["http"],
        "revisions": { "v2": { "settings": { "VERSION": "v2" } } },
        "local": { "program": "python3", "args": ["-m", "http.server", "{{ port.http }}", "--bind", "{{ host }}"] },
        "ready": { "http": { "port": "http", "path": "/" } },
    })
}

fn tree() -> Value {
    json!({
        "ports": ["none"],
        "local": { "program": "sh", "args": ["-c", "sleep 1000 & (sleep 1000; true) & wait"], "stop": { "within": "200ms" } },
        "ready": { "tcp": { "port": "none" } },
    })
}

fn start(at: &Place) -> Act {
    Act::Start { unit: at.unit.clone() }
}

fn ground() -> Place {
    Place::of(Unit::Ground)
}

#[tokio::test]
async fn this_machine_does_what_every_target_does() {
    let run = Run::up(system(json!({ "web": web(1) }), json!([])), Path::new("/")).await;
    let at = replica("web", 1);
    let patience = Duration::from_secs(20);
    let revision =
        run.system.components[at.unit.component().unwrap()].revision(&"v2".parse().unwrap()).unwrap();
    conforms(&Subject { target: &run.target, witness: &run.witness, at, revision, patience }).await;
}

async fn tree_up(run: &Run) -> Place {
    let at = replica("tree", 1);
    run.apply(&start(&ground())).await;
    run.apply(&start(&at)).await;
    run.await_reading(&Query::Process { at: at.clone() }, "running").await;
    at
}

#[tokio::test]
async fn a_replica_starts_answers_and_stops() {
    let run = Run::new(stand_ins(), Path::new("/"));
    let at = replica("web", 1);
    assert_eq!(run.process(&ground()).await, "absent");
    run.apply(&start(&ground())).await;
    assert_eq!(run.process(&at).await, "absent");
    assert_eq!(run.ready(&at).await, "refused");
    let prepared = run.prepare(&start(&at)).await.unwrap();
    run.apply(&prepared.act).await;
    run.await_reading(&Query::Ready { at: at.clone() }, "ready").await;
    assert_eq!(run.process(&at).await, "running");
    run.apply(&prepared.act).await;
    assert_eq!(run.prepare(&start(&at)).await.unwrap().back(), []);
    for _ in 0..2 {
        for undo in prepared.back() {
            run.apply(undo).await;
        }
        assert_eq!(run.process(&at).await, "absent");
        assert_eq!(run.ready(&at).await, "refused");
    }
}

#[tokio::test]
async fn a_pause_freezes_the_whole_tree_and_its_undo_thaws_it() {
    let run = Run::new(stand_ins(), Path::new("/"));
    let at = tree_up(&run).await;
    let prepared = run.signal(&at, Signal::Pause).await;
    assert_eq!(run.process(&at).await, "paused");
    run.apply(&prepared.act).await;
    for _ in 0..2 {
        for undo in prepared.back() {
            run.apply(undo).await;
        }
        assert_eq!(run.process(&at).await, "running");
    }
}

#[tokio::test]
async fn a_frozen_server_is_silent_and_ready_again_once_thawed() {
    let run = Run::up(system(json!({ "web": web(1) }), json!([])), Path::new("/")).await;
    let at = replica("web", 1);
    let prepared = run.signal(&at, Signal::Pause).await;
    assert_eq!(run.ready(&at).await, "silent");
    run.apply(&prepared.back()[0]).await;
    assert_eq!(run.ready(&at).await, "ready");
}

#[tokio::test]
async fn a_kill_takes_the_whole_tree_and_its_undo_starts_a_new_one() {
    let run = Run::new(stand_ins(), Path::new("/"));
    let at = tree_up(&run).await;
    let prepared = run.signal(&at, Signal::Kill).await;
    let Act::Signal { at: pinned, .. } = &prepared.act else { panic!() };
    assert!(pinned.object.is_some());
    assert_eq!(run.process(&at).await, "absent");
    for _ in 0..2 {
        for undo in prepared.back() {
            run.apply(undo).await;
        }
        assert_eq!(run.process(&at).await, "running");
        assert_eq!(run.process(pinned).await, "absent");
    }
}

#[tokio::test]
async fn an_act_that_is_pinned_never_touches_a_successor() {
    let run = Run::new(stand_ins(), Path::new("/"));
    let at = tree_up(&run).await;
    let killed = run.signal(&at, Signal::Kill).await;
    run.apply(&killed.back()[0]).await;
    let Act::Signal { at: pinned, .. } = killed.act else { panic!() };
    for signal in [Signal::Kill, Signal::Terminate, Signal::Interrupt, Signal::Pause] {
        run.apply(&Act::Signal { at: pinned.clone(), signal }).await;
    }
    run.apply(&Act::Stop { at: pinned.clone() }).await;
    assert_eq!(run.process(&at).await, "running");
    run.signal(&at, Signal::Pause).await;
    run.apply(&Act::Signal { at: pinned, signal: Signal::Resume }).await;
    assert_eq!(run.process(&at).await, "paused");
}

#[tokio::test]
async fn a_frozen_tree_can_be_stopped() {
    let run = Run::new(stand_ins(), Path::new("/"));
    let at = tree_up(&run).await;
    run.signal(&at, Signal::Pause).await;
    run.apply(&Act::Stop { at: at.clone() }).await;
    assert_eq!(run.process(&at).await, "absent");
}

#[tokio::test]
async fn what_does_not_run_cannot_be_signalled() {
    let run = Run::new(stand_ins(), Path::new("/"));
    run.apply(&start(&ground())).await;
    for (at, signal) in
        [(replica("web", 1), Signal::Kill), (replica("web", 2), Signal::Pause), (ground(), Signal::Kill)]
    {
        let told = run.prepare(&Act::Signal { at, signal }).await;
        assert!(matches!(told, Err(Trouble::Refused { .. })), "{told:?}");
    }
}

// Every process of the run and every file of its directory.
fn everything(run: &Run) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut files = BTreeSet::new();
    let mut dirs = vec![run.layout.private.clone()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let about = entry.metadata().unwrap();
            files.insert(format!(
                "{} {:?} {}",
                entry.path().display(),
                about.modified().unwrap(),
                about.len()
            ));
            if about.is_dir() {
                dirs.push(entry.path());
            }
        }
    }
    let marked = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let cwd = fs::read_link(entry.path().join("cwd")).ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let state = stat.rsplit_once(") ")?.1.chars().next()?;
        cwd.starts_with(&run.layout.private).then(|| format!("{} {}", entry.path().display(), state == 'T'))
    });
    (marked.collect(), files)
}

#[tokio::test]
async fn prepare_only_reads() {
    let run = Run::new(stand_ins(), Path::new("/"));
    let at = replica("tree", 1);
    let mut acts = vec![start(&ground()), start(&at), Act::Stop { at: at.clone() }];
    for signal in [Signal::Kill, Signal::Terminate, Signal::Interrupt, Signal::Pause, Signal::Resume] {
        acts.push(Act::Signal { at: at.clone(), signal });
    }
    let before = everything(&run);
    for act in &acts {
        let _ = run.prepare(act).await;
    }
    assert_eq!(everything(&run), before);
    tree_up(&run).await;
    // Until the whole tree is there: a shell in a shell, and what each of them started.
    while everything(&run).0.len() < 4 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let before = everything(&run);
    assert!(before.1.len() >= 3, "{before:?}");
    for act in &acts {
        run.prepare(act).await.unwrap();
    }
    assert_eq!(everything(&run), before);
}

#[tokio::test]
async fn its_abilities_are_what_its_acts_need() {
    let run = Run::new(stand_ins(), Path::new("/"));
    let at = replica("tree", 1);
    let signals = [Signal::Kill, Signal::Terminate, Signal::Interrupt, Signal::Pause, Signal::Resume];
    let signals = signals.map(|signal| Act::Signal { at: at.clone(), signal });
    let configure = Act::Configure { unit: at.unit.clone(), revision: Revision::original() };
    let scale = Act::Scale { unit: at.unit.clone(), replicas: 1 };
    let weigh = Act::Weigh { unit: at.unit.clone(), shares: Shares::default() };
    let program = Program { argv: vec![], stdin: None, stdout: None, stderr: None, within: Duration::ZERO };
    let exec = Act::Exec { at: at.clone(), program };
    let others = [&start(&at), &configure, &scale, &weigh, &exec];
    // Drills ask besides where configuration lies, rollouts what a revision may change, and a kill whether it lasts.
    let asked = [Ability::Files, Ability::Program, Ability::Away];
    let needed: BTreeSet<_> = signals.iter().chain(others).map(Act::needs).chain(asked).collect();
    assert_eq!(run.target.abilities().await.unwrap(), needed);
}

#[tokio::test]
async fn two_grounds_at_once_do_not_meet() {
    let one = Run::up(system(json!({ "web": web(1) }), json!([])), Path::new("/")).await;
    let other = Run::up(system(json!({ "web": web(1) }), json!([])), Path::new("/")).await;
    let at = replica("web", 1);
    one.apply(&Act::Stop { at: ground() }).await;
    assert_eq!(one.process(&ground()).await, "absent");
    assert_eq!(one.ready(&at).await, "refused");
    assert_eq!(other.ready(&at).await, "ready");
}

#[tokio::test]
async fn whoever_has_the_record_finds_and_removes_all_that_is_left() {
    let run = Run::up(system(json!({ "web": web(2) }), json!([])), Path::new("/")).await;
    run.signal(&replica("web", 2), Signal::Pause).await;
    // Nothing but the record is known to the one who heals.
    let record = Record::open(&state(), &run.name).unwrap();
    let Ground::Local(layout) = record.ground else { panic!("{:?}", record.ground) };
    let healer = LocalTarget::new(Arc::new(record.system), Arc::new(layout));
    let left = healer.leftovers().await.unwrap();
    assert_eq!(left, [Act::Stop { at: ground() }]);
    for act in left.iter().chain(&left) {
        healer.apply(act).await.unwrap();
    }
    assert_eq!(run.process(&ground()).await, "absent");
    assert_eq!(healer.leftovers().await.unwrap(), []);
}

#[tokio::test]
async fn processes_whose_directory_is_gone_are_still_left_over() {
    let run = Run::new(stand_ins(), Path::new("/"));
    tree_up(&run).await;
    fs::remove_dir_all(&run.layout.private).unwrap();
    assert_eq!(run.process(&ground()).await, "running");
    let left = run.target.leftovers().await.unwrap();
    run.apply(&left[0]).await;
    assert_eq!(run.process(&ground()).await, "absent");
}

#[tokio::test]
async fn a_directory_that_no_run_made_is_never_removed() {
    let run = Run::new(stand_ins(), Path::new("/"));
    fs::create_dir(&run.layout.private).unwrap();
    let precious = run.layout.private.join("precious");
    fs::write(&precious, "").unwrap();
    for act in [start(&ground()), Act::Stop { at: ground() }] {
        let told = run.target.apply(&act).await;
        assert!(matches!(told, Err(Trouble::Refused { .. })), "{told:?}");
    }
    assert!(precious.exists());
    fs::remove_file(precious).unwrap();
}

#[tokio::test]
async fn a_directory_whose_maker_died_in_the_middle_of_its_mark_is_removed() {
    let run = Run::new(stand_ins(), Path::new("/"));
    fs::create_dir(&run.layout.private).unwrap();
    fs::write(run.layout.private.join(".gauntlet-run.new"), "").unwrap();
    let left = run.target.leftovers().await.unwrap();
    run.apply(&left[0]).await;
    assert!(!run.layout.private.exists());
}

#[tokio::test]
async fn the_ground_is_closed_to_others() {
    let run = Run::new(system(json!({ "web": web(1) }), json!(["token"])), Path::new("/"));
    run.apply(&start(&ground())).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&run.layout.private), 0o711);
    assert_eq!(mode(&run.layout.private.join("logs")), 0o700);
    assert_eq!(mode(&run.layout.secrets()), 0o600);
    let drawn = fs::read(run.layout.secrets()).unwrap();
    run.apply(&start(&ground())).await;
    assert_eq!(fs::read(run.layout.secrets()).unwrap(), drawn);
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_named() {
    let run = Run::new(stand_ins(), Path::new("/"));
    let layout = Layout { private: "/proc/gauntlet-test".into(), ..(*run.layout).clone() };
    let target = LocalTarget::new(Arc::clone(&run.system), Arc::new(layout));
    let told = target.apply(&start(&ground())).await.unwrap_err().to_string();
    assert!(told.contains("/proc/gauntlet-test"), "{told}");
}

#[tokio::test]
async fn a_missing_program_is_named_with_its_package_before_anything_is_started() {
    let mut component = web(1);
    component["local"] =
        json!({ "program": "no-such-program", "package": "no-such-package", "before": [["no-such-tool"]] });
    let run = Run::new(system(json!({ "web": component }), json!([])), Path::new("/"));
    let missing = local::missing(&run.system, Path::new("/"));
    assert_eq!(
        missing.iter().map(|one| one.program.as_str()).collect::<Vec<_>>(),
        ["no-such-program", "no-such-tool"]
    );
    run.apply(&start(&ground())).await;
    let told = run.prepare(&start(&replica("web", 1))).await.unwrap_err().to_string();
    assert!(told.contains("no-such-program") && told.contains("no-such-package"), "{told}");
}

#[tokio::test]
async fn what_runs_before_the_first_start_runs_once_and_its_failure_is_told_without_secrets() {
    let mut component = tree();
    let script = "echo again >>times; echo password is {{ secret.token }}; test -e ../pass || exit 3";
    component["local"]["before"] = json!([["sh", "-c", script]]);
    let run = Run::new(system(json!({ "tree": component }), json!(["token"])), Path::new("/"));
    let at = replica("tree", 1);
    run.apply(&start(&ground())).await;
    let told = run.target.apply(&start(&at)).await.unwrap_err().to_string();
    assert!(told.contains("exit code 3") && told.contains("password is [secret:token]"), "{told}");
    assert_eq!(run.process(&at).await, "absent");
    fs::write(run.layout.private.join("pass"), "").unwrap();
    for _ in 0..2 {
        run.apply(&start(&at)).await;
        run.signal(&at, Signal::Kill).await;
    }
    let times = run.layout.dir(&run.layout.replicas[0]).join("times");
    assert_eq!(fs::read_to_string(times).unwrap(), "again\n");
}

#[tokio::test]
async fn an_unknown_variable_of_a_template_is_an_error_that_names_the_place() {
    let mut component = tree();
    component["settings"] = json!({ "URL": "{{ port.htpp }}" });
    let run = Run::new(system(json!({ "tree": component }), json!([])), Path::new("/"));
    run.apply(&start(&ground())).await;
    let told = run.target.apply(&start(&replica("tree", 1))).await.unwrap_err().to_string();
    assert!(told.contains("settings.URL") && told.contains("tree-1"), "{told}");
}

#[tokio::test]
async fn a_replica_sees_its_settings_and_nothing_of_the_harness_environment() {
    let mut component = tree();
    component["settings"] = json!({ "PORT": "{{ port.none }}", "REPLICA": "tree-{{ index }}" });
    component["local"]["args"] = json!(["-c", "env; pwd; exec sleep 1000"]);
    let run = Run::new(system(json!({ "tree": component }), json!([])), Path::new("/"));
    tree_up(&run).await;
    let log = run.layout.log(&run.layout.replicas[0]);
    let mut text = String::new();
    while !text.ends_with("tree-1\n") || text.lines().count() < 7 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        text = fs::read_to_string(&log).unwrap();
    }
    let names: BTreeSet<&str> = text.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    // The shell itself adds PWD and the like.
    let own = ["PWD", "OLDPWD", "SHLVL", "_"];
    let names: Vec<_> = names.into_iter().filter(|name| !own.contains(name)).collect();
    assert_eq!(names, ["HOME", "LANG", "PATH", "PORT", "REPLICA", "TZ"]);
    assert!(text.contains("REPLICA=tree-1\n"), "{text}");
}

#[tokio::test]
async fn secrets_are_in_no_record_and_in_no_copied_log() {
    let mut component = tree();
    component["local"]["args"] = json!(["-c", "echo token=$TOKEN; exec sleep 1000"]);
    component["settings"] = json!({ "TOKEN": "{{ secret.api_token }}" });
    let run = Run::new(system(json!({ "tree": component }), json!(["api-token"])), Path::new("/"));
    tree_up(&run).await;
    let secrets: Value = serde_json::from_slice(&fs::read(run.layout.secrets()).unwrap()).unwrap();
    let secret = secrets["api-token"].as_str().unwrap();
    assert!(secret.len() == 32 && secret.chars().all(|c| c.is_ascii_hexdigit()));
    while !run.logs().contains(secret) {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let into = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        logs::collect(&run.layout, into.path()).unwrap();
        assert_eq!(fs::read_to_string(into.path().join("tree-1.log")).unwrap(), "token=[secret:api-token]\n");
    }
    let record = fs::read_to_string(state().join(&run.name).join("run.json")).unwrap();
    assert!(record.contains("api-token") && !record.contains(secret));
}

#[tokio::test]
async fn the_sampler_reads_processes_and_counts_lives() {
    let run = Run::new(stand_ins(), Path::new("/"));
    let at = tree_up(&run).await;
    let mut sampler = Sampler::new(&run.system, Arc::clone(&run.layout), &Default::default());
    let (samples, troubles) = sampler.sample(7).await.unwrap();
    assert_eq!(troubles, Vec::<String>::new());
    let find = |series: &str| {
        samples.iter().find(|sample| sample.series == series && sample.component.as_str() == "tree")
    };
    let memory = find(RESIDENT_BYTES).unwrap();
    assert!(memory.value > 100_000.0 && memory.at_us == 7 && memory.life == 1 && memory.replica == 1);
    assert!(find(CPU_SECONDS).is_some());
    let killed = run.signal(&at, Signal::Kill).await;
    assert_eq!(sampler.sample(8).await.unwrap().0, []);
    run.apply(&killed.back()[0]).await;
    let (samples, _) = sampler.sample(9).await.unwrap();
    assert!(!samples.is_empty() && samples.iter().all(|sample| sample.life == 2));
}

#[tokio::test]
async fn an_object_of_another_kind_is_not_ours() {
    let run = Run::new(stand_ins(), Path::new("/"));
    let at = tree_up(&run).await;
    let foreign = at.pinned(Object("container 12".into()));
    run.apply(&Act::Signal { at: foreign.clone(), signal: Signal::Kill }).await;
    assert_eq!(run.process(&at).await, "running");
    let told = run.prepare(&Act::Signal { at: foreign, signal: Signal::Kill }).await;
    assert!(matches!(told, Err(Trouble::Refused { .. })));
}

fn daemon() -> Value {
    json!({
        "ports": ["none"],
        "local": { "program": "sh", "args": ["-c", "cd / && setsid sleep 1000 & sleep 0.2; cd /; exec sleep 1000"],
            "stop": { "within": "200ms" } },
        "ready": { "tcp": { "port": "none" } },
    })
}

#[tokio::test]
async fn a_component_that_leaves_its_directory_is_still_seen_frozen_and_ended() {
    let run = Run::new(system(json!({ "daemon": daemon() }), json!([])), Path::new("/"));
    let at = replica("daemon", 1);
    run.apply(&start(&ground())).await;
    run.apply(&start(&at)).await;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert_eq!(run.process(&at).await, "running");
    let prepared = run.signal(&at, Signal::Pause).await;
    assert_eq!(run.process(&at).await, "paused");
    run.apply(&prepared.back()[0]).await;
    run.apply(&Act::Stop { at: ground() }).await;
    assert_eq!(run.process(&ground()).await, "absent");
    assert_eq!(run.process(&at).await, "absent");
}
