//! Every way out works: the run is killed at every call and healed from the stored data alone; every call fails in
//! turn; every undo is repeated.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use gauntlet::{
    run::{
        enter::{NotEntered, enter},
        heal::{heal, unwind},
        rollouts,
        stop::{Early, Stop},
        watch::take_over,
        world::{Tell, World},
    },
    target::fake::{FakeSystem, Fuse, world},
};
use gauntlet_core::{
    act::{Act, Place, Program, Revision, Signal, Unit},
    evidence::{TroubleKind, What},
    plan::RolloutPlan,
    port::{Ledger, Target},
    proof::{Expect, Proof, Query},
    step::{Begin, End, Step, StepId, Track},
    system::{Changes, Shares},
};

#[derive(Default)]
struct Heard(Mutex<Vec<What>>);

impl Tell for Heard {
    fn tell(&self, what: What) {
        self.0.lock().unwrap().push(what);
    }
}

fn replica(index: u16) -> Unit {
    Unit::Replica { component: "service".parse().unwrap(), index }
}

fn proof(ask: Query, is: &str) -> Proof {
    Proof { ask, expect: Expect::Is(is.into()), within: Duration::from_millis(80) }
}

fn process(unit: Unit, is: &str) -> Proof {
    proof(Query::Process { at: Place::of(unit) }, is)
}

fn step(id: &str, acts: Vec<Act>, effect: Vec<Proof>, gone: Vec<Proof>) -> Step {
    let end = End::Track;
    Step { id: StepId(id.into()), title: id.into(), begin: Begin::Then, acts, back: None, effect, gone, end }
}

fn v2() -> Revision {
    let settings = [("VERSION".to_owned(), "v2".to_owned())].into();
    Revision { name: "v2".parse().unwrap(), changes: Changes { settings, ..Changes::default() } }
}

fn component() -> Unit {
    Unit::Component { component: "service".parse().unwrap() }
}

fn runs(revision: &str) -> Proof {
    proof(Query::Revision { at: Place::of(component()) }, revision)
}

fn update() -> Step {
    let act = Act::Configure { unit: component(), revision: v2() };
    Step { end: End::Keep, ..step("update-1/1", vec![act], vec![runs("v2")], vec![runs("original")]) }
}

fn exec(word: &str) -> Act {
    let argv = vec![word.to_owned()];
    let program = Program { argv, stdin: None, stdout: None, stderr: None, within: Duration::from_secs(1) };
    Act::Exec { at: Place::of(replica(2)), program }
}

/// Programs whose way back nobody can read: the step says it.
fn wipe() -> Step {
    Step {
        back: Some(vec![exec("restore")]),
        ..step("wipe-1/1", vec![exec("wipe"), exec("again")], vec![], vec![])
    }
}

fn weigh() -> Step {
    let shares = Shares([("service-canary".parse().unwrap(), 500)].into());
    let split = |is: &str| proof(Query::Shares { at: Place::of(component()) }, is);
    let acts = vec![Act::Weigh { unit: component(), shares }];
    step("canary-1/2", acts, vec![split("service-canary 5%")], vec![split("no set")])
}

/// Ground, two replicas, a rollout of both, two programs, a split, a kill of one and a pause of the other: every kind of act that there is.
fn steps() -> Vec<Step> {
    let start = |unit: Unit| Act::Start { unit };
    let signal = |index, signal| Act::Signal { at: Place::of(replica(index)), signal };
    vec![
        step("set-up/1", vec![start(Unit::Ground)], vec![], vec![process(Unit::Ground, "absent")]),
        step(
            "set-up/2",
            vec![start(replica(1)), start(replica(2))],
            vec![process(replica(1), "running"), process(replica(2), "running")],
            vec![process(replica(1), "absent"), process(replica(2), "absent")],
        ),
        update(),
        wipe(),
        weigh(),
        step(
            "kill-1/1",
            vec![signal(1, Signal::Kill)],
            vec![process(replica(1), "absent")],
            vec![process(replica(1), "running")],
        ),
        step(
            "pause-2/1",
            vec![signal(2, Signal::Pause)],
            vec![process(replica(2), "paused")],
            vec![process(replica(2), "running")],
        ),
    ]
}

fn quiet(system: &Arc<FakeSystem>) -> World {
    world(system, Arc::new(Heard::default()))
}

async fn enter_all(world: World) -> bool {
    for step in steps() {
        if enter(&step, &world).await.is_err() {
            return false;
        }
    }
    true
}

/// How many changing calls an undisturbed run and its way out make.
async fn calls_of_a_whole_run() -> u64 {
    let system = Arc::new(FakeSystem::default());
    system.arm(u64::MAX, Fuse::Fails);
    assert!(enter_all(quiet(&system)).await);
    assert!(unwind(&quiet(&system), async || ()).await.is_empty());
    system.calls()
}

fn assert_nothing_left(system: &FakeSystem, at: u64, fuse: Fuse) {
    assert_eq!(system.shape(), Vec::<String>::new(), "left after {fuse:?} at call {at}");
    assert_eq!(system.stored(), 0, "receipts left after {fuse:?} at call {at}");
    assert_eq!(system.violations(), Vec::<String>::new(), "{fuse:?} at call {at}");
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_call_a_run_is_healed_from_the_stored_data_alone() {
    for fuse in [Fuse::Hangs, Fuse::HangsAfter] {
        for at in 1..=calls_of_a_whole_run().await {
            let system = Arc::new(FakeSystem::default());
            system.arm(at, fuse);
            let (run, own) = (quiet(&system), system.clone());
            let task = tokio::spawn(async move {
                enter_all(run.clone()).await;
                unwind(&run, async || ()).await;
            });
            while own.calls() < at && !task.is_finished() {
                tokio::task::yield_now().await;
            }
            tokio::task::yield_now().await;
            task.abort();
            let _ = task.await;
            system.disarm();
            system.fence().await.unwrap();
            let residue = unwind(&quiet(&system), async || ()).await;
            assert!(residue.is_empty(), "{fuse:?} at call {at}: {residue:?}");
            assert_nothing_left(&system, at, fuse);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whichever_call_fails_nothing_is_left_after_the_next_heal() {
    for fuse in [Fuse::Fails, Fuse::FailsAfter] {
        for at in 1..=calls_of_a_whole_run().await {
            let system = Arc::new(FakeSystem::default());
            system.arm(at, fuse);
            enter_all(quiet(&system)).await;
            unwind(&quiet(&system), async || ()).await;
            system.disarm();
            let residue = unwind(&quiet(&system), async || ()).await;
            assert!(residue.is_empty(), "{fuse:?} at call {at}: {residue:?}");
            assert_nothing_left(&system, at, fuse);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_undo_may_be_repeated() {
    let system = Arc::new(FakeSystem::default());
    let world = quiet(&system);
    assert!(enter_all(world.clone()).await);
    let receipts = world.ledger.open().await.unwrap();
    for receipt in receipts.iter().rev() {
        for act in &receipt.undo {
            system.apply(act).await.unwrap();
            let once = system.shape();
            system.apply(act).await.unwrap();
            assert_eq!(system.shape(), once, "{act} twice");
        }
    }
    assert_eq!(system.shape(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_fault_is_healed_while_the_system_goes_on() {
    let system = Arc::new(FakeSystem::default());
    let world = quiet(&system);
    assert!(enter_all(world.clone()).await);
    let faults: Vec<_> =
        world.ledger.open().await.unwrap().into_iter().filter(|r| !r.step.0.starts_with("set-up")).collect();
    assert!(heal(&faults, &world).await.is_empty());
    assert_eq!(system.shape(), ["ground Running", "service-1 Running", "service-2 Running"]);
    assert_eq!(system.stored(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_pinned_undo_never_touches_a_successor() {
    let system = Arc::new(FakeSystem::default());
    let world = quiet(&system);
    for step in steps().iter().take(2) {
        enter(step, &world).await.unwrap();
    }
    let pause = steps().remove(6);
    enter(&pause, &world).await.unwrap();
    let receipt = world.ledger.open().await.unwrap().pop().unwrap();
    // Somebody else replaces the frozen replica and freezes the new one for reasons of their own.
    system.apply(&Act::Stop { at: Place::of(replica(2)) }).await.unwrap();
    system.apply(&Act::Start { unit: replica(2) }).await.unwrap();
    system.apply(&Act::Signal { at: Place::of(replica(2)), signal: Signal::Pause }).await.unwrap();
    system.apply(&receipt.undo[0]).await.unwrap();
    assert!(system.shape().contains(&"service-2 Paused".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_can_read_a_way_back_of_is_taken_back_as_the_step_says_or_not_begun() {
    let system = Arc::new(FakeSystem::default());
    let world = quiet(&system);
    for step in steps().iter().take(2) {
        enter(step, &world).await.unwrap();
    }
    let without = Step { back: None, ..wipe() };
    let Err(NotEntered::Untouched(trouble)) = enter(&without, &world).await else { panic!("it was entered") };
    assert!(trouble.to_string().contains("the step does not say it"), "{trouble}");
    assert_eq!((system.stored(), system.programs(&replica(2))), (2, 0));
    enter(&wipe(), &world).await.unwrap();
    assert_eq!(system.programs(&replica(2)), 2);
    let receipt = world.ledger.open().await.unwrap().pop().unwrap();
    assert_eq!(receipt.undo, [exec("restore")], "once, however many acts it takes back");
    assert!(heal(std::slice::from_ref(&receipt), &world).await.is_empty());
    assert_eq!(system.programs(&replica(2)), 3);
    enter(&wipe(), &world).await.unwrap();
    assert!(unwind(&world, async || ()).await.is_empty());
    assert_eq!(system.programs(&replica(2)), 5, "nothing is restored in order to be removed");
    assert_eq!(system.violations(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn acting_before_the_receipt_is_stored_is_noticed() {
    let system = Arc::new(FakeSystem::default());
    system.apply(&Act::Start { unit: Unit::Ground }).await.unwrap();
    assert_eq!(system.violations(), ["start ground without a receipt"]);
}

#[tokio::test(start_paused = true)]
async fn an_effect_that_nobody_sees_is_an_error_and_stays_in_the_ledger() {
    let system = Arc::new(FakeSystem::default());
    let world = quiet(&system);
    enter(&steps()[0], &world).await.unwrap();
    let never =
        step("set-up/2", vec![Act::Start { unit: replica(1) }], vec![process(replica(2), "running")], vec![]);
    assert!(matches!(enter(&never, &world).await, Err(NotEntered::Effect { .. })));
    assert_eq!(system.stored(), 2);
    assert!(unwind(&world, async || ()).await.is_empty());
    assert_eq!(system.shape(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn prepare_reads_only() {
    let system = Arc::new(FakeSystem::default());
    let world = quiet(&system);
    assert!(enter_all(world).await);
    let before = system.shape();
    for act in steps().iter().flat_map(|step| &step.acts) {
        let _ = system.prepare(act).await;
    }
    assert_eq!(system.shape(), before);
}

#[tokio::test(start_paused = true)]
async fn once_fenced_the_old_holder_enters_nothing_more() {
    let system = Arc::new(FakeSystem::default());
    system.fence().await.unwrap();
    assert!(enter(&steps()[0], &quiet(&system)).await.is_err());
    assert_eq!(system.shape(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_fence_that_cannot_be_stored_does_not_stop_who_heals_a_dead_holder() {
    let system = Arc::new(FakeSystem::default());
    assert!(enter_all(quiet(&system)).await);
    system.arm(1, Fuse::Fails);
    assert!(take_over(&quiet(&system), async || true, async || ()).await.unwrap().is_empty());
    assert_nothing_left(&system, 1, Fuse::Fails);
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_is_neither_fenced_nor_dead_is_not_healed_behind_its_back() {
    let system = Arc::new(FakeSystem::default());
    assert!(enter_all(quiet(&system)).await);
    let before = system.shape();
    system.arm(1, Fuse::Fails);
    assert!(take_over(&quiet(&system), async || false, async || ()).await.is_err());
    assert_eq!(system.shape(), before);
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_cannot_be_read_does_not_keep_the_mark_from_being_cleared() {
    let system = Arc::new(FakeSystem::default());
    assert!(enter_all(quiet(&system)).await);
    system.tear_a_receipt();
    assert_eq!(unwind(&quiet(&system), async || ()).await, []);
    assert_eq!(system.shape(), Vec::<String>::new());
}

/// On a cluster, a server that was stopped for its restore would be waited for, and a program needs rights that only the run has.
#[tokio::test(start_paused = true)]
async fn what_ends_with_the_ground_is_neither_started_nor_run_before_that() {
    let (system, heard) = (Arc::new(FakeSystem::default()), Arc::new(Heard::default()));
    assert!(enter_all(quiet(&system)).await);
    let programs = system.programs(&replica(2));
    assert_eq!(unwind(&world(&system, heard.clone()), async || ()).await, []);
    assert_eq!(system.programs(&replica(2)), programs);
    let heard = heard.0.lock().unwrap();
    let healing = heard.iter().filter_map(|what| match what {
        What::Healing { step } => Some(step.0.as_str()),
        _ => None,
    });
    // What is frozen thaws, and the replicas are stopped while their logs can be read.
    assert_eq!(healing.collect::<Vec<_>>(), ["set-up/2", "pause-2/1"]);
}

/// What was told as left.
fn residue(heard: &Heard) -> Vec<What> {
    let heard = heard.0.lock().unwrap();
    let left = |what: &&What| matches!(what, What::Trouble { kind: TroubleKind::Residue, .. });
    heard.iter().filter(left).cloned().collect()
}

#[tokio::test(start_paused = true)]
async fn what_failed_at_first_and_is_gone_in_the_end_is_not_told_as_left() {
    for at in 1..=3 {
        let (system, heard) = (Arc::new(FakeSystem::default()), Arc::new(Heard::default()));
        assert!(enter_all(quiet(&system)).await);
        system.arm(at, Fuse::Fails);
        assert_eq!(unwind(&world(&system, heard.clone()), async || ()).await, []);
        assert_eq!(residue(&heard), []);
        assert_nothing_left(&system, at, Fuse::Fails);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_cannot_be_undone_is_told_with_its_step() {
    let (system, heard) = (Arc::new(FakeSystem::default()), Arc::new(Heard::default()));
    assert!(enter_all(quiet(&system)).await);
    let pause: Vec<_> =
        system.open().await.unwrap().into_iter().filter(|r| r.step.0 == "pause-2/1").collect();
    system.arm(1, Fuse::Fails);
    assert!(!heal(&pause, &world(&system, heard.clone())).await.is_empty());
    let told = residue(&heard);
    let named = |what: &What| matches!(what, What::Trouble { step: Some(step), .. } if step.0 == "pause-2/1");
    assert!(told.len() == 2 && told.iter().all(named), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_replica_that_has_ended() {
    let system = Arc::new(FakeSystem::default());
    let world = quiet(&system);
    enter(&steps()[0], &world).await.unwrap();
    let ask = Query::Ready { at: Place::of(replica(2)) };
    let ready = Proof { ask, expect: Expect::Is("ready".into()), within: Duration::from_secs(30) };
    let step = step("set-up/2", vec![Act::Start { unit: replica(1) }], vec![ready], vec![]);
    let from = tokio::time::Instant::now();
    let error = enter(&step, &world).await.unwrap_err();
    assert!(from.elapsed() < Duration::from_secs(3));
    assert!(gauntlet::run::faults::chain(&error).contains("it has ended"), "{error:?}");
}

/// The receipts of a run's steps, but for those of the set-up.
async fn beside_the_set_up(system: &Arc<FakeSystem>) -> Vec<gauntlet_core::receipt::Receipt> {
    let open = system.open().await.unwrap();
    open.into_iter().filter(|receipt| !receipt.step.0.starts_with("set-up")).collect()
}

/// Ground and two replicas.
async fn set_up(system: &Arc<FakeSystem>) {
    for step in steps().iter().take(2) {
        enter(step, &quiet(system)).await.unwrap();
    }
}

const ORIGINAL: [&str; 3] = ["ground Running", "service-1 Running", "service-2 Running"];

#[tokio::test(start_paused = true)]
async fn a_rollout_that_is_cut_short_at_any_call_is_taken_back_while_the_system_goes_on() {
    // The receipt, the revision itself, and each of two replicas.
    for at in 1..=4 {
        for fuse in [Fuse::Fails, Fuse::FailsAfter, Fuse::Hangs, Fuse::HangsAfter] {
            let system = Arc::new(FakeSystem::default());
            set_up(&system).await;
            system.arm(at, fuse);
            let world = quiet(&system);
            let entered = tokio::time::timeout(Duration::from_secs(5), enter(&update(), &world)).await;
            assert!(!matches!(entered, Ok(Ok(()))), "{fuse:?} at call {at}");
            system.disarm();
            let receipts = beside_the_set_up(&system).await;
            assert_eq!(heal(&receipts, &world).await, [], "{fuse:?} at call {at}");
            assert_eq!(system.shape(), ORIGINAL, "{fuse:?} at call {at}");
            assert_eq!((system.stored(), system.violations()), (2, vec![]), "{fuse:?} at call {at}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn taking_a_rollout_back_may_fail_at_any_call_and_is_taken_up_again() {
    // The revision itself, each of two replicas, and the receipt.
    for at in 1..=4 {
        for fuse in [Fuse::Fails, Fuse::FailsAfter] {
            let system = Arc::new(FakeSystem::default());
            set_up(&system).await;
            enter(&update(), &quiet(&system)).await.unwrap();
            assert_eq!(system.shape()[1..], ["service-1 Running v2", "service-2 Running v2"]);
            system.arm(at, fuse);
            let residue = heal(&beside_the_set_up(&system).await, &quiet(&system)).await;
            assert!(!residue.is_empty(), "{fuse:?} at call {at}");
            system.disarm();
            assert_eq!(heal(&beside_the_set_up(&system).await, &quiet(&system)).await, []);
            assert_eq!(system.shape(), ORIGINAL, "{fuse:?} at call {at}");
            assert_eq!((system.stored(), system.violations()), (2, vec![]), "{fuse:?} at call {at}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_is_killed_during_a_rollout_comes_back_as_what_is_rolled_out() {
    let system = Arc::new(FakeSystem::default());
    set_up(&system).await;
    enter(&update(), &quiet(&system)).await.unwrap();
    let kill = steps().into_iter().find(|step| step.id.0 == "kill-1/1").unwrap();
    enter(&kill, &quiet(&system)).await.unwrap();
    let killed: Vec<_> =
        system.open().await.unwrap().into_iter().filter(|receipt| receipt.step == kill.id).collect();
    assert_eq!(heal(&killed, &quiet(&system)).await, []);
    assert_eq!(system.shape()[1..], ["service-1 Running v2", "service-2 Running v2"]);
}

#[tokio::test(start_paused = true)]
async fn a_rollout_and_faults_on_its_replicas_are_undone_in_one_line() {
    let system = Arc::new(FakeSystem::default());
    assert!(enter_all(quiet(&system)).await);
    assert_eq!(heal(&beside_the_set_up(&system).await, &quiet(&system)).await, []);
    assert_eq!(system.shape(), ORIGINAL);
}

fn planned(step: Step) -> RolloutPlan {
    let word = |text: &str| text.parse().unwrap();
    let track = Track { name: word("update-1"), steps: vec![step] };
    RolloutPlan {
        kind: word("update"),
        title: "update service to v2".into(),
        component: word("service"),
        to: word("v2"),
        begins: Duration::ZERO,
        within: Duration::from_secs(1),
        allowed: Duration::from_secs(1),
        track,
        canary: None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_rollout_that_completes_is_kept_and_undone_at_the_runs_end() {
    let system = Arc::new(FakeSystem::default());
    set_up(&system).await;
    let (stop, now) = (Stop::default(), tokio::time::Instant::now());
    rollouts::track(planned(update()), now, quiet(&system), Default::default(), stop.clone()).await;
    assert_eq!(system.shape()[1..], ["service-1 Running v2", "service-2 Running v2"]);
    assert_eq!((system.stored(), stop.said()), (3, None));
    assert_eq!(unwind(&quiet(&system), async || ()).await, []);
    assert_nothing_left(&system, 0, Fuse::Fails);
}

#[tokio::test(start_paused = true)]
async fn a_rollout_that_does_not_complete_is_taken_back_at_once_and_the_run_goes_on() {
    let (system, heard) = (Arc::new(FakeSystem::default()), Arc::new(Heard::default()));
    set_up(&system).await;
    let never = Step { effect: vec![runs("v3")], ..update() };
    let (stop, now) = (Stop::default(), tokio::time::Instant::now());
    rollouts::track(planned(never), now, world(&system, heard.clone()), Default::default(), stop.clone())
        .await;
    assert_eq!(system.shape(), ORIGINAL);
    assert_eq!((system.stored(), stop.said()), (2, None));
    let told = heard.0.lock().unwrap();
    assert!(
        told.iter()
            .any(|what| matches!(what, What::Trouble { kind: TroubleKind::Rollout, step: Some(_), .. }))
    );
}

#[tokio::test(start_paused = true)]
async fn a_rollout_that_cannot_be_begun_ends_the_run_for_nothing_can_be_judged() {
    let (system, heard) = (Arc::new(FakeSystem::default()), Arc::new(Heard::default()));
    set_up(&system).await;
    system.arm(2, Fuse::Fails);
    let (stop, now) = (Stop::default(), tokio::time::Instant::now());
    rollouts::track(planned(update()), now, world(&system, heard.clone()), Default::default(), stop.clone())
        .await;
    assert_eq!(system.shape(), ORIGINAL);
    assert_eq!(stop.said(), Some(Early::Broken));
    let told = heard.0.lock().unwrap();
    assert!(told.iter().any(|what| matches!(what, What::Trouble { kind: TroubleKind::NoEffect, .. })));
}
