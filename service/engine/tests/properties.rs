//! What holds for every model: the bits do not depend on order or threads, and simulation agrees with algebra.

#![expect(clippy::expect_used, reason = "a test stops at the first thing that is not so")]

use causal_engine::{Ate, AteQuery, Edge, Node, Scm};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

#[derive(Debug, Clone)]
struct Model {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
}

impl Model {
    fn ate(&self, query: &AteQuery, threads: usize) -> Ate {
        self.scm().ate(query, threads).expect("an answer")
    }

    fn scm(&self) -> Scm {
        Scm::new(self.nodes.clone(), self.edges.clone()).expect("a valid model")
    }
}

/// Two to nine nodes whose names are in no relation to their causal order, with about half of all edges.
fn model() -> impl Strategy<Value = Model> {
    (2_usize..10).prop_flat_map(|count| {
        let names = Just((0..count).map(|i| format!("n{i}")).collect::<Vec<_>>()).prop_shuffle();
        let nodes = prop::collection::vec((-5.0..5.0, prop_oneof![Just(0.0), 0.1..3.0]), count);
        let weights = prop::collection::vec(prop::option::of(-2.0..2.0), count * (count - 1) / 2);
        (names, nodes, weights).prop_map(|(names, nodes, weights)| {
            let pairs = (0..names.len()).flat_map(|to| (0..to).map(move |from| (from, to)));
            let edges = pairs.zip(weights).filter_map(|((from, to), weight)| {
                weight.map(|weight| Edge { from: names[from].clone(), to: names[to].clone(), weight })
            });
            let edges = edges.collect();
            let nodes = names.iter().zip(nodes);
            let nodes = nodes
                .map(|(name, (intercept, noise_std))| Node { name: name.clone(), intercept, noise_std })
                .collect();
            Model { nodes, edges }
        })
    })
}

fn query(model: &Model, samples: u64, seed: u64) -> AteQuery {
    // Names are shuffled: these two stand anywhere in the causal order.
    let (treatment, outcome) = (model.nodes[0].name.clone(), model.nodes[model.nodes.len() - 1].name.clone());
    AteQuery { treatment, outcome, treated: 1.5, control: -0.5, samples, seed }
}

/// Runs a property on the same cases every time, so that a chance of one in a million stays a no.
fn check<S: Strategy>(cases: u32, strategy: S, property: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    TestRunner::new_with_rng(config, rng).run(&strategy, property).expect("the property holds");
}

/// Bits, so that -0 and 0 differ.
fn bits(ate: Ate) -> [u64; 4] {
    let [low, high] = ate.confidence_interval;
    [ate.estimate, ate.standard_error, low, high].map(f64::to_bits)
}

#[test]
fn the_order_of_nodes_and_edges_changes_no_bit() {
    let shuffled = model().prop_flat_map(|model| {
        let shuffled = (Just(model.nodes.clone()).prop_shuffle(), Just(model.edges.clone()).prop_shuffle());
        (Just(model), shuffled)
    });
    check(200, (shuffled, any::<u64>()), |((model, (nodes, edges)), seed)| {
        let query = query(&model, 600, seed);
        let other = Model { nodes, edges };
        prop_assert_eq!(bits(model.ate(&query, 1)), bits(other.ate(&query, 1)));
        Ok(())
    });
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    check(20, (model(), 2_u64..40_000, any::<u64>()), |(model, samples, seed)| {
        let query = query(&model, samples, seed);
        let one = bits(model.ate(&query, 1));
        for threads in [2, 3, 8] {
            prop_assert_eq!(bits(model.ate(&query, threads)), one, "{} threads", threads);
        }
        Ok(())
    });
}

#[test]
fn simulation_agrees_with_algebra_within_5_standard_errors() {
    check(200, (model(), any::<u64>()), |(model, seed)| {
        let query = query(&model, 5_000, seed);
        let truth = model.scm().closed_form(&query).expect("an answer");
        let ate = model.ate(&query, 1);
        let error = (ate.estimate - truth.ate).abs();
        let rounding = 1e-9;
        prop_assert!(error <= 5.0 * truth.standard_error + rounding, "{:?} for {:?}", ate, truth);
        // A standard deviation from 10,000 draws is itself off by 0.7 %.
        let ratio = (ate.standard_error - truth.standard_error).abs();
        prop_assert!(ratio <= 5.0 * 0.00708 * truth.standard_error + rounding, "{:?} for {:?}", ate, truth);
        Ok(())
    });
}

#[test]
fn more_samples_begin_with_the_same_samples() {
    // Without an effect of its own, a mean of n + 1 samples differs from that of n by one sample's share.
    check(50, (model(), 2_u64..1_000), |(model, samples)| {
        let (few, more) = (query(&model, samples, 5), query(&model, samples + 1, 5));
        let spread =
            model.scm().closed_form(&few).expect("an answer").standard_error * (samples as f64).sqrt();
        let step = (model.ate(&few, 1).estimate - model.ate(&more, 1).estimate).abs();
        prop_assert!(step <= 9.0 * spread / samples as f64 + 1e-9, "{} of {}", step, spread);
        Ok(())
    });
}

#[test]
fn the_interval_covers_the_truth_95_times_in_100() {
    for samples in [3, 20, 500] {
        let nodes = ["a", "b", "c"].map(|name| Node { name: name.into(), intercept: 1.0, noise_std: 2.0 });
        let edge = |from: &str, to: &str, weight| Edge { from: from.into(), to: to.into(), weight };
        let edges = vec![edge("a", "b", 0.5), edge("a", "c", -1.0), edge("b", "c", 1.5)];
        let scm = Scm::new(nodes.to_vec(), edges).expect("a valid model");
        let (treatment, outcome) = ("b".to_owned(), "c".to_owned());
        let ask = AteQuery { treatment, outcome, treated: 1.0, control: 0.0, samples, seed: 0 };
        let truth = scm.closed_form(&ask).expect("an answer").ate;
        let covers = |seed: &u64| {
            let ate = scm.ate(&AteQuery { seed: *seed, ..ask.clone() }, 1).expect("an answer");
            let [low, high] = ate.confidence_interval;
            low <= truth && truth <= high
        };
        let covered = (0..2_000).filter(covers).count() as f64;
        // Binomial: 1,900 of 2,000 with a standard deviation of 9.75.
        assert!((covered - 1_900.0).abs() <= 3.5 * 9.75, "{covered} of 2000 at {samples} samples");
    }
}
