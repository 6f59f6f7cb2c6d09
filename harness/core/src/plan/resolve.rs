//! From what was written to what will be done: every name resolved, every mistake told before anything is touched.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    GeneratorLimits, Known, Measure, Objective, Plan, Replicas, budget, connections, drills, faults, judged,
    mix, rollouts, time_line,
};
use crate::{
    act::{Ability, Unit},
    kind::set_up,
    name::Name,
    proof::Proof,
    scenario::Scenario,
    seed::Seed,
    step::Track,
    system::{Metric, System},
    yaml::{Book, Mistake},
};

/// The plan of a scenario, or all that is wrong with it. Pure: the same words give the same plan.
pub fn plan(name: &str, scenario: &Scenario, known: &Known<'_>) -> Result<Plan, Vec<Mistake>> {
    let system = known.system;
    let mut book = Book::new(&scenario.places);
    if scenario.hypothesis.trim().is_empty() {
        book.say(Mistake::at("hypothesis", "the hypothesis is empty").mend("write what the scenario claims"));
    }
    let phases = time_line::phases(&mut book, scenario);
    let load = mix::load(&mut book, scenario, system, &phases);
    let connections = connections::connections(&mut book, scenario, known);
    let mut set_up = set_up::expand(system, connections.iter().map(|row| &row.from));
    let mut faults = faults::faults(&mut book, scenario, known, &phases);
    let rollouts = rollouts::rollouts(&mut book, scenario, known, &phases);
    let tracks = faults.iter_mut().map(|(_, fault)| &mut fault.track);
    std::iter::once(&mut set_up).chain(tracks).for_each(|track| give(track, known.slack));
    let drills = drills::drills(&mut book, scenario, known, (&phases, &load));
    budget::check(&mut book, scenario, system, &faults, &rollouts);
    drills::apart(&mut book, &drills, &faults, &rollouts);
    let objectives = judged::objectives(
        &mut book,
        judged::Against { scenario, system, phases: &phases, load: &load, faults: &faults },
    );
    let checks = judged::checks(&mut book, scenario, system, &load);
    judged::of_canaries(&mut book, scenario, &load, &rollouts);
    let rolled = || rollouts.iter().map(|(_, rollout)| &rollout.track);
    let drilled = || drills.iter().map(|drill| &drill.track);
    let tracks = || faults.iter().map(|(_, fault)| &fault.track).chain(rolled()).chain(drilled());
    let needs = needs(std::iter::once(&set_up).chain(tracks()));
    if let Some(lacking) = needs_of(&set_up).difference(&known.abilities).next() {
        let what = format!("the target {} cannot {}", known.target, word(*lacking));
        book.say(
            Mistake::at("system", what).mend("write a system that it can start, or take another target"),
        );
    }
    book.close()?;
    Ok(Plan {
        scenario: name.to_owned(),
        hypothesis: scenario.hypothesis.trim().to_owned(),
        system: system.name.clone(),
        target: known.target.to_owned(),
        seed: Seed(scenario.seed),
        metrics: metrics(system, &objectives),
        replicas: replicas(system),
        musts: musts(system),
        connections,
        generator: GeneratorLimits {
            lag_p99: scenario.generator.lag.get(),
            sent: scenario.generator.sent.fraction(),
        },
        needs,
        touches: touches(tracks()),
        faults: faults.into_iter().map(|(_, fault)| fault).collect(),
        rollouts: rollouts.into_iter().map(|(_, rollout)| rollout).collect(),
        drills,
        phases,
        load,
        set_up,
        objectives,
        checks,
    })
}

/// Targets on which a run makes its own system.
pub(super) const OWN_SYSTEM: &str = "`--target local`, or `--target kube` without `--namespace`";

/// What an ability lets a target do.
pub(super) fn word(ability: Ability) -> &'static str {
    match ability {
        Ability::Start => "start",
        Ability::Kill => "kill",
        Ability::Away => "keep away what was killed",
        Ability::Pause => "pause",
        Ability::Configure => "configure",
        Ability::Program => "run another program",
        Ability::Image => "run another image",
        Ability::Scale => "scale",
        Ability::Probe => "probe",
        Ability::Exec => "exec",
        Ability::Files => "let its configuration be replaced as files",
        Ability::Objects => "let its configuration be replaced as objects",
        Ability::Weigh => "weigh",
    }
}

/// Every proof of it gets that much more time.
fn give(track: &mut Track, slack: Duration) {
    for step in &mut track.steps {
        more(&mut step.effect, slack);
        more(&mut step.gone, slack);
    }
}

/// These proofs get that much more time.
pub(super) fn more(proofs: &mut [Proof], slack: Duration) {
    proofs.iter_mut().for_each(|proof| proof.within += slack);
}

/// What the acts of a track need.
pub(super) fn needs_of(track: &Track) -> BTreeSet<Ability> {
    track.steps.iter().flat_map(|step| &step.acts).map(|act| act.needs()).collect()
}

fn needs<'a>(tracks: impl Iterator<Item = &'a Track>) -> BTreeSet<Ability> {
    tracks.flat_map(needs_of).collect()
}

fn touches<'a>(tracks: impl Iterator<Item = &'a Track>) -> BTreeSet<Unit> {
    let acts = tracks.flat_map(|track| &track.steps).flat_map(|step| &step.acts);
    acts.map(|act| act.unit().clone()).collect()
}

fn replicas(system: &System) -> BTreeMap<Name, Replicas> {
    let entitled = system.components.iter().map(|(name, component)| {
        let (cores, memory) = match component.allotment {
            Some(allotment) => (allotment.cpu, allotment.memory.map_or(0, |bytes| bytes.get())),
            None => (0.0, 0),
        };
        (name.clone(), Replicas { count: component.replicas, cores, memory })
    });
    entitled.collect()
}

fn metrics(system: &System, objectives: &[Objective]) -> BTreeMap<Name, Metric> {
    let named = objectives.iter().filter_map(|objective| match &objective.measure {
        Measure::Metric { name } => Some((name.clone(), system.metrics.get(name)?.clone())),
        _ => None,
    });
    named.collect()
}

fn musts(system: &System) -> Vec<(Name, crate::system::Must)> {
    let all = system
        .components
        .iter()
        .filter(|(_, component)| component.set.is_none())
        .flat_map(|(name, component)| component.must.iter().map(move |must| (name, must)));
    all.map(|(name, must)| (name.clone(), must.clone())).collect()
}
