//! The blast radius over time: how many replicas of a component are down at once, against what is tolerated.
//!
//! A rollout takes one replica of its component at a time, for as long as it may take. A fault in the middle of it is
//! welcome, with one exception: a fault that holds a replica for a time (a pause, a kill with `for`) would end early when
//! the rollout replaces that very replica, and prove nothing. A kill that is undone at once holds nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{FaultPlan, RolloutPlan, time_line};
use crate::{
    act::{Act, Unit},
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
    rollouts: &[(usize, RolloutPlan)],
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
        let clash =
            |unit: &&Unit| held.iter().find(|(other, _)| meet(unit, other)).map(|(other, by)| (*other, *by));
        if let Some((unit, other)) = own.iter().find_map(clash) {
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
        let path = format!("faults[{index}]");
        let apart = |(_, rollout): &(usize, RolloutPlan)| {
            while_it_runs(rollout, fault, &own).and_then(|()| replaces(rollout, fault, &own))
        };
        if book.keep(&path, rollouts.iter().try_for_each(apart)).is_none() {
            continue;
        }
        let all = own.iter().map(|unit| (*unit, fault)).chain(held.iter().map(|(unit, by)| (*unit, *by)));
        for (component, mut down) in down(system, all) {
            down +=
                rollouts.iter().filter(|(_, rollout)| takes_one(rollout, component, fault.begins)).count();
            let limit = limit(scenario, system, component);
            if own.iter().any(|unit| component_of(unit) == Some(component)) && down > usize::from(limit) {
                let what = format!(
                    "{down} replicas of `{component}` would be down at {}; {limit} may be",
                    time_line::show(fault.begins)
                );
                let mend = format!(
                    "write a later time (a replica counts as down for {} after its fault, and one during a rollout), fewer picks, or more in `tolerates`",
                    time_line::show(SETTLE)
                );
                book.say(Mistake::at(&path, what).mend(mend));
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

/// Whether two units cannot be held at the same time: they are one, or a component as a whole and a replica of it.
fn meet(one: &Unit, other: &Unit) -> bool {
    let whole = matches!(one, Unit::Component { .. }) || matches!(other, Unit::Component { .. });
    one == other || whole && one.component() == other.component()
}

fn component_of(unit: &Unit) -> Option<&Name> {
    unit.component()
}

/// A set runs for its canary only.
fn while_it_runs(rollout: &RolloutPlan, fault: &FaultPlan, own: &BTreeSet<&Unit>) -> Result<(), Mistake> {
    let Some(canary) = &rollout.canary else { return Ok(()) };
    let set =
        own.iter().filter_map(|unit| unit.component()).find(|set| canary.sets.all().any(|one| one == *set));
    let ends = fault.begins + fault.lasts;
    let (Some(set), false) = (set, rollout.begins < fault.begins && ends <= rollout.ends()) else {
        return Ok(());
    };
    let (from, upto) = (time_line::show(rollout.begins), time_line::show(rollout.ends()));
    let what = format!("`{set}` runs only while `{}` goes on ({from} to {upto})", rollout.title);
    Err(Mistake::at("at", what).mend("write a time within it, after its replicas have come up"))
}

/// Whether a rollout would replace a replica that a fault holds.
fn replaces(rollout: &RolloutPlan, fault: &FaultPlan, own: &BTreeSet<&Unit>) -> Result<(), Mistake> {
    let ends = fault.begins + fault.lasts;
    let apart = fault.lasts.is_zero() || ends <= rollout.replaces_from() || rollout.ends() <= fault.begins;
    if apart || !own.iter().any(|unit| component_of(unit) == Some(&rollout.component)) {
        return Ok(());
    }
    let what = format!(
        "`{}` may replace the replica that `{}` holds ({} to {})",
        rollout.title,
        fault.title,
        time_line::show(rollout.replaces_from()),
        time_line::show(rollout.ends())
    );
    Err(Mistake::at("at", what).mend("write another time, or a kill without `for`: that holds nothing"))
}

fn takes_one(rollout: &RolloutPlan, component: &Name, at: Duration) -> bool {
    rollout.component == *component && rollout.replaces_from() <= at && at < rollout.ends()
}

fn down<'a>(
    system: &System,
    units: impl Iterator<Item = (&'a Unit, &'a FaultPlan)>,
) -> BTreeMap<&'a Name, usize> {
    let mut down = BTreeMap::new();
    for (unit, fault) in units {
        if let Some(component) = component_of(unit) {
            *down.entry(component).or_insert(0) += taken(system, component, fault);
        }
    }
    down
}

/// How many replicas a fault takes of a unit: one, or what a component has fewer.
fn taken(system: &System, component: &Name, fault: &FaultPlan) -> usize {
    let all = system.components.get(component).map_or(0, |spec| spec.replicas);
    let acts = fault.track.steps.iter().flat_map(|step| &step.acts);
    let fewer = acts.filter_map(|act| match act {
        Act::Scale { unit, replicas } if unit.component() == Some(component) => {
            Some(usize::from(all.saturating_sub(*replicas)))
        }
        _ => None,
    });
    fewer.max().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::{
        act::Ability,
        plan::{Known, plan},
        scenario, system,
    };

    const SYSTEM: &str = "format: 1\nname: x\ncomponents:\n  web: { replicas: 4, ports: [http], ready: { tcp: { port: http } } }\n  \
                          api: { replicas: 2, ports: [http], ready: { tcp: { port: http } } }\n\
                          endpoint: { component: web, port: http }\nbehaviours: { get: { steps: [{ method: GET, path: / }] } }\n";

    /// What is said of faults, each of one line: kind and component, replica, second, length.
    fn told(faults: &[(&str, u16, u16, u16)], tolerates: &str) -> Vec<String> {
        let line = |(kind, pick, at, lasts): &(&str, u16, u16, u16)| {
            // Of a scale-in it is how many.
            let pick = if kind.starts_with("scale-in") { pick.to_string() } else { format!("[{pick}]") };
            format!("  - {{ {kind}, pick: {pick}, at: fault + {at}s, for: {lasts}s }}\n")
        };
        let faults: String = faults.iter().map(line).collect();
        let text = format!(
            "hypothesis: h\nsystem: s.yml\nphases: {{ fault: 60s }}\nfaults:\n{faults}{tolerates}\n\
             load: [{{ behaviour: get, arrivals: {{ constant: 10/s }} }}]\nobjectives: [errors < 1%]\n"
        );
        let system = system::read(SYSTEM).unwrap();
        let abilities =
            BTreeSet::from([Ability::Start, Ability::Kill, Ability::Away, Ability::Pause, Ability::Scale]);
        let known = Known::on(&system, "any", abilities);
        let planned = plan("x", &scenario::read(text).unwrap(), &known);
        planned.err().unwrap_or_default().into_iter().map(|mistake| mistake.what).collect()
    }

    #[test]
    fn faults_one_after_the_other_count_alone_once_the_first_has_settled() {
        let later =
            |at| told(&[("kill: web", 1, 0, 10), ("pause: web", 2, at, 5)], "tolerates: { web: 1 of 4 }");
        assert!(later(15).is_empty());
        assert_eq!(later(14), ["2 replicas of `web` would be down at 14s; 1 may be"]);
    }

    #[test]
    fn all_but_one_may_be_down_unless_said() {
        let three = [("kill: web", 1, 0, 10), ("kill: web", 2, 1, 10), ("pause: web", 3, 2, 10)];
        assert!(told(&three, "").is_empty());
        let four: Vec<_> = three.into_iter().chain([("pause: web", 4, 3, 10)]).collect();
        assert_eq!(told(&four, ""), ["4 replicas of `web` would be down at 3s; 3 may be"]);
    }

    #[test]
    fn components_are_counted_apart() {
        assert!(
            told(&[("kill: web", 1, 0, 10), ("kill: api", 1, 0, 10)], "tolerates: { web: 1 of 4 }")
                .is_empty()
        );
    }

    #[test]
    fn one_replica_is_held_by_one_fault_at_a_time() {
        let said = told(&[("kill: web", 1, 0, 10), ("pause: web", 1, 12, 5)], "");
        assert_eq!(said, ["`web-1` is still held by `kill web-1` (0s to 15s)"]);
    }

    #[test]
    fn a_scale_in_counts_as_many_as_it_takes_and_no_replica_is_held_beside_it() {
        let one = "tolerates: { web: 1 of 4 }";
        assert!(told(&[("scale-in: web", 1, 0, 10)], one).is_empty());
        assert_eq!(
            told(&[("scale-in: web", 2, 0, 10)], one),
            ["2 replicas of `web` would be down at 0s; 1 may be"]
        );
        let beside = |at| told(&[("scale-in: web", 1, 0, 10), ("pause: web", 2, at, 5)], "");
        assert_eq!(beside(12), ["`web` is still held by `scale-in web to 3` (0s to 15s)"]);
        assert!(beside(15).is_empty());
    }
}
