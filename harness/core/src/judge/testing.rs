//! A synthetic run for tests of judges: a plan and the evidence of a run in which all went well. Tests spoil it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::json;

use super::{Finding, State, Verdict, judge};
use crate::{
    act::{Act, Place, Revision, Signal, Unit},
    evidence::{
        CPU_SECONDS, Class, Event, Evidence, LoadCounts, Operation, RESIDENT_BYTES, Request, Sample, Side,
        What,
    },
    name::Name,
    plan::{
        Arrivals, Comparison, FaultPlan, GeneratorLimits, LoadPlan, Measure, Objective, Phase, Plan, Reach,
        Replicas, RolloutPlan, Segment, StepPlan, Stream, load::BehaviourPlan,
    },
    proof::{Expect, Proof, Query, Reading},
    seed::Seed,
    step::{Begin, End, Step, StepId, Track},
    system::{Metric, Must, RequestSpec},
};

/// A plan and its evidence.
#[derive(Debug, Clone)]
pub(crate) struct Story {
    pub(crate) plan: Plan,
    pub(crate) events: Vec<Event>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) requests: Vec<Request>,
}

/// A name that is known to be one.
pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

const SECOND: u64 = 1_000_000;
const LASTS_S: u64 = 20;
const GAP_US: u64 = 4_000;
const HIT: &str = "cache_lookups_total{result=\"hit\"}";
const MISS: &str = "cache_lookups_total{result=\"miss\"}";

impl Story {
    /// The run clock's reading when the load began.
    pub(crate) const ZERO_US: u64 = 3 * SECOND;
    /// When the kill begins, on the load's time line.
    pub(crate) const FAULT_US: u64 = 8 * SECOND;
    /// When the rollout begins, on the load's time line. It takes two seconds.
    pub(crate) const ROLLOUT_US: u64 = 16 * SECOND;
    /// When it is healed, on the load's time line.
    pub(crate) const HEALED_US: u64 = 10 * SECOND;

    /// 250 requests/s for 20 s: warm-up 2 s, baseline 5 s, fault 8 s with a kill of `service-2`, recovery 5 s.
    pub(crate) fn good() -> Self {
        let requests = rows();
        let mut story = Self { plan: plan(), events: events(), samples: samples(), requests };
        story.recount();
        story
    }

    /// Spoils rows that are not audits.
    pub(crate) fn spoil(&mut self, spoil: impl FnMut(&mut Request)) {
        self.requests.iter_mut().filter(|row| row.operation != Operation::Audit).for_each(spoil);
    }

    /// Spoils the rows of one operation.
    pub(crate) fn spoil_only(&mut self, operation: Operation, spoil: impl FnMut(&mut Request)) {
        self.requests.iter_mut().filter(|row| row.operation == operation).for_each(spoil);
    }

    /// Removes rows; the generator's own counts stay as they were.
    pub(crate) fn drop_rows(&mut self, drop: impl Fn(&Request) -> bool) {
        self.requests.retain(|row| !drop(row));
    }

    /// Removes events.
    pub(crate) fn drop_events(&mut self, drop: impl Fn(&What) -> bool) {
        self.events.retain(|event| !drop(&event.what));
    }

    /// Adds an event before the last.
    pub(crate) fn add_event(&mut self, what: What) {
        let at = self.events.len() - 1;
        self.events.insert(at, Event { at_us: self.events[at].at_us, what });
    }

    /// What the generator says of itself.
    pub(crate) fn counts(&mut self) -> &mut LoadCounts {
        let found = self.events.iter_mut().find_map(|event| match &mut event.what {
            What::LoadEnded(counts) => Some(counts),
            _ => None,
        });
        found.unwrap()
    }

    /// Makes the generator's own counts agree with the rows.
    pub(crate) fn recount(&mut self) {
        let sent = self.requests.iter().filter(|row| row.class.was_sent()).count() as u64;
        let capped = self.requests.iter().filter(|row| row.class == Class::Capped).count() as u64;
        let scheduled = self.requests.iter().filter(|row| row.operation != Operation::Audit).count() as u64;
        *self.counts() = LoadCounts {
            scheduled,
            sent,
            capped,
            in_flight_cap: 1_000,
            in_flight_peak: 9,
            ..LoadCounts::default()
        };
    }

    /// Leaves one objective only.
    pub(crate) fn only(mut self, text: &str) -> Self {
        self.plan.objectives.retain(|objective| objective.text == text);
        assert_eq!(self.plan.objectives.len(), 1, "{text}");
        self
    }

    /// The verdict.
    pub(crate) fn verdict(&self) -> Verdict {
        let events = self.events.iter().map(Evidence::Event);
        let samples = self.samples.iter().map(Evidence::Metric);
        judge(&self.plan, events.chain(samples).chain(self.requests.iter().map(Evidence::Request)))
    }

    /// The findings of one judge.
    pub(crate) fn findings(&self, judge: &str) -> Vec<Finding> {
        self.verdict().findings.into_iter().filter(|finding| finding.judge == judge).collect()
    }

    /// The finding on one thing, at a phase or fault or anywhere.
    pub(crate) fn finding(&self, what: &str, at: Option<&str>) -> Finding {
        let mut all = self.verdict().findings.into_iter();
        let found = all.find(|finding| finding.what == what && (at.is_none() || finding.at.as_deref() == at));
        found.unwrap_or_else(|| panic!("no finding on {what} at {at:?}"))
    }

    /// The state of the finding on one thing.
    pub(crate) fn state(&self, what: &str, at: Option<&str>) -> State {
        self.finding(what, at).state
    }
}

fn plan() -> Plan {
    let judged = ["baseline", "fault", "recovery"].map(name).to_vec();
    let objective = |text: &str, measure, comparison, bound, least| Objective {
        text: text.into(),
        measure,
        comparison,
        bound,
        phases: judged.clone(),
        least,
    };
    let (below, above) = (Comparison::Below, Comparison::Above);
    let service = || name("service");
    Plan {
        scenario: "replica-loss".into(),
        hypothesis: "users notice nothing".into(),
        system: name("system"),
        target: "local".into(),
        seed: Seed(42),
        phases: phases(),
        load: load(),
        set_up: Track { name: name("set-up"), steps: vec![start()] },
        faults: vec![fault()],
        rollouts: vec![rollout()],
        drills: vec![],
        objectives: vec![
            objective(
                "p95 < 200ms",
                Measure::Latency { quantile: 0.95, behaviour: None },
                below,
                200_000.0,
                100,
            ),
            objective("throughput > 240/s", Measure::Throughput, above, 240.0, 100),
            objective("errors < 0.5%", Measure::Errors { behaviour: None }, below, 0.005, 100),
            objective("recovery < 3s", Measure::Recovery, below, 3e6, 1),
            objective("memory of service < 2GB", Measure::Memory { component: service() }, below, 2e9, 5),
            objective("cpu of service < 70%", Measure::Cpu { component: service() }, below, 0.7, 2),
            objective("hit-rate > 85%", Measure::Metric { name: name("hit-rate") }, above, 0.85, 100),
        ],
        checks: ["no-lost-write", "no-duplicate", "right-answers"].map(name).to_vec(),
        replicas: BTreeMap::from([(service(), Replicas { count: 3, cores: 0.5, memory: 2_000_000_000 })]),
        metrics: BTreeMap::from([(
            name("hit-rate"),
            Metric {
                component: service(),
                of: vec![HIT.into()],
                to: vec![HIT.into(), MISS.into()],
                least: 100,
                about: String::new(),
            },
        )]),
        musts: vec![(name("database"), Must { sql: "show fsync".into(), is: "on".into() })],
        connections: vec![reach()],
        generator: GeneratorLimits { lag_p99: Duration::from_millis(20), sent: 0.99 },
        needs: BTreeSet::new(),
        touches: BTreeSet::new(),
    }
}

fn phases() -> Vec<Phase> {
    let seconds = Duration::from_secs;
    let phase = |text, begins, ends, judged| Phase {
        name: name(text),
        begins: seconds(begins),
        ends: seconds(ends),
        judged,
    };
    vec![
        phase("warm-up", 0, 2, false),
        phase("baseline", 2, 7, true),
        phase("fault", 7, 15, true),
        phase("recovery", 15, LASTS_S, true),
    ]
}

fn load() -> LoadPlan {
    let spec = |value| serde_json::from_value::<RequestSpec>(value).unwrap();
    let step = |behaviour, value| StepPlan { behaviour: name(behaviour), request: spec(value) };
    let behaviour = |text, first| BehaviourPlan { name: name(text), first, count: 1 };
    LoadPlan {
        seed: Seed(42),
        lasts: Duration::from_secs(LASTS_S),
        streams: vec![Stream {
            mix: vec![(0, 0.7), (1, 0.2), (2, 0.1)],
            arrivals: Arrivals::Even,
            segments: vec![Segment { lasts: Duration::from_secs(LASTS_S), from: 250.0, to: 250.0 }],
        }],
        steps: vec![
            step("ask", json!({"method": "POST", "path": "/ask", "expect": {"json": [{"at": "/estimate"}]}})),
            step("write", json!({"method": "POST", "path": "/records"})),
            step("read", json!({"method": "GET", "path": "/records/1"})),
        ],
        behaviours: vec![behaviour("ask", 0), behaviour("write", 1), behaviour("read", 2)],
        data: BTreeMap::new(),
        audit: None,
        arm_header: None,
        in_flight: 1_000,
    }
}

fn start() -> Step {
    let at = Place::replica(&name("service"), 1);
    Step {
        id: StepId("set-up/1".into()),
        title: "service-1".into(),
        begin: Begin::Then,
        acts: vec![Act::Start { unit: at.unit.clone() }],
        back: None,
        effect: vec![proof("ready")],
        gone: vec![proof("absent")],
        end: End::Track,
    }
}

fn fault() -> FaultPlan {
    let at = Place::replica(&name("service"), 2);
    let step = Step {
        id: StepId("kill-1/1".into()),
        title: "kill service-2".into(),
        begin: Begin::At(Duration::from_micros(Story::FAULT_US)),
        acts: vec![Act::Signal { at, signal: Signal::Kill }],
        back: None,
        effect: vec![proof("absent")],
        gone: vec![proof("ready")],
        end: End::After(Duration::ZERO),
    };
    FaultPlan {
        kind: name("kill"),
        title: "kill service-2".into(),
        begins: Duration::from_micros(Story::FAULT_US),
        lasts: Duration::ZERO,
        track: Track { name: name("kill-1"), steps: vec![step] },
    }
}

/// Of a component that no objective measures, when the kill is over.
fn rollout() -> RolloutPlan {
    let unit = Unit::Component { component: name("proxy") };
    let step = Step {
        id: StepId("update-1/1".into()),
        title: "update proxy to v2".into(),
        begin: Begin::At(Duration::from_micros(Story::ROLLOUT_US)),
        acts: vec![Act::Configure { unit, revision: Revision { name: name("v2"), ..Revision::original() } }],
        back: None,
        effect: vec![proof("v2")],
        gone: vec![proof("original")],
        end: End::Keep,
    };
    RolloutPlan {
        kind: name("update"),
        title: "update proxy to v2".into(),
        component: name("proxy"),
        to: name("v2"),
        begins: Duration::from_micros(Story::ROLLOUT_US),
        within: Duration::from_secs(4),
        allowed: Duration::from_secs(4),
        track: Track { name: name("update-1"), steps: vec![step] },
        canary: None,
    }
}

fn proof(expected: &str) -> Proof {
    let ask = Query::Process { at: Place::replica(&name("service"), 2) };
    Proof { ask, expect: Expect::Is(expected.into()), within: Duration::from_secs(1) }
}

fn events() -> Vec<Event> {
    let set_up = StepId("set-up/1".into());
    let kill = StepId("kill-1/1".into());
    let update = StepId("update-1/1".into());
    let proved = |step: &StepId, side| What::Proved {
        step: step.clone(),
        side,
        proof: "seen".into(),
        reading: Reading("so".into()),
    };
    let setting = What::Setting {
        component: name("database"),
        ask: "show fsync".into(),
        must: "on".into(),
        is: "on".into(),
    };
    let load = |us: u64| Story::ZERO_US + us;
    let phase = |text| What::Phase { name: name(text) };
    let (hit, healed) = (Story::FAULT_US, Story::HEALED_US);
    let all = [
        (0, What::Entering { step: set_up.clone(), acts: vec![] }),
        (SECOND, proved(&set_up, Side::Effect)),
        (SECOND, What::Entered { step: set_up.clone() }),
        (2 * SECOND, setting),
        (2 * SECOND, reached()),
        (load(0), What::LoadBegan),
        (load(0), phase("warm-up")),
        (load(2 * SECOND), phase("baseline")),
        (load(7 * SECOND), phase("fault")),
        (load(hit), What::Entering { step: kill.clone(), acts: vec![] }),
        (load(hit), What::Applied { step: kill.clone() }),
        (load(hit + 30_000), proved(&kill, Side::Effect)),
        (load(hit + 30_000), What::Entered { step: kill.clone() }),
        (load(hit + 40_000), What::Healing { step: kill.clone() }),
        (load(healed), proved(&kill, Side::Gone)),
        (load(healed), What::Healed { step: kill }),
        (load(15 * SECOND), phase("recovery")),
        (load(Story::ROLLOUT_US), What::Entering { step: update.clone(), acts: vec![] }),
        (load(Story::ROLLOUT_US + 2 * SECOND), proved(&update, Side::Effect)),
        (load(Story::ROLLOUT_US + 2 * SECOND), What::Entered { step: update.clone() }),
        (load(22 * SECOND), What::LoadEnded(LoadCounts::default())),
        (load(23 * SECOND), What::Healing { step: set_up.clone() }),
        (load(24 * SECOND), proved(&update, Side::Gone)),
        (load(24 * SECOND), What::Healed { step: update }),
        (load(24 * SECOND), proved(&set_up, Side::Gone)),
        (load(24 * SECOND), What::Healed { step: set_up }),
        (load(25 * SECOND), What::Ended),
    ];
    all.into_iter().map(|(at_us, what)| Event { at_us, what }).collect()
}

/// The proxy reaches the service and not the database.
fn reach() -> Reach {
    let wanted = [("service:http", true), ("database:sql", false)];
    let wanted = wanted.map(|(to, open)| (to.parse().unwrap(), open));
    Reach { from: name("proxy"), wanted: wanted.into(), within: Duration::from_secs(15) }
}

fn reached() -> What {
    let seen = [("service:http", "open"), ("database:sql", "silent")];
    let seen = seen.map(|(to, seen)| (to.parse().unwrap(), seen.to_owned()));
    What::Reached { from: name("proxy"), seen: seen.into() }
}

/// A reading a second of each replica; `service-2` is away from 8 s to 10 s and begins another life.
fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    for second in 0..=LASTS_S {
        for replica in (1..=3).filter(|replica| *replica != 2 || !(9..10).contains(&second)) {
            let (life, lived) = if replica == 2 && second >= 10 { (2, second - 10) } else { (1, second + 5) };
            let mut add = |series: &str, value: f64| {
                let at_us = Story::ZERO_US + second * SECOND;
                samples.push(Sample {
                    at_us,
                    component: name("service"),
                    replica,
                    life,
                    series: series.into(),
                    value,
                });
            };
            add(CPU_SECONDS, 0.2 * lived as f64);
            add(RESIDENT_BYTES, 3e8 + 1e6 * second as f64);
            add(HIT, 90.0 * lived as f64);
            add(MISS, 10.0 * lived as f64);
        }
    }
    samples
}

fn rows() -> Vec<Request> {
    let arrivals = (0..LASTS_S * SECOND / GAP_US).map(arrival);
    let written: Vec<Request> = arrivals.clone().filter(|row| row.operation == Operation::Write).collect();
    let audit = |(number, row): (usize, Request)| {
        let at = LASTS_S * SECOND + number as u64 * 100;
        Request {
            intended_us: at,
            sent_us: at,
            done_us: at + 900,
            operation: Operation::Audit,
            step: 0,
            ..row
        }
    };
    arrivals.chain(written.into_iter().enumerate().map(audit)).collect()
}

/// Seven in ten ask, two write a record of their own, one reads the record that was written a hundred arrivals before.
fn arrival(number: u64) -> Request {
    let at = number * GAP_US;
    let (step, operation, record) = match number % 10 {
        0..=6 => (0, Operation::None, None),
        7 | 8 => (1, Operation::Write, Some(number)),
        _ if number < 100 => (2, Operation::None, None),
        _ => (2, Operation::Read, Some(number - 101)),
    };
    Request {
        intended_us: at,
        sent_us: at + 200,
        done_us: at + 5_000 + number % 20 * 500,
        step,
        arm: format!("service-{}", number % 3 + 1),
        status: 200,
        class: Class::Ok,
        bytes: 100,
        operation,
        key: record.map(|record| format!("key-{record}")).unwrap_or_default(),
        value: record.map(|record| format!("value-{record}")).unwrap_or_default(),
    }
}
