//! Topological order, and the name of a cycle where there is none.
//!
//! Nodes are canonical indices (rank by name), so both results depend on the graph alone.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Parents before children; of those that are ready, the first by name comes first.
///
/// Fails with a cycle: along the edges, the first by name of its nodes at both ends.
pub(crate) fn topological(parents: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut children = vec![Vec::new(); parents.len()];
    for (child, above) in parents.iter().enumerate() {
        above.iter().for_each(|&parent| children[parent].push(child));
    }
    let mut waiting: Vec<usize> = parents.iter().map(Vec::len).collect();
    let mut ready: BinaryHeap<_> = (0..parents.len()).filter(|&n| waiting[n] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(parents.len());
    while let Some(Reverse(node)) = ready.pop() {
        order.push(node);
        for &child in &children[node] {
            waiting[child] -= 1;
            if waiting[child] == 0 {
                ready.push(Reverse(child));
            }
        }
    }
    match waiting.iter().position(|&count| count > 0) {
        None => Ok(order),
        Some(start) => Err(cycle(parents, &waiting, start)),
    }
}

/// Walks up from `start` among the nodes that still wait: each has a waiting parent, so the walk must close.
fn cycle(parents: &[Vec<usize>], waiting: &[usize], start: usize) -> Vec<usize> {
    let mut path = vec![start];
    let mut node = start;
    while let Some(&up) = parents[node].iter().filter(|&&p| waiting[p] > 0).min() {
        if let Some(seen) = path.iter().position(|&n| n == up) {
            path.drain(..seen);
            break;
        }
        path.push(up);
        node = up;
    }
    path.reverse();
    let least = path.iter().enumerate().min_by_key(|(_, n)| **n).map_or(0, |(place, _)| place);
    path.rotate_left(least);
    path.extend(path.first().copied());
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_come_first_and_ties_go_by_name() {
        assert_eq!(topological(&[vec![3], vec![], vec![0, 1], vec![]]), Ok(vec![1, 3, 0, 2]));
    }

    #[test]
    fn a_cycle_is_named_along_its_edges_from_its_first_node() {
        // 1 -> 3 -> 2 -> 1, with 0 below it and 4 above it.
        let parents = [vec![2], vec![2, 4], vec![3], vec![1], vec![]];
        assert_eq!(topological(&parents), Err(vec![1, 3, 2, 1]));
    }

    #[test]
    fn a_self_loop_is_the_shortest_cycle() {
        assert_eq!(topological(&[vec![], vec![0, 1]]), Err(vec![1, 1]));
    }

    #[test]
    fn no_nodes_have_an_empty_order() {
        assert_eq!(topological(&[]), Ok(vec![]));
    }
}
