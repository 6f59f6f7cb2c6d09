//! Bad scenarios: each is refused with place, reason and mend, before anything is started.

use std::collections::BTreeSet;

use gauntlet_core::{
    act::Ability,
    plan::{Known, plan},
    scenario, system,
    yaml::Mistake,
};

const SYSTEM: &str = include_str!("system.yml");
const SCENARIO: &str = include_str!("scenario.yml");

/// All that is said of a scenario; `right` when nothing is.
fn told(text: impl AsRef<[u8]>) -> String {
    let system = system::read(SYSTEM).unwrap();
    let abilities = BTreeSet::from([Ability::Start, Ability::Kill]);
    let known = Known::on(&system, "little", abilities);
    let result = scenario::read(text).and_then(|scenario| plan("loss", &scenario, &known).map(|_| ()));
    match result {
        Ok(()) => "right".to_owned(),
        Err(mistakes) => {
            assert!(mistakes.iter().all(|m| m.line > 0 && m.column > 0 && m.mend.is_some()), "{mistakes:?}");
            mistakes.iter().map(|mistake: &Mistake| mistake.show("loss.yml")).collect::<Vec<_>>().join("\n")
        }
    }
}

/// The right scenario with one part of it written otherwise.
fn with(from: &str, to: &str) -> String {
    assert_eq!(SCENARIO.matches(from).count(), 1, "{from}");
    told(SCENARIO.replacen(from, to, 1))
}

/// A kill of the first replica, and four seconds later one of another, before the kill that is written.
fn two_more(second: &str) -> String {
    let kill = |pick: &str, at: &str| format!("- {{ kill: web, pick: [{pick}], at: {at} }}\n  ");
    format!("{}{}- kill: web", kill("1", "fault"), kill(second, "fault + 4s"))
}

#[test]
fn the_right_scenario_is_right() {
    assert_eq!(told(SCENARIO), "right");
}

#[test]
fn an_unknown_field_is_told() {
    insta::assert_snapshot!(with("objectives:", "objektives:"), @"loss.yml:12:1: unknown field `objektives`; did you mean `objectives`?");
    insta::assert_snapshot!(with("    pick: 1", "    pik: 1"), @"loss.yml:9:5: unknown field `pik`; did you mean `pick`?");
}

#[test]
fn a_misspelt_fault_is_told() {
    insta::assert_snapshot!(with("- kill: web", "- kil: web"), @"loss.yml:8:5: unknown field `kil`; did you mean `kill`?");
}

#[test]
fn a_wrong_unit_is_told() {
    insta::assert_snapshot!(with("baseline: 10s", "baseline: 10sec"), @r#"loss.yml:6:34: "10sec" is no duration: "sec" is no unit of time (us, ms, s, m, h); write it like "250ms", "5s" or "2m""#);
    insta::assert_snapshot!(with("baseline: 10s", "baseline: 10"), @r#"loss.yml:6:34: "10" is no duration: the unit is missing; write it like "250ms", "5s" or "2m""#);
    insta::assert_snapshot!(with("p95 < 200ms", "p95 < 200"), @r#"loss.yml:13:5: "200" is no duration: the unit is missing; write it like "250ms", "5s" or "2m""#);
    insta::assert_snapshot!(with("memory of web < 2GB", "memory of web < 2Gb"), @r#"loss.yml:17:5: "2Gb" is no size: "Gb" is no unit of size (B, kB, MB, GB, TB, KiB, MiB, GiB, TiB); write it like "512MiB" or "2GB""#);
}

#[test]
fn a_negative_rate_is_told() {
    insta::assert_snapshot!(with("poisson: 100/s", "poisson: -100/s"), @r#"loss.yml:5:26: "-100/s" is no rate: it is negative; write it like "600/s" or "90/m""#);
}

#[test]
fn a_fault_outside_its_phase_is_told() {
    insta::assert_snapshot!(with("at: fault + 2s", "at: fault + 30s"), @"loss.yml:10:9: `fault + 30s` is outside its phase: `fault` lasts 15s; write less than 15s behind the `+`");
    insta::assert_snapshot!(with("    pick: 1", "    pick: 1\n    for: 20s"), @"loss.yml:10:10: the fault ends outside its phase: 13s of `fault` are left when it begins; write `for: 13s` or less, or make the phase longer");
    insta::assert_snapshot!(with("at: fault + 2s", "at: warm-up + 2s"), @"loss.yml:10:9: `warm-up` is not judged, so a fault in it proves nothing; write a judged phase");
    insta::assert_snapshot!(with("at: fault + 2s", "at: fualt + 2s"), @"loss.yml:10:9: unknown phase `fualt`; did you mean `fault`?");
}

#[test]
fn killing_all_replicas_is_told() {
    insta::assert_snapshot!(with("pick: 1", "pick: 3"), @"loss.yml:9:11: all 3 replicas of `web` would be hit: none would be left; write `pick: 2` or less");
    insta::assert_snapshot!(with("pick: 1", "pick: all"), @"loss.yml:9:11: all replicas are never hit: one must stay; write `one`, `another`, a number such as `2`, or a list such as `[1, 3]`");
    insta::assert_snapshot!(with("pick: 1", "pick: [1, 2, 3]"), @"loss.yml:9:5: all 3 replicas of `web` would be hit: none would be left; write `pick: 2` or less");
    insta::assert_snapshot!(with("- kill: web", "- kill: store"), @"loss.yml:9:11: `store` has one replica only: none would be left; write a component with more replicas, or for a set `replicas: 2`");
}

#[test]
fn going_beyond_the_tolerance_is_told() {
    insta::assert_snapshot!(with("pick: 1", "pick: 2"), @"loss.yml:8:5: 2 replicas of `web` would be down at 17s; 1 may be; write a later time (a replica counts as down for 5s after its fault, and one during a rollout), fewer picks, or more in `tolerates`");
    let text = SCENARIO.replace("- kill: web", &two_more("2")).replace("fault + 2s", "fault + 10s");
    insta::assert_snapshot!(told(text), @"loss.yml:9:5: 2 replicas of `web` would be down at 19s; 1 may be; write a later time (a replica counts as down for 5s after its fault, and one during a rollout), fewer picks, or more in `tolerates`");
    insta::assert_snapshot!(with("web: 1 of 3", "web: 3 of 3"), @r#"loss.yml:11:19: all replicas of `web` may not be down: one must stay; write "2 of 3""#);
    insta::assert_snapshot!(with("web: 1 of 3", "web: 1 of 4"), @r#"loss.yml:11:19: `web` has 3 replicas, not 4; write "1 of 3""#);
    insta::assert_snapshot!(with("web: 1 of 3", "wbe: 1 of 3"), @"loss.yml:11:14: unknown component `wbe`; did you mean `web`?");
    insta::assert_snapshot!(with("web: 1 of 3", "web: one"), @r#"loss.yml:11:19: "one" is no tolerance: how many replicas may be down, of how many; write it like "1 of 3""#);
}

#[test]
fn two_faults_on_one_replica_at_once_are_told() {
    let text = SCENARIO.replace("- kill: web", &two_more("1")).replace("fault + 2s", "fault + 10s");
    insta::assert_snapshot!(told(text), @"loss.yml:9:33: `web-1` is still held by `kill web-1` (15s to 20s); write a time from 20s on, or pick another replica");
}

#[test]
fn an_unknown_component_behaviour_phase_check_or_measure_is_told() {
    insta::assert_snapshot!(with("- kill: web", "- kill: wbe"), @"loss.yml:8:11: unknown component `wbe`; did you mean `web`?");
    insta::assert_snapshot!(with("behaviour: both", "behaviour: boht"), @"loss.yml:4:16: unknown behaviour `boht`; did you mean `both`?");
    insta::assert_snapshot!(with("errors < 0.5%", "errors < 0.5% in falt"), @"loss.yml:15:5: unknown judged phase `falt`; did you mean `fault`?");
    insta::assert_snapshot!(with("errors < 0.5%", "errors < 0.5% in warm-up"), @"loss.yml:15:5: unknown judged phase `warm-up`; write one of `baseline`, `fault`, `recovery`");
    insta::assert_snapshot!(with("no-lost-write", "no-lost-writes"), @"loss.yml:21:10: unknown check `no-lost-writes`; did you mean `no-lost-write`?");
    insta::assert_snapshot!(with("hit-rate > 85%", "hitrate > 85%"), @"loss.yml:19:5: unknown measure `hitrate`; did you mean `hit-rate`?");
    insta::assert_snapshot!(with("p95 < 200ms", "p98 < 200ms"), @"loss.yml:13:5: unknown measure `p98`; did you mean `p90`?");
    insta::assert_snapshot!(with("p95 < 200ms", "p95 of other < 200ms"), @"loss.yml:13:5: no behaviour `other` is in this load; write one of `write`, `read`");
}

#[test]
fn what_the_target_cannot_do_is_told() {
    insta::assert_snapshot!(with("- kill: web", "- pause: web\n    for: 5s"), @"loss.yml:8:12: the target little cannot pause; write a fault that it can, or take another target");
}

#[test]
fn an_objective_that_is_impossible_or_the_wrong_way_round_is_told() {
    insta::assert_snapshot!(with("throughput > 90/s", "throughput > 150/s"), @"loss.yml:14:5: only 100.0 requests/s are offered in `baseline`: over 150/s is impossible; write a lower bound, or a higher rate in `load`");
    insta::assert_snapshot!(with("throughput > 90/s", "throughput < 90/s"), @"loss.yml:14:5: `throughput < 90/s` asks for a value that is too low; write `throughput > 90/s`");
    insta::assert_snapshot!(with("p95 < 200ms", "p95 > 200ms"), @"loss.yml:13:5: `p95 > 200ms` asks for a value that is too high; write `p95 < 200ms`");
    insta::assert_snapshot!(with("p95 < 200ms", "p95 < 0s"), @"loss.yml:13:5: nothing is below 0s; write a bound over 0");
    insta::assert_snapshot!(with("p95 < 200ms", "p95 = 200ms"), @r#"loss.yml:13:5: "p95 = 200ms" is no objective: it compares nothing; write it like `p95 < 200ms`"#);
    insta::assert_snapshot!(told(format!("{SCENARIO}generator: {{ sent: 101%, in-flight: 0 }}\n")), @r"
    loss.yml:22:20: more than the whole schedule is never sent; write at most 100%
    loss.yml:22:37: nothing may be in flight, so nothing is sent; write 1 or more
    ");
    insta::assert_snapshot!(with("errors < 0.5%", "errors < 150%"), @"loss.yml:15:5: `errors` is never over 100%; write at most 100%");
    insta::assert_snapshot!(with("cpu of web < 70%", "cpu of store < 70%"), @"loss.yml:18:5: `store` has no allotment to compare its CPU time with; add `allotment: { cpu: 0.5 }` to it in the system file");
    insta::assert_snapshot!(with("cpu of web < 70%", "cpu < 70%"), @"loss.yml:18:5: `cpu` needs a component; write `cpu of COMPONENT < 70%`");
    insta::assert_snapshot!(with("recovery < 5s", "recovery < 5s in fault"), @"loss.yml:16:5: `recovery` is measured over the whole run, not in a phase; write it without `in fault`");
    insta::assert_snapshot!(with("hits > 10", "hits > 85%"), @r#"loss.yml:20:5: "85%" is no count: `hits` counts and is no ratio; write a plain number, such as 10"#);
}

#[test]
fn two_documents_are_told() {
    insta::assert_snapshot!(told(format!("{SCENARIO}---\n{SCENARIO}")), @"loss.yml:23:1: a second document begins; keep one document: remove `---` and what follows");
}

#[test]
fn an_empty_file_is_told() {
    insta::assert_snapshot!(told(""), @"loss.yml:1:1: the file is empty; start from an example, such as the gate's files");
}

#[test]
fn ten_megabytes_are_told_without_reading_them() {
    insta::assert_snapshot!(told("a".repeat(10_000_000)), @"loss.yml:1:1: the file has 10000000 bytes, and at most 1048576 are read; give the file that you meant: one that a person wrote is far smaller");
}

#[test]
fn bytes_that_are_not_utf_8_are_told() {
    insta::assert_snapshot!(told(b"hypothesis: it holds\nsystem: caf\xe9.yml\n"), @"loss.yml:2:12: byte 0xe9 is not UTF-8; save the file as UTF-8");
}

#[test]
fn a_field_that_is_missing_or_written_twice_is_told() {
    insta::assert_snapshot!(with("hypothesis: users notice nothing\n", ""), @"loss.yml:1:1: the field `hypothesis` is missing; add `hypothesis: ...`");
    insta::assert_snapshot!(told(format!("{SCENARIO}system: other.yml\n")), @"loss.yml:22:1: `system` is written twice; keep one of them");
    insta::assert_snapshot!(with("system: system.yml", "system:"), @"loss.yml:2:7: expected a text, found nothing; write a value behind the colon");
    insta::assert_snapshot!(told(format!("format: 9\n{SCENARIO}")), @"loss.yml:1:9: format 9 is unknown here: this version reads format 1; write `format: 1`, or use a version that reads format 9");
}

#[test]
fn several_mistakes_are_told_at_once() {
    let text = SCENARIO
        .replace("poisson: 100/s", "posson: 100/s")
        .replace("- kill: web", "- kil: web")
        .replace("baseline: 10s", "baseline: 10");
    insta::assert_snapshot!(told(text), @r#"
    loss.yml:5:17: unknown word `posson`; did you mean `poisson`?
    loss.yml:6:34: "10" is no duration: the unit is missing; write it like "250ms", "5s" or "2m"
    loss.yml:8:5: unknown field `kil`; did you mean `kill`?
    "#);
    let text = SCENARIO
        .replace("behaviour: both", "behaviour: boht")
        .replace("- kill: web", "- kill: wbe")
        .replace("memory of web", "memory of wbe");
    insta::assert_snapshot!(told(text), @r"
    loss.yml:4:16: unknown behaviour `boht`; did you mean `both`?
    loss.yml:8:11: unknown component `wbe`; did you mean `web`?
    loss.yml:17:5: unknown component `wbe`; did you mean `web`?
    ");
}

#[test]
fn a_scenario_that_measures_nothing_is_told() {
    let text = "hypothesis: h\nsystem: s.yml\nphases: { baseline: 5s }\n";
    insta::assert_snapshot!(told(text), @"loss.yml:1:1: nothing is judged: there is no objective, no check and no connection; add `objectives: [p95 < 200ms]` or the like");
    insta::assert_snapshot!(told(format!("{text}objectives: [p95 < 200ms, recovery < 5s]\nchecks: [right-answers]\n")), @r"
    loss.yml:4:14: `p95 < 200ms` is measured on requests, and there is no load; add `load:`
    loss.yml:4:27: `recovery < 5s` is measured on requests, and there is no load; add `load:`
    loss.yml:5:10: `right-answers` has nothing to check: no request of this load says what a right answer is; add it, or take the check out
    ");
}
