//! Answers to the last bit, kept: a change of any number, on any machine, is noticed here.
//!
//! When a change is meant, every stored answer of every user changes too: say so in the changelog, then replace the
//! table by what the failing test prints.

#![expect(clippy::expect_used, reason = "a test stops at the first thing that is not so")]

use causal_engine::{AteQuery, Edge, Node, Scm};

/// Samples, seed, bits of the estimate, bits of the standard error.
const GOLDEN: [(u64, u64, u64, u64); 4] = [
    (2, 0, 0x4001_3c05_2414_8e07, 0x401b_91b4_3c27_923d),
    (1_000, 42, 0xbfea_46b8_81dd_2727, 0x3fc3_7133_fe79_593b),
    (4_097, 0xffff_ffff_ffff_ffff, 0xbfea_6b95_3f35_efe0, 0x3fb3_5c0d_9bfb_605a),
    (100_000, 7, 0xbfe7_6c9b_6b17_ade1, 0x3f8f_24a8_6b86_a6cb),
];

fn scm() -> Scm {
    let node =
        |i: usize| Node { name: format!("n{i}"), intercept: 0.1 * i as f64, noise_std: 1.0 + 0.3 * i as f64 };
    let edge = |from: usize, to: usize| Edge {
        from: format!("n{from}"),
        to: format!("n{to}"),
        weight: (from as f64 - 2.7) / (to as f64 + 1.0),
    };
    let pairs = (0..8).flat_map(|to| (0..to).map(move |from| (from, to)));
    let edges = pairs.filter(|(from, to)| (from + to) % 3 != 0).map(|(from, to)| edge(from, to));
    Scm::new((0..8).map(node).collect(), edges.collect()).expect("a valid model")
}

#[test]
fn the_answers_are_the_kept_ones_to_the_last_bit() {
    let answers = GOLDEN.map(|(samples, seed, _, _)| {
        let (treatment, outcome) = ("n1".to_owned(), "n7".to_owned());
        let query = AteQuery { treatment, outcome, treated: 1.25, control: -0.5, samples, seed };
        let ate = scm().ate(&query, 2).expect("an answer");
        (samples, seed, ate.estimate.to_bits(), ate.standard_error.to_bits())
    });
    assert!(answers == GOLDEN, "the numbers changed:\n{answers:#018x?}");
}
