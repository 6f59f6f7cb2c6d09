//! A run that never was: a plan, its events, samples and requests, all drawn from one seed and written by the real
//! journal. It looks like the gate: one replica killed, another one frozen, some requests lost meanwhile.

use std::{collections::BTreeMap, path::Path, time::Duration};

use gauntlet::journal::{Journal, JournalError};
use gauntlet_core::{
    act::{Act, Object, Place, Signal, Unit},
    evidence::{
        Began, CPU_SECONDS, Class, Event, JOURNAL_FORMAT, LoadCounts, Operation, RESIDENT_BYTES, Request,
        Sample, Side, What,
    },
    name::Name,
    plan::{
        Arrivals, Comparison, FaultPlan, GeneratorLimits, LoadPlan, Measure, Objective, Phase, Plan,
        Replicas, Segment, StepPlan, Stream, load::BehaviourPlan,
    },
    proof::Reading,
    seed::{Draws, Seed},
    step::{Begin, End, Step, StepId, Track},
};
use serde_json::json;

/// The load begins so long after the run.
pub(crate) const ZERO_US: u64 = 6_400_000;
/// Arrivals a second.
pub(crate) const RATE: u64 = 110;

const KILL: (u64, u64) = (27_010_000, 28_350_000);
const PAUSE: (u64, u64) = (35_020_000, 43_100_000);

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// What a run recorded.
pub(crate) struct Run {
    pub(crate) events: Vec<Event>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) rows: Vec<Request>,
}

impl Run {
    /// A run of a scenario with this name, on a load that lasts 65 seconds.
    pub(crate) fn of(scenario: &str) -> Self {
        let plan = plan(scenario);
        Self { rows: rows(&plan), samples: samples(), events: events(plan) }
    }

    /// Writes it in portions, as a run would.
    pub(crate) fn write(&self, dir: &Path) -> Result<(), JournalError> {
        let journal = Journal::create(dir)?;
        let (first, rest) = self.events.split_first().unwrap();
        journal.event(first)?;
        for portion in self.rows.chunks(1_000) {
            journal.rows(portion.to_vec())?;
        }
        journal.samples(&self.samples)?;
        rest.iter().try_for_each(|event| journal.event(event))?;
        journal.close()
    }
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(crate) fn plan(scenario: &str) -> Plan {
    let phase = |phase: &str, begins, ends| Phase {
        name: name(phase),
        begins: seconds(begins),
        ends: seconds(ends),
        judged: phase != "warm-up",
    };
    let judged = || ["baseline", "fault", "recovery"].map(name).to_vec();
    let objective = |text: &str, measure, bound| Objective {
        text: text.into(),
        measure,
        comparison: if text.contains('<') { Comparison::Below } else { Comparison::Above },
        bound,
        phases: judged(),
        least: 40,
    };
    let service = || name("service");
    Plan {
        scenario: scenario.into(),
        hypothesis: "users keep their service level while one of three replicas dies and another freezes"
            .into(),
        system: name("causal"),
        target: "local".into(),
        seed: Seed(42),
        phases: vec![
            phase("warm-up", 0, 10),
            phase("baseline", 10, 25),
            phase("fault", 25, 50),
            phase("recovery", 50, 65),
        ],
        load: load(),
        set_up: Track { name: name("set-up"), steps: vec![start("ingress", 1), start("service", 2)] },
        faults: vec![fault("kill", 1, 27, 0), fault("pause", 2, 35, 8)],
        drills: vec![],
        rollouts: vec![],
        objectives: vec![
            objective("p95 < 200ms", Measure::Latency { quantile: 0.95, behaviour: None }, 200_000.0),
            objective("throughput > 100/s", Measure::Throughput, 100.0),
            objective("errors < 0.5%", Measure::Errors { behaviour: None }, 0.005),
            objective("recovery < 5s", Measure::Recovery, 5_000_000.0),
            objective("memory of service < 2GB", Measure::Memory { component: service() }, 2e9),
            objective("cpu of service < 70%", Measure::Cpu { component: service() }, 0.7),
        ],
        checks: ["no-lost-write", "no-duplicate", "right-answers"].map(name).to_vec(),
        replicas: BTreeMap::from([(service(), Replicas { count: 3, cores: 0.5, memory: 1 << 30 })]),
        metrics: BTreeMap::new(),
        musts: Vec::new(),
        connections: Vec::new(),
        generator: GeneratorLimits { lag_p99: Duration::from_millis(20), sent: 0.99 },
        needs: Default::default(),
        touches: Default::default(),
    }
}

fn load() -> LoadPlan {
    let behaviours = ["ask-again", "ask-afresh", "record", "look-up"];
    let request = |behaviour: &str| {
        let (method, path) = if behaviour == "look-up" { ("GET", "/experiments") } else { ("POST", "/ate") };
        serde_json::from_value(
            json!({ "method": method, "path": path, "expect": { "json": [{ "at": "/id" }] } }),
        )
        .unwrap()
    };
    let shares = [0.61, 0.09, 0.11, 0.19];
    LoadPlan {
        seed: Seed(42),
        lasts: seconds(65),
        streams: vec![Stream {
            mix: (0u16..).zip(shares).collect(),
            arrivals: Arrivals::Poisson,
            segments: vec![Segment { lasts: seconds(65), from: RATE as f64, to: RATE as f64 }],
        }],
        steps: behaviours.map(|of| StepPlan { behaviour: name(of), request: request(of) }).to_vec(),
        behaviours: (0u16..)
            .zip(behaviours)
            .map(|(first, of)| BehaviourPlan { name: name(of), first, count: 1 })
            .collect(),
        data: BTreeMap::new(),
        audit: None,
        arm_header: Some("x-replica".into()),
        in_flight: 2_000,
    }
}

fn unit(component: &str, index: u16) -> Unit {
    Unit::Replica { component: name(component), index }
}

fn start(component: &str, index: u16) -> Step {
    Step {
        id: StepId::new(&name("set-up"), usize::from(index)),
        title: format!("start {component}"),
        begin: Begin::Then,
        acts: vec![Act::Start { unit: unit(component, index) }],
        back: None,
        effect: Vec::new(),
        gone: Vec::new(),
        end: End::Track,
    }
}

fn fault(kind: &str, number: u16, begins: u64, lasts: u64) -> FaultPlan {
    let signal = if kind == "kill" { Signal::Kill } else { Signal::Pause };
    let track = name(&format!("{kind}-{number}"));
    let step = Step {
        id: StepId::new(&track, 1),
        title: format!("{kind} service-{number}"),
        begin: Begin::At(seconds(begins)),
        acts: vec![Act::Signal { at: Place::of(unit("service", number)), signal }],
        back: None,
        effect: Vec::new(),
        gone: Vec::new(),
        end: End::After(seconds(lasts)),
    };
    FaultPlan {
        kind: name(kind),
        title: format!("{kind} service-{number}"),
        begins: seconds(begins),
        lasts: seconds(lasts),
        track: Track { name: track, steps: vec![step] },
    }
}

fn events(plan: Plan) -> Vec<Event> {
    let steps = |track: &Track| {
        track.steps.iter().map(|step| (step.id.clone(), step.acts.clone())).collect::<Vec<_>>()
    };
    let (set_up, kill, pause) =
        (steps(&plan.set_up), steps(&plan.faults[0].track), steps(&plan.faults[1].track));
    let phases: Vec<(u64, Name)> =
        plan.phases.iter().map(|p| (p.begins.as_micros() as u64, p.name.clone())).collect();
    let began = Began {
        format: JOURNAL_FORMAT,
        run: "20260102-030405-abcd".into(),
        wall_clock: "2026-01-02T03:04:05Z".into(),
        version: "0.1.0".into(),
        command: ["gauntlet", "run", "scenarios/gate/benchmarks.yml", "--seed", "42"]
            .map(str::to_owned)
            .to_vec(),
        provenance: BTreeMap::from(
            [
                ("commit", "0123456789abcdef"),
                ("sha256 of the scenario", "feedface"),
                ("machine", "2 cores, 8 GB"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        ),
        plan,
    };
    let mut all = vec![(0, What::Began(Box::new(began)))];
    for (number, (step, acts)) in set_up.iter().enumerate() {
        let at = 400_000 + 2_500_000 * number as u64;
        all.push((at, What::Entering { step: step.clone(), acts: acts.clone() }));
        all.push((at + 300_000, What::Applied { step: step.clone() }));
        all.push((at + 2_400_000, What::Entered { step: step.clone() }));
    }
    let setting = |ask: &str| What::Setting {
        component: name("database"),
        ask: ask.into(),
        must: "on".into(),
        is: "on".into(),
    };
    all.push((6_100_000, setting("show fsync")));
    all.push((ZERO_US, What::LoadBegan));
    all.extend(phases.into_iter().map(|(at, name)| (ZERO_US + at, What::Phase { name })));
    fault_events(&mut all, &kill[0], KILL, "absent", "ready");
    fault_events(&mut all, &pause[0], PAUSE, "paused", "running");
    all.push((ZERO_US + 65_000_000, What::LoadEnded(counts())));
    for (number, (step, _)) in set_up.iter().rev().enumerate() {
        let at = ZERO_US + 66_000_000 + 500_000 * number as u64;
        all.push((at, What::Healing { step: step.clone() }));
        all.push((at + 400_000, What::Healed { step: step.clone() }));
    }
    all.push((ZERO_US + 67_200_000, What::Ended));
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(at_us, what)| Event { at_us, what }).collect()
}

fn fault_events(
    all: &mut Vec<(u64, What)>,
    (step, acts): &(StepId, Vec<Act>),
    span: (u64, u64),
    effect: &str,
    gone: &str,
) {
    let step = || step.clone();
    let acts = acts.iter().map(|act| match act {
        Act::Signal { at, signal } => {
            Act::Signal { at: at.pinned(Object("process 4711 started 81234".into())), signal: *signal }
        }
        act => act.clone(),
    });
    let proved = |side, reading: &str| What::Proved {
        step: step(),
        side,
        proof: format!("process of {} is {reading} within 2s", step()),
        reading: Reading(reading.into()),
    };
    let (from, to) = (ZERO_US + span.0, ZERO_US + span.1);
    all.push((from, What::Entering { step: step(), acts: acts.collect() }));
    all.push((from + 4_000, What::Applied { step: step() }));
    all.push((from + 30_000, proved(Side::Effect, effect)));
    all.push((from + 30_100, What::Entered { step: step() }));
    all.push((to - 1_200_000, What::Healing { step: step() }));
    all.push((to - 1_000, proved(Side::Gone, gone)));
    all.push((to, What::Healed { step: step() }));
}

fn counts() -> LoadCounts {
    LoadCounts {
        scheduled: 65 * RATE,
        sent: 65 * RATE,
        capped: 0,
        in_flight_cap: 2_000,
        in_flight_peak: 61,
        rows_refused: 0,
        connections: 64,
    }
}

fn rows(plan: &Plan) -> Vec<Request> {
    let mut draws = plan.seed.stream("rows");
    let mut at = 0.0;
    let mut rows = Vec::new();
    while rows.len() < (65 * RATE) as usize {
        at += draws.exponential() / RATE as f64 * 1e6;
        rows.push(row(at as u64 % 65_000_000, &mut draws));
    }
    let audits: Vec<Request> =
        rows.iter().filter(|row| row.operation == Operation::Write).map(audit).collect();
    rows.extend(audits);
    // As it would arrive: by the time at which each was done.
    rows.sort_by_key(|row| row.done_us);
    rows
}

fn row(intended_us: u64, draws: &mut Draws) -> Request {
    let within = |span: (u64, u64)| span.0 <= intended_us && intended_us < span.1;
    let pick = draws.unit();
    let step = if pick < 0.61 {
        0
    } else if pick < 0.70 {
        1
    } else if pick < 0.81 {
        2
    } else {
        3u16
    };
    let usual = 2_000.0 + 3_500.0 * draws.exponential() + if step == 1 { 9_000.0 } else { 0.0 };
    let met = draws.unit() < 0.33;
    let (took, class) = match () {
        () if within((KILL.0, KILL.0 + 400_000)) && met => (usual + 600.0, Class::Reset),
        () if within((PAUSE.0, PAUSE.0 + 600_000)) && met => (usual + 600_000.0 * draws.unit(), Class::Ok),
        () if within(KILL) || within(PAUSE) => (usual * 2.2, Class::Ok),
        () => (usual, Class::Ok),
    };
    let sent_us = intended_us + (draws.exponential() * 90.0) as u64;
    let key = format!("{:016x}-{:08x}", draws.bits(), draws.bits() >> 32);
    let (operation, key, value) = match step {
        2 => (Operation::Write, key, intended_us.to_string()),
        3 => (Operation::Read, key, "77".into()),
        _ => (Operation::None, String::new(), String::new()),
    };
    let ok = class == Class::Ok;
    Request {
        intended_us,
        sent_us,
        done_us: sent_us + took as u64,
        step,
        arm: if ok { format!("service-{}", draws.below(3) + 1) } else { String::new() },
        status: match (ok, step) {
            (false, _) => 0,
            (true, 2) => 201,
            (true, _) => 200,
        },
        class,
        bytes: if ok { 300 + draws.below(90) as u32 } else { 0 },
        operation,
        key,
        value,
    }
}

fn audit(write: &Request) -> Request {
    Request {
        intended_us: 65_100_000,
        sent_us: 65_100_200,
        done_us: 65_102_000,
        step: u16::MAX,
        operation: Operation::Audit,
        ..write.clone()
    }
}

fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut draws = Seed(42).stream("samples");
    for (component, replicas, share, bytes) in [("ingress", 1, 0.22, 21e6), ("service", 3, 0.17, 44e6)] {
        for replica in 1..=replicas {
            let mut used = 0.4;
            for second in 0..72u64 {
                let killed = component == "service" && replica == 1 && second >= 34;
                if killed && second == 34 {
                    used = 0.0;
                }
                used += share * (0.8 + 0.4 * draws.unit());
                let mut add = |series: &str, value| {
                    samples.push(Sample {
                        at_us: second * 1_000_000,
                        component: name(component),
                        replica,
                        life: if killed { 2 } else { 1 },
                        series: series.into(),
                        value,
                    });
                };
                add(CPU_SECONDS, used);
                add(RESIDENT_BYTES, bytes + 2e5 * second as f64);
                if component == "ingress" {
                    let retries = if second < 34 { 0.0 } else { 17.0 };
                    add("haproxy_backend_retry_warnings_total{proxy=\"service\"}", retries);
                    add("haproxy_server_status{server=\"service-1\",state=\"UP\"}", 1.0);
                } else {
                    add("cache_lookups_total{result=\"hit\"}", second as f64 * 23.0);
                    add("cache_lookups_total{result=\"miss\"}", second as f64 * 3.0);
                }
            }
        }
    }
    samples.sort_by_key(|sample| sample.at_us);
    samples
}
