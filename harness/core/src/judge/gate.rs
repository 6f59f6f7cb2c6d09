//! `canary`: whether a canary is no worse than its baseline. One fold for the gate that is asked while the rollout goes on
//! and for the verdict: the decision is an event, and a replay must reach it at the same second.

use std::collections::BTreeMap;

use crate::{
    evidence::{Event, Evidence, RESIDENT_BYTES, Request, Sample, TroubleKind, What},
    judge::{
        Finding, Judge, JudgeKind, State,
        canary::{Arm, ArmSecond, Canary, Decision, Estimate, Phase, Standing},
    },
    name::Name,
    plan::{CanaryPlan, Plan, RolloutPlan},
    stats::sequence,
    step::{End, StepId},
};

mod records;

use self::records::Records;

/// Its line in the list.
pub(super) const KIND: JudgeKind = JudgeKind {
    name: "canary",
    about: "no canary is worse than its baseline: errors, wrong answers, lost writes, latency, memory",
    asked: false,
    make: |plan| Box::new(Gates::new(plan)),
};

const SECOND_US: u64 = 1_000_000;
/// How much later a reading of memory counts than it was made: by then it has surely come, and a replay sees it as late.
const READ_LATE_US: u64 = 5 * SECOND_US;

/// One canary's evidence, as far as it has come.
pub struct Watch {
    plan: CanaryPlan,
    component: Name,
    /// The steps that a judge is asked in.
    gates: Vec<StepId>,
    /// All steps, the first one first.
    steps: Vec<StepId>,
    /// When the load's zero was, by the run's clock.
    zero_us: Option<u64>,
    /// When the phases that are judged begin, on the load's time line.
    judged_us: u64,
    began_us: Option<u64>,
    /// Of each gate: when its split was proved, and when something else began.
    open: Vec<(Option<u64>, Option<u64>)>,
    seconds: Seconds,
    /// Who acknowledged which record, and the reads of records; empty unless lost writes are judged.
    records: Records,
    /// Requests that no set owns, by the second in which they ended: most were answered by nobody.
    nobody: BTreeMap<u64, u64>,
    /// The component's own replicas by name, as far as they are told apart.
    replicas: Vec<String>,
    canary: Canary,
    /// Seconds before this one are judged.
    judged: u64,
}

/// What each of them did in each second.
type Seconds = BTreeMap<(u64, Whose), ArmSecond>;

/// Which replicas answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    Canary,
    Baseline,
    /// A replica of the component itself.
    Own(usize),
}

/// More replicas than these are not told apart.
const MOST: usize = 256;

impl Watch {
    /// Of a rollout that has a judge.
    pub fn new(plan: &Plan, rollout: &RolloutPlan) -> Option<Self> {
        let gates = rollout.track.steps.iter().filter(|step| matches!(step.end, End::Gate(_)));
        let gates: Vec<StepId> = gates.map(|step| step.id.clone()).collect();
        let judged = plan.judged().next().map_or(0, |phase| phase.begins.as_micros());
        let canary = rollout.canary.clone()?;
        Some(Self {
            canary: Canary::new(canary.judge.clone()),
            judged: 0,
            plan: canary,
            component: rollout.component.clone(),
            open: vec![(None, None); gates.len()],
            gates,
            steps: rollout.track.steps.iter().map(|step| step.id.clone()).collect(),
            zero_us: None,
            judged_us: u64::try_from(judged).unwrap_or(u64::MAX),
            began_us: None,
            seconds: Seconds::new(),
            records: Records::default(),
            nobody: BTreeMap::new(),
            replicas: vec![],
        })
    }

    /// Takes an event of the run.
    pub fn event(&mut self, event: &Event) {
        if event.what == What::LoadBegan {
            self.zero_us.get_or_insert(event.at_us);
        }
        let Some(at_us) = self.zero_us.and_then(|zero| event.at_us.checked_sub(zero)) else { return };
        match &event.what {
            What::Entering { step, .. } if self.steps.contains(step) => {
                if self.steps.first() == Some(step) {
                    self.began_us.get_or_insert(at_us);
                }
                // Whatever comes next ends the split that was judged.
                self.ends(at_us);
            }
            What::Entered { step } => {
                if let Some(number) = self.gates.iter().position(|gate| gate == step) {
                    self.open[number].0.get_or_insert(at_us);
                }
            }
            What::Healing { step } if self.gates.contains(step) => self.ends(at_us),
            _ => {}
        }
    }

    fn ends(&mut self, at_us: u64) {
        let open = self.open.iter_mut().filter(|(began, _)| began.is_some());
        open.for_each(|(_, ended)| _ = ended.get_or_insert(at_us));
    }

    /// Takes a request.
    pub fn row(&mut self, row: &Request) {
        if !row.class.was_sent() {
            return;
        }
        let Some(whose) = self.whose(&row.arm) else {
            *self.nobody.entry(row.done_us / SECOND_US).or_default() += 1;
            return;
        };
        if self.plan.judge.lost_writes.is_some() {
            self.records.see(row, whose);
        }
        of(&mut self.seconds, row.done_us / SECOND_US, whose).add(row);
    }

    /// Takes a reading of memory.
    pub fn sample(&mut self, sample: &Sample) {
        if self.plan.judge.memory.is_none() || sample.series != RESIDENT_BYTES {
            return;
        }
        let at_us = self.zero_us.and_then(|zero| sample.at_us.checked_sub(zero));
        let (Some(at_us), Some(whose)) = (at_us, self.whose(sample.component.as_str())) else { return };
        let second = of(&mut self.seconds, (at_us + READ_LATE_US) / SECOND_US, whose);
        second.memory = second.memory.max(Some(sample.value as u64));
    }

    /// Replicas are called like their set, with more behind it.
    fn whose(&mut self, answered: &str) -> Option<Whose> {
        let of = |set: &Name| {
            answered.strip_prefix(set.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        if of(&self.plan.sets.canary) {
            return Some(Whose::Canary);
        }
        if self.plan.sets.baseline.as_ref().is_some_and(of) {
            return Some(Whose::Baseline);
        }
        of(&self.component).then(|| Whose::Own(self.replica(answered)))
    }

    /// The number of the replica that an answer's header begins with.
    fn replica(&mut self, answered: &str) -> usize {
        let ends = |c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '.');
        let name = answered.split(ends).next().unwrap_or_default();
        let known = self.replicas.iter().position(|known| known == name);
        known.unwrap_or_else(|| {
            if self.replicas.len() < MOST {
                self.replicas.push(name.to_owned());
                return self.replicas.len() - 1;
            }
            MOST
        })
    }

    /// The part of the rollout that a whole second lies in; none while something is changed.
    fn phase(&self, number: u64) -> Option<Phase> {
        let (from, upto) =
            (number.saturating_mul(SECOND_US), number.saturating_add(1).saturating_mul(SECOND_US));
        let step = self.open.iter().position(|(began, ended)| {
            began.is_some_and(|began| began <= from) && ended.is_none_or(|ended| upto <= ended)
        });
        if let Some(step) = step {
            return u32::try_from(step).ok().map(Phase::Step);
        }
        let before = self.judged_us <= from && self.began_us.is_none_or(|began| upto <= began);
        before.then_some(Phase::Baseline)
    }

    /// Judges everything before this second of the load's time line; what comes of it later is too late.
    pub fn advance(&mut self, upto: u64) {
        let mut canary = std::mem::replace(&mut self.canary, Canary::new(self.plan.judge.clone()));
        self.feed(&mut canary, self.judged, upto);
        self.judged = self.judged.max(upto);
        self.canary = canary;
    }

    /// What to do now in this step.
    pub fn decision(&self, step: &StepId) -> Decision {
        self.now(&self.canary, self.judged, step)
    }

    /// The same when the step's time is over.
    pub fn settled(&self, step: &StepId) -> Decision {
        self.over(&self.canary, self.judged, step)
    }

    fn is_last(&self, step: &StepId) -> bool {
        self.gates.last() == Some(step)
    }

    fn now(&self, canary: &Canary, upto: u64, step: &StepId) -> Decision {
        let number =
            self.gates.iter().position(|gate| gate == step).and_then(|number| u32::try_from(number).ok());
        match (canary.decision(), number) {
            (Decision::RollBack { metric, second }, _) => Decision::RollBack { metric, second },
            // What was judged of the step before says nothing of this one, but that the canary is worse.
            (_, number) if canary.step() != number => Decision::GoOn,
            (Decision::Promote, Some(number)) => match self.hangs(canary, upto, number) {
                Some(reason) => Decision::Inconclusive { reason },
                None => Decision::Promote,
            },
            (decision, _) => decision,
        }
    }

    /// Only the last step must exclude harm: at a small share there is not evidence enough, and what it does to users is as small.
    fn over(&self, canary: &Canary, upto: u64, step: &StepId) -> Decision {
        match self.now(canary, upto, step) {
            Decision::GoOn | Decision::Inconclusive { .. } if !self.is_last(step) && has_evidence(canary) => {
                Decision::Promote
            }
            Decision::GoOn => {
                let short = || "the step was shorter than the least time".to_owned();
                Decision::Inconclusive { reason: canary.undecided().unwrap_or_else(short) }
            }
            decided => decided,
        }
    }

    /// Who gives up waiting learns nothing of who did not answer. Where the canary answers fewer than its share, and so many were
    /// answered by nobody that they would be harm, they may be its own.
    fn hangs(&self, canary: &Canary, upto: u64, number: u32) -> Option<String> {
        let judge = &self.plan.judge;
        let (harm, part) = (judge.errors?.harm, *judge.split.get(usize::try_from(number).ok()?)?);
        let step =
            self.nobody.range(..upto).filter(|(second, _)| self.phase(**second) == Some(Phase::Step(number)));
        let nobody: u64 = step.map(|(_, count)| count).sum();
        let (answers, other) = canary.answers();
        if nobody as f64 <= harm * (answers + nobody) as f64 {
            return None;
        }
        let (_, most) = sequence::share(answers, answers + other, judge.alpha_each_step(), 1.0);
        (most < part).then(|| {
            format!(
                "{nobody} requests were answered by nobody that is known, and the canary gave {answers} of {} answers, less than its part: it may hang",
                answers + other
            )
        })
    }

    /// The same from the beginning, for who has all the evidence.
    fn judge(&self, upto: u64) -> Canary {
        let mut canary = Canary::new(self.plan.judge.clone());
        self.feed(&mut canary, 0, upto);
        canary
    }

    fn feed(&self, canary: &mut Canary, from: u64, upto: u64) {
        let own = self.plan.sets.baseline.is_none();
        let range = (from, Whose::Canary)..(upto.max(from), Whose::Canary);
        let mut seconds: Seconds =
            self.seconds.range(range).map(|(key, second)| (*key, second.clone())).collect();
        for (number, whose, lost) in self.records.read_back(from..upto.max(from)) {
            let second = of(&mut seconds, number, whose);
            second.read_back += 1;
            second.lost += u64::from(lost);
        }
        for ((number, whose), second) in seconds {
            let Some(phase) = self.phase(number) else { continue };
            let replica = match whose {
                Whose::Own(number) => self.replicas.get(number).cloned().unwrap_or_default(),
                Whose::Canary | Whose::Baseline => String::new(),
            };
            // Beside a fresh baseline the replicas that ran before prove nothing of the canary.
            if !matches!(whose, Whose::Own(_)) || own || phase == Phase::Baseline {
                canary.see(&ArmSecond { phase, replica, ..second });
            }
        }
        canary.close();
    }
}

/// Whether anything of a step can be said; a step that saw nothing passes nothing.
fn has_evidence(canary: &Canary) -> bool {
    canary.findings().iter().any(|one| one.standing != Standing::TooLittle)
}

fn of(seconds: &mut Seconds, number: u64, whose: Whose) -> &mut ArmSecond {
    let arm = if whose == Whose::Canary { Arm::Canary } else { Arm::Stable };
    seconds.entry((number, whose)).or_insert_with(|| ArmSecond::new(number, Phase::Baseline, arm))
}

struct Gates {
    canaries: Vec<Gated>,
    interrupted: bool,
}

/// One canary, and what its gates decided.
struct Gated {
    title: String,
    watch: Watch,
    decided: Vec<(StepId, u64, Decision)>,
    began: bool,
    /// Whether a step of it had no effect.
    failed: bool,
}

impl Gates {
    fn new(plan: &Plan) -> Self {
        let gated = |rollout: &RolloutPlan| {
            let watch = Watch::new(plan, rollout)?;
            Some(Gated { title: rollout.title.clone(), watch, decided: vec![], began: false, failed: false })
        };
        Self { canaries: plan.rollouts.iter().filter_map(gated).collect(), interrupted: false }
    }
}

/// What was compared, when, and what came of it: for whoever tells it.
pub struct Account {
    /// What the rollout is called.
    pub title: String,
    /// What was planned.
    pub plan: CanaryPlan,
    /// Of each step that a judge was asked in: when its split was proved and when it ended, on the load's time line.
    pub open: Vec<(StepId, Option<u64>, Option<u64>)>,
    /// What was decided: the step, the first second that was not judged any more, the decision.
    pub decided: Vec<(StepId, u64, Decision)>,
    /// Every metric as the last decision saw it.
    pub metrics: Vec<Estimate>,
}

/// The accounts of all canaries of a run.
pub fn accounts<'a>(plan: &Plan, evidence: impl Iterator<Item = Evidence<'a>>) -> Vec<Account> {
    let mut gates = Gates::new(plan);
    evidence.for_each(|piece| gates.see(piece));
    gates.canaries.into_iter().map(Gated::account).collect()
}

impl Judge for Gates {
    fn see(&mut self, evidence: Evidence<'_>) {
        match evidence {
            Evidence::Event(event) => {
                self.interrupted |= event.what == What::Interrupted;
                self.canaries.iter_mut().for_each(|canary| canary.event(event));
            }
            Evidence::Request(row) => self.canaries.iter_mut().for_each(|canary| canary.watch.row(row)),
            Evidence::Metric(sample) => {
                self.canaries.iter_mut().for_each(|canary| canary.watch.sample(sample));
            }
        }
    }

    fn findings(&self) -> Vec<Finding> {
        self.canaries.iter().flat_map(|canary| canary.findings(self.interrupted)).collect()
    }
}

impl Gated {
    fn event(&mut self, event: &Event) {
        self.watch.event(event);
        match &event.what {
            What::Gate { step, upto, decision } if self.watch.gates.contains(step) => {
                self.decided.push((step.clone(), *upto, decision.clone()));
            }
            What::Trouble { kind: TroubleKind::Rollout, step: Some(step), .. } => {
                self.failed |= self.watch.steps.contains(step);
            }
            What::Entering { step, .. } => self.began |= self.watch.steps.first() == Some(step),
            _ => {}
        }
    }

    fn account(self) -> Account {
        let Self { title, watch, decided, .. } = self;
        let metrics = decided.last().map(|(_, upto, _)| watch.judge(*upto).findings()).unwrap_or_default();
        let gates = watch.gates.into_iter().zip(watch.open);
        let open = gates.map(|(step, (began, ended))| (step, began, ended)).collect();
        Account { title, plan: watch.plan, open, decided, metrics }
    }

    fn findings(&self, interrupted: bool) -> Vec<Finding> {
        let unseen = if interrupted { State::Unknown } else { State::Invalid };
        let Some((step, upto, decision)) = self.decided.last() else {
            let (state, why) = match (self.failed, self.began) {
                // That it did not is the rollout's finding.
                (true, _) => (State::Unknown, "it did not come up, so nothing was compared"),
                (false, true) => (unseen, "its judge was never asked"),
                (false, false) => (unseen, "it never began"),
            };
            return vec![self.finding(state, "nothing", 0, why.to_owned())];
        };
        let canary = self.watch.judge(*upto);
        let again = self.watch.over(&canary, *upto, step);
        let all = canary.findings();
        let samples = all.iter().map(|one| one.samples.0 + one.samples.1).max().unwrap_or_default();
        let nobody = match self.watch.nobody.values().sum() {
            0_u64 => String::new(),
            count => format!("; {count} requests were answered by nobody that is known"),
        };
        let (state, what, why) = match decision {
            _ if again != *decision => (
                State::Invalid,
                "nothing".to_owned(),
                format!("the run decided {decision:?}, the journal says {again:?}"),
            ),
            Decision::Promote if !self.watch.is_last(step) => {
                let state = if self.failed { State::Unknown } else { unseen };
                (
                    state,
                    "not to the end".into(),
                    format!("{} was passed, and nothing decided after it", step.0),
                )
            }
            Decision::Promote => {
                (State::Met, "promoted".into(), "an effect that would be harm is excluded".to_owned())
            }
            Decision::RollBack { metric, second } => {
                let first = all.iter().find(|one| one.metric == *metric);
                let why = first.map_or_else(|| metric.clone(), |one| one.reason.clone());
                (
                    State::Missed,
                    format!("rolled back, {metric} {}", brief(&why)),
                    format!("{metric} is worse, seen after second {second}: {why}"),
                )
            }
            Decision::Inconclusive { reason } => {
                (State::Unknown, "not promoted, taken back".into(), format!("inconclusive: {reason}"))
            }
            Decision::GoOn => (unseen, "nothing".into(), "the run ended before it was decided".to_owned()),
        };
        let whole = self.finding(state, &what, samples, format!("{why}{nobody}"));
        std::iter::once(whole).chain(all.iter().map(|estimate| self.metric(estimate))).collect()
    }

    fn finding(&self, state: State, measured: &str, samples: u64, why: String) -> Finding {
        Finding {
            judge: KIND.name.into(),
            what: "canary is no worse".into(),
            at: Some(self.title.clone()),
            state,
            measured: measured.to_owned(),
            samples,
            detail: format!("{}: {why}", self.title),
        }
    }

    fn metric(&self, estimate: &Estimate) -> Finding {
        let state = match estimate.standing {
            Standing::Worse => State::Missed,
            Standing::Harmless => State::Met,
            Standing::Open | Standing::TooLittle => State::Unknown,
        };
        Finding {
            what: format!("canary {} is no worse", estimate.metric),
            detail: format!("{}: {}", self.title, estimate.reason),
            ..self.finding(
                state,
                brief(&estimate.reason),
                estimate.samples.0 + estimate.samples.1,
                String::new(),
            )
        }
    }
}

/// The first part of a reason: what stands against what.
fn brief(reason: &str) -> &str {
    let head = reason.split_once(" (between").map_or(reason, |(head, _)| head);
    head.split_once(';').map_or(head, |(head, _)| head)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Gates, Watch};
    use crate::{
        act::Ability,
        evidence::{Class, Event, Evidence, Operation, RESIDENT_BYTES, Request, Sample, TroubleKind, What},
        judge::{Judge, State, canary::Decision},
        plan::{Known, Plan, plan, with_sets},
        scenario,
        step::StepId,
        system,
    };

    fn planned() -> Plan {
        planned_with("")
    }

    fn planned_with(more: &str) -> Plan {
        let system = "format: 1\nname: x\narm_header: x-replica\ncomponents:\n  \
                      web: { replicas: 3, ports: [http], ready: { tcp: { port: http } }, revisions: { v2: { settings: { A: b } } } }\n  \
                      front: { ports: [http], uses: [web], ready: { tcp: { port: http } }, weighs: { component: web, map: m, socket: s } }\n\
                      endpoint: { component: front, port: http }\nbehaviours: { get: { steps: [\
                      { method: POST, path: /, mark: { write: { key: k, value: v } } }, \
                      { method: GET, path: /, mark: { read: { key: k, value: /v } } }] } }\n";
        let text = "hypothesis: h\nsystem: s.yml\nphases: { warm-up: 5s, baseline: 40s, canary: 400s }\n\
                    rollouts: [{ canary: web, to: v2, at: canary, shares: [10%, 40%], each: 120s MORE }]\n\
                    load: [{ behaviour: get, arrivals: { constant: 10/s } }]\nobjectives: [errors < 1%]\n";
        let said = scenario::read(text.replace("MORE", more)).unwrap();
        let system = with_sets(system::read(system).unwrap(), &said);
        let abilities = BTreeSet::from([Ability::Start, Ability::Configure, Ability::Weigh]);
        plan("x", &said, &Known::on(&system, "any", abilities)).unwrap()
    }

    const ZERO_US: u64 = 7_000_000;

    fn at(second: u64, what: What) -> Event {
        Event { at_us: ZERO_US + second * 1_000_000, what }
    }

    fn step(number: usize) -> StepId {
        StepId(format!("canary-1/{number}"))
    }

    /// The sets start at 45, the first split stands from 48 to 168, the second from 169 on.
    fn events() -> Vec<Event> {
        vec![
            at(0, What::LoadBegan),
            at(45, What::Entering { step: step(1), acts: vec![] }),
            at(46, What::Entered { step: step(1) }),
            at(47, What::Entering { step: step(2), acts: vec![] }),
            at(48, What::Entered { step: step(2) }),
            at(168, What::Entering { step: step(3), acts: vec![] }),
            at(169, What::Entered { step: step(3) }),
        ]
    }

    fn row(second: u64, number: u64, arm: &str, class: Class) -> Request {
        let done_us = second * 1_000_000 + number;
        Request {
            intended_us: done_us.saturating_sub(10_000 + number % 997),
            sent_us: done_us.saturating_sub(9_000),
            done_us,
            step: 0,
            arm: arm.into(),
            status: 200,
            class,
            bytes: 1,
            operation: Operation::None,
            key: String::new(),
            value: String::new(),
        }
    }

    /// 200 requests a second; of the canary's so many fail, one in so many.
    fn rows(seconds: std::ops::Range<u64>, fails: Option<u64>) -> Vec<Request> {
        let mut all = vec![];
        for second in seconds {
            for number in 0..200 {
                let arm = match (second, number % 5) {
                    (48.., 0 | 1) => "web-canary-1",
                    (48.., 2 | 3) => "web-baseline-1",
                    _ => "web-2",
                };
                let bad =
                    arm == "web-canary-1" && fails.is_some_and(|one_in| (second * 200 + number) % one_in < 5);
                all.push(row(second, number, arm, if bad { Class::WrongStatus } else { Class::Ok }));
            }
        }
        all
    }

    fn watched(fails: Option<u64>, upto: u64) -> Watch {
        let plan = planned();
        let mut watch = Watch::new(&plan, &plan.rollouts[0]).unwrap();
        events().iter().for_each(|event| watch.event(event));
        rows(5..upto, fails).iter().for_each(|row| watch.row(row));
        watch
    }

    #[test]
    fn asked_second_by_second_or_at_once_the_judge_decides_the_same() {
        for fails in [None, Some(100)] {
            let mut watch = watched(fails, 290);
            let mut decided = None;
            for upto in 40..290 {
                watch.advance(upto);
                let decision = watch.decision(&step(3));
                if decision != Decision::GoOn && decided.is_none() {
                    decided = Some((upto, decision));
                }
            }
            let (upto, decision) = decided.unwrap();
            assert_eq!(watch.judge(upto).decision(), decision, "{fails:?}");
            match fails {
                // The second step begins at 169, and lasts for a minute at least, whatever the first one showed.
                None => assert_eq!((upto, decision), (229, Decision::Promote)),
                Some(_) => {
                    assert!(matches!(&decision, Decision::RollBack { metric, .. } if metric == "errors"))
                }
            }
        }
    }

    /// A client that gives up names no arm.
    #[test]
    fn a_canary_that_hangs_is_not_promoted_and_requests_that_both_lose_alike_are_no_sign_of_it() {
        let plan = planned();
        let judged = |lost: fn(&str) -> bool| {
            let mut watch = Watch::new(&plan, &plan.rollouts[0]).unwrap();
            events().iter().for_each(|event| watch.event(event));
            for (number, mut row) in rows(5..290, None).into_iter().enumerate() {
                if number % 20 < 5 && row.done_us >= 48_000_000 && lost(&row.arm) {
                    (row.arm, row.class) = (String::new(), Class::Timeout);
                }
                watch.row(&row);
            }
            watch.over(&watch.judge(289), 289, &step(3))
        };
        let hangs = judged(|arm| arm == "web-canary-1");
        assert!(
            matches!(&hangs, Decision::Inconclusive { reason } if reason.contains("it may hang")),
            "{hangs:?}"
        );
        assert_eq!(judged(|arm| arm != "web-2"), Decision::Promote);
    }

    #[test]
    fn a_step_without_evidence_passes_nothing() {
        let plan = planned();
        let passed = |one_in: usize| {
            let mut watch = Watch::new(&plan, &plan.rollouts[0]).unwrap();
            events().iter().for_each(|event| watch.event(event));
            let rows = rows(5..168, None).into_iter().enumerate();
            let kept = rows.filter(|(number, row)| row.arm != "web-canary-1" || number % one_in == 0);
            kept.for_each(|(_, row)| watch.row(&row));
            watch.over(&watch.judge(90), 90, &step(2))
        };
        assert_eq!(passed(5), Decision::Promote);
        let short = passed(200);
        assert!(
            matches!(&short, Decision::Inconclusive { reason } if reason.contains("requests")),
            "{short:?}"
        );
    }

    /// Whichever arm answers the read: what one of them says it keeps, and does not, is its own doing.
    #[test]
    fn a_canary_that_loses_what_it_acknowledged_is_rolled_back() {
        let plan = planned_with(", harm: { lost-writes: 1% }");
        let judged = |loser: &str| {
            let mut watch = Watch::new(&plan, &plan.rollouts[0]).unwrap();
            events().iter().for_each(|event| watch.event(event));
            for (number, mut write) in rows(5..160, None).into_iter().enumerate() {
                let key = number.to_string();
                let mut read = row(write.done_us / 1_000_000 + 2, number as u64, "web-2", Class::Ok);
                if write.arm == loser && number % 50 < 5 {
                    (read.class, read.status) = (Class::WrongStatus, 404);
                }
                (write.operation, write.key, write.value) = (Operation::Write, key.clone(), "v".into());
                (read.operation, read.key, read.value) = (Operation::Read, key, "v".into());
                watch.row(&read);
                watch.row(&write);
            }
            watch.judge(158).decision()
        };
        let lost = judged("web-canary-1");
        assert!(matches!(&lost, Decision::RollBack { metric, .. } if metric == "lost-writes"), "{lost:?}");
        assert_eq!(judged("web-baseline-1"), Decision::Promote);
    }

    #[test]
    fn a_canary_that_holds_too_much_memory_is_rolled_back_and_one_that_nobody_read_is_not_promoted() {
        let plan = planned_with(", harm: { errors: 2% }, keeps: { memory: 100MB }");
        let judged = |from: u64, grows: f64| {
            let mut watch = Watch::new(&plan, &plan.rollouts[0]).unwrap();
            events().iter().for_each(|event| watch.event(event));
            rows(5..160, None).iter().for_each(|row| watch.row(row));
            for second in from..158 {
                watch.sample(&Sample {
                    at_us: ZERO_US + second * 1_000_000,
                    component: "web-canary".parse().unwrap(),
                    replica: 1,
                    life: 1,
                    series: RESIDENT_BYTES.into(),
                    value: 20e6 + grows * second as f64,
                });
            }
            watch.judge(158).decision()
        };
        assert_eq!(judged(48, 0.0), Decision::Promote);
        // Over 100 MB from 81 on, and a reading counts five seconds later.
        assert_eq!(judged(48, 1e6), Decision::RollBack { metric: "memory <= 100.0 MB".into(), second: 86 });
        assert_eq!(judged(150, 0.0), Decision::GoOn);
    }

    #[test]
    fn seconds_in_which_something_is_changed_are_nobodys() {
        let watch = watched(None, 50);
        let phases: Vec<bool> =
            [4, 5, 44, 45, 47, 48, 167, 168, 169].map(|second| watch.phase(second).is_some()).to_vec();
        assert_eq!(phases, [false, true, true, false, false, true, true, false, true]);
    }

    fn findings(
        fails: Option<u64>,
        upto: u64,
        decision: impl Fn(&Watch) -> Decision,
    ) -> Vec<(String, State, String)> {
        let watch = watched(fails, upto);
        let mut gates = Gates::new(&planned());
        let gate = What::Gate { step: step(3), upto, decision: decision(&watch) };
        events().iter().chain([&at(upto, gate)]).for_each(|event| gates.see(Evidence::Event(event)));
        rows(5..upto, fails).iter().for_each(|row| gates.see(Evidence::Request(row)));
        gates.findings().into_iter().map(|one| (one.what, one.state, one.detail)).collect()
    }

    #[test]
    fn a_verdict_is_the_decision_that_the_journal_bears_out() {
        let honest = |watch: &Watch| watch.over(&watch.judge(289), 289, &step(3));
        let good = findings(None, 289, honest);
        assert!(good.iter().all(|(_, state, _)| *state == State::Met), "{good:?}");
        let bad = findings(Some(100), 289, honest);
        assert_eq!((bad[0].0.as_str(), bad[0].1), ("canary is no worse", State::Missed), "{bad:?}");
        let short = findings(None, 175, |watch: &Watch| watch.over(&watch.judge(175), 175, &step(3)));
        assert_eq!(short[0].1, State::Unknown, "{short:?}");
        let forged = findings(Some(100), 289, |_| Decision::Promote);
        assert_eq!(forged[0].1, State::Invalid, "{forged:?}");
        assert!(forged[0].2.contains("the journal says"), "{forged:?}");
    }

    #[test]
    fn a_step_that_is_passed_is_no_verdict_when_nothing_comes_after_it() {
        let passed = What::Gate { step: step(2), upto: 168, decision: Decision::Promote };
        for (then, expected) in [
            (What::Interrupted, State::Unknown),
            (
                What::Trouble { kind: TroubleKind::Rollout, step: Some(step(3)), why: "no".into() },
                State::Unknown,
            ),
            (What::Ended, State::Invalid),
        ] {
            let mut gates = Gates::new(&planned());
            let events = events().into_iter().chain([at(168, passed.clone()), at(175, then)]);
            events.for_each(|event| gates.see(Evidence::Event(&event)));
            rows(5..175, None).iter().for_each(|row| gates.see(Evidence::Request(row)));
            let finding = &gates.findings()[0];
            assert_eq!(
                (finding.state, finding.measured.as_str()),
                (expected, "not to the end"),
                "{finding:?}"
            );
        }
    }

    #[test]
    fn a_canary_that_does_not_come_up_leaves_its_rollout_to_miss() {
        let mut gates = Gates::new(&planned());
        let why = "no effect was seen".to_owned();
        let trouble = What::Trouble { kind: TroubleKind::Rollout, step: Some(step(1)), why };
        gates.see(Evidence::Event(&at(9, trouble)));
        assert_eq!(gates.findings()[0].state, State::Unknown);
    }

    #[test]
    fn a_canary_that_nobody_asked_about_is_no_evidence() {
        let mut gates = Gates::new(&planned());
        assert_eq!(gates.findings()[0].state, State::Invalid);
        gates.see(Evidence::Event(&at(9, What::Interrupted)));
        assert_eq!(gates.findings()[0].state, State::Unknown);
    }
}
