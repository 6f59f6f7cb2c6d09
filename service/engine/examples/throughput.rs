//! Samples of a whole 10-node, 20-edge model per second of CPU time, on one thread.
//!
//! `cargo run --release -p causal-engine --example throughput`

use std::error::Error;
use std::fs;
use std::io::{Write, stdout};
use std::time::Instant;

use causal_engine::{AteQuery, Edge, Node, Scm};

const ROUNDS: u64 = 20;

fn main() -> Result<(), Box<dyn Error>> {
    let scm = model()?;
    let query = |seed| AteQuery {
        treatment: "n0".into(),
        outcome: "n9".into(),
        treated: 1.0,
        control: 0.0,
        samples: 1_000_000,
        seed,
    };
    scm.ate(&query(0), 1)?;
    let (wall, cpu) = (Instant::now(), cpu_seconds());
    for seed in 1..=ROUNDS {
        scm.ate(&query(seed), 1)?;
    }
    let wall = wall.elapsed().as_secs_f64();
    let (seconds, clock) = match (cpu, cpu_seconds()) {
        (Some(from), Some(to)) => (to - from, "CPU"),
        _ => (wall, "wall"),
    };
    // Both arms draw the whole model, but for the treatment itself, which is set.
    let samples = (2 * ROUNDS * 1_000_000) as f64;
    writeln!(stdout(), "{:.2} M samples per {clock} second", samples / seconds / 1e6)?;
    Ok(())
}

/// Every node is an ancestor of the last one.
fn model() -> Result<Scm, causal_engine::ModelError> {
    let node = |i: usize| Node { name: format!("n{i}"), intercept: 0.1, noise_std: 1.0 };
    let edge =
        |from: usize, to: usize, weight| Edge { from: format!("n{from}"), to: format!("n{to}"), weight };
    let mut edges: Vec<Edge> = (0..9).map(|i| edge(i, i + 1, 0.5)).collect();
    edges.extend((0..8).map(|i| edge(i, i + 2, -0.25)));
    edges.extend((0..3).map(|i| edge(i, i + 5, 0.125)));
    Scm::new((0..10).map(node).collect(), edges)
}

/// Time that this thread has run, from the Linux scheduler.
fn cpu_seconds() -> Option<f64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: f64 = text.split_whitespace().next()?.parse().ok()?;
    Some(nanoseconds / 1e9)
}
