//! The blast radius over time: how many replicas of a component are down at once, against what is tolerated.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{FaultPlan, time_line};
use crate::{
    act::Unit,
    name::Name,
    scenario::Scenario,
    system::System,
    yaml::{Book, Mistake},
};

/// A replica counts as down for so long after its fault has ended: it starts, warms up and takes its share again.
pub const SETTLE: Duration = Duration::from_secs(5);

/// Refuses faults that together go beyond the tolerance, or that hold one unit at the same time.
pub(super) fn check(
    book: &mut Book<'_>,
    scenario: &Scenario,
    system: &System,
    faults: &[(usize, FaultPlan)],
) {
    for (name, tolerance) in &scenario.tolerates {
        let result = tolerated(system, name, (tolerance.down, tolerance.of));
        book.keep(&format!("tolerates.{name}"), result);
    }
    for (index, fault) in faults {
        let held = held_at(
            fault.begins,
            faults.iter().map(|(_, other)| other).filter(|other| !std::ptr::eq(*other, fault)),
        );
        let own = units(fault);
        if let Some((unit, other)) = own.iter().find_map(|unit| held.get(unit).map(|other| (unit, *other))) {
            let what = format!(
                "`{unit}` is still held by `{}` ({} to {})",
                other.title,
                time_line::show(other.begins),
                until(other)
            );
            let mend = format!("write a time from {} on, or pick another replica", until(other));
            book.say(Mistake::at(format!("faults[{index}].at"), what).mend(mend));
            continue;
        }
        for (component, down) in down(own.iter().chain(held.keys())) {
            let limit = limit(scenario, system, component);
            if own.iter().any(|unit| component_of(unit) == Some(component)) && down > usize::from(limit) {
                let what = format!(
                    "{down} replicas of `{component}` would be down at {}; {limit} may be",
                    time_line::show(fault.begins)
                );
                let mend = format!(
                    "write a later time (a replica counts as down for {} after its fault), fewer picks, or more in `tolerates`",
                    time_line::show(SETTLE)
                );
                book.say(Mistake::at(format!("faults[{index}]"), what).mend(mend));
            }
        }
    }
}

fn tolerated(system: &System, name: &Name, (down, of): (u16, u16)) -> Result<(), Mistake> {
    let known = system.components.keys().map(Name::as_str);
    let unknown = || Mistake { of_key: true, ..Mistake::unknown("", "component", name.as_str(), known) };
    let replicas = system.components.get(name).ok_or_else(unknown)?.replicas;
    let most = replicas.saturating_sub(1);
    if of != replicas {
        let what = format!("`{name}` has {replicas} replicas, not {of}");
        return Err(Mistake::at("", what).mend(format!("write \"{} of {replicas}\"", down.min(most))));
    }
    if down > most {
        let what = format!("all replicas of `{name}` may not be down: one must stay");
        return Err(Mistake::at("", what).mend(format!("write \"{most} of {replicas}\"")));
    }
    Ok(())
}

/// How many replicas of a component may be down at once.
fn limit(scenario: &Scenario, system: &System, component: &Name) -> u16 {
    let replicas = system.components.get(component).map_or(0, |spec| spec.replicas);
    let most = replicas.saturating_sub(1);
    scenario.tolerates.get(component).map_or(most, |tolerance| tolerance.down.min(most))
}

fn units(fault: &FaultPlan) -> BTreeSet<&Unit> {
    fault.track.steps.iter().flat_map(|step| &step.acts).map(|act| act.unit()).collect()
}

fn until(fault: &FaultPlan) -> String {
    time_line::show(fault.begins + fault.lasts + SETTLE)
}

/// What faults that have begun hold at a moment. The most are held at the beginning of some fault.
fn held_at<'a>(
    at: Duration,
    faults: impl Iterator<Item = &'a FaultPlan>,
) -> BTreeMap<&'a Unit, &'a FaultPlan> {
    let open = faults.filter(|fault| fault.begins <= at && at < fault.begins + fault.lasts + SETTLE);
    open.flat_map(|fault| units(fault).into_iter().map(move |unit| (unit, fault))).collect()
}

fn component_of(unit: &Unit) -> Option<&Name> {
    match unit {
        Unit::Ground => None,
        Unit::Replica { component, .. } => Some(component),
    }
}

fn down<'a>(units: impl Iterator<Item = &'a &'a Unit>) -> BTreeMap<&'a Name, usize> {
    let mut down = BTreeMap::new();
    for component in units.filter_map(|unit| component_of(unit)) {
        *down.entry(component).or_insert(0) += 1;
    }
    down
}
