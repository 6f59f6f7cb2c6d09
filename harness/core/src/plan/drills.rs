//! Drills: words to tracks. Who lets data be destroyed has said so.

use std::time::Duration;

use super::{DrillPlan, Known, Phase, mix, resolve, time_line};
use crate::{
    act::Ability,
    kind::{self, Drilled},
    name::Name,
    plan::LoadPlan,
    scenario::{Drill, Scenario},
    yaml::{Book, Mistake},
};

/// Writes that are lost unless a scenario says another number: enough to count, and to be sure that some are.
const LOSE: u64 = 1_000;

/// The drills of a scenario; those with mistakes are left out.
pub(super) fn drills(
    book: &mut Book<'_>,
    scenario: &Scenario,
    known: &Known<'_>,
    (phases, load): (&[Phase], &LoadPlan),
) -> Vec<DrillPlan> {
    for (index, name) in scenario.may_lose.iter().enumerate() {
        let at = format!("may-lose[{index}]");
        if !known.system.components.contains_key(name) {
            let names = known.system.components.keys().map(Name::as_str);
            book.say(Mistake::unknown(at, "component", name.as_str(), names));
        } else if !scenario.drills.iter().any(|drill| drill.component == *name) {
            let what = format!("nothing destroys the data of `{name}`");
            book.say(Mistake::at(at, what).mend("take it out"));
        }
    }
    let mut plans: Vec<DrillPlan> = vec![];
    for (index, drill) in scenario.drills.iter().enumerate() {
        let planned = plan(drill, index + 1, scenario, known, phases).and_then(|plan| {
            if plans.iter().any(|other| other.ends() > plan.begins && plan.ends() > other.begins) {
                return Err(
                    Mistake::at("at", "another drill goes on at that time").mend("write a later time")
                );
            }
            if scenario.load.len() == load.streams.len() && !mix::writes(load) {
                let what = "no request of this load is marked as a write: nobody could tell what is lost";
                return Err(Mistake::at(drill.word.as_str(), what).mend("add a behaviour that writes"));
            }
            if known.system.audit.is_none() {
                let what = "the system file says no `audit`: nobody could tell what is lost";
                return Err(Mistake::at(drill.word.as_str(), what).mend("add `audit:` to the system file"));
            }
            Ok(plan)
        });
        plans.extend(book.keep(&format!("drills[{index}]"), planned));
    }
    plans
}

fn plan(
    drill: &Drill,
    number: usize,
    scenario: &Scenario,
    known: &Known<'_>,
    phases: &[Phase],
) -> Result<DrillPlan, Mistake> {
    let (word, component) = (drill.word.as_str(), &drill.component);
    let words = || kind::DRILLS.iter().map(|kind| kind.about().word);
    let kind = kind::drill(word).ok_or_else(|| Mistake::unknown(word, "drill", word, words()))?;
    let names = known.system.components.keys().map(Name::as_str);
    let spec = known.system.components.get(component);
    let spec = spec.ok_or_else(|| Mistake::unknown(word, "component", component.as_str(), names))?;
    let (begins, phase) = time_line::moment(phases, &drill.at).map_err(|mistake| mistake.under("at"))?;
    if !phase.judged {
        let what = format!("`{}` is not judged, so a drill in it proves nothing", phase.name);
        return Err(Mistake::at("at", what).mend("write a judged phase"));
    }
    let left = phase.ends.saturating_sub(begins);
    let within = drill.within.map_or(left, |within| within.get());
    if within.is_zero() || within > left {
        let rest = time_line::show(left);
        let what = format!("the drill may end outside its phase: {rest} of `{}` are left", phase.name);
        return Err(Mistake::at("within", what).mend(format!("write `within: {rest}` or less")));
    }
    let lose = drill.lose.unwrap_or(LOSE);
    if lose == 0 {
        return Err(
            Mistake::at("lose", "a drill that loses nothing measures no loss").mend("write 1 or more")
        );
    }
    let said = Drilled { number, component, spec, begins };
    kind.fits(&said)?;
    if spec.replicas > 1 {
        let what =
            format!("`{component}` has {} replicas; whose data are restored is not known", spec.replicas);
        return Err(Mistake::at(word, what).mend("drill a component with one replica"));
    }
    if !scenario.may_lose.contains(component) {
        let what =
            format!("the drill destroys the data of `{component}`, and nobody said that they may be lost");
        return Err(Mistake::at(word, what).mend(format!("add `may-lose: [{component}]` to the scenario")));
    }
    let mut track = said.track(kind);
    // What it runs there is decided there; that it can is asked now.
    let needs = resolve::needs_of(&track).into_iter().chain([Ability::Exec]);
    if let Some(lacking) = needs.into_iter().find(|need| !known.abilities.contains(need)) {
        let what = format!("the target {} cannot {}", known.target, resolve::word(lacking));
        return Err(Mistake::at(word, what).mend("take another target"));
    }
    track.steps.iter_mut().for_each(|step| resolve::more(&mut step.effect, known.slack));
    let title = format!("{word} drill of {component}");
    Ok(DrillPlan {
        kind: drill.word.clone(),
        title,
        component: component.clone(),
        begins,
        within,
        lose,
        track,
    })
}

impl DrillPlan {
    /// Until when it is reckoned with, from the load's beginning.
    pub fn ends(&self) -> Duration {
        self.begins.saturating_add(self.within)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use crate::{
        act::Ability,
        plan::{Known, Plan, plan},
        scenario, system,
    };

    const SYSTEM: &str = "format: 1\nname: x\ncomponents:\n  store: { ports: [sql], ready: { postgres: { port: sql, user: u, database: d } } }\n  \
                          web: { replicas: 2, ports: [http], ready: { tcp: { port: http } } }\nendpoint: { component: web, port: http }\n\
                          behaviours:\n  put: { steps: [{ method: PUT, path: '/{{uuid}}', mark: { write: { key: '{{uuid}}', value: v } } }] }\n  \
                          get: { steps: [{ method: GET, path: / }] }\naudit: { path: '/{{key}}', found: { list: /items, value: /v } }\n";

    fn planned(behaviour: &str, lose: &str, lines: &str) -> Result<Plan, String> {
        let text = format!(
            "hypothesis: h\nsystem: s.yml\nphases: {{ warm-up: 5s, drill: 60s }}\ndrills: [{lines}]\nmay-lose: [{lose}]\n\
             load: [{{ behaviour: {behaviour}, arrivals: {{ constant: 10/s }} }}]\nobjectives: [errors < 1%]\n"
        );
        let system = system::read(SYSTEM).unwrap();
        let abilities = BTreeSet::from([Ability::Start, Ability::Exec]);
        let known = Known { system: &system, target: "any", abilities, slack: Duration::ZERO };
        let shown = |all: Vec<crate::yaml::Mistake>| {
            all.iter().map(|m| m.show("x.yml")).collect::<Vec<_>>().join("\n")
        };
        plan("x", &scenario::read(text).unwrap(), &known).map_err(shown)
    }

    #[test]
    fn a_drill_backs_up_loses_and_restores() {
        let plan = planned("put", "store", "{ logical: store, at: drill + 2s }").unwrap();
        let [drill] = plan.drills.as_slice() else { panic!("{:?}", plan.drills) };
        assert_eq!(
            (drill.title.as_str(), drill.lose, drill.within.as_secs()),
            ("logical drill of store", 1_000, 58)
        );
        let acts: Vec<usize> = drill.track.steps.iter().map(|step| step.acts.len()).collect();
        assert_eq!(acts, [0, 0, 1, 0], "only the destruction is known beforehand");
        assert!(drill.track.steps[2].acts[0].to_string().starts_with("run `psql ...` at store-1"));
        assert!(plan.needs.contains(&Ability::Exec));
    }

    #[test]
    fn what_is_wrong_with_a_drill_is_told_with_its_mend() {
        let good = "{ logical: store, at: drill + 2s }";
        for (behaviour, lose, line, expected) in [
            ("put", "", good, "add `may-lose: [store]`"),
            ("put", "store, web", good, "nothing destroys the data of `web`"),
            ("put", "store, stor", good, "did you mean `store`?"),
            ("get", "store", good, "nobody could tell what is lost"),
            (
                "put",
                "web",
                "{ logical: web, at: drill }",
                "write a component with `ready: { postgres: ... }`",
            ),
            ("put", "store", "{ logical: store, at: warm-up }", "write a judged phase"),
            ("put", "store", "{ logical: store, at: drill, lose: 0 }", "write 1 or more"),
            ("put", "store", "{ logical: store, at: drill, within: 2m }", "write `within: 1m` or less"),
            (
                "put",
                "store",
                "{ logical: store, at: drill }, { logical: store, at: drill + 9s }",
                "another drill goes on",
            ),
        ] {
            let told = planned(behaviour, lose, line).err().unwrap_or_default();
            assert!(told.contains(expected), "{line}: {told}");
        }
    }
}
