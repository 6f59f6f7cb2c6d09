//! A validated linear-Gaussian structural causal model.

use std::collections::HashMap;

use crate::error::{BadNumber, ModelError, Place, check_number, clip};
use crate::limits::{MAX_EDGES, MAX_NAME_CHARS, MAX_NODES};
use crate::order::topological;

/// A variable: `intercept + sum(weight * parent) + noise_std * N(0, 1)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Unique within its model, 1 to 64 characters.
    pub name: String,
    /// The value when all parents and the noise are zero.
    pub intercept: f64,
    /// Standard deviation of the node's own noise, zero or more.
    pub noise_std: f64,
}

/// A direct, linear effect.
#[derive(Debug, Clone, PartialEq)]
pub struct Edge {
    /// The parent.
    pub from: String,
    /// The child.
    pub to: String,
    /// Change of the child per unit of the parent.
    pub weight: f64,
}

/// A structural causal model: acyclic, finite, within [`crate::limits`].
///
/// Nodes are kept in the order of their names, parents likewise. That order, not the input's, fixes the draws and
/// the order of additions.
#[derive(Debug, Clone, PartialEq)]
pub struct Scm {
    pub(crate) nodes: Vec<Node>,
    /// For each node its parents and their weights, in canonical order.
    pub(crate) parents: Vec<Vec<(usize, f64)>>,
    /// Canonical indices, parents before children.
    pub(crate) order: Vec<usize>,
}

impl Scm {
    /// Checks nodes and edges, in any order, and makes them a model.
    ///
    /// # Errors
    /// The first thing that is wrong with them; see [`ModelError`].
    pub fn new(mut nodes: Vec<Node>, edges: Vec<Edge>) -> Result<Scm, ModelError> {
        check_counts(nodes.len(), edges.len())?;
        for (index, node) in nodes.iter().enumerate() {
            check_node(index, node)?;
        }
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(pair) = nodes.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(ModelError::DuplicateNode { name: pair[0].name.clone() });
        }
        let parents = parents(&nodes, &edges)?;
        let graph: Vec<Vec<usize>> = parents.iter().map(|p| p.iter().map(|&(n, _)| n).collect()).collect();
        let order = topological(&graph).map_err(|cycle| ModelError::Cycle {
            path: cycle.into_iter().map(|n| nodes[n].name.clone()).collect(),
        })?;
        Ok(Scm { nodes, parents, order })
    }

    /// The nodes' names, sorted.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.nodes.iter().map(|node| node.name.as_str())
    }

    /// A node's canonical index.
    pub(crate) fn index(&self, name: &str) -> Option<usize> {
        self.nodes.binary_search_by(|node| node.name.as_str().cmp(name)).ok()
    }
}

fn check_counts(nodes: usize, edges: usize) -> Result<(), ModelError> {
    if nodes == 0 {
        return Err(ModelError::Empty);
    }
    if nodes > MAX_NODES {
        return Err(ModelError::TooManyNodes { count: nodes, limit: MAX_NODES });
    }
    if edges > MAX_EDGES {
        return Err(ModelError::TooManyEdges { count: edges, limit: MAX_EDGES });
    }
    Ok(())
}

fn check_node(index: usize, node: &Node) -> Result<(), ModelError> {
    let chars = node.name.chars().count();
    if chars == 0 {
        return Err(ModelError::EmptyName { index });
    }
    if chars > MAX_NAME_CHARS {
        return Err(ModelError::NameTooLong { index, chars, limit: MAX_NAME_CHARS });
    }
    finite(node.intercept, || Place::Intercept { node: node.name.clone() })?;
    finite(node.noise_std, || Place::NoiseStd { node: node.name.clone() })?;
    if node.noise_std < 0.0 {
        return Err(ModelError::NegativeNoise { name: node.name.clone(), value: node.noise_std });
    }
    Ok(())
}

fn finite(value: f64, place: impl Fn() -> Place) -> Result<(), ModelError> {
    check_number(value).map_err(|bad| match bad {
        BadNumber::NotFinite => ModelError::NotFinite { place: place(), value },
        BadNumber::OutOfRange => ModelError::OutOfRange { place: place(), value },
    })
}

fn parents(nodes: &[Node], edges: &[Edge]) -> Result<Vec<Vec<(usize, f64)>>, ModelError> {
    let indices: HashMap<&str, usize> = nodes.iter().enumerate().map(|(i, n)| (n.name.as_str(), i)).collect();
    let mut parents = vec![Vec::new(); nodes.len()];
    for (index, edge) in edges.iter().enumerate() {
        let find = |name: &String| {
            let found = indices.get(name.as_str()).copied();
            found.ok_or_else(|| ModelError::UnknownNode { index, name: clip(name) })
        };
        let (from, to) = (find(&edge.from)?, find(&edge.to)?);
        finite(edge.weight, || Place::Weight { from: edge.from.clone(), to: edge.to.clone() })?;
        parents[to].push((from, edge.weight));
    }
    for (to, above) in parents.iter_mut().enumerate() {
        above.sort_by_key(|&(from, _)| from);
        if let Some(pair) = above.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let (from, to) = (nodes[pair[0].0].name.clone(), nodes[to].name.clone());
            return Err(ModelError::DuplicateEdge { from, to });
        }
    }
    Ok(parents)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: impl Into<String>) -> Node {
        Node { name: name.into(), intercept: 0.0, noise_std: 1.0 }
    }

    fn edge(from: &str, to: &str) -> Edge {
        Edge { from: from.into(), to: to.into(), weight: 1.0 }
    }

    fn error(nodes: Vec<Node>, edges: Vec<Edge>) -> ModelError {
        Scm::new(nodes, edges).expect_err("the model is bad")
    }

    #[test]
    fn any_order_of_the_input_is_the_same_model() {
        let (a, b, c) = (node("a"), node("b"), node("c"));
        let one = Scm::new(vec![a.clone(), b.clone(), c.clone()], vec![edge("a", "b"), edge("c", "b")]);
        let two = Scm::new(vec![c, a, b], vec![edge("c", "b"), edge("a", "b")]);
        assert_eq!(one, two);
        assert_eq!(one.expect("valid").names().collect::<Vec<_>>(), ["a", "b", "c"]);
    }

    #[test]
    fn a_cycle_is_refused_by_name_whatever_the_order_of_the_input() {
        let mut edges = vec![edge("c", "a"), edge("a", "b"), edge("b", "c"), edge("x", "a"), edge("c", "y")];
        for _ in 0..edges.len() {
            edges.rotate_left(1);
            let nodes = ["x", "c", "y", "b", "a"].map(node).to_vec();
            let path = ["a", "b", "c", "a"].map(String::from).to_vec();
            assert_eq!(error(nodes, edges.clone()), ModelError::Cycle { path });
        }
    }

    #[test]
    fn a_self_loop_is_a_cycle_of_one() {
        let path = vec!["a".to_owned(), "a".to_owned()];
        assert_eq!(error(vec![node("a")], vec![edge("a", "a")]), ModelError::Cycle { path });
    }

    #[test]
    fn two_nodes_that_cause_each_other_are_a_cycle() {
        let path = ["a", "b", "a"].map(String::from).to_vec();
        let edges = vec![edge("b", "a"), edge("a", "b")];
        assert_eq!(error(vec![node("b"), node("a")], edges), ModelError::Cycle { path });
    }

    #[test]
    fn duplicates_are_refused_by_name() {
        let twice = error(vec![node("a"), node("b"), node("a")], vec![]);
        assert_eq!(twice, ModelError::DuplicateNode { name: "a".into() });
        let twice = error(vec![node("a"), node("b")], vec![edge("a", "b"), edge("a", "b")]);
        assert_eq!(twice, ModelError::DuplicateEdge { from: "a".into(), to: "b".into() });
    }

    #[test]
    fn an_edge_to_nowhere_is_refused_with_its_place() {
        let unknown = error(vec![node("a"), node("b")], vec![edge("a", "b"), edge("a", "z")]);
        assert_eq!(unknown, ModelError::UnknownNode { index: 1, name: "z".into() });
    }

    #[test]
    fn names_have_1_to_64_characters() {
        assert_eq!(error(vec![], vec![]), ModelError::Empty);
        assert_eq!(error(vec![node("a"), node("")], vec![]), ModelError::EmptyName { index: 1 });
        assert!(Scm::new(vec![node("é".repeat(64))], vec![]).is_ok());
        let long = ModelError::NameTooLong { index: 0, chars: 65, limit: 64 };
        assert_eq!(error(vec![node("é".repeat(65))], vec![]), long);
    }

    #[test]
    fn nodes_and_edges_are_counted() {
        let nodes = |count: usize| (0..count).map(|i| node(format!("n{i}"))).collect::<Vec<_>>();
        assert!(Scm::new(nodes(100), vec![]).is_ok());
        assert_eq!(error(nodes(101), vec![]), ModelError::TooManyNodes { count: 101, limit: 100 });
        let pairs = (0..100).flat_map(|to| (0..to).map(move |from| (format!("n{from}"), format!("n{to}"))));
        let mut edges: Vec<Edge> = pairs.take(2_000).map(|(from, to)| edge(&from, &to)).collect();
        assert!(Scm::new(nodes(100), edges.clone()).is_ok());
        edges.push(edge("n98", "n99"));
        assert_eq!(error(nodes(100), edges), ModelError::TooManyEdges { count: 2_001, limit: 2_000 });
    }

    #[test]
    fn numbers_are_finite_and_within_a_billion() {
        let with = |intercept, noise_std| error(vec![Node { intercept, noise_std, ..node("a") }], vec![]);
        let place = Place::Intercept { node: "a".into() };
        assert!(matches!(with(f64::NAN, 1.0), ModelError::NotFinite { place: p, .. } if p == place));
        assert_eq!(with(-1.1e9, 1.0), ModelError::OutOfRange { place, value: -1.1e9 });
        let place = Place::NoiseStd { node: "a".into() };
        let value = f64::INFINITY;
        assert_eq!(with(0.0, value), ModelError::NotFinite { place, value });
        assert_eq!(with(0.0, -0.5), ModelError::NegativeNoise { name: "a".into(), value: -0.5 });
        let heavy = Edge { weight: value, ..edge("a", "b") };
        let place = Place::Weight { from: "a".into(), to: "b".into() };
        let refused = error(vec![node("a"), node("b")], vec![heavy]);
        assert_eq!(refused, ModelError::NotFinite { place, value });
        let edges = vec![Edge { weight: -1e9, ..edge("a", "b") }];
        assert!(Scm::new(vec![Node { intercept: 1e9, ..node("a") }, node("b")], edges).is_ok());
    }
}
