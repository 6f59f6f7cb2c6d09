//! Evidence: what is known of a run. Judges fold it; nothing else decides.

pub mod event;
pub mod exposition;
pub mod frame;
pub mod metric;
pub mod request;
pub mod second;
pub mod surroundings;

pub use event::{Began, Event, JOURNAL_FORMAT, Side, TroubleKind, What};
pub use exposition::Wanted;
pub use frame::{FRAME_LIMIT, Frame, LoadCounts};
pub use metric::{CPU_SECONDS, RESIDENT_BYTES, Sample};
pub use request::{Class, Operation, Request};
pub use second::{Latencies, Second, Seconds};
pub use surroundings::{Machine, Surroundings};

/// One piece of evidence. A journal gives its events first, then samples, then requests by intended start.
#[derive(Debug, Clone, Copy)]
pub enum Evidence<'a> {
    /// What the run did and saw.
    Event(&'a Event),
    /// A reading of a metric.
    Metric(&'a Sample),
    /// A request.
    Request(&'a Request),
}
