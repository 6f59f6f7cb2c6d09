//! Rollouts: words to tracks, in the order of time, because each goes on from what the one before it left.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{CanaryPlan, Known, Phase, RolloutPlan, canaries, resolve, time_line};
use crate::{
    act::{Ability, Revision},
    kind::{self, Rolled, RolloutKind, Sets},
    name::Name,
    scenario::{Rollout, Scenario},
    system::{Change, Component},
    yaml::{Book, Mistake},
};

/// The rollouts of a scenario in the order of the file, each with its index there; those with mistakes are left out.
pub(super) fn rollouts(
    book: &mut Book<'_>,
    scenario: &Scenario,
    known: &Known<'_>,
    phases: &[Phase],
) -> Vec<(usize, RolloutPlan)> {
    let mut placed: Vec<(usize, &Rollout, Placed<'_>)> = Vec::new();
    // What follows from a rollout with a mistake is not told.
    let mut unclear: BTreeSet<&Name> = BTreeSet::new();
    for (index, rollout) in scenario.rollouts.iter().enumerate() {
        match book.keep(&format!("rollouts[{index}]"), place(rollout, known, phases)) {
            Some(found) => placed.push((index, rollout, found)),
            None => _ = unclear.insert(&rollout.component),
        }
    }
    placed.sort_by_key(|(_, _, found)| found.begins);
    let mut past: BTreeMap<&Name, Vec<Revision>> = BTreeMap::new();
    let mut plans: Vec<(usize, RolloutPlan)> = Vec::with_capacity(placed.len());
    for (index, rollout, found) in placed {
        if unclear.contains(&rollout.component) {
            continue;
        }
        let past = past.entry(&rollout.component).or_insert_with(|| vec![Revision::original()]);
        let plan = overlap(&plans, rollout, found.begins)
            .and_then(|()| plan(rollout, index + 1, &found, past, known));
        match book.keep(&format!("rollouts[{index}]"), plan) {
            Some(plan) => plans.push((index, plan)),
            None => _ = unclear.insert(&rollout.component),
        }
    }
    plans.sort_by_key(|(index, _)| *index);
    plans
}

/// A rollout with its names resolved and its time known.
struct Placed<'a> {
    kind: &'static dyn RolloutKind,
    spec: &'a Component,
    begins: Duration,
    within: Duration,
    canary: Option<CanaryPlan>,
}

fn place<'a>(rollout: &Rollout, known: &Known<'a>, phases: &[Phase]) -> Result<Placed<'a>, Mistake> {
    let word = rollout.word.as_str();
    let words = || kind::ROLLOUTS.iter().map(|kind| kind.about().word);
    let kind = kind::rollout(word).ok_or_else(|| Mistake::unknown(word, "rollout", word, words()))?;
    let names = || known.system.components.keys().map(Name::as_str);
    let spec = known.system.components.get(&rollout.component);
    let spec =
        spec.ok_or_else(|| Mistake::unknown(word, "component", rollout.component.as_str(), names()))?;
    let (begins, phase) = time_line::moment(phases, &rollout.at).map_err(|mistake| mistake.under("at"))?;
    if !phase.judged {
        let what = format!("`{}` is not judged, so a rollout in it proves nothing", phase.name);
        return Err(Mistake::at("at", what).mend("write a judged phase"));
    }
    let left = phase.ends.saturating_sub(begins);
    let within = rollout.within.map_or(left, |within| within.get());
    if within.is_zero() {
        return Err(Mistake::at("within", "no rollout takes no time").mend("write a duration over 0s"));
    }
    if within > left {
        let rest = time_line::show(left);
        let what = format!(
            "the rollout may end outside its phase: {rest} of `{}` are left when it begins",
            phase.name
        );
        let mend = format!("write `within: {rest}` or less, or make the phase longer");
        return Err(Mistake::at("within", what).mend(mend));
    }
    let judged = phases.iter().find(|phase| phase.judged).map_or(begins, |phase| phase.begins);
    let canary = canaries::plan(rollout, kind, known.system, (judged, begins, within))?;
    Ok(Placed { kind, spec, begins, within, canary })
}

/// One rollout of a component at a time.
fn overlap(plans: &[(usize, RolloutPlan)], rollout: &Rollout, begins: Duration) -> Result<(), Mistake> {
    let open = plans.iter().map(|(_, other)| other);
    let mut open = open.filter(|other| other.component == rollout.component && other.ends() > begins);
    let Some(other) = open.next() else { return Ok(()) };
    let until = time_line::show(other.ends());
    let what = format!("`{}` may still go on: it has until {until}", other.title);
    Err(Mistake::at("at", what).mend(format!("write a time from {until} on, or give it a shorter `within:`")))
}

fn plan(
    rollout: &Rollout,
    number: usize,
    placed: &Placed<'_>,
    past: &mut Vec<Revision>,
    known: &Known<'_>,
) -> Result<RolloutPlan, Mistake> {
    let Placed { kind, spec, begins, within, canary } = placed;
    let (kind, spec, begins, within) = (*kind, *spec, *begins, *within);
    let canary = canary.clone();
    let component = &rollout.component;
    let sets = canary.as_ref().map(|canary| &canary.sets);
    // Its last step has what its gates leave.
    let last = within.saturating_sub(sets.map_or(Duration::ZERO, Sets::gates));
    let said = Rolled { number, component, spec, past, to: rollout.to.as_ref(), begins, within: last, sets };
    let revision = kind.revision(&said)?;
    differs(&revision, known)?;
    let mut track = kind.track(&said, &revision);
    // A time that is written is the user's bound, whatever the target.
    let slack = if rollout.within.is_some() { Duration::ZERO } else { known.slack };
    for step in &mut track.steps {
        resolve::more(&mut step.effect, slack);
        resolve::more(&mut step.gone, known.slack);
    }
    if let Some(lacking) = resolve::needs_of(&track).difference(&known.abilities).next() {
        let what = format!("the target {} cannot {}", known.target, resolve::word(*lacking));
        let mend = match lacking {
            Ability::Weigh => format!("take {}", resolve::OWN_SYSTEM),
            _ => "take another target".into(),
        };
        return Err(Mistake::at(rollout.word.as_str(), what).mend(mend));
    }
    let title = match track.steps.as_slice() {
        [step] => step.title.clone(),
        _ => format!("{} {} to {}", rollout.word, component, revision.name),
    };
    let to = revision.name.clone();
    kind.after(past, revision);
    let allowed = within.saturating_add(slack);
    let component = component.clone();
    Ok(RolloutPlan {
        kind: rollout.word.clone(),
        title,
        component,
        to,
        begins,
        within,
        allowed,
        track,
        canary,
    })
}

/// A revision of nothing that the target can change would be rolled out, and judged, as what runs already.
fn differs(revision: &Revision, known: &Known<'_>) -> Result<(), Mistake> {
    let can = |change: Change<'_>| match change {
        Change::Setting(..) => true,
        Change::Program(_) => known.abilities.contains(&Ability::Program),
        Change::Image(_) => known.abilities.contains(&Ability::Image),
    };
    let mut changes = revision.changes.each().peekable();
    if changes.peek().is_none() || changes.any(can) {
        return Ok(());
    }
    let (other, mend) = match revision.changes.program {
        Some(_) => ("program", "give the revision an `image:` or `settings:`"),
        None => ("image", "give the revision a `program:` or `settings:`"),
    };
    let what = format!(
        "`{}` changes nothing on the target {}: it is another {other} and nothing else",
        revision.name, known.target
    );
    Err(Mistake::at("to", what).mend(mend))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use crate::{
        act::Ability,
        plan::{Known, Plan, plan},
        scenario, system,
    };

    const SYSTEM: &str = "format: 1\nname: x\ncomponents:\n  web: { replicas: 3, ports: [http], ready: { tcp: { port: http } },\n    \
                          revisions: { v2: { settings: { VERSION: v2 } }, v3: { settings: { VERSION: v3 } }, program: { program: web }, image: { image: web }, both: { program: web, image: web } } }\n\
                          endpoint: { component: web, port: http }\nbehaviours: { get: { steps: [{ method: GET, path: / }] } }\n";

    fn planned(lines: &[&str], more: &str) -> Result<Plan, Vec<String>> {
        let rollouts: String = lines.iter().map(|line| format!("  - {{ {line} }}\n")).collect();
        let text = format!(
            "hypothesis: h\nsystem: s.yml\nphases: {{ warm-up: 5s, update: 30s, rollback: 30s }}\nrollouts:\n{rollouts}{more}\n\
             load: [{{ behaviour: get, arrivals: {{ constant: 10/s }} }}]\nobjectives: [errors < 1%]\n"
        );
        let system = system::read(SYSTEM).unwrap();
        let abilities = [Ability::Start, Ability::Kill, Ability::Pause, Ability::Configure, Ability::Program];
        let abilities = BTreeSet::from(abilities);
        let slack = Duration::from_secs(7);
        let known = Known { slack, ..Known::on(&system, "any", abilities) };
        let shown = |mistakes: Vec<crate::yaml::Mistake>| mistakes.iter().map(|m| m.show("x.yml")).collect();
        plan("x", &scenario::read(text).unwrap(), &known).map_err(shown)
    }

    fn told(lines: &[&str], more: &str) -> String {
        planned(lines, more).err().unwrap_or_default().join("\n")
    }

    #[test]
    fn a_rollback_goes_on_from_the_update_before_it_in_time_wherever_it_is_written() {
        let plan = planned(
            &["rollback: web, at: rollback + 1s", "update: web, to: v2, at: update, within: 20s"],
            "",
        )
        .unwrap();
        let titles: Vec<&str> = plan.rollouts.iter().map(|rollout| rollout.title.as_str()).collect();
        assert_eq!(titles, ["rollback web to original", "update web to v2"]);
        let seconds: Vec<u64> = plan.rollouts.iter().map(|rollout| rollout.allowed.as_secs()).collect();
        assert_eq!(
            seconds,
            [29 + 7, 20],
            "what is left of the phase and what the target needs more; a bound as it is written"
        );
        let effects = |rollout: usize| {
            plan.rollouts[rollout].track.steps[0].effect.iter().map(|proof| proof.within.as_secs())
        };
        assert!(effects(0).all(|s| s == 36) && effects(1).all(|s| s == 20));
        assert!(plan.needs.contains(&Ability::Configure));
        let whole = ["update: web, to: v2, at: update", "rollback: web, at: rollback"];
        assert_eq!(told(&whole, ""), "", "what the target needs more keeps nothing from beginning");
    }

    #[test]
    fn what_cannot_be_rolled_out_is_told_with_place_and_mend() {
        insta::assert_snapshot!(told(&["update: wbe, to: v2, at: update"], ""), @"x.yml:5:15: unknown component `wbe`; did you mean `web`?");
        insta::assert_snapshot!(told(&["update: web, to: v9, at: update"], ""), @"x.yml:5:24: unknown revision `v9`; did you mean `v2`?");
        insta::assert_snapshot!(told(&["update: web, to: v2, at: warm-up + 1s"], ""), @"x.yml:5:32: `warm-up` is not judged, so a rollout in it proves nothing; write a judged phase");
        insta::assert_snapshot!(told(&["update: web, to: v2, at: update + 30s"], ""), @"x.yml:5:32: `update + 30s` is outside its phase: `update` lasts 30s; write less than 30s behind the `+`");
        insta::assert_snapshot!(told(&["update: web, to: v2, at: update + 20s, within: 11s"], ""), @"x.yml:5:54: the rollout may end outside its phase: 10s of `update` are left when it begins; write `within: 10s` or less, or make the phase longer");
        insta::assert_snapshot!(told(&["update: web, to: v2, at: update, within: 0s"], ""), @"x.yml:5:48: no rollout takes no time; write a duration over 0s");
        insta::assert_snapshot!(told(&["rollback: web, at: update"], ""), @"x.yml:5:17: no update of `web` is left to take back at this time; write a time after an `update:` of it");
    }

    #[test]
    fn a_revision_must_change_something_that_the_target_can_change() {
        let to = |revision: &str| told(&[&format!("update: web, to: {revision}, at: update")], "");
        insta::assert_snapshot!(to("image"), @"x.yml:5:24: `image` changes nothing on the target any: it is another image and nothing else; give the revision a `program:` or `settings:`");
        assert_eq!(to("program") + &to("both"), "");
    }

    #[test]
    fn one_rollout_of_a_component_goes_on_at_a_time() {
        let two = ["update: web, to: v2, at: update, within: 10s", "update: web, to: v3, at: update + 5s"];
        insta::assert_snapshot!(told(&two, ""), @"x.yml:6:32: `update web to v2` may still go on: it has until 15s; write a time from 15s on, or give it a shorter `within:`");
        let after = ["update: web, to: v2, at: update, within: 10s", "update: web, to: v3, at: update + 10s"];
        assert!(planned(&after, "").is_ok());
    }

    #[test]
    fn what_follows_from_a_wrong_update_is_not_told() {
        let told = told(&["update: web, to: v9, at: update", "rollback: web, at: rollback"], "");
        assert_eq!(told.lines().count(), 1, "{told}");
    }

    #[test]
    fn a_fault_that_holds_a_replica_does_not_overlap_its_rollout_and_a_kill_may() {
        let update = ["update: web, to: v2, at: update + 5s, within: 10s"];
        let fault = |line: &str| told(&update, &format!("faults:\n  - {{ {line} }}"));
        assert_eq!(fault("kill: web, at: update + 7s"), "");
        insta::assert_snapshot!(fault("pause: web, pick: [2], at: update + 7s, for: 4s"), @"x.yml:7:34: `update web to v2` may replace the replica that `pause web-2` holds (10s to 20s); write another time, or a kill without `for`: that holds nothing");
        insta::assert_snapshot!(fault("pause: web, pick: [2], at: update + 1s, for: 6s"), @"x.yml:7:34: `update web to v2` may replace the replica that `pause web-2` holds (10s to 20s); write another time, or a kill without `for`: that holds nothing");
        assert_eq!(fault("pause: web, pick: [2], at: update, for: 4s"), "");
    }

    #[test]
    fn a_rollout_takes_one_replica_of_what_is_tolerated() {
        let update = ["update: web, to: v2, at: update + 5s, within: 10s"];
        let kill = "faults:\n  - { kill: web, pick: [2], at: update + 7s }\ntolerates: { web: 1 of 3 }";
        insta::assert_snapshot!(told(&update, kill), @"x.yml:7:5: 2 replicas of `web` would be down at 12s; 1 may be; write a later time (a replica counts as down for 5s after its fault, and one during a rollout), fewer picks, or more in `tolerates`");
    }
}
