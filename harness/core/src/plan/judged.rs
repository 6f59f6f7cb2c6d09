//! What is judged: objectives resolved against the system and the time line, and the checks that are asked for.

use super::{
    CanaryPlan, Comparison, FaultPlan, LoadPlan, Measure, Objective, Phase, RolloutPlan,
    drills::destroying,
    mix,
    written::{self, QUANTILES, Written},
};
use crate::{
    kind::{self, Loses},
    name::Name,
    scenario::{Drill, Rollout, Scenario},
    system::{Shares, System},
    unit::{Bytes, NotAQuantity, Percent, Rate, Span},
    yaml::{Book, Mistake, one_of},
};

/// The checks of correctness that a scenario can ask for. The judges of these names answer them.
pub const CHECKS: [&str; 3] = ["no-lost-write", "no-duplicate", "right-answers"];

/// Fewest samples for a share or a mean.
const LEAST: u64 = 100;

/// What objectives are resolved against. Of faults and streams with mistakes only the number is known.
#[derive(Clone, Copy)]
pub(super) struct Against<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) system: &'a System,
    pub(super) phases: &'a [Phase],
    pub(super) load: &'a LoadPlan,
    pub(super) faults: &'a [(usize, FaultPlan)],
}

/// The objectives of a scenario; those with mistakes are left out.
pub(super) fn objectives(book: &mut Book<'_>, against: Against<'_>) -> Vec<Objective> {
    let scenario = against.scenario;
    let has_judge =
        |rollout: &Rollout| kind::rollout(rollout.word.as_str()).is_none_or(|kind| kind.beside().is_some());
    if scenario.objectives.is_empty()
        && scenario.checks.is_empty()
        && scenario.connections.is_empty()
        && scenario.drills.is_empty()
        && !scenario.rollouts.iter().any(has_judge)
    {
        let what = "nothing is judged: there is no objective, no check and no connection";
        book.say(Mistake::at("objectives", what).mend("add `objectives: [p95 < 200ms]` or the like"));
    }
    let mut objectives = Vec::with_capacity(scenario.objectives.len());
    for (index, text) in scenario.objectives.iter().enumerate() {
        let objective = objective(text, against);
        objectives.extend(book.keep(&format!("objectives[{index}]"), objective));
    }
    objectives
}

/// The checks that are asked for; each needs a load that gives it something to check.
pub(super) fn checks(
    book: &mut Book<'_>,
    scenario: &Scenario,
    system: &System,
    load: &LoadPlan,
) -> Vec<Name> {
    // With a mistake in the load, what it lacks is not known.
    let unread = load.streams.len() < scenario.load.len();
    let answers = unread || says_right(load);
    let loses = |drill: &&Drill| {
        kind::drill(drill.word.as_str()).is_some_and(|kind| kind.destroys() && kind.loses() != Loses::Nothing)
    };
    let losing = scenario.drills.iter().find(loses);
    for (index, check) in scenario.checks.iter().enumerate() {
        let path = format!("checks[{index}]");
        if let (Some(drill), "no-lost-write") = (losing, check.as_str()) {
            let what =
                format!("`no-lost-write` would fail: the `{}` drill loses writes on purpose", drill.word);
            book.say(Mistake::at(path, what).mend("take it out: the drill itself accounts for every write"));
            continue;
        }
        let lacks = match check.as_str() {
            "right-answers" if !answers => "no request of this load says what a right answer is",
            "no-lost-write" | "no-duplicate" if !unread && !mix::writes(load) => {
                "no request of this load is marked as a write"
            }
            "no-lost-write" | "no-duplicate" if system.audit.is_none() => "the system file says no `audit`",
            known if CHECKS.contains(&known) => {
                if scenario.checks.iter().take(index).any(|other| other == check) {
                    book.say(
                        Mistake::at(path, format!("`{known}` is asked for twice")).mend("keep one of them"),
                    );
                }
                continue;
            }
            other => {
                book.say(Mistake::unknown(path, "check", other, CHECKS));
                continue;
            }
        };
        let what = format!("`{check}` has nothing to check: {lacks}");
        book.say(Mistake::at(path, what).mend("add it, or take the check out"));
    }
    scenario.checks.clone()
}

/// Whether any request in use says what a right answer is.
fn says_right(load: &LoadPlan) -> bool {
    load.steps.iter().any(|step| !step.request.expect.json.is_empty())
}

/// What a canary's judge is asked for needs a load that gives it something to judge.
pub(super) fn of_canaries(
    book: &mut Book<'_>,
    scenario: &Scenario,
    load: &LoadPlan,
    rollouts: &[(usize, RolloutPlan)],
) {
    // With a mistake in the load, what it lacks is not known.
    if load.streams.len() < scenario.load.len() {
        return;
    }
    for (index, rollout) in rollouts {
        book.keep(&format!("rollouts[{index}]"), asked_enough(rollout, load));
    }
    for (index, rollout) in scenario.rollouts.iter().enumerate() {
        for metric in rollout.gated.harm.iter().flatten().map(|(metric, _)| metric.as_str()) {
            let (lacks, mend) = match metric {
                "lost-writes" if !(mix::writes(load) && mix::reads(load)) => (
                    "this load does not both write records and read them",
                    "mark a write and a read in its behaviours, or take it out",
                ),
                "wrong-answers" if !says_right(load) => (
                    "no request of this load says what a right answer is",
                    "add `expect: { json: ... }` to its behaviours, or take it out",
                ),
                _ => continue,
            };
            let what = format!("`{metric}` has nothing to judge: {lacks}");
            book.say(Mistake::at(format!("rollouts[{index}].harm.{metric}"), what).mend(mend));
        }
    }
}

/// A judge says nothing of a set that was hardly asked: such a step passes nothing.
fn asked_enough(rollout: &RolloutPlan, load: &LoadPlan) -> Result<(), Mistake> {
    let Some(CanaryPlan { sets, judge }) = &rollout.canary else { return Ok(()) };
    let mut begins = rollout.begins;
    for (index, share) in sets.shares.iter().enumerate() {
        let ends = begins + sets.each;
        let part = f64::from(*share) / f64::from(Shares::WHOLE);
        let asked = mix::offered_requests(load, begins, ends) * part;
        if asked < judge.least.requests as f64 {
            let what = format!(
                "in that step the load asks it about {asked:.0} times, and nothing is judged by fewer than {}",
                judge.least.requests
            );
            let at =
                if rollout.kind.as_str() == "canary" { format!("shares[{index}]") } else { "each".into() };
            return Err(
                Mistake::at(at, what).mend("write a larger share, a longer `each:`, or a higher rate")
            );
        }
        begins = ends;
    }
    Ok(())
}

fn objective(text: &str, against: Against<'_>) -> Result<Objective, Mistake> {
    let written = written::parse(text)?;
    let (measure, bound) = measure(&written, against)?;
    in_its_direction(&written, &measure, text)?;
    let phases = in_phases(&written, &measure, against.phases)?;
    if requests(&measure) && against.scenario.load.is_empty() {
        let what = format!("`{text}` is measured on requests, and there is no load");
        return Err(Mistake::at("", what).mend("add `load:`"));
    }
    match &measure {
        Measure::Throughput => offered(bound, &phases, against)?,
        Measure::Recovery => after_a_baseline(&phases, against)?,
        Measure::Rpo | Measure::Rto if destroying(against.scenario).next().is_none() => {
            let what =
                format!("`{}` is measured by a drill that destroys, and there is none", written.measure);
            return Err(Mistake::at("", what).mend("add `drills:`, or take the objective out"));
        }
        _ => {}
    }
    let least = least(&measure, bound, against.system);
    let phases = phases.into_iter().map(|phase| phase.name.clone()).collect();
    Ok(Objective {
        text: text.trim().to_owned(),
        measure,
        comparison: written.comparison,
        bound,
        phases,
        least,
    })
}

fn in_its_direction(written: &Written<'_>, measure: &Measure, text: &str) -> Result<(), Mistake> {
    let (wanted, sign, word) = match measure {
        Measure::Metric { .. } => return Ok(()),
        Measure::Throughput => (Comparison::Above, ">", "low"),
        _ => (Comparison::Below, "<", "high"),
    };
    if wanted == written.comparison {
        return Ok(());
    }
    let what = format!("`{text}` asks for a value that is too {word}");
    let of = written.of.map(|of| format!(" of {of}")).unwrap_or_default();
    Err(Mistake::at("", what).mend(format!("write `{}{of} {sign} {}`", written.measure, written.bound)))
}

/// What is measured, and the bound in its base unit.
fn measure(written: &Written<'_>, against: Against<'_>) -> Result<(Measure, f64), Mistake> {
    let system = against.system;
    if let Some((_, quantile)) = QUANTILES.iter().find(|(word, _)| *word == written.measure) {
        let behaviour = behaviour(written, against)?;
        return Ok((Measure::Latency { quantile: *quantile, behaviour }, duration(written)?));
    }
    match written.measure {
        "throughput" => without_of(written).and_then(|()| Ok((Measure::Throughput, rate(written)?))),
        "errors" => Ok((Measure::Errors { behaviour: behaviour(written, against)? }, share(written, 1.0)?)),
        "recovery" => without_of(written).and_then(|()| Ok((Measure::Recovery, duration(written)?))),
        "rpo" => without_of(written).and_then(|()| Ok((Measure::Rpo, duration(written)?))),
        "rto" => without_of(written).and_then(|()| Ok((Measure::Rto, duration(written)?))),
        "memory" => Ok((Measure::Memory { component: component(written, system)? }, size(written)?)),
        "cpu" => {
            let component = component(written, system)?;
            if system.components.get(&component).is_some_and(|spec| spec.allotment.is_none()) {
                let what = format!("`{component}` has no allotment to compare its CPU time with");
                return Err(
                    Mistake::at("", what).mend("add `allotment: { cpu: 0.5 }` to it in the system file")
                );
            }
            Ok((Measure::Cpu { component }, share(written, f64::INFINITY)?))
        }
        word => {
            let unknown = || written::unknown_measure(word, system.metrics.keys().map(Name::as_str));
            let found = system.metrics.iter().find(|(name, _)| name.as_str() == word);
            let (name, metric) = found.ok_or_else(unknown)?;
            without_of(written)?;
            Ok((Measure::Metric { name: name.clone() }, metric_bound(written, metric.to.is_empty())?))
        }
    }
}

fn requests(measure: &Measure) -> bool {
    use Measure::{Errors, Latency, Recovery, Throughput};
    matches!(measure, Latency { .. } | Throughput | Errors { .. } | Recovery)
}

fn without_of(written: &Written<'_>) -> Result<(), Mistake> {
    let Some(of) = written.of else { return Ok(()) };
    let what = format!("`{}` is of the whole system, not of `{of}`", written.measure);
    Err(Mistake::at("", what).mend(format!("write `{}` without `of {of}`", written.measure)))
}

fn behaviour(written: &Written<'_>, against: Against<'_>) -> Result<Option<Name>, Mistake> {
    let Some(word) = written.of else { return Ok(None) };
    let used = || against.load.behaviours.iter().map(|behaviour| behaviour.name.as_str());
    let found = against.load.behaviours.iter().find(|behaviour| behaviour.name.as_str() == word);
    let unknown =
        || Mistake::at("", format!("no behaviour `{word}` is in this load")).mend(one_of(word, used()));
    found.map(|behaviour| Some(behaviour.name.clone())).ok_or_else(unknown)
}

fn component(written: &Written<'_>, system: &System) -> Result<Name, Mistake> {
    let what = format!("`{}` needs a component", written.measure);
    let mend = format!("write `{} of COMPONENT < {}`", written.measure, written.bound);
    let word = written.of.ok_or_else(|| Mistake::at("", what).mend(mend))?;
    let known = || system.components.keys().map(Name::as_str);
    let found = system.components.keys().find(|name| name.as_str() == word);
    found.cloned().ok_or_else(|| Mistake::unknown("", "component", word, known()))
}

fn quantity<T: std::str::FromStr<Err = NotAQuantity>>(written: &Written<'_>) -> Result<T, Mistake> {
    written.bound.parse().map_err(|error: NotAQuantity| {
        Mistake::at("", format!("{:?} is no {}: {}", error.text, error.kind, error.why))
            .mend(format!("write it like {}", error.example))
    })
}

fn over_zero(written: &Written<'_>, bound: f64) -> Result<f64, Mistake> {
    let never =
        || Mistake::at("", format!("nothing is below {}", written.bound)).mend("write a bound over 0");
    if bound > 0.0 || written.comparison == Comparison::Above { Ok(bound) } else { Err(never()) }
}

fn duration(written: &Written<'_>) -> Result<f64, Mistake> {
    over_zero(written, quantity::<Span>(written)?.micros() as f64)
}

fn rate(written: &Written<'_>) -> Result<f64, Mistake> {
    Ok(quantity::<Rate>(written)?.get())
}

fn size(written: &Written<'_>) -> Result<f64, Mistake> {
    over_zero(written, quantity::<Bytes>(written)?.get() as f64)
}

fn share(written: &Written<'_>, most: f64) -> Result<f64, Mistake> {
    let share = over_zero(written, quantity::<Percent>(written)?.fraction())?;
    let over =
        || Mistake::at("", format!("`{}` is never over 100%", written.measure)).mend("write at most 100%");
    if share <= most { Ok(share) } else { Err(over()) }
}

/// A ratio is compared with a percentage or a plain number, a count with a plain number.
fn metric_bound(written: &Written<'_>, counts: bool) -> Result<f64, Mistake> {
    let plain = written.bound.parse::<f64>().ok().filter(|bound| bound.is_finite() && *bound >= 0.0);
    match (plain, counts) {
        (Some(bound), _) => over_zero(written, bound),
        (None, false) => over_zero(written, quantity::<Percent>(written)?.fraction()),
        (None, true) => {
            let what =
                format!("{:?} is no count: `{}` counts and is no ratio", written.bound, written.measure);
            Err(Mistake::at("", what).mend("write a plain number, such as 10"))
        }
    }
}

/// The judged phases that an objective holds for.
fn in_phases<'a>(
    written: &Written<'_>,
    measure: &Measure,
    phases: &'a [Phase],
) -> Result<Vec<&'a Phase>, Mistake> {
    let judged = || phases.iter().filter(|phase| phase.judged);
    let Some(word) = written.phase else { return Ok(judged().collect()) };
    use Measure::{Memory, Metric, Recovery, Rpo, Rto};
    if matches!(measure, Recovery | Rpo | Rto | Memory { .. } | Metric { .. }) {
        let what = format!("`{}` is measured over the whole run, not in a phase", written.measure);
        return Err(Mistake::at("", what).mend(format!("write it without `in {word}`")));
    }
    let found = judged().find(|phase| phase.name.as_str() == word);
    let unknown = || Mistake::unknown("", "judged phase", word, judged().map(|phase| phase.name.as_str()));
    Ok(vec![found.ok_or_else(unknown)?])
}

/// Refuses a throughput that is not offered.
fn offered(bound: f64, phases: &[&Phase], against: Against<'_>) -> Result<(), Mistake> {
    let load = against.load;
    if load.streams.len() < against.scenario.load.len() {
        return Ok(());
    }
    for phase in phases {
        let requests = load.streams.iter().map(|stream| {
            let counts = stream.mix.iter().map(|(index, share)| {
                share
                    * load
                        .behaviours
                        .get(usize::from(*index))
                        .map_or(0.0, |behaviour| f64::from(behaviour.count))
            });
            stream.offered(phase.begins, phase.ends) * counts.sum::<f64>()
        });
        let seconds = phase.ends.saturating_sub(phase.begins).as_secs_f64();
        let offered = if seconds > 0.0 { requests.sum::<f64>() / seconds } else { 0.0 };
        if bound >= offered {
            let what = format!(
                "only {offered:.1} requests/s are offered in `{}`: over {bound}/s is impossible",
                phase.name
            );
            return Err(Mistake::at("", what).mend("write a lower bound, or a higher rate in `load`"));
        }
    }
    Ok(())
}

/// A recovery is the way back to what was measured before the first fault.
fn after_a_baseline(judged: &[&Phase], against: Against<'_>) -> Result<(), Mistake> {
    if against.scenario.faults.is_empty() {
        return Err(
            Mistake::at("", "there is no fault to recover from").mend("add one, or take the objective out")
        );
    }
    let Some(first) = against.faults.iter().map(|(_, fault)| fault.begins).min() else { return Ok(()) };
    if judged.iter().any(|phase| phase.ends <= first) {
        return Ok(());
    }
    let what = "no judged phase ends before the first fault: there is nothing to come back to";
    Err(Mistake::at("", what).mend("write a phase such as `baseline: 15s` before it"))
}

/// Fewest samples that allow a verdict. A quantile wants ten samples beyond it (so p95 200, p99.9 10,000 at best; 1,000
/// is the least that shows one); a mean 100; a share so many that one failure alone would miss it; one fault, one process or one reading speaks for itself.
fn least(measure: &Measure, bound: f64, system: &System) -> u64 {
    match measure {
        Measure::Latency { quantile, .. } if *quantile > 0.99 => 1_000,
        Measure::Latency { quantile, .. } if *quantile > 0.5 => 200,
        Measure::Latency { .. } => 20,
        Measure::Throughput => LEAST,
        // The small step back hides the binary tail of 1 / 0.01.
        Measure::Errors { .. } => LEAST.max((1.0 / bound - 1e-6).ceil() as u64),
        Measure::Recovery | Measure::Rpo | Measure::Rto | Measure::Memory { .. } | Measure::Cpu { .. } => 1,
        Measure::Metric { name } => system.metrics.get(name).map_or(LEAST, |metric| metric.least),
    }
}
