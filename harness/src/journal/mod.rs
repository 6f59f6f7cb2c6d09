//! The journal: the evidence of one run, append-only, in `reports/<scenario>/<run>/`. Judges and reports read nothing else.
//!
//! | file | what a line or row is |
//! |---|---|
//! | `events.jsonl` | an [`Event`]; the first is `began` and carries the format, the last of a run that ended in order is `ended` |
//! | `metrics.jsonl` | a [`Sample`] |
//! | `requests/00001.parquet`, … | a [`Request`]; segments of about five seconds, columns in [`table`] |
//! | `requests/SHA256SUMS` | the digest of a segment; nothing of one is read before its digest is right |
//! | `logs/` | what the components wrote, as they wrote it |
//!
//! Reading order: [`table`], [`Journal`] writes, [`Recorded`] reads, [`JournalError`].
//!
//! - A segment is written under another name and closed by rename: a `.parquet` file is always whole.
//! - The first failure stays: every later call and `close` return it. A run whose journal cannot be written cannot pass.
//! - A journal that a killed run left behind opens, and says what it lacks; a damaged one is refused.

mod error;
mod lines;
mod recorded;
mod segment;
mod sums;
pub mod table;
mod writer;

pub use error::JournalError;
pub use recorded::Recorded;
pub use writer::Journal;

#[cfg(doc)]
use gauntlet_core::evidence::{Event, Request, Sample};

/// The file of events.
pub const EVENTS: &str = "events.jsonl";
/// The file of samples of metrics.
pub const METRICS: &str = "metrics.jsonl";
/// The directory of the segments of requests.
pub const REQUESTS: &str = "requests";
/// The directory of the components' logs.
pub const LOGS: &str = "logs";
