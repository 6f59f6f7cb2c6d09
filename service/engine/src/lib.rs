//! Interventions on linear-Gaussian structural causal models, by simulation.
//!
//! A model is a set of [`Node`]s and weighted [`Edge`]s; each node is its intercept, plus the weighted sum of its
//! parents, plus Gaussian noise of its own. [`Scm::ate`] draws from the model under `do(treatment = treated)` and
//! under `do(treatment = control)`, and answers with the difference of the outcome's means and its uncertainty.
//! [`Scm::closed_form`] is the same question answered by algebra; the two check each other.
//!
//! ```
//! use causal_engine::{AteQuery, Edge, Node, Scm};
//!
//! let node = |name: &str| Node { name: name.into(), intercept: 0.0, noise_std: 1.0 };
//! let edge = |from: &str, to: &str, weight| Edge { from: from.into(), to: to.into(), weight };
//! let scm = Scm::new(
//!     vec![node("recovery"), node("dose"), node("age")],
//!     vec![edge("age", "dose", 0.5), edge("age", "recovery", -1.0), edge("dose", "recovery", 2.0)],
//! )?;
//! let (treatment, outcome) = ("dose".to_owned(), "recovery".to_owned());
//! let query = AteQuery { treatment, outcome, treated: 1.0, control: 0.0, samples: 10_000, seed: 42 };
//! let ate = scm.ate(&query, 2)?;
//! assert!((ate.estimate - 2.0).abs() < 5.0 * ate.standard_error);
//! assert_eq!(scm.closed_form(&query)?.ate, 2.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Modules in reading order; start at [`Scm::ate`] in `estimate.rs`:
//! - `model`: nodes, edges and their validation. `order`: topological order, and cycles by name.
//! - `query`: what is asked, and what has to be drawn for it. `closed_form`: the answer by algebra.
//! - `estimate`: blocks, threads and the answer. `moments`: mean and spread, combined in a fixed order.
//! - `normal`: Gaussian draws. `philox`: the random bits beneath them.
//! - `error`, [`limits`]: what is refused.
//!
//! Invariants:
//! - (model, query) fixes every bit of the answer: neither the order of nodes and edges nor the number of threads
//!   changes it, and the first n samples of a larger request are the samples of a request for n.
//! - The bits agree on every target with IEEE 754 binary64 arithmetic (a bound of 0 ulp between machines): only
//!   `+ - * / sqrt` and integer operations are used, and rustc contracts none of them. x87 (i586) is no such target.
//! - No answer holds a NaN or an infinity: a model that leaves the range of `f64` is [`QueryError::Overflow`].
//! - Work and memory are bounded by [`limits`] before anything is drawn.
//! - Absent: input and output, clocks, global state, `unsafe`, the platform's libm, panics.
//!
//! Speed: 15.4 M samples of a 10-node, 20-edge model per CPU second on one core (AMD EPYC, Zen 5), plain x86-64;
//! 67 M with `RUSTFLAGS="-C target-cpu=native"` (AVX-512), the same bits. Measure:
//! `cargo run --release -p causal-engine --example throughput`.

mod closed_form;
mod error;
mod estimate;
pub mod limits;
mod model;
mod moments;
mod normal;
mod order;
mod philox;
mod query;

pub use closed_form::ClosedForm;
pub use error::{ModelError, Place, QueryError};
pub use estimate::Ate;
pub use model::{Edge, Node, Scm};
pub use query::AteQuery;
