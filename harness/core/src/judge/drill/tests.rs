//! Each check, with evidence written down: met, missed, and when it can say nothing.

use std::collections::BTreeSet;

use super::Drills;
use crate::{
    act::Ability,
    evidence::{Class, Event, Evidence, Operation, Request, TroubleKind, What},
    judge::{Finding, Judge, State},
    kind::Stage,
    plan::{Known, Plan, plan},
    scenario, system,
};

fn planned() -> Plan {
    of("logical: store", "rpo < 5s, rto < 20s")
}

fn of(drill: &str, objectives: &str) -> Plan {
    let system = "format: 1\nname: x\ncomponents:\n  store: { ports: [sql], ready: { postgres: { port: sql, user: u, database: d } },\n    settings: { PGHOST: h, PGPORT: '1', PGUSER: u, PGDATABASE: d, PGDATA: data } }\n\
                  endpoint: { component: store, port: sql }\n\
                  behaviours: { put: { steps: [{ method: PUT, path: '/{{uuid}}', mark: { write: { key: '{{uuid}}', value: v } } }] } }\n\
                  audit: { path: '/{{key}}', found: { list: /items, value: /v } }\n";
    let lose = if drill.starts_with("refusals") { "" } else { "may-lose: [store]\n" };
    let text = format!(
        "hypothesis: h\nsystem: s.yml\nphases: {{ drill: 100s }}\ndrills: [{{ {drill}, at: drill + 10s, lose: 3 }}]\n\
         {lose}load: [{{ behaviour: put, arrivals: {{ constant: 10/s }} }}]\nobjectives: [{objectives}]\n"
    );
    let system = system::read(system).unwrap();
    let abilities = BTreeSet::from([Ability::Start, Ability::Exec, Ability::Files]);
    let known = Known::on(&system, "any", abilities);
    plan("x", &scenario::read(&text).unwrap(), &known).unwrap()
}

/// The backup from 10 to 12, the destruction from 16 to 17, the restore to 20; what was stopped runs again then.
fn events_of(plan: &Plan) -> Vec<Event> {
    let at = |second: u64, what| Event { at_us: 5_000_000 + second * 1_000_000, what };
    let mut all = vec![at(0, What::LoadBegan)];
    for (stage, step) in plan.drills[0].steps() {
        let (from, to) = match stage {
            Stage::Hold => (9, 10),
            Stage::Backup => (10, 12),
            Stage::Write => (12, 16),
            Stage::Destroy | Stage::Stop => (16, 17),
            Stage::Extend | Stage::Refuse | Stage::Restore => (17, 20),
        };
        all.push(at(from, What::Entering { step: step.id.clone(), acts: vec![] }));
        all.push(at(to, What::Entered { step: step.id.clone() }));
        all.push(at(20, What::Healed { step: step.id.clone() }));
    }
    all
}

fn events() -> Vec<Event> {
    events_of(&planned())
}

fn row(operation: Operation, second: u64, key: &str, class: Class, value: &str) -> Request {
    Request {
        intended_us: second * 1_000_000,
        sent_us: second * 1_000_000,
        done_us: second * 1_000_000 + 1_000,
        step: 0,
        arm: String::new(),
        status: 200,
        class,
        bytes: 1,
        operation,
        key: key.into(),
        value: value.into(),
    }
}

/// A write a second; those of these seconds are not found afterwards; none is acknowledged from 16 to 20.
fn rows(lost: std::ops::Range<u64>) -> Vec<Request> {
    let class = |second| if (16..=20).contains(&second) { Class::WrongStatus } else { Class::Ok };
    let key = |second: u64| format!("k{second}");
    let mut all: Vec<_> =
        (0..30).map(|second| row(Operation::Write, second, &key(second), class(second), "v")).collect();
    let found = |second: &u64| if lost.contains(second) || class(*second) != Class::Ok { "" } else { "v" };
    all.extend((0..30).map(|second| row(Operation::Audit, 90, &key(second), Class::Ok, found(&second))));
    all
}

fn findings(events: &[Event], rows: &[Request]) -> Vec<Finding> {
    findings_of(&planned(), events, rows)
}

fn findings_of(plan: &Plan, events: &[Event], rows: &[Request]) -> Vec<Finding> {
    let mut judge = Drills::new(plan);
    events.iter().for_each(|event| judge.see(Evidence::Event(event)));
    rows.iter().for_each(|row| judge.see(Evidence::Request(row)));
    judge.findings()
}

#[test]
fn what_came_after_the_backup_is_lost_and_nothing_else() {
    let all = findings(&events(), &rows(12..16));
    let states: Vec<_> = all.iter().map(|finding| (finding.state, finding.measured.as_str())).collect();
    assert_eq!(
        states,
        [
            (State::Met, "4 of 25 acknowledged writes lost"),
            (State::Met, "4.00 s (4 writes)"),
            (State::Met, "5.00 s")
        ],
        "{all:#?}"
    );
    assert!(
        all[2].detail.contains("full service after 4.00 s")
            || all[2].detail.contains("full service after 5.00 s"),
        "{}",
        all[2].detail
    );
}

/// Of the backup from 10 to 12, and of the ten seconds before it.
#[test]
fn what_users_have_of_the_backup_is_told_beside_what_they_had_before() {
    let mut rows = rows(12..16);
    rows.iter_mut()
        .filter(|row| (10..12).contains(&(row.sent_us / 1_000_000)))
        .for_each(|row| row.done_us += 7_000);
    let detail = findings(&events(), &rows)[0].detail.clone();
    let told = "while it was backed up: p95 8.0 ms, 0 of 2 requests failed; before: p95 1.0 ms, 0 of 10 requests failed";
    assert!(detail.contains(told), "{detail}");
    // A failure is infinitely slow.
    rows.iter_mut().filter(|row| row.key == "k11").for_each(|row| row.class = Class::WrongStatus);
    let detail = findings(&events(), &rows)[0].detail.clone();
    assert!(detail.contains("p95 among the failures, 1 of 2 requests failed"), "{detail}");
}

#[test]
fn full_service_is_not_back_while_an_objective_of_latency_would_be_missed() {
    let plan = of("logical: store", "rto < 20s, p95 < 200ms in drill");
    let slow = |second: u64| {
        let mut rows = rows(12..16);
        rows.iter_mut()
            .filter(|row| row.sent_us == second * 1_000_000)
            .for_each(|row| row.done_us += 300_000);
        let all = findings_of(&plan, &events_of(&plan), &rows);
        all.into_iter().find(|finding| finding.what == "rto < 20s").unwrap().detail
    };
    // The destruction begins in second 16.
    assert!(slow(23).contains("full service after 8.00 s"), "{}", slow(23));
    assert!(slow(9).contains("full service after 5.00 s"), "{}", slow(9));
}

#[test]
fn one_write_too_many_is_told_with_its_key() {
    let all = findings(&events(), &rows(9..16));
    assert_eq!(all[0].state, State::Missed);
    assert!(
        all[0].detail.contains("k9 was acknowledged 999.0 ms before the backup began"),
        "{}",
        all[0].detail
    );
}

#[test]
fn a_write_that_is_lost_after_the_restore_is_no_loss_of_the_drill() {
    let mut rows = rows(12..16);
    let late = rows.iter_mut().find(|row| row.operation == Operation::Audit && row.key == "k25");
    late.unwrap().value.clear();
    let all = findings(&events(), &rows);
    assert_eq!(all[0].state, State::Missed, "{all:#?}");
    assert!(all[0].detail.contains("k25 was acknowledged after the restore"), "{}", all[0].detail);
}

#[test]
fn data_that_were_never_gone_prove_no_restore() {
    let all = findings(&events(), &rows(13..16));
    assert_eq!(all[0].state, State::Invalid, "{all:#?}");
}

#[test]
fn without_a_right_answer_afterwards_nothing_is_restored() {
    let before: Vec<_> = rows(12..16)
        .into_iter()
        .filter(|row| row.sent_us < 20_000_000 || row.operation == Operation::Audit)
        .collect();
    let all = findings(&events(), &before);
    assert_eq!((all[0].state, all[2].state), (State::Missed, State::Missed), "{all:#?}");
}

#[test]
fn a_restore_that_failed_is_missed_and_one_that_never_came_is_no_evidence() {
    let short = &events()[..6];
    assert_eq!(findings(short, &rows(12..16))[0].state, State::Invalid);
    let step = planned().drills[0].step(Stage::Restore).map(|step| step.id.clone());
    let why = What::Trouble { kind: TroubleKind::Drill, step, why: "refused: a byte is wrong".into() };
    let failed: Vec<_> = short.iter().cloned().chain([Event { at_us: 30_000_000, what: why }]).collect();
    let all = findings(&failed, &rows(12..16));
    assert_eq!((all[0].state, all[1].state), (State::Missed, State::Unknown));
    assert!(all[0].detail.contains("a byte is wrong"));
}

#[test]
fn a_log_that_reaches_to_the_destruction_loses_nothing_before_it() {
    let plan = of("point-in-time: store", "rpo < 1s, rto < 20s");
    // Acknowledged at 16 and later it may be missing: the server was emptied, and went on for a while.
    let mut late = rows(0..0);
    let emptied = |row: &&mut Request| row.key == "k16";
    late.iter_mut().filter(emptied).for_each(|row| {
        row.class = Class::Ok;
        row.value = if row.operation == Operation::Audit { String::new() } else { "v".into() };
    });
    let all = findings_of(&plan, &events_of(&plan), &late);
    assert_eq!(all[0].state, State::Met, "{all:#?}");
    assert_eq!(all[1].measured, "0 us (1 write)", "{all:#?}");
    let early = findings_of(&plan, &events_of(&plan), &rows(14..16));
    assert_eq!(early[0].state, State::Missed);
    assert!(early[0].detail.contains("before the destruction began"), "{}", early[0].detail);
}

#[test]
fn what_is_read_while_tables_are_empty_is_no_loss_but_shows_that_they_were() {
    let plan = of("point-in-time: store", "rto < 20s");
    let seen = |second| {
        let read = row(Operation::Read, second, "k3", Class::WrongStatus, "");
        rows(0..0).into_iter().chain([Request { status: 404, ..read }]).collect::<Vec<_>>()
    };
    assert_eq!(findings_of(&plan, &events_of(&plan), &rows(0..0))[0].state, State::Invalid);
    assert_eq!(findings_of(&plan, &events_of(&plan), &seen(17))[0].state, State::Met);
    let after = findings_of(&plan, &events_of(&plan), &seen(25));
    assert_eq!(after[0].state, State::Missed, "{after:#?}");
}

#[test]
fn what_keeps_no_records_may_lose_none() {
    let plan = of("configuration: store", "rpo < 1ms, rto < 20s");
    let none = findings_of(&plan, &events_of(&plan), &rows(0..0));
    assert_eq!([none[0].state, none[1].state, none[2].state], [State::Met; 3], "{none:#?}");
    let one = findings_of(&plan, &events_of(&plan), &rows(15..16));
    assert_eq!(one[0].state, State::Missed, "{one:#?}");
}

#[test]
fn one_spoilt_backup_that_is_accepted_is_one_too_many() {
    let plan = of("refusals: store", "errors < 1%");
    let offered = |refused: Option<&str>| {
        let step = plan.drills[0].step(Stage::Refuse).unwrap().id.clone();
        let (what, expected) = ("dump, empty".into(), "empty".into());
        let what = What::Offered { step, what, expected, refused: refused.map(str::to_owned) };
        Event { at_us: 23_000_000, what }
    };
    let told = |more: Vec<Event>| {
        let all: Vec<_> = events_of(&plan).into_iter().chain(more).collect();
        findings_of(&plan, &all, &rows(0..0)).swap_remove(0)
    };
    assert_eq!(told(vec![]).state, State::Invalid);
    let right = told(vec![offered(Some("empty"))]);
    assert_eq!((right.state, right.measured.as_str()), (State::Met, "1 of 1 spoilt backup refused"));
    assert_eq!(told(vec![offered(Some("empty")), offered(None)]).state, State::Missed);
    let wrong = told(vec![offered(Some("foreign"))]);
    assert!(wrong.state == State::Missed && wrong.detail.contains("as foreign, not as empty"), "{wrong:?}");
}
