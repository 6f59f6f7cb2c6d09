//! A question about an average treatment effect, as it comes over the wire, and its one canonical form.

use causal_engine::limits::{MAX_EDGES, MAX_NAME_CHARS, MAX_NODES, MAX_SAMPLES, MIN_SAMPLES};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

/// A linear-Gaussian structural causal model: every node is its intercept, plus its weighted parents, plus noise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The variables, in any order, each with its own name.
    #[schema(min_items = 1, max_items = 100)]
    pub nodes: Vec<Node>,
    /// The direct effects, in any order, without a cycle.
    #[schema(max_items = 2000)]
    pub edges: Vec<Edge>,
}

/// One variable of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// The variable's name.
    #[schema(min_length = 1, max_length = 64, pattern = "^[^\\u0000-\\u001f\\u007f]+$", example = "dose")]
    pub name: String,
    /// Standard deviation of the variable's own noise.
    #[serde(default = "one")]
    #[schema(default = 1.0, minimum = 0, maximum = 1e9)]
    pub noise_std: f64,
    /// Mean of the variable when it has no parents.
    #[serde(default)]
    #[schema(default = 0.0, minimum = -1e9, maximum = 1e9)]
    pub intercept: f64,
}

/// One direct effect of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Edge {
    /// The cause.
    #[schema(min_length = 1, max_length = 64, example = "dose")]
    pub from: String,
    /// What it acts on.
    #[schema(min_length = 1, max_length = 64, example = "recovery")]
    pub to: String,
    /// By how much the effect grows for one unit of the cause.
    #[schema(minimum = -1e9, maximum = 1e9, example = 0.5)]
    pub weight: f64,
}

/// What would the outcome's mean change by if the treatment were set, everywhere, to one value instead of the other?
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "model": {
        "nodes": [{"name": "age"}, {"name": "dose"}, {"name": "recovery", "noise_std": 0.5}],
        "edges": [{"from": "age", "to": "dose", "weight": 0.5}, {"from": "age", "to": "recovery", "weight": -1.0},
                  {"from": "dose", "to": "recovery", "weight": 2.0}]
    },
    "treatment": "dose", "outcome": "recovery", "samples": 1000, "seed": 7
}))]
pub struct Question {
    /// The model to intervene on.
    pub model: Model,
    /// The node that is set.
    #[schema(min_length = 1, max_length = 64, example = "dose")]
    pub treatment: String,
    /// The node that is watched.
    #[schema(min_length = 1, max_length = 64, example = "recovery")]
    pub outcome: String,
    /// The value of the treatment in the treated arm.
    #[serde(default = "one")]
    #[schema(default = 1.0, minimum = -1e9, maximum = 1e9)]
    pub treated: f64,
    /// The value of the treatment in the control arm.
    #[serde(default)]
    #[schema(default = 0.0, minimum = -1e9, maximum = 1e9)]
    pub control: f64,
    /// Draws of the whole model for each arm. Samples times nodes is bounded, too.
    #[schema(minimum = 2, maximum = 1_000_000, example = 1000)]
    pub samples: u64,
    /// The seed of the draws: the same question with the same seed has the same answer, to the last bit.
    #[schema(minimum = 0, maximum = 18_446_744_073_709_551_615_u64, example = 7)]
    pub seed: u64,
}

fn one() -> f64 {
    1.0
}

/// Something in a question that cannot be answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Mistake {
    /// Where, as a path into the body.
    pub field: String,
    /// What, in one lower-case sentence.
    pub message: String,
}

impl Mistake {
    pub(crate) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// The SHA-256 of a canonical question: the name of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest256(pub [u8; 32]);

/// A question within its limits whose nodes and edges are sorted, so that two ways to write it are one question.
#[derive(Clone, Debug, PartialEq)]
pub struct Canonical(Question);

impl Question {
    /// Checks the limits that need no graph and sorts what has no order.
    pub fn canonical(mut self) -> Result<Canonical, Mistake> {
        self.check_sizes()?;
        self.model.nodes.sort_by(|a, b| a.name.cmp(&b.name));
        self.model.edges.sort_by(|a, b| (&a.from, &a.to).cmp(&(&b.from, &b.to)));
        Ok(Canonical(self))
    }

    fn check_sizes(&self) -> Result<(), Mistake> {
        let (nodes, edges) = (self.model.nodes.len(), self.model.edges.len());
        if nodes == 0 || nodes > MAX_NODES {
            return Err(Mistake::new("model.nodes", format!("must be 1 to {MAX_NODES} nodes, not {nodes}")));
        }
        if edges > MAX_EDGES {
            return Err(Mistake::new(
                "model.edges",
                format!("must be at most {MAX_EDGES} edges, not {edges}"),
            ));
        }
        if !(MIN_SAMPLES..=MAX_SAMPLES).contains(&self.samples) {
            let message = format!("must be {MIN_SAMPLES} to {MAX_SAMPLES}, not {}", self.samples);
            return Err(Mistake::new("samples", message));
        }
        for (index, node) in self.model.nodes.iter().enumerate() {
            check_name(&node.name, MAX_NAME_CHARS)
                .map_err(|message| Mistake::new(format!("model.nodes[{index}].name"), message))?;
        }
        Ok(())
    }
}

/// Refuses names that are empty, too long, or hold control characters.
pub(crate) fn check_name(name: &str, longest: usize) -> Result<(), String> {
    // Bytes are an upper bound of characters, and cheaper to count.
    if name.is_empty() || (name.len() > longest && name.chars().count() > longest) {
        return Err(format!("must be 1 to {longest} characters"));
    }
    if name.bytes().any(|b| b.is_ascii_control()) {
        return Err("must hold no control characters".to_owned());
    }
    Ok(())
}

impl Canonical {
    /// The question itself.
    pub fn question(&self) -> &Question {
        &self.0
    }

    /// The name of the answer: covers everything that the answer depends on, and the engine's version.
    pub fn digest(&self) -> Digest256 {
        let Question { model, treatment, outcome, treated, control, samples, seed } = &self.0;
        let mut sha = Sha256::new();
        sha.update(concat!("ate/1/", env!("CARGO_PKG_VERSION")));
        sha.update((model.nodes.len() as u64).to_le_bytes());
        for node in &model.nodes {
            text(&mut sha, &node.name);
            number(&mut sha, node.noise_std);
            number(&mut sha, node.intercept);
        }
        sha.update((model.edges.len() as u64).to_le_bytes());
        for edge in &model.edges {
            text(&mut sha, &edge.from);
            text(&mut sha, &edge.to);
            number(&mut sha, edge.weight);
        }
        text(&mut sha, treatment);
        text(&mut sha, outcome);
        number(&mut sha, *treated);
        number(&mut sha, *control);
        sha.update(samples.to_le_bytes());
        sha.update(seed.to_le_bytes());
        Digest256(sha.finalize().into())
    }
}

/// The length goes first, so that no two sequences of texts look alike.
fn text(sha: &mut Sha256, text: &str) {
    sha.update((text.len() as u64).to_le_bytes());
    sha.update(text);
}

fn number(sha: &mut Sha256, number: f64) {
    sha.update(number.to_bits().to_le_bytes());
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn chain() -> Question {
        let body = r#"{"model":{"nodes":[{"name":"a"},{"name":"b","noise_std":0.5,"intercept":2},{"name":"c"}],
            "edges":[{"from":"a","to":"b","weight":2.0},{"from":"b","to":"c","weight":-0.75}]},
            "treatment":"a","outcome":"c","samples":1000,"seed":7}"#;
        serde_json::from_str(body).unwrap()
    }

    #[test]
    fn defaults_are_unit_noise_no_intercept_and_one_against_zero() {
        let q = chain();
        assert_eq!((q.treated, q.control), (1.0, 0.0));
        assert_eq!((q.model.nodes[0].noise_std, q.model.nodes[0].intercept), (1.0, 0.0));
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let text = serde_json::to_string(&chain()).unwrap().replace("\"seed\"", "\"sed\"");
        assert!(serde_json::from_str::<Question>(&text).unwrap_err().to_string().contains("unknown field"));
    }

    #[test]
    fn every_part_of_a_question_changes_its_digest() {
        let base = chain().canonical().unwrap().digest();
        let changes: [fn(&mut Question); 10] = [
            |q| q.model.nodes[0].name = "z".to_owned(),
            |q| q.model.nodes[1].noise_std = 0.25,
            |q| q.model.nodes[1].intercept = 2.5,
            |q| q.model.edges[0].weight = 2.000_000_000_000_000_4,
            |q| q.model.edges[0].to = "c".to_owned(),
            |q| q.treatment = "b".to_owned(),
            |q| q.treated = 2.0,
            |q| q.control = -1.0,
            |q| q.samples = 1001,
            |q| q.seed = 8,
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let mut q = chain();
            change(&mut q);
            assert_ne!(q.canonical().unwrap().digest(), base, "change {index}");
        }
    }

    #[test]
    fn sizes_past_the_limits_are_named_with_their_field() {
        let field = |change: fn(&mut Question)| {
            let mut q = chain();
            change(&mut q);
            q.canonical().unwrap_err().field
        };
        assert_eq!(field(|q| q.model.nodes.clear()), "model.nodes");
        assert_eq!(field(|q| q.model.nodes = vec![q.model.nodes[0].clone(); MAX_NODES + 1]), "model.nodes");
        assert_eq!(field(|q| q.model.edges = vec![q.model.edges[0].clone(); MAX_EDGES + 1]), "model.edges");
        assert_eq!(field(|q| q.samples = MIN_SAMPLES - 1), "samples");
        assert_eq!(field(|q| q.samples = MAX_SAMPLES + 1), "samples");
        assert_eq!(field(|q| q.model.nodes[2].name = "x".repeat(MAX_NAME_CHARS + 1)), "model.nodes[2].name");
        assert_eq!(field(|q| q.model.nodes[0].name.clear()), "model.nodes[0].name");
        assert_eq!(field(|q| q.model.nodes[0].name = "\0".to_owned()), "model.nodes[0].name");
    }

    #[test]
    fn a_name_is_measured_in_characters_not_in_bytes() {
        assert!(check_name(&"é".repeat(100), 100).is_ok());
        assert!(check_name(&"é".repeat(101), 100).is_err());
    }

    proptest! {
        #[test]
        fn the_order_of_nodes_and_edges_does_not_matter(swap in 0_usize..3, turn in any::<bool>()) {
            let mut q = chain();
            q.model.nodes.rotate_left(swap);
            if turn { q.model.edges.reverse(); }
            let (q, base) = (q.canonical().unwrap(), chain().canonical().unwrap());
            prop_assert_eq!(q.digest(), base.digest());
            prop_assert_eq!(q, base);
        }

        #[test]
        fn every_number_survives_the_wire_to_the_last_bit(bits in any::<u64>(), seed in any::<u64>()) {
            let number = f64::from_bits(bits);
            prop_assume!(number.is_finite());
            let mut q = chain();
            (q.treated, q.seed) = (number, seed);
            let back: Question = serde_json::from_str(&serde_json::to_string(&q).unwrap()).unwrap();
            prop_assert_eq!(back.treated.to_bits(), number.to_bits());
            prop_assert_eq!(back.seed, seed);
        }
    }
}
