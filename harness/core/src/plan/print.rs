//! A plan as text: what will happen, to whom and when, before anything is touched. It shows no request's content and
//! no setting, so no secret either.

use std::{fmt::Write as _, time::Duration};

use super::{
    Arrivals, CanaryPlan, FaultPlan, LoadPlan, Measure, Objective, Plan, RolloutPlan, Stream, resolve,
    time_line::show,
};
use crate::{
    judge::{
        canary::config::{Effect, Guard},
        show::quantile,
    },
    kind::Stage,
    name::Name,
    unit::{Bytes, Percent, Rate},
};

/// The plan, for a person.
pub fn print(plan: &Plan) -> String {
    let mut out = Lines::default();
    out.line(0, format!("{}: {}", plan.scenario, plan.hypothesis));
    out.line(0, format!("system {} on {}, seed {}", plan.system, plan.target, plan.seed.0));
    out.title(format!("time line, {}", show(plan.lasts())));
    for phase in &plan.phases {
        let judged = if phase.judged { "" } else { "  recorded, not judged" };
        out.line(1, format!("{:>8} to {:>8}  {}{judged}", show(phase.begins), show(phase.ends), phase.name));
    }
    load(&mut out, &plan.load);
    out.title("set-up, undone at the end");
    for step in &plan.set_up.steps {
        let units: Vec<_> = step.acts.iter().map(|act| act.unit().to_string()).collect();
        out.line(1, format!("{:<10} {}", step.id.to_string(), units.join(", ")));
    }
    out.title(if plan.faults.is_empty() { "no faults" } else { "faults" });
    plan.faults.iter().for_each(|planned| fault(&mut out, planned));
    if !plan.rollouts.is_empty() {
        out.title("rollouts, kept until the end");
        let judged =
            plan.phases.iter().find(|phase| phase.judged).map_or(Duration::ZERO, |phase| phase.begins);
        plan.rollouts.iter().for_each(|planned| rollout(&mut out, planned, judged));
    }
    drills(&mut out, plan);
    connections(&mut out, plan);
    out.title(if plan.objectives.is_empty() { "no objectives" } else { "objectives" });
    plan.objectives.iter().for_each(|planned| objective(&mut out, planned));
    judged_besides(&mut out, plan);
    out.0
}

#[derive(Default)]
struct Lines(String);

impl Lines {
    fn line(&mut self, depth: usize, text: impl AsRef<str>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{:indent$}{}", "", text.as_ref(), indent = depth * 2);
    }

    fn title(&mut self, text: impl AsRef<str>) {
        self.line(0, "");
        self.line(0, text);
    }
}

fn judged_besides(out: &mut Lines, plan: &Plan) {
    let words = |words: Vec<String>| if words.is_empty() { "none".to_owned() } else { words.join(", ") };
    out.title(format!("checks: {}", words(plan.checks.iter().map(ToString::to_string).collect())));
    let sent = Percent::of(plan.generator.sent);
    out.line(
        0,
        format!("generator: p99 of its lag at most {}, at least {sent} sent", show(plan.generator.lag_p99)),
    );
    for (component, must) in &plan.musts {
        out.line(0, format!("must hold: `{}` is `{}` at {component}", must.sql, must.is));
    }
    let needs = plan.needs.iter().map(|ability| resolve::word(*ability).to_owned()).collect();
    out.line(0, format!("the target must be able to: {}", words(needs)));
    out.line(
        0,
        format!(
            "faults and rollouts touch: {}",
            words(plan.touches.iter().map(ToString::to_string).collect())
        ),
    );
}

fn load(out: &mut Lines, load: &LoadPlan) {
    if load.streams.is_empty() {
        return out.title("no load");
    }
    out.title(format!("load, at most {} requests in flight", load.in_flight));
    for stream in &load.streams {
        let arrivals = stream.offered(Duration::ZERO, load.lasts);
        out.line(1, format!("{}, {arrivals:.0} arrivals", rates(stream)));
        for (index, share) in &stream.mix {
            let Some(behaviour) = load.behaviours.get(usize::from(*index)) else { continue };
            let share = format!("{:.1}%", share * 100.0);
            let requests =
                if behaviour.count == 1 { "1 request" } else { &format!("{} requests", behaviour.count) };
            out.line(2, format!("{share:>6}  {} ({requests})", behaviour.name));
        }
    }
    for (name, file) in &load.data {
        out.line(1, format!("data {name} from {file}"));
    }
}

fn rates(stream: &Stream) -> String {
    let rate = |value: f64| Rate::per_second(value).to_string();
    let parts = stream.segments.iter().map(|segment| {
        let lasts = show(segment.lasts);
        if segment.from == segment.to {
            format!("{} for {lasts}", rate(segment.from))
        } else {
            format!("{} to {} in {lasts}", rate(segment.from), rate(segment.to))
        }
    });
    let word = match stream.arrivals {
        Arrivals::Even => "evenly",
        Arrivals::Poisson => "poisson",
    };
    format!("{word} {}", parts.collect::<Vec<_>>().join(", "))
}

fn fault(out: &mut Lines, fault: &FaultPlan) {
    let lasts = if fault.lasts.is_zero() {
        "undone at once".to_owned()
    } else {
        format!("for {}", show(fault.lasts))
    };
    out.line(1, format!("{:>8}  {}, {lasts}", show(fault.begins), fault.title));
    for step in &fault.track.steps {
        step.effect.iter().for_each(|proof| out.line(6, format!("took effect when: {proof}")));
        step.gone.iter().for_each(|proof| out.line(6, format!("gone when: {proof}")));
    }
}

/// What a judge has not seen in the judged load before a canary it takes for the canary's: usual trouble comes in minutes.
const LEARNS: Duration = Duration::from_secs(300);

/// `begins` is when judged load begins, from which a canary's judge learns.
fn rollout(out: &mut Lines, rollout: &RolloutPlan, begins: Duration) {
    let within = show(rollout.allowed);
    out.line(1, format!("{:>8}  {}, within {within}", show(rollout.begins), rollout.title));
    if let Some(canary) = &rollout.canary {
        judged(out, canary);
        let learns = rollout.begins.saturating_sub(begins);
        if learns < LEARNS {
            let what = "learns from {} of judged load: what troubles every version and comes less often may look like the new one's";
            let what = what.replace("{}", &show(learns));
            out.line(6, format!("{what}; for a release give it {} or more", show(LEARNS)));
        }
    }
    for step in &rollout.track.steps {
        step.effect.iter().for_each(|proof| out.line(6, format!("completed when: {proof}")));
        step.gone.iter().for_each(|proof| out.line(6, format!("if not, taken back until: {proof}")));
    }
}

/// What the judge of a canary is asked, defaults included.
fn judged(out: &mut Lines, canary: &CanaryPlan) {
    let (sets, judge) = (&canary.sets, &canary.judge);
    let against = sets.baseline.as_ref().map_or("the replicas that ran before", Name::as_str);
    let steps = sets.shares.len();
    out.line(6, format!("{steps} steps of at most {} each", show(sets.each)));
    for (metric, effect) in [
        ("errors", &judge.errors),
        ("wrong-answers", &judge.wrong_answers),
        ("lost-writes", &judge.lost_writes),
    ] {
        if let Some(Effect { smallest, harm }) = effect {
            let (smallest, harm) = (Percent::of(*smallest), Percent::of(*harm));
            let what = format!("{metric}: of interest from {smallest} more, harm from {harm}");
            out.line(6, format!("compared with {against}: {what}"));
        }
    }
    for of in &judge.latency {
        let (smallest, harm) = (Percent::of(of.smallest - 1.0), Percent::of(of.harm - 1.0));
        let name = quantile(of.quantile);
        let what = format!("{name}: of interest from {smallest} slower, harm from {harm}");
        out.line(6, format!("compared with {against}: {what}"));
    }
    for guard in &judge.guards {
        out.line(
            6,
            match guard {
                Guard::Errors { at_most } => format!("keeps errors <= {}", Percent::of(*at_most)),
                Guard::Latency { quantile: of, at_most_us } => {
                    format!("keeps {} <= {}", quantile(*of), show(Duration::from_micros(*at_most_us)))
                }
            },
        );
    }
    if let Some(memory) = judge.memory {
        out.line(6, format!("keeps memory <= {} in every replica", Bytes::new(memory)));
    }
}

fn drills(out: &mut Lines, plan: &Plan) {
    if plan.drills.is_empty() {
        return;
    }
    out.title("drills; what they destroy is restored from the backup alone");
    for drill in &plan.drills {
        let (begins, within) = (show(drill.begins), show(drill.within));
        out.line(1, format!("{begins:>8}  {}, within {within}", drill.title));
        for (stage, step) in drill.steps() {
            let acts: Vec<_> = step.acts.iter().map(ToString::to_string).collect();
            let more = match acts.as_slice() {
                _ if stage == Stage::Write => format!(": {} are acknowledged", drill.lose),
                [] => String::new(),
                acts => format!(": {}", acts.join(", ")),
            };
            out.line(6, format!("{}{more}", step.title));
        }
    }
}

fn connections(out: &mut Lines, plan: &Plan) {
    if plan.connections.is_empty() {
        return;
    }
    out.title("connections, tried before the load; what is not named must be closed");
    for row in &plan.connections {
        let open: Vec<_> =
            row.wanted.iter().filter(|(_, open)| **open).map(|(to, _)| to.to_string()).collect();
        let open = if open.is_empty() { "nothing".to_owned() } else { open.join(", ") };
        out.line(1, format!("{:<12} reaches {open}, of {}", row.from, row.wanted.len()));
    }
}

fn objective(out: &mut Lines, objective: &Objective) {
    let phases: Vec<_> = objective.phases.iter().map(ToString::to_string).collect();
    let where_ = match objective.measure {
        Measure::Latency { .. } | Measure::Throughput | Measure::Errors { .. } | Measure::Cpu { .. } => {
            format!("in each of {}", phases.join(", "))
        }
        Measure::Recovery => "after each fault".to_owned(),
        Measure::Rpo | Measure::Rto => "of each drill".to_owned(),
        Measure::Memory { .. } => "over the whole run".to_owned(),
        Measure::Metric { .. } => format!("over {} together", phases.join(", ")),
    };
    let least =
        if objective.least > 1 { format!(", on {} samples or more", objective.least) } else { String::new() };
    out.line(1, format!("{}, {where_}{least}", objective.text));
}
