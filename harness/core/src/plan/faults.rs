//! Faults: words to tracks, picks drawn by the seed, times put on the time line.

use std::{collections::BTreeSet, time::Duration};

use super::{FaultPlan, Known, Phase, resolve, time_line};
use crate::{
    act::Unit,
    kind::{self, Said},
    name::Name,
    scenario::{Fault, Pick, Scenario},
    seed::{Draws, Seed},
    step::End,
    yaml::{Book, Mistake},
};

/// The faults of a scenario, each with its index there; those with mistakes are left out.
pub(super) fn faults(
    book: &mut Book<'_>,
    scenario: &Scenario,
    known: &Known<'_>,
    phases: &[Phase],
) -> Vec<(usize, FaultPlan)> {
    let mut plans = Vec::with_capacity(scenario.faults.len());
    for (index, fault) in scenario.faults.iter().enumerate() {
        let hit = hit(&plans, &fault.component);
        let plan = plan(fault, (index + 1, &hit), Seed(scenario.seed), known, phases);
        plans.extend(book.keep(&format!("faults[{index}]"), plan).map(|plan| (index, plan)));
    }
    plans
}

/// The replicas of a component that these faults hit.
fn hit(plans: &[(usize, FaultPlan)], component: &Name) -> BTreeSet<u16> {
    let steps = plans.iter().flat_map(|(_, plan)| &plan.track.steps);
    let units = steps.flat_map(|step| &step.acts).map(|act| act.unit());
    let indices = units.filter_map(|unit| match unit {
        Unit::Replica { component: other, index } if other == component => Some(*index),
        Unit::Replica { .. } | Unit::Component { .. } | Unit::Probe { .. } | Unit::Ground => None,
    });
    indices.collect()
}

fn plan(
    fault: &Fault,
    (number, hit): (usize, &BTreeSet<u16>),
    seed: Seed,
    known: &Known<'_>,
    phases: &[Phase],
) -> Result<FaultPlan, Mistake> {
    let word = fault.word.as_str();
    let words = || kind::FAULTS.iter().map(|kind| kind.about().word);
    let kind = kind::fault(word).ok_or_else(|| Mistake::unknown(word, "fault", word, words()))?;
    let names = || known.system.components.keys().map(Name::as_str);
    let component = known.system.components.get(&fault.component);
    let component =
        component.ok_or_else(|| Mistake::unknown(word, "component", fault.component.as_str(), names()))?;
    let draws = seed.stream(&format!("fault-{number}"));
    let picks = picks(fault, component.replicas, hit, draws)?;
    let (begins, phase) = time_line::moment(phases, &fault.at).map_err(|mistake| mistake.under("at"))?;
    if !phase.judged {
        let what = format!("`{}` is not judged, so a fault in it proves nothing", phase.name);
        return Err(Mistake::at("at", what).mend("write a judged phase"));
    }
    let lasts = fault.lasts.map(|lasts| lasts.get());
    ends_in(phase, begins, lasts.unwrap_or_default())?;
    let said = Said { number, component: &fault.component, picks: &picks, begins, lasts };
    let track = kind.expand(&said, known)?;
    if let Some(lacking) = resolve::needs_of(&track).difference(&known.abilities).next() {
        let what = format!("the target {} cannot {}", known.target, resolve::word(*lacking));
        let mend =
            known.lacking.get(lacking).map_or("write a fault that it can, or take another target", |why| why);
        return Err(Mistake::at(word, what).mend(mend));
    }
    let title = track.steps.first().map_or_else(|| word.to_owned(), |step| step.title.clone());
    let lasts =
        track.steps.iter().map(|step| if let End::After(lasts) = step.end { lasts } else { Duration::ZERO });
    Ok(FaultPlan { kind: fault.word.clone(), title, begins, lasts: lasts.max().unwrap_or_default(), track })
}

fn ends_in(phase: &Phase, begins: Duration, lasts: Duration) -> Result<(), Mistake> {
    if begins.saturating_add(lasts) <= phase.ends {
        return Ok(());
    }
    let rest = time_line::show(phase.ends.saturating_sub(begins));
    let what =
        format!("the fault ends outside its phase: {rest} of `{}` are left when it begins", phase.name);
    Err(Mistake::at("for", what).mend(format!("write `for: {rest}` or less, or make the phase longer")))
}

/// The replicas that a fault hits, in ascending order. Its draws are its own: another fault changes nothing here,
/// unless `another` was written.
fn picks(fault: &Fault, replicas: u16, hit: &BTreeSet<u16>, draws: Draws) -> Result<Vec<u16>, Mistake> {
    let component = &fault.component;
    let mut picks = match &fault.pick {
        Pick::These(these) => these.clone(),
        Pick::Count(count) => draw((1..=replicas).collect(), usize::from(*count), draws),
        Pick::Another => draw((1..=replicas).filter(|index| !hit.contains(index)).collect(), 1, draws),
    };
    picks.sort_unstable();
    if picks.is_empty() {
        let what = format!("no other replica of `{component}` is left: earlier faults hit all {replicas}");
        return Err(Mistake::at("pick", what).mend("write `pick: one`"));
    }
    if let Some(wrong) = picks.iter().find(|index| !(1..=replicas).contains(*index)) {
        let what = format!("`{component}` has no replica {wrong}: it has {replicas}");
        return Err(Mistake::at("pick", what).mend(format!("write numbers from 1 to {replicas}")));
    }
    if picks.windows(2).any(|pair| pair.first() == pair.last()) {
        return Err(Mistake::at("pick", "a replica is picked twice").mend("write each number once"));
    }
    match picks.len() < usize::from(replicas) {
        true => Ok(picks),
        false => Err(none_left(component, replicas)),
    }
}

fn none_left(component: &Name, replicas: u16) -> Mistake {
    if replicas < 2 {
        let what = format!("`{component}` has one replica only: none would be left");
        return Mistake::at("pick", what)
            .mend("write a component with more replicas, or for a set `replicas: 2`");
    }
    let what = format!("all {replicas} replicas of `{component}` would be hit: none would be left");
    Mistake::at("pick", what).mend(format!("write `pick: {}` or less", replicas - 1))
}

/// So many of them, or all when there are fewer.
fn draw(mut left: Vec<u16>, count: usize, mut draws: Draws) -> Vec<u16> {
    (0..count.min(left.len())).map(|_| left.swap_remove(draws.below(left.len()))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use std::collections::BTreeSet;

    use super::picks;
    use crate::{
        scenario::{Fault, Pick},
        seed::Seed,
    };

    fn fault(pick: Pick) -> Fault {
        let name = |text: &str| text.parse().unwrap();
        Fault { word: name("kill"), component: name("web"), pick, at: "fault".parse().unwrap(), lasts: None }
    }

    proptest! {
        #[test]
        fn picks_are_distinct_ascending_and_never_all(count in 1u16..9, replicas in 0u16..9, seed: u64) {
            match picks(&fault(Pick::Count(count)), replicas, &BTreeSet::new(), Seed(seed).stream("fault-1")) {
                Ok(picked) => {
                    prop_assert_eq!(picked.len(), usize::from(count));
                    prop_assert!(count < replicas);
                    prop_assert!(picked.windows(2).all(|pair| pair[0] < pair[1]));
                    prop_assert!(picked.iter().all(|index| (1..=replicas).contains(index)));
                }
                Err(_) => prop_assert!(count >= replicas),
            }
        }
    }

    #[test]
    fn every_replica_is_picked_by_some_seed_and_one_seed_picks_the_same() {
        let pick = |seed| {
            picks(&fault(Pick::Count(1)), 3, &BTreeSet::new(), Seed(seed).stream("fault-1")).unwrap()[0]
        };
        let mut all: Vec<u16> = (0..100).map(pick).collect();
        assert_eq!(all, (0..100).map(pick).collect::<Vec<_>>());
        all.sort_unstable();
        all.dedup();
        assert_eq!(all, [1, 2, 3]);
    }

    #[test]
    fn a_replica_that_is_not_there_or_named_twice_is_told() {
        let told = |these: &[u16]| {
            picks(&fault(Pick::These(these.to_vec())), 3, &BTreeSet::new(), Seed(1).stream("fault-1"))
                .unwrap_err()
                .what
        };
        assert!(told(&[4]).contains("no replica 4"));
        assert!(told(&[2, 2]).contains("twice"));
        assert!(told(&[1, 2, 3]).contains("none would be left"));
    }

    #[test]
    fn another_is_one_that_no_earlier_fault_hits() {
        let another = |hit: &[u16], seed| {
            picks(&fault(Pick::Another), 3, &hit.iter().copied().collect(), Seed(seed).stream("fault-2"))
        };
        assert!((0..50).all(|seed| another(&[3], seed).unwrap() != [3]));
        assert_eq!(another(&[1, 3], 7).unwrap(), [2]);
        assert!(another(&[1, 2, 3], 7).unwrap_err().what.contains("no other replica"));
    }
}
