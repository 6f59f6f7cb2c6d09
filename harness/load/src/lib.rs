//! What runs in the process that only offers load: a plan on standard input, frames on standard output.
//!
//! Reading order:
//!
//! - `process`: [`run`]; one line in, frames out, end of file stops it
//! - `schedule`: when which behaviour begins; pure, fixed before the run
//! - `compile`: requests, checks and data sets, made ready so that a request costs copies only
//! - `bindings`, `value`, `recall`: what templates are filled with
//! - `generator`, `timer`: starts each arrival at its moment, whatever became of those before
//! - `client`, `exchange`, `connections`: one request, from its rendering to its row
//! - `audit`: after the last arrival, everything that stands under each key that was written
//! - `rows`: chunks of rows, the one writer, and what the generator counts of itself
//! - [`codec`]: frames as bytes; the harness reads them with [`codec::Decoder`]
//!
//! Start with `generator`, then `client`.
//!
//! Invariants:
//!
//! - Open loop: an arrival never waits for an earlier answer. Over the cap in flight it is dropped and counted.
//! - Nothing on the path of a request waits for a reader of rows: a full queue costs rows, which are counted.
//! - Latency counts from the intended start to the last byte of the body, in whole microseconds.
//! - A request goes out twice only if the connection handed it back untouched.
//! - Absent: TLS, HTTP/2, redirects, retries, percentiles. Rows are judged elsewhere.
//!
//! `cargo run --release -p gauntlet-load --example load_truth` shows the corrected p99 of a service that stalls
//! beside its analytic value and beside what a closed loop reads; `--example highest_rate` the highest rate it holds.

mod audit;
mod bindings;
mod client;
pub mod codec;
mod compile;
mod connections;
mod error;
mod exchange;
mod generator;
mod process;
mod recall;
mod rows;
mod schedule;
mod timer;
mod value;

pub use audit::AUDIT_STEP;
pub use error::{LoadError, PlanError, PlanFault};
pub use process::{run, serve};
