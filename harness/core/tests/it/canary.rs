//! The judge of a canary on whole rollouts, told second by second.

use gauntlet_core::{
    judge::canary::{Arm, ArmSecond, Canary, Config, Decision, Estimate, Phase, Standing, config::Guard},
    seed::{Draws, Seed},
};
use proptest::prelude::*;

/// What a version does: errors and wrong answers by chance, latencies spread around 20 ms.
#[derive(Clone, Copy)]
struct Version {
    errors: f64,
    wrong: f64,
    slower: f64,
    tail: f64,
}

const GOOD: Version = Version { errors: 0.005, wrong: 0.0, slower: 1.0, tail: 1.0 };

fn second(number: u64, phase: Phase, arm: Arm, sent: u64, version: Version, draws: &mut Draws) -> ArmSecond {
    let mut of = ArmSecond { sent, ..ArmSecond::new(number, phase, arm) };
    for _ in 0..sent {
        let chance = draws.unit();
        if chance < version.errors {
            of.errors += 1;
        } else if chance < version.errors + version.wrong {
            of.wrong += 1;
        } else {
            let place = draws.unit();
            let tail = if place > 0.95 { version.tail } else { 1.0 };
            of.latencies.push(((20_000.0 * (0.5 + place) * version.slower * tail) as u64, 1));
        }
    }
    of
}

/// A baseline phase of 60 s, then a step of that many with the canary at a fifth of 500 requests a second.
fn rollout(config: Config, stable: Version, canary: Version, seconds: u64) -> Canary {
    let mut draws = Seed(11).stream("rollout");
    let mut judge = Canary::new(config);
    for number in 0..60 + seconds {
        let mut see =
            |phase, arm, sent, version| judge.see(&second(number, phase, arm, sent, version, &mut draws));
        if number < 60 {
            see(Phase::Baseline, Arm::Stable, 500, stable);
        } else {
            see(Phase::Step(0), Arm::Canary, 100, canary);
            see(Phase::Step(0), Arm::Stable, 400, stable);
        }
    }
    judge.close();
    judge
}

#[expect(clippy::panic, reason = "a test fails by panicking")]
fn rolled_back_by(judge: &Canary) -> String {
    match judge.decision() {
        Decision::RollBack { metric, .. } => metric,
        other => panic!("{other:?}: {:#?}", judge.findings()),
    }
}

fn found(judge: &Canary, metric: &str) -> Estimate {
    judge.findings().into_iter().find(|estimate| estimate.metric == metric).unwrap()
}

fn quick() -> Config {
    Config { most_seconds: 300, ..Config::default() }
}

#[test]
fn an_unchanged_version_is_promoted_once_harm_is_excluded() {
    assert_eq!(rollout(quick(), GOOD, GOOD, 30).decision(), Decision::GoOn);
    let judge = rollout(quick(), GOOD, GOOD, 280);
    assert_eq!(judge.decision(), Decision::Promote, "{:#?}", judge.findings());
    let errors = found(&judge, "errors");
    assert_eq!((errors.standing, errors.samples), (Standing::Harmless, (280 * 100, 280 * 400)));
    assert!(errors.interval.0 < 0.0 && 0.0 < errors.interval.1 && errors.interval.1 < 0.005);
    assert!(errors.reason.starts_with("no harm: 0."), "{}", errors.reason);
}

#[test]
fn every_handicap_is_rolled_back_by_a_metric_that_shows_it() {
    let none = Version { errors: 0.0, ..GOOD };
    let cases: [(Version, Version, &[&str]); 5] = [
        (none, Version { errors: 0.01, ..none }, &["errors"]),
        (GOOD, Version { errors: 0.01, ..GOOD }, &["errors"]),
        (none, Version { wrong: 0.01, ..none }, &["wrong-answers"]),
        (GOOD, Version { slower: 1.2, ..GOOD }, &["p50", "p95", "p99"]),
        (GOOD, Version { tail: 4.0, ..GOOD }, &["p95", "p99"]),
    ];
    for (stable, canary, metrics) in cases {
        let by = rolled_back_by(&rollout(Config::default(), stable, canary, 290));
        assert!(metrics.contains(&by.as_str()), "{by} is none of {metrics:?}");
    }
}

#[test]
fn a_version_that_is_better_is_not_rolled_back() {
    let better = Version { errors: 0.0, slower: 0.7, ..GOOD };
    assert_eq!(rollout(quick(), GOOD, better, 250).decision(), Decision::Promote);
}

#[test]
fn no_evidence_is_never_a_promotion() {
    let mut judge = Canary::new(quick());
    assert!(matches!(judge.decision(), Decision::GoOn) && judge.undecided().is_some());
    (0..60).for_each(|number| judge.see(&ArmSecond::new(number, Phase::Baseline, Arm::Stable)));
    (60..400).for_each(|number| judge.see(&ArmSecond::new(number, Phase::Step(0), Arm::Canary)));
    let Decision::Inconclusive { reason } = judge.decision() else { panic!("{:?}", judge.decision()) };
    assert!(reason.contains("too little evidence"), "{reason}");
}

#[test]
fn without_a_baseline_phase_nothing_is_said() {
    let mut judge = Canary::new(quick());
    let mut draws = Seed(1).stream("none");
    for number in 0..400 {
        judge.see(&second(number, Phase::Step(0), Arm::Canary, 40, GOOD, &mut draws));
        judge.see(&second(number, Phase::Step(0), Arm::Stable, 40, GOOD, &mut draws));
    }
    let Decision::Inconclusive { reason } = judge.decision() else { panic!("{:?}", judge.decision()) };
    assert!(reason.contains("the baseline phase has 0 s, 30 s are needed"), "{reason}");
}

#[test]
fn a_guard_needs_no_baseline_phase() {
    let config = Config { guards: vec![Guard::Errors { at_most: 0.05 }], ..quick() };
    let mut judge = Canary::new(config);
    (0..20).for_each(|number| {
        judge.see(&ArmSecond { sent: 40, errors: 40, ..ArmSecond::new(number, Phase::Step(0), Arm::Canary) });
    });
    assert_eq!(rolled_back_by(&judge), "guard errors <= 5.000 %");
}

#[test]
fn too_few_requests_within_the_time_are_inconclusive() {
    let mut draws = Seed(2).stream("few");
    let mut judge = Canary::new(quick());
    for number in 0..400 {
        let step = number >= 60;
        let phase = if step { Phase::Step(0) } else { Phase::Baseline };
        if step {
            judge.see(&second(number, phase, Arm::Canary, 1, GOOD, &mut draws));
        }
        judge.see(&second(number, phase, Arm::Stable, 9, GOOD, &mut draws));
    }
    let Decision::Inconclusive { reason } = judge.decision() else { panic!("{:?}", judge.decision()) };
    assert!(reason.starts_with("errors: open"), "{reason}");
}

#[test]
fn a_tail_that_is_not_bounded_yet_is_not_promoted() {
    let p99 = Config::default().latency.split_off(2);
    let config =
        || Config { errors: None, wrong_answers: None, latency: p99.clone(), least_seconds: 1, ..quick() };
    let early = rollout(config(), GOOD, GOOD, 3);
    let tail = found(&early, "p99");
    assert_eq!((early.decision(), tail.standing), (Decision::GoOn, Standing::Open), "{tail:?}");
    assert!(tail.interval.1.is_infinite() && tail.samples.0 > 200, "{tail:?}");
    assert_eq!(rollout(config(), GOOD, GOOD, 280).decision(), Decision::Promote);
}

#[test]
fn a_significant_nothing_does_not_roll_back() {
    let little = Version { slower: 1.03, ..GOOD };
    let judge = rollout(Config::default(), GOOD, little, 600);
    let p50 = found(&judge, "p50");
    assert!(p50.log_evidence >= -p50.alpha.ln(), "{p50:?}");
    assert_eq!(judge.decision(), Decision::Promote, "{p50:?}");
}

#[test]
fn what_moves_both_arms_alike_is_nobodys_fault() {
    let worse = Version { errors: 0.05, slower: 1.5, ..GOOD };
    let mut draws = Seed(3).stream("drift");
    let mut judge = Canary::new(quick());
    for number in 0..300 {
        let (phase, version) = if number < 60 { (Phase::Baseline, GOOD) } else { (Phase::Step(0), worse) };
        judge.see(&second(number, phase, Arm::Stable, 360, version, &mut draws));
        if number >= 60 {
            judge.see(&second(number, phase, Arm::Canary, 40, version, &mut draws));
        }
    }
    assert!(!matches!(judge.decision(), Decision::RollBack { .. }), "{:?}", judge.decision());
}

#[test]
fn a_guard_is_broken_by_the_canary_alone_however_bad_the_other_arm_is() {
    let bad = Version { errors: 0.1, ..GOOD };
    let guards =
        vec![Guard::Errors { at_most: 0.05 }, Guard::Latency { quantile: 0.95, at_most_us: 200_000 }];
    let config = Config { guards, ..quick() };
    assert_eq!(rolled_back_by(&rollout(config.clone(), bad, bad, 100)), "guard errors <= 5.000 %");
    let good = rollout(config, GOOD, GOOD, 290);
    assert_eq!(good.decision(), Decision::Promote, "{:#?}", good.findings());
    assert!(
        good.findings()
            .iter()
            .any(|of| of.metric == "guard p95 <= 200.0 ms" && of.reason.starts_with("kept"))
    );
}

#[test]
fn evidence_of_one_step_counts_in_the_next() {
    let mut draws = Seed(5).stream("steps");
    let bad = Version { errors: 0.01, ..GOOD };
    let mut judge = Canary::new(Config::default());
    let mut log = vec![];
    for number in 0..160 {
        let phase = match number {
            0..60 => Phase::Baseline,
            60..90 => Phase::Step(0),
            _ => Phase::Step(1),
        };
        let canary = if phase == Phase::Step(0) { 20 } else { 100 };
        if number >= 60 {
            judge.see(&second(number, phase, Arm::Canary, canary, bad, &mut draws));
        }
        judge.see(&second(number, phase, Arm::Stable, 400 - canary, GOOD, &mut draws));
        log.push(found(&judge, "errors").log_evidence);
    }
    assert!((log[90] - log[92]).abs() < 1e-12 && log[92].abs() > 0.0, "{log:?}");
    assert_eq!(rolled_back_by(&judge), "errors");
    assert!(found(&judge, "errors").samples.0 <= 70 * 100, "the samples are those of the step");
}

#[test]
fn a_second_that_comes_too_late_keeps_the_canary_from_being_promoted() {
    let mut judge = rollout(quick(), GOOD, GOOD, 290);
    judge.see(&ArmSecond::new(70, Phase::Step(0), Arm::Canary));
    assert_eq!(judge.undecided().unwrap(), "1 seconds came after they were judged");
}

#[test]
fn a_roll_back_stands_whatever_comes_after() {
    let mut judge = rollout(Config::default(), GOOD, Version { errors: 0.5, ..GOOD }, 100);
    let before = judge.decision();
    assert!(matches!(before, Decision::RollBack { .. }));
    let mut draws = Seed(6).stream("after");
    for number in 200..900 {
        judge.see(&second(number, Phase::Step(0), Arm::Canary, 40, GOOD, &mut draws));
        judge.see(&second(number, Phase::Step(0), Arm::Stable, 360, GOOD, &mut draws));
    }
    assert_eq!(judge.decision(), before);
}

#[test]
fn batches_are_the_same_whatever_the_canary_does() {
    let plans = |version| {
        let findings = rollout(Config::default(), GOOD, version, 50).findings();
        findings.into_iter().map(|of| (of.batch_seconds, of.dispersion)).collect::<Vec<_>>()
    };
    let wild = Version { errors: 0.6, wrong: 0.2, slower: 9.0, tail: 9.0 };
    assert_eq!(plans(GOOD), plans(wild));
}

#[test]
fn two_million_events_leave_the_judge_sound() {
    let mut judge = Canary::new(Config::default());
    for number in 0..400u64 {
        let phase = if number < 60 { Phase::Baseline } else { Phase::Step(0) };
        for (arm, sent) in [(Arm::Canary, 10_000), (Arm::Stable, 90_000)] {
            let errors = sent / 16 + number * 7 % 11;
            let latencies = vec![(20_000, sent / 2), (30_000, sent - sent / 2 - errors)];
            judge.see(&ArmSecond { sent, errors, latencies, ..ArmSecond::new(number, phase, arm) });
        }
    }
    judge.close();
    let errors = found(&judge, "errors");
    assert!(errors.events.0 + errors.events.1 > 2_000_000, "{errors:?}");
    assert!(errors.log_evidence.is_finite() && errors.interval.1 - errors.interval.0 < 0.01, "{errors:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, ..ProptestConfig::default() })]

    #[test]
    fn within_a_second_the_order_does_not_matter(seed: u64, swap: bool, cut in 0usize..40) {
        let mut draws = Seed(seed).stream("order");
        let (mut one, mut other) = (Canary::new(Config::default()), Canary::new(Config::default()));
        for number in 0..90 {
            let phase = if number < 40 { Phase::Baseline } else { Phase::Step(0) };
            let canary = second(number, phase, Arm::Canary, 60, GOOD, &mut draws);
            let stable = second(number, phase, Arm::Stable, 60, GOOD, &mut draws);
            one.see(&canary);
            one.see(&stable);
            // The other gets the canary's second in two parts, as from two workers.
            let (mut left, mut right) = (canary.clone(), canary);
            right.latencies = left.latencies.split_off(cut.min(left.latencies.len()));
            (left.sent, left.errors, left.wrong) = (left.sent - 20, 0, 0);
            right.sent = 20;
            let parts = if swap { [&stable, &right, &left] } else { [&right, &stable, &left] };
            parts.into_iter().for_each(|part| other.see(part));
        }
        one.close();
        other.close();
        prop_assert_eq!(one.findings(), other.findings());
        prop_assert_eq!(one.decision(), other.decision());
    }
}
