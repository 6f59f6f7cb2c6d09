//! The gate's own files: they are read, planned, printed and shown to editors.

use std::{collections::BTreeSet, fs, path::PathBuf};

use gauntlet_core::{
    act::Ability,
    plan::{self, Known, Plan, plan},
    scenario,
    system::{self, System},
};

fn text(path: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join(path)).unwrap()
}

fn system() -> System {
    let shown =
        |m: Vec<gauntlet_core::yaml::Mistake>| m.iter().map(|m| m.show("system.yml")).collect::<Vec<_>>();
    system::read(text("deploy/system.yml")).map_err(shown).unwrap()
}

fn gate() -> Plan {
    let system = system();
    let abilities = BTreeSet::from([Ability::Start, Ability::Kill, Ability::Pause]);
    let known = Known::on(&system, "local", abilities);
    let scenario = scenario::read(text("scenarios/gate/benchmarks.yml")).unwrap();
    let shown = |m: Vec<gauntlet_core::yaml::Mistake>| m.iter().map(|m| m.show("x.yml")).collect::<Vec<_>>();
    plan("benchmarks", &scenario, &known).map_err(shown).unwrap()
}

#[test]
fn the_plan_of_the_gate_is_printed_as_a_person_reads_it() {
    insta::assert_snapshot!(plan::print(&gate()));
}

#[test]
fn a_plan_written_as_json_reads_back_equal() {
    let plan = gate();
    let json = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan);
}

#[test]
fn a_merged_step_takes_all_but_its_own_fields_from_the_anchor() {
    let plan = gate();
    let step = |name: &str| {
        plan.load.steps.iter().find(|step| step.behaviour.as_str() == name).unwrap().request.clone()
    };
    let (again, afresh) = (step("ask-again"), step("ask-afresh"));
    assert_eq!((&again.path, &again.draw), (&afresh.path, &afresh.draw));
    assert_ne!(again.expect, afresh.expect);
    let seed = |body: &Option<serde_json::Value>| body.as_ref().unwrap()["seed"].clone();
    assert_eq!((seed(&again.body), seed(&afresh.body)), (1.into(), "{{fresh}}".into()));
}

#[test]
fn the_plan_holds_no_secret_and_no_setting() {
    let json = serde_json::to_string(&gate()).unwrap();
    assert!(!json.contains("DATABASE_URL") && !json.contains("secret."), "{json}");
}

#[test]
fn the_schemas_are_those_that_editors_are_given() {
    let pretty = |schema: serde_json::Value| serde_json::to_string_pretty(&schema).unwrap();
    insta::assert_snapshot!("scenario_schema", pretty(scenario::schema()));
    insta::assert_snapshot!("system_schema", pretty(system::schema()));
}
