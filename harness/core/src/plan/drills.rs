//! Drills: words to tracks. Who lets data be destroyed has said so.

use std::time::Duration;

use super::{DrillPlan, FaultPlan, Known, Phase, RolloutPlan, mix, resolve, time_line};
use crate::{
    kind::{self, DrillKind, Drilled, Stage, keeps_data},
    name::Name,
    plan::LoadPlan,
    scenario::{Drill, Scenario},
    system::Component,
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
        } else if !destroying(scenario).any(|drill| drill.components.contains(name)) {
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
            // With a mistake in the load, what it lacks is not known.
            if scenario.load.len() == load.streams.len() {
                enough(drill, &plan, load)?;
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

/// Refuses what would hold, or replace, a replica that a drill stops and restores at that time.
pub(super) fn apart(
    book: &mut Book<'_>,
    drills: &[DrillPlan],
    faults: &[(usize, FaultPlan)],
    rollouts: &[(usize, RolloutPlan)],
) {
    let clash = |component: &Name, from: Duration, upto: Duration| {
        let meets = |drill: &&DrillPlan| {
            drill.components.contains(component) && drill.begins < upto && from < drill.ends()
        };
        drills.iter().find(meets).map(|drill| {
            let (from, upto) = (time_line::show(drill.begins), time_line::show(drill.ends()));
            let what = format!(
                "the `{}` goes on then ({from} to {upto}), and `{component}` is its own",
                drill.title
            );
            Mistake::at("at", what).mend("write a time outside of it, or give the drill a shorter `within:`")
        })
    };
    for (index, fault) in faults.iter().filter(|(_, fault)| !fault.lasts.is_zero()) {
        let acts = fault.track.steps.iter().flat_map(|step| &step.acts);
        let mut components = acts.filter_map(|act| act.unit().component());
        let found = components.find_map(|of| clash(of, fault.begins, fault.begins + fault.lasts));
        book.keep(&format!("faults[{index}]"), found.map_or(Ok(()), Err));
    }
    for (index, rollout) in rollouts {
        let found = clash(&rollout.component, rollout.begins, rollout.ends());
        book.keep(&format!("rollouts[{index}]"), found.map_or(Ok(()), Err));
    }
}

/// The drills that destroy something; one of an unknown word may.
pub(super) fn destroying(scenario: &Scenario) -> impl Iterator<Item = &Drill> {
    scenario.drills.iter().filter(|drill| kind::drill(drill.word.as_str()).is_none_or(|kind| kind.destroys()))
}

fn plan(
    drill: &Drill,
    number: usize,
    scenario: &Scenario,
    known: &Known<'_>,
    phases: &[Phase],
) -> Result<DrillPlan, Mistake> {
    let word = drill.word.as_str();
    let words = || kind::DRILLS.iter().map(|kind| kind.about().word);
    let kind = kind::drill(word).ok_or_else(|| Mistake::unknown(word, "drill", word, words()))?;
    let components = components(drill, known)?;
    let (begins, within) = times(drill, phases)?;
    let lose = drill.lose.unwrap_or(LOSE);
    if lose == 0 {
        return Err(
            Mistake::at("lose", "a drill that loses nothing measures no loss").mend("write 1 or more")
        );
    }
    let objects = known.abilities.contains(&crate::act::Ability::Objects);
    let all = components.len() == known.system.components.len();
    let said = Drilled { number, components: &components, all, begins, objects };
    kind.fits(&said)?;
    may_be_lost(kind, &said, scenario)?;
    let (mut track, stages) = said.track(kind);
    // What it runs there is decided there; that it can is asked now.
    let needs = resolve::needs_of(&track).into_iter().chain(kind.needs(&said));
    if let Some(lacking) = needs.into_iter().find(|need| !known.abilities.contains(need)) {
        let what = format!("the target {} cannot {}", known.target, resolve::word(lacking));
        let own = resolve::OWN_SYSTEM;
        let mend = format!("a drill destroys, so it needs a system that the run itself has made: {own}");
        return Err(Mistake::at(word, what).mend(mend));
    }
    for step in &mut track.steps {
        resolve::more(&mut step.effect, known.slack);
        resolve::more(&mut step.gone, known.slack);
    }
    Ok(DrillPlan {
        kind: drill.word.clone(),
        title: format!("{word} drill of {}", said.names()),
        components: components.iter().map(|(name, _)| (*name).clone()).collect(),
        begins,
        within,
        lose,
        loses: kind.loses(),
        takes: kind.takes(&said),
        stages,
        track,
    })
}

/// Without writes nobody could tell what is lost; and a drill that waits for more than are offered would be over before it
/// destroyed anything.
fn enough(drill: &Drill, plan: &DrillPlan, load: &LoadPlan) -> Result<(), Mistake> {
    if !mix::writes(load) {
        let what = "no request of this load is marked as a write: nobody could tell what is lost";
        return Err(Mistake::at(drill.word.as_str(), what).mend("add a behaviour that writes"));
    }
    let offered = mix::offered_writes(load, plan.begins, plan.ends());
    if plan.step(Stage::Write).is_none() || offered >= plan.lose as f64 {
        return Ok(());
    }
    let what = format!(
        "{} writes are to be acknowledged before the data are destroyed, and the load offers about {offered:.0} while the drill goes on",
        plan.lose
    );
    let at = if drill.lose.is_some() { "lose" } else { drill.word.as_str() };
    Err(Mistake::at(at, what).mend("write a smaller `lose:`, a higher rate, or give the drill more time"))
}

/// The components in the order of the system file.
fn components<'a>(drill: &Drill, known: &Known<'a>) -> Result<Vec<(&'a Name, &'a Component)>, Mistake> {
    let word = drill.word.as_str();
    let all = &known.system.components;
    if let Some(name) = drill.components.iter().find(|name| !all.contains_key(*name)) {
        return Err(Mistake::unknown(word, "component", name.as_str(), all.keys().map(Name::as_str)));
    }
    if drill.components.is_empty() {
        return Err(Mistake::at(word, "the drill names no component").mend("name one"));
    }
    let found: Vec<_> = all.iter().filter(|(name, _)| drill.components.contains(name)).collect();
    if let Some((name, spec)) = found.iter().find(|(_, spec)| keeps_data(spec) && spec.replicas > 1) {
        let what = format!("`{name}` has {} replicas; whose data are restored is not known", spec.replicas);
        return Err(Mistake::at(word, what).mend("drill a component with one replica"));
    }
    Ok(found)
}

/// When it begins, and how long it may take.
fn times(drill: &Drill, phases: &[Phase]) -> Result<(Duration, Duration), Mistake> {
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
    Ok((begins, within))
}

/// Nothing but `may-lose` gives leave to destroy.
fn may_be_lost(kind: &dyn DrillKind, said: &Drilled<'_>, scenario: &Scenario) -> Result<(), Mistake> {
    let refused = |name: &&Name| kind.destroys() && !scenario.may_lose.contains(name);
    let Some(name) = said.components.iter().map(|(name, _)| *name).find(refused) else { return Ok(()) };
    let what = format!("the drill destroys what `{name}` has, and nobody said that it may be lost");
    let names = said.names();
    Err(Mistake::at(kind.about().word, what).mend(format!("add `may-lose: [{names}]` to the scenario")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::{
        act::{Ability, Act},
        kind::Stage,
        plan::{Known, Plan, plan},
        scenario, system,
    };

    const SYSTEM: &str = "format: 1\nname: x\ncomponents:\n  store: { ports: [sql], ready: { postgres: { port: sql, user: u, database: d } },\n    settings: { PGHOST: h, PGPORT: '1', PGUSER: u, PGDATABASE: d, PGDATA: data } }\n  \
                          web: { replicas: 2, ports: [http], ready: { tcp: { port: http } } }\nendpoint: { component: web, port: http }\n\
                          behaviours:\n  put: { steps: [{ method: PUT, path: '/{{uuid}}', mark: { write: { key: '{{uuid}}', value: v } } }] }\n  \
                          get: { steps: [{ method: GET, path: / }] }\naudit: { path: '/{{key}}', found: { list: /items, value: /v } }\n";

    fn planned(behaviour: &str, lose: &str, lines: &str) -> Result<Plan, String> {
        planned_with(SYSTEM, Ability::Files, behaviour, lose, lines)
    }

    /// On a target that keeps configuration so.
    fn planned_with(
        system: &str,
        kept: Ability,
        behaviour: &str,
        lose: &str,
        lines: &str,
    ) -> Result<Plan, String> {
        let text = format!(
            "hypothesis: h\nsystem: s.yml\nphases: {{ warm-up: 5s, drill: 60s }}\ndrills: [{lines}]\nmay-lose: [{lose}]\n\
             load: [{{ behaviour: {behaviour}, arrivals: {{ constant: 100/s }} }}]\nobjectives: [errors < 1%]\n"
        );
        let system = system::read(system).unwrap();
        let can = [Ability::Start, Ability::Exec, Ability::Kill, Ability::Pause, Ability::Configure, kept];
        let abilities = BTreeSet::from(can);
        let known = Known::on(&system, "any", abilities);
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
    fn a_check_that_a_drill_makes_fail_is_refused() {
        let told =
            planned("put", "store", "{ logical: store, at: drill }]\nchecks: [no-lost-write").unwrap_err();
        assert!(told.contains("the `logical` drill loses writes on purpose"), "{told}");
        let refusals = "{ refusals: store, at: drill }]\nchecks: [no-lost-write";
        assert!(planned("put", "", refusals).is_ok());
    }

    #[test]
    fn what_is_stopped_starts_again_in_the_order_of_the_system_file() {
        let plan = planned("put", "store, web", "{ total-loss: [web, store], at: drill }").unwrap();
        let stop = plan.drills[0].step(Stage::Stop).unwrap();
        let acts: Vec<_> = stop.acts.iter().map(ToString::to_string).collect();
        assert_eq!(acts, ["stop web-2", "stop web-1", "stop store-1"], "what takes it back is in reverse");
        let taken: Vec<_> = plan.drills[0].takes.iter().map(ToString::to_string).collect();
        assert_eq!(
            taken,
            [
                "configuration of store-1",
                "configuration of web-1",
                "configuration of web-2",
                "base backup and log of store-1"
            ]
        );
    }

    #[test]
    fn where_objects_configure_a_system_all_of_them_are_taken_and_a_total_loss_is_of_everything() {
        let objects = |lose, line| planned_with(SYSTEM, Ability::Objects, "put", lose, line);
        let whole = objects("store, web", "{ total-loss: [web, store], at: drill }").unwrap();
        let taken =
            |plan: &Plan| plan.drills[0].takes.iter().map(|taken| taken.to_string()).collect::<Vec<_>>();
        assert_eq!(taken(&whole), ["objects of ground", "base backup and log of store-1"]);
        let destroyed = |plan: &Plan| plan.drills[0].step(Stage::Destroy).unwrap().acts[0].clone();
        let argv = |act: &Act| match act {
            Act::Exec { at, program } => format!("{}: {}", at, program.argv.join(" ")),
            other => other.to_string(),
        };
        assert_eq!(argv(&destroyed(&whole)), "ground: objects remove-all");
        let why = objects("store", "{ total-loss: store, at: drill }").unwrap_err();
        assert!(why.contains("name every component of the system"), "{why}");
        let some = objects("web", "{ configuration: web, at: drill }").unwrap();
        assert_eq!(
            (taken(&some), argv(&destroyed(&some)).as_str()),
            (vec!["objects of ground".into()], "ground: objects remove web")
        );
        let neither = planned_with(SYSTEM, Ability::Weigh, "put", "web", "{ configuration: web, at: drill }")
            .unwrap_err();
        assert!(neither.contains("cannot let its configuration be replaced as files"), "{neither}");
    }

    #[test]
    fn the_programs_of_a_drill_must_find_the_server_where_no_object_says_how() {
        let drill = |kept, from: &str, to: &str| {
            assert!(SYSTEM.contains(from));
            let system = SYSTEM.replace(from, to);
            planned_with(&system, kept, "put", "store", "{ logical: store, at: drill }")
                .err()
                .unwrap_or_default()
        };
        let missing = drill(Ability::Files, "PGPORT: '1', ", "");
        assert!(
            missing.contains("reads `PGPORT`, which its settings lack; add PGHOST, PGPORT,"),
            "{missing}"
        );
        assert_eq!(drill(Ability::Objects, "PGPORT: '1', ", ""), "");
        let other = drill(Ability::Files, "PGDATABASE: d", "PGDATABASE: e");
        assert!(other.contains("`PGDATABASE: e`, and its `ready` asks `d`"), "{other}");
        assert_eq!(
            drill(Ability::Files, "PGDATABASE: d", "PGDATABASE: '{{ name }}'"),
            "",
            "known only there"
        );
    }

    #[test]
    fn nothing_else_holds_or_replaces_what_a_drill_restores() {
        let told = |more: &str| {
            let lines = format!("{{ configuration: web, at: drill + 10s, within: 20s }}]\n{more}\nchecks: [");
            let can = SYSTEM.replace(
                "ready: { tcp: { port: http } } }\n",
                "ready: { tcp: { port: http } }, revisions: { v2: { settings: { A: b } } } }\n",
            );
            assert_ne!(can, SYSTEM);
            planned_with(&can, Ability::Files, "put", "web", &lines).err().unwrap_or_default()
        };
        let pause =
            |from: &str| told(&format!("faults: [{{ pause: web, pick: [1], at: drill + {from}, for: 5s }}]"));
        assert!(
            pause("12s")
                .contains("`configuration drill of web` goes on then (15s to 35s), and `web` is its own")
        );
        assert_eq!(pause("30s") + &pause("5s"), "");
        assert_eq!(told("faults: [{ kill: web, pick: [1], at: drill + 12s }]"), "", "it holds nothing");
        let update = |from: &str| {
            told(&format!("rollouts: [{{ update: web, to: v2, at: drill + {from}, within: 9s }}]"))
        };
        assert!(update("25s").contains("goes on then"));
        assert_eq!(update("40s"), "");
    }

    #[test]
    fn what_is_wrong_with_a_drill_is_told_with_its_mend() {
        let good = "{ logical: store, at: drill + 2s }";
        for (behaviour, lose, line, expected) in [
            ("put", "", good, "add `may-lose: [store]`"),
            ("put", "store, web", good, "nothing destroys the data of `web`"),
            ("put", "store, stor", good, "did you mean `store`?"),
            ("get", "store", good, "nobody could tell what is lost"),
            ("put", "store", "{ logical: [store, web], at: drill }", "`logical` is drilled on one component"),
            ("put", "store", "{ total-loss: [store, web], at: drill }", "add `may-lose: [store, web]`"),
            ("put", "store", "{ refusals: store, at: drill }", "nothing destroys the data of `store`"),
            ("put", "store", "{ redis-rdb: store, at: drill }", "is no Redis server"),
            (
                "put",
                "web",
                "{ logical: web, at: drill }",
                "write a component with `ready: { postgres: ... }`",
            ),
            ("put", "store", "{ logical: store, at: warm-up }", "write a judged phase"),
            ("put", "store", "{ logical: store, at: drill, lose: 0 }", "write 1 or more"),
            ("put", "store", "{ logical: store, at: drill, lose: 6001 }", "the load offers about 6000 while"),
            ("put", "store", "{ logical: store, at: drill, within: 9s }", "the load offers about 900 while"),
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
