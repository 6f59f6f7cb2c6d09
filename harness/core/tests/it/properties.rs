//! What holds for any text and any scenario.

use std::{collections::BTreeSet, time::Duration};

use gauntlet_core::{
    act::{Ability, Unit},
    plan::{Known, Plan, SETTLE, plan},
    scenario, system,
    yaml::Mistake,
};
use proptest::{collection::vec, option, prelude::*, sample::select, strategy::ValueTree as _};

const SYSTEM: &str = include_str!("system.yml");
const SCENARIO: &str = include_str!("scenario.yml");

fn planned(text: &str) -> Result<Plan, Vec<Mistake>> {
    let system = system::read(SYSTEM).unwrap();
    let abilities = BTreeSet::from([Ability::Start, Ability::Kill, Ability::Pause]);
    let known = Known::on(&system, "local", abilities);
    plan("any", &scenario::read(text)?, &known)
}

fn any_span() -> impl Strategy<Value = String> {
    (0u32..9, select(vec!["s", "s", "s", "s", "s", "s", "s", "ms", "m"]))
        .prop_map(|(number, unit)| format!("{number}{unit}"))
}

fn any_length() -> impl Strategy<Value = String> {
    prop_oneof![9 => (10u32..40).prop_map(|seconds| format!("{seconds}s")), 1 => any_span()]
}

fn any_arrivals() -> impl Strategy<Value = String> {
    let rate = || (0u32..300).prop_map(|rate| format!("{rate}/s"));
    prop_oneof![
        rate().prop_map(|rate| format!("{{ poisson: {rate} }}")),
        rate().prop_map(|rate| format!("{{ constant: {rate} }}")),
        (rate(), rate()).prop_map(|(from, to)| format!("{{ ramp: {{ from: {from}, to: {to} }} }}")),
        (rate(), rate(), any_span()).prop_map(|(base, peak, lasts)| {
            format!("{{ spike: {{ base: {base}, peak: {peak}, at: fault + 1s, for: {lasts} }} }}")
        }),
    ]
}

fn any_fault() -> impl Strategy<Value = String> {
    let pick =
        select(vec!["one", "another", "1", "2", "[1]", "[2]", "[3]", "[1, 3]", "[4]", "one", "another"]);
    let phase = select(vec!["fault", "fault", "fault", "recovery", "recovery", "warm-up"]);
    let component = select(vec!["web", "web", "web", "web", "web", "store"]);
    (select(vec!["kill", "pause"]), component, pick, phase, any_span(), option::weighted(0.8, any_span()))
        .prop_map(|(word, component, pick, phase, plus, lasts)| {
            let lasts = lasts.map(|lasts| format!(", for: {lasts}")).unwrap_or_default();
            format!("  - {{ {word}: {component}, pick: {pick}, at: {phase} + {plus}{lasts} }}\n")
        })
}

prop_compose! {
    /// A scenario of the right form, with and without sense.
    fn any_scenario()(
        seed: u32,
        behaviour in select(vec!["both", "both", "both", "write", "write", "read", "nobody"]),
        arrivals in any_arrivals(),
        lengths in [any_length(), any_length(), any_length(), any_length()],
        faults in vec(any_fault(), 0..4),
        down in select(vec![1u16, 1, 2, 2, 2, 2, 0, 3]),
    ) -> String {
        let [warm_up, baseline, fault, recovery] = lengths;
        let faults = if faults.is_empty() { String::new() } else { format!("faults:\n{}", faults.concat()) };
        format!(
            "hypothesis: any\nsystem: system.yml\nseed: {seed}\n\
             load: [{{ behaviour: {behaviour}, arrivals: {arrivals} }}]\n\
             phases: {{ warm-up: {warm_up}, baseline: {baseline}, fault: {fault}, recovery: {recovery} }}\n\
             {faults}tolerates: {{ web: {down} of 3 }}\nobjectives: [errors < 1%]\n"
        )
    }
}

/// The replicas of `web` that are down at a moment.
fn down(plan: &Plan, at: Duration) -> usize {
    let open =
        plan.faults.iter().filter(|fault| fault.begins <= at && at < fault.begins + fault.lasts + SETTLE);
    let acts = open.flat_map(|fault| &fault.track.steps).flat_map(|step| &step.acts);
    let units: Vec<&Unit> = acts.map(|act| act.unit()).collect();
    let distinct: BTreeSet<_> = units.iter().collect();
    assert_eq!(distinct.len(), units.len(), "one unit is held twice");
    units.len()
}

proptest! {
    #[test]
    fn reading_any_text_never_panics(text in "\\PC*") {
        let _ = (scenario::read(&text), system::read(&text));
    }

    #[test]
    fn reading_any_bytes_never_panics(bytes in vec(any::<u8>(), 0..400)) {
        let _ = (scenario::read(&bytes), system::read(&bytes));
    }

    #[test]
    fn a_file_with_a_stretch_written_otherwise_never_panics(from in 0usize..700, long in 0usize..40, by in "[ -~\n]{0,12}") {
        let cut = |text: &str| {
            let from = from.min(text.len());
            let to = (from + long).min(text.len());
            format!("{}{by}{}", &text[..from], &text[to..])
        };
        let _ = (planned(&cut(SCENARIO)), system::read(cut(SYSTEM)));
    }

    #[test]
    fn every_mistake_has_a_place_and_a_reason(text in any_scenario()) {
        for mistake in planned(&text).err().unwrap_or_default() {
            prop_assert!(mistake.line > 0 && mistake.column > 0 && !mistake.what.is_empty(), "{:?}", mistake);
        }
    }

    #[test]
    fn a_plan_keeps_its_promises(text in any_scenario()) {
        let Ok(plan) = planned(&text) else { return Ok(()) };
        prop_assert_eq!(plan.phases[0].begins, Duration::ZERO);
        prop_assert!(plan.phases.windows(2).all(|pair| pair[0].ends == pair[1].begins));
        prop_assert!(plan.phases.iter().all(|phase| phase.begins < phase.ends));
        prop_assert_eq!(plan.load.lasts, plan.lasts());
        for stream in &plan.load.streams {
            prop_assert_eq!(stream.segments.iter().map(|segment| segment.lasts).sum::<Duration>(), plan.lasts());
            let shares: f64 = stream.mix.iter().map(|(_, share)| share).sum();
            prop_assert!((shares - 1.0).abs() < 1e-9);
        }
        let tolerated = text.split("web: ").last().unwrap()[..1].parse::<usize>().unwrap().min(2);
        for fault in &plan.faults {
            prop_assert!(fault.begins + fault.lasts <= plan.lasts());
            prop_assert!(down(&plan, fault.begins) <= tolerated);
            prop_assert!(plan.judged().any(|phase| phase.begins <= fault.begins && fault.begins < phase.ends));
        }
    }

    #[test]
    fn the_same_words_give_the_same_plan(text in any_scenario()) {
        let (one, other) = (planned(&text), planned(&text));
        prop_assert_eq!(&one, &other);
        if let Ok(plan) = one {
            let json = serde_json::to_string(&plan).unwrap();
            prop_assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan);
        }
    }
}

#[test]
fn enough_of_the_scenarios_that_are_drawn_have_a_plan() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let drawn = (0..300).map(|_| any_scenario().new_tree(&mut runner).unwrap().current());
    let planned: Vec<Plan> = drawn.filter_map(|text| planned(&text).ok()).collect();
    assert!(planned.len() > 30, "{}", planned.len());
    assert!(planned.iter().filter(|plan| !plan.faults.is_empty()).count() > 5);
}
