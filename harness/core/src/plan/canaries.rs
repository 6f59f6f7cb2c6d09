//! Canaries: what a scenario says of them, and the sets that the system has because of them.

use std::time::Duration;

use indexmap::IndexMap;

use super::CanaryPlan;
use crate::{
    judge::canary::{
        Config,
        config::{Effect, Guard, Quantile},
    },
    kind::{self, Beside, RolloutKind, Sets},
    name::Name,
    scenario::{Against, Gated, Rollout, Scenario},
    system::{Component, Shares, System},
    unit::{Bytes, NotAQuantity, Percent, Span},
    yaml::Mistake,
};

/// Both sets together may not get more: the component itself is what users are safe with.
const MOST: f64 = 0.9;

/// Seconds of a step that its judge does not see: its first is not whole, its last ones have not come when it ends.
const NOT_WHOLE: u64 = 4;

/// The system with the sets that the canaries of a scenario need. What is wrong with them the plan says.
#[must_use]
pub fn with_sets(system: System, scenario: &Scenario) -> System {
    let sets = scenario.rollouts.iter().filter_map(|rollout| Some((rollout, beside(rollout)?)));
    sets.fold(system, |system, (rollout, beside)| {
        let Some(spec) = system.components.get(&rollout.component) else { return system };
        let to = rollout.to.as_ref().and_then(|to| spec.revision(to));
        let (Some(to), component) = (to, &rollout.component) else { return system };
        let before = crate::act::Revision::original();
        let replicas = replicas(&rollout.gated, beside, spec);
        let with_baseline = has_baseline(&rollout.gated, beside);
        let all = [
            (named(component, beside.word()), Some(to)),
            (named(component, BASELINE), with_baseline.then_some(before)),
        ];
        all.into_iter().fold(system, |system, (set, revision)| match (set, revision) {
            (Some(set), Some(revision)) if !system.components.contains_key(&set) => {
                system.with_set(&set, replicas, component, revision)
            }
            _ => system,
        })
    })
}

/// What the set is called that what ran before is started as again.
const BASELINE: &str = "baseline";

fn beside(rollout: &Rollout) -> Option<Beside> {
    kind::rollout(rollout.word.as_str()).and_then(RolloutKind::beside)
}

/// Beside a set with all of the traffic a baseline would get nothing.
fn has_baseline(gated: &Gated, beside: Beside) -> bool {
    beside == Beside::Canary && gated.against.unwrap_or_default() == Against::Baseline
}

fn replicas(gated: &Gated, beside: Beside, spec: &Component) -> u16 {
    let usual = if beside == Beside::Green { spec.replicas } else { 1 };
    gated.replicas.unwrap_or(usual)
}

fn named(component: &Name, word: &str) -> Option<Name> {
    format!("{component}-{word}").parse().ok()
}

/// What a judge compares while a rollout goes on; none where it asks for no judge. Times are the first moment that is
/// judged, that of the rollout, and how long it may take.
pub(super) fn plan(
    rollout: &Rollout,
    kind: &dyn RolloutKind,
    system: &System,
    (judged, begins, within): (Duration, Duration, Duration),
) -> Result<Option<CanaryPlan>, Mistake> {
    let gated = &rollout.gated;
    let Some(beside) = kind.beside() else {
        return only_for_judged(gated, rollout.word.as_str()).map(|()| None);
    };
    let sets = sets(rollout, beside, system)?;
    if sets.gates() >= within {
        let what = format!(
            "the steps take {:?} and leave no time to promote: the rollout has {within:?}",
            sets.gates()
        );
        return Err(match rollout.within {
            Some(_) => Mistake::at("within", what).mend("write a longer time, or a shorter `each:`"),
            None => Mistake::at("each", what).mend("write a shorter time, or make the phase longer"),
        });
    }
    let judge = match beside {
        Beside::Canary => judge(gated.harm.as_ref())?,
        Beside::Green => compares_nothing(gated)?,
    };
    let judge = guarded(judge, gated.keeps.as_ref())?;
    let least = Duration::from_secs(judge.least.baseline_seconds as u64);
    if begins.saturating_sub(judged) < least {
        let what = format!(
            "the judge learns from {least:?} of judged load before the canary, here are {:?}; `warm-up` is not judged",
            begins.saturating_sub(judged)
        );
        return Err(Mistake::at("at", what).mend("let a phase of judged load come first: `baseline: 5m`"));
    }
    if beside == Beside::Canary {
        long_enough(&sets, &judge)?;
    }
    if sets.each <= Duration::from_secs(NOT_WHOLE) {
        let what = format!("a step has no whole second to judge: {NOT_WHOLE} s of it are not seen");
        return Err(Mistake::at("each", what).mend("write a longer time: `each: 30s`"));
    }
    let most_seconds = sets.each.as_secs();
    let whole = most_seconds.saturating_sub(NOT_WHOLE).max(1);
    let part = |share: &u16| match sets.baseline {
        Some(_) => 0.5,
        None => f64::from(*share) / f64::from(Shares::WHOLE),
    };
    let split = sets.shares.iter().map(part).collect();
    let judge = Config { most_seconds, least_seconds: judge.least_seconds.min(whole), split, ..judge };
    Ok(Some(CanaryPlan { sets, judge }))
}

/// A comparison that cannot be decided against the canary within its time would promote whatever it is given. After the least
/// number of batches the bound is reached only where every bet gains all that it may, which the slowest of canaries does not: at
/// most twice as many of its answers are slower than a median. One batch more decides.
fn long_enough(sets: &Sets, judge: &Config) -> Result<(), Mistake> {
    let batches = u64::from(judge.least.batches) + u64::from(!judge.latency.is_empty());
    let least = Duration::from_secs(batches * judge.least.batch_seconds as u64 + NOT_WHOLE + 1);
    if sets.gates() >= least {
        return Ok(());
    }
    let what = format!(
        "the steps take {:?} in all, and nothing is rolled back by this comparison before {batches} batches of {} s",
        sets.gates(),
        judge.least.batch_seconds
    );
    Err(Mistake::at("each", what).mend(format!("let them take {least:?} or more: `each: 10m`")))
}

/// The judge's defaults, or only what is written with the effects that would be harm.
fn judge(harm: Option<&IndexMap<Name, Percent>>) -> Result<Config, Mistake> {
    let usual = Config::default();
    let Some(harm) = harm else { return Ok(usual) };
    if harm.is_empty() {
        return Err(Mistake::at("harm", "nothing is judged").mend("write `harm: { errors: 0.5% }`"));
    }
    let mut judge = Config { errors: None, wrong_answers: None, latency: vec![], ..usual.clone() };
    for (metric, effect) in harm {
        let at = || format!("harm.{metric}");
        let harm = effect.fraction();
        if harm <= 0.0 {
            return Err(Mistake::at(at(), "no effect at all can be excluded").mend("write more than 0%"));
        }
        if harm > 1.0 && quantile(metric).is_none() {
            return Err(
                Mistake::at(at(), "no share grows by more than 100%").mend("write `0.5%` or the like")
            );
        }
        let share = |usual: Option<Effect>| {
            let smallest = usual.map_or(harm, |usual| usual.smallest).min(harm / 2.0);
            Some(Effect { smallest, harm })
        };
        match (metric.as_str(), quantile(metric)) {
            ("errors", _) => judge.errors = share(usual.errors),
            ("wrong-answers", _) => judge.wrong_answers = share(usual.wrong_answers),
            ("lost-writes", _) => judge.lost_writes = share(usual.errors),
            (_, Some(number)) => {
                let quantile = f64::from(number) / 100.0;
                let known = usual
                    .latency
                    .iter()
                    .min_by(|a, b| (a.quantile - quantile).abs().total_cmp(&(b.quantile - quantile).abs()));
                let smallest = known.map_or(harm, |known| known.smallest - 1.0).min(harm / 2.0);
                judge.latency.push(Quantile { quantile, smallest: 1.0 + smallest, harm: 1.0 + harm });
            }
            _ => {
                let known = ["errors", "wrong-answers", "lost-writes", "p50", "p95", "p99"];
                return Err(Mistake::unknown(at(), "metric", metric.as_str(), known));
            }
        }
    }
    Ok(judge)
}

/// `p95` and the like, in whole percent.
fn quantile(metric: &Name) -> Option<u8> {
    let number = metric.as_str().strip_prefix('p')?.parse::<u8>().ok()?;
    (1..=99).contains(&number).then_some(number)
}

/// Who has all of the traffic is compared with nobody.
fn compares_nothing(gated: &Gated) -> Result<Config, Mistake> {
    if let Some((field, _)) = compared(gated).into_iter().find(|(_, said)| *said) {
        let what = format!(
            "`{field}` is for a canary; green has all of the traffic, and nothing to be compared with"
        );
        return Err(Mistake::of_key(field, what).mend("take it out"));
    }
    if gated.keeps.as_ref().is_none_or(IndexMap::is_empty) {
        let what = "nothing is judged: what green must keep is not said";
        return Err(Mistake::at("", what).mend("add `keeps: { errors: 0.5%, p95: 200ms }`"));
    }
    Ok(Config { errors: None, wrong_answers: None, latency: vec![], ..Config::default() })
}

/// With the bounds that hold whatever the other arm does.
fn guarded(mut judge: Config, keeps: Option<&IndexMap<Name, String>>) -> Result<Config, Mistake> {
    for (metric, bound) in keeps.into_iter().flatten() {
        let at = || format!("keeps.{metric}");
        let wrong = |why: NotAQuantity| Mistake::at(at(), why.to_string());
        match (metric.as_str(), quantile(metric)) {
            ("errors", _) => {
                let at_most = bound.parse::<Percent>().map_err(wrong)?.fraction();
                if at_most > 1.0 {
                    return Err(
                        Mistake::at(at(), "no share is more than 100%").mend("write `0.5%` or the like")
                    );
                }
                judge.guards.push(Guard::Errors { at_most });
            }
            ("memory", _) => {
                let at_most = bound.parse::<Bytes>().map_err(wrong)?.get();
                if at_most == 0 {
                    return Err(
                        Mistake::at(at(), "nothing runs in no memory").mend("write `512MiB` or the like")
                    );
                }
                judge.memory = Some(at_most);
            }
            (_, Some(number)) => {
                let at_most = bound.parse::<Span>().map_err(wrong)?.get();
                if at_most.is_zero() {
                    let what = "nothing answers in no time";
                    return Err(Mistake::at(at(), what).mend("write `200ms` or the like"));
                }
                let at_most_us = u64::try_from(at_most.as_micros()).unwrap_or(u64::MAX);
                judge.guards.push(Guard::Latency { quantile: f64::from(number) / 100.0, at_most_us });
            }
            _ => {
                let known = ["errors", "p50", "p95", "p99", "memory"];
                return Err(Mistake::unknown(at(), "metric", metric.as_str(), known));
            }
        }
    }
    Ok(judge)
}

/// What is said of a comparison.
fn compared(gated: &Gated) -> [(&'static str, bool); 3] {
    [
        ("shares", !gated.shares.is_empty()),
        ("against", gated.against.is_some()),
        ("harm", gated.harm.is_some()),
    ]
}

fn only_for_judged(gated: &Gated, word: &str) -> Result<(), Mistake> {
    let others = [
        ("each", gated.each.is_some()),
        ("replicas", gated.replicas.is_some()),
        ("keeps", gated.keeps.is_some()),
    ];
    match compared(gated).into_iter().chain(others).find(|(_, said)| *said) {
        Some((field, _)) => {
            let what = format!("`{field}` is for a canary; `{word}` splits no traffic");
            Err(Mistake::of_key(field, what).mend("take it out, or write `canary:`"))
        }
        None => Ok(()),
    }
}

fn sets(rollout: &Rollout, beside: Beside, system: &System) -> Result<Sets, Mistake> {
    let (gated, component) = (&rollout.gated, &rollout.component);
    let splits = |spec: &Component| spec.weighs.as_ref().is_some_and(|w| w.component == *component);
    if !system.components.values().any(splits) {
        let what = format!("nothing splits the traffic of `{component}`");
        let mend = "add `weighs:` to the component in front of it in the system file";
        return Err(Mistake::at(rollout.word.as_str(), what).mend(mend));
    }
    if system.arm_header.is_none() {
        let what = "which version gave an answer is not known: the system file names no `arm_header`";
        return Err(Mistake::at(rollout.word.as_str(), what).mend("add `arm_header: x-replica`"));
    }
    let each = gated
        .each
        .ok_or_else(|| Mistake::at("", "how long a judge may take is not said").mend("add `each: 10m`"))?
        .get();
    if each < Duration::from_secs(1) {
        return Err(Mistake::at("each", "no judge decides in less than a second").mend("write `each: 10m`"));
    }
    let spec = system.components.get(component);
    let replicas = spec.map_or(1, |spec| replicas(gated, beside, spec));
    if replicas == 0 {
        return Err(Mistake::at("replicas", "a set without replicas").mend("write 1 or more"));
    }
    let with_baseline = has_baseline(gated, beside);
    let long = || {
        Mistake::at(rollout.word.as_str(), "the name is too long for one of a set")
            .mend("rename the component")
    };
    let canary = named(component, beside.word()).ok_or_else(long)?;
    let baseline = if with_baseline { Some(named(component, BASELINE).ok_or_else(long)?) } else { None };
    for set in std::iter::once(&canary).chain(&baseline) {
        if system.components.get(set).is_some_and(|spec| spec.set.is_none()) {
            let what = format!("the system has a component `{set}`, which a set would be called");
            return Err(Mistake::at(rollout.word.as_str(), what).mend("rename the component"));
        }
    }
    let shares = match beside {
        Beside::Canary => shares(&gated.shares, with_baseline)?,
        Beside::Green => vec![Shares::WHOLE],
    };
    Ok(Sets { canary, baseline, replicas, shares, each })
}

fn shares(said: &[Percent], with_baseline: bool) -> Result<Vec<u16>, Mistake> {
    if said.is_empty() {
        return Err(Mistake::at("", "a canary gets a share of the traffic").mend("add `shares: [5%, 25%]`"));
    }
    let most = if with_baseline { MOST / 2.0 } else { MOST };
    let mut before = 0.0;
    let mut shares = vec![];
    for (index, share) in said.iter().enumerate() {
        let at = format!("shares[{index}]");
        let fraction = share.fraction();
        if fraction <= before {
            let what = format!("{share} is no step up");
            return Err(Mistake::at(at, what).mend("write shares over 0% that grow"));
        }
        if fraction > most {
            let what = format!(
                "{share} is too much: the component itself keeps a tenth, and a baseline gets as much as the canary"
            );
            return Err(Mistake::at(at, what).mend(format!("write {} or less", Percent::of(most))));
        }
        before = fraction;
        shares.push((fraction * f64::from(Shares::WHOLE)).round() as u16);
    }
    Ok(shares)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use super::with_sets;
    use crate::{
        act::Ability,
        plan::{Known, Plan, plan},
        scenario,
        system::{self, System},
    };

    const SYSTEM: &str = "format: 1\nname: x\narm_header: x-replica\ncomponents:\n  \
                          web: { replicas: 3, ports: [http], ready: { tcp: { port: http } }, revisions: { v2: { settings: { A: b } } } }\n  \
                          front: { ports: [http], uses: [web], ready: { tcp: { port: http } }, weighs: { component: web, map: m, socket: s } }\n\
                          endpoint: { component: front, port: http }\nbehaviours: { get: { steps: [{ method: GET, path: / }] } }\n";

    fn planned(system: &str, line: &str) -> Result<(Plan, System), String> {
        with(system, line, "objectives: [errors < 1%]\n")
    }

    fn with(system: &str, line: &str, more: &str) -> Result<(Plan, System), String> {
        let text = format!(
            "hypothesis: h\nsystem: s.yml\nphases: {{ warm-up: 5s, baseline: 30s, canary: 100s }}\nrollouts:\n  - {{ {line} }}\n\
             load: [{{ behaviour: get, arrivals: {{ constant: 100/s }} }}]\n{more}"
        );
        let said = scenario::read(text).unwrap();
        let system = with_sets(system::read(system).unwrap(), &said);
        let abilities = BTreeSet::from([
            Ability::Start,
            Ability::Configure,
            Ability::Weigh,
            Ability::Kill,
            Ability::Pause,
        ]);
        let known = Known::on(&system, "any", abilities);
        let shown = |all: Vec<crate::yaml::Mistake>| {
            all.iter().map(|m| m.show("x.yml")).collect::<Vec<_>>().join("\n")
        };
        plan("x", &said, &known).map_err(shown).map(|plan| (plan, system.clone()))
    }

    fn told(line: &str) -> String {
        planned(SYSTEM, line).err().unwrap_or_default()
    }

    const GOOD: &str = "canary: web, to: v2, at: canary, shares: [5%, 45%], each: 40s";

    #[test]
    fn a_canary_has_two_sets_that_the_set_up_leaves_alone() {
        let (plan, system) = planned(SYSTEM, GOOD).unwrap();
        let names: Vec<&str> = system.components.keys().map(|name| name.as_str()).collect();
        assert_eq!(names, ["web", "web-baseline", "web-canary", "front"]);
        let started = |set: &str| {
            &system.components[&set.parse::<crate::name::Name>().unwrap()].set.as_ref().unwrap().revision
        };
        assert_eq!(
            (started("web-canary").name.as_str(), started("web-baseline").name.as_str()),
            ("v2", "original")
        );
        let set_up: Vec<&str> = plan.set_up.steps.iter().map(|step| step.title.as_str()).collect();
        assert_eq!(set_up, ["start ground", "start web", "start front"]);
        let canary = plan.rollouts[0].canary.as_ref().unwrap();
        assert_eq!(canary.sets.shares, [500, 4_500]);
        assert_eq!((canary.judge.least_seconds, canary.judge.most_seconds), (36, 40));
        assert_eq!(plan.rollouts[0].track.steps.last().unwrap().effect[0].within, Duration::from_secs(20));
        assert!(plan.needs.contains(&Ability::Weigh));
    }

    #[test]
    fn green_is_as_large_as_the_component_gets_everything_and_is_compared_with_nobody() {
        let good = "blue-green: web, to: v2, at: canary, each: 40s, keeps: { errors: 0.5%, p95: 200ms }";
        let (plan, system) = planned(SYSTEM, good).unwrap();
        let names: Vec<&str> = system.components.keys().map(|name| name.as_str()).collect();
        assert_eq!(names, ["web", "web-green", "front"]);
        let canary = plan.rollouts[0].canary.as_ref().unwrap();
        assert_eq!((canary.sets.replicas, canary.sets.shares.as_slice()), (3, [10_000].as_slice()));
        assert!(canary.judge.errors.is_none() && canary.judge.guards.len() == 2);
        for (line, expected) in [
            ("blue-green: web, to: v2, at: canary, each: 40s", "add `keeps:"),
            ("blue-green: web, to: v2, at: canary, each: 40s, keeps: { p95: 5% }", "x.yml:5:"),
            ("blue-green: web, to: v2, at: canary, each: 40s, keeps: { p950: 5ms }", "unknown metric"),
            (
                "blue-green: web, to: v2, at: canary, each: 40s, keeps: { p95: 5ms }, shares: [5%]",
                "`shares` is for a canary",
            ),
        ] {
            let told = told(line);
            assert!(told.contains(expected), "{line}: {told}");
        }
    }

    #[test]
    fn a_judge_of_a_rollout_is_something_that_judges_and_an_update_has_none() {
        assert_eq!(with(SYSTEM, GOOD, "").err(), None);
        let told = with(SYSTEM, "update: web, to: v2, at: canary", "").err().unwrap_or_default();
        assert!(told.contains("nothing is judged"), "{told}");
    }

    #[test]
    fn against_the_stable_replicas_there_is_one_set() {
        let (plan, system) = planned(SYSTEM, &format!("{GOOD}, against: stable, replicas: 2")).unwrap();
        assert_eq!(system.components.len(), 3);
        let sets = &plan.rollouts[0].canary.as_ref().unwrap().sets;
        assert_eq!((sets.baseline.as_ref(), sets.replicas), (None, 2));
    }

    #[test]
    fn what_is_judged_is_what_is_written_and_its_smallest_effect_lies_below_harm() {
        let (plan, _) = planned(SYSTEM, &format!("{GOOD}, harm: {{ errors: 0.1%, p95: 60% }}")).unwrap();
        let judge = &plan.rollouts[0].canary.as_ref().unwrap().judge;
        let errors = judge.errors.unwrap();
        assert!(errors.smallest < errors.harm && judge.wrong_answers.is_none());
        let [p95] = judge.latency.as_slice() else { panic!("{judge:?}") };
        assert_eq!((p95.quantile, p95.smallest, p95.harm), (0.95, 1.05, 1.6));
        assert!(judge.lost_writes.is_none() && judge.memory.is_none());
    }

    #[test]
    fn memory_may_be_bounded_and_lost_writes_judged_where_the_load_reads_what_it_wrote() {
        let (plan, _) = planned(SYSTEM, &format!("{GOOD}, keeps: {{ memory: 300MiB }}")).unwrap();
        assert_eq!(plan.rollouts[0].canary.as_ref().unwrap().judge.memory, Some(300 << 20));
        let wrong = told(&format!("{GOOD}, keeps: {{ memory: 300 }}"));
        assert!(wrong.contains("x.yml:5:") && wrong.contains("unit"), "{wrong}");
        let lost = format!("{GOOD}, harm: {{ lost-writes: 2% }}");
        assert!(told(&lost).contains("does not both write records and read them"), "{}", told(&lost));
        let get = "get: { steps: [{ method: GET, path: / }] }";
        let marked = "get: { steps: [\
            { method: POST, path: /, mark: { write: { key: k, value: v } } }, \
            { method: GET, path: /, mark: { read: { key: k, value: /v } } }] }";
        assert!(SYSTEM.contains(get));
        let (plan, _) = planned(&SYSTEM.replace(get, marked), &lost).unwrap();
        let lost = plan.rollouts[0].canary.as_ref().unwrap().judge.lost_writes.unwrap();
        assert_eq!((lost.smallest, lost.harm), (0.001, 0.02));
    }

    #[test]
    fn a_fault_may_hit_a_set_while_it_runs_and_hold_a_stable_replica_until_something_may_be_promoted() {
        let told = |fault: &str| {
            let more = format!("faults: [{{ {fault} }}]\n");
            with(SYSTEM, &format!("{GOOD}, replicas: 2"), &more).err().unwrap_or_default()
        };
        assert_eq!(told("kill: web-canary, at: canary + 10s"), "");
        assert_eq!(told("pause: web-baseline, at: canary + 90s, for: 10s"), "");
        assert_eq!(
            told("pause: web, at: canary + 1s, for: 71s"),
            "",
            "two steps of at least 36 s come first"
        );
        assert!(
            told("kill: web-canary, at: baseline + 10s")
                .contains("`web-canary` runs only while `canary web to v2` goes on")
        );
        assert!(told("kill: web-canary, pick: 2, at: canary + 10s").contains("none would be left"));
        assert!(told("pause: web, at: canary + 1s, for: 72s").contains("may replace the replica"));
    }

    #[test]
    fn what_is_wrong_with_a_canary_is_told_with_its_mend() {
        for (line, expected) in [
            ("canary: web, to: v2, at: canary, each: 40s", "add `shares: [5%, 25%]`"),
            ("canary: web, to: v2, at: canary, shares: [5%]", "add `each: 10m`"),
            ("canary: web, to: v3, at: canary, shares: [5%], each: 55s", "unknown revision `v3`"),
            ("canary: web, to: v2, at: canary, shares: [5%, 5%], each: 40s", "5% is no step up"),
            ("canary: web, to: v2, at: canary, shares: [50%], each: 55s", "write 45% or less"),
            ("canary: web, to: v2, at: canary, shares: [5%], each: 100s", "leave no time to promote"),
            (
                "canary: web, to: v2, at: canary, shares: [5%], each: 55s, within: 55s",
                "write a longer time, or a shorter `each:`",
            ),
            ("canary: web, to: v2, at: canary, shares: [5%], each: 55s, replicas: 0", "write 1 or more"),
            (
                "canary: web, to: v2, at: baseline + 5s, shares: [5%], each: 10s",
                "here are 5s; `warm-up` is not judged; let a phase of judged load come first",
            ),
            ("update: web, to: v2, at: canary, shares: [5%]", "`shares` is for a canary"),
            (
                "canary: web, to: v2, at: canary, shares: [5%], each: 55s, harm: { p999: 5% }",
                "unknown metric",
            ),
            ("canary: web, to: v2, at: canary, shares: [5%], each: 55s, harm: { p99: 0% }", "more than 0%"),
            ("canary: web, to: v2, at: canary, shares: [5%], each: 55s, harm: {}", "nothing is judged"),
            ("canary: web, to: v2, at: canary, shares: [5%], each: 54s", "let them take 55s or more"),
            (
                "canary: web, to: v2, at: canary, shares: [1%, 10%], each: 40s",
                "asks it about 40 times, and nothing is judged by fewer than 100; write a larger share",
            ),
            (
                "canary: web, to: v2, at: canary, shares: [5%], each: 44s, harm: { errors: 1% }",
                "let them take 45s or more",
            ),
            (
                "canary: web, to: v2, at: canary, shares: [5%], each: 55s, harm: { errors: 101% }",
                "no share grows by more than 100%",
            ),
            (
                "canary: web, to: v2, at: canary, shares: [5%], each: 55s, keeps: { memory: 0MiB }",
                "write `512MiB`",
            ),
            (
                "canary: web, to: v2, at: canary, shares: [5%], each: 55s, keeps: { p95: 0ms }",
                "nothing answers in no time",
            ),
            (
                "blue-green: web, to: v2, at: canary, each: 4s, keeps: { errors: 1% }",
                "no whole second to judge",
            ),
            (
                "canary: web, to: v2, at: canary, shares: [5%], each: 55s, keeps: { errors: 101% }",
                "no share is more than 100%",
            ),
            (
                "canary: web, to: v2, at: canary, shares: [5%], each: 55s, harm: { wrong-answers: 1% }",
                "no request of this load says what a right answer is",
            ),
        ] {
            let told = told(line);
            assert!(told.contains(expected) && told.contains("x.yml:5:"), "{line}: {told}");
        }
        let plain = SYSTEM.replace(", weighs: { component: web, map: m, socket: s }", "");
        let told = planned(&plain, GOOD).unwrap_err();
        assert!(told.contains("nothing splits the traffic of `web`; add `weighs:`"), "{told}");
        let told = planned(&SYSTEM.replace("arm_header: x-replica\n", ""), GOOD).unwrap_err();
        assert!(told.contains("add `arm_header: x-replica`"), "{told}");
    }
}
