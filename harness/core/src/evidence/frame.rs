//! Frames: what the load process says on its standard output. Each is a little-endian `u32` length and a postcard
//! message of that length.

use serde::{Deserialize, Serialize};

use super::request::Request;

/// One message of the load process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Frame {
    /// The schedule began at this very moment: zero of all times in rows.
    Began,
    /// Finished requests, in the order in which they ended on one thread.
    Rows(Vec<Request>),
    /// The last frame: the schedule and its audit are done.
    Ended(LoadCounts),
    /// The plan cannot be run, or the generator failed.
    Failed(String),
}

/// What the generator says of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadCounts {
    /// Arrivals that the schedule held.
    pub scheduled: u64,
    /// Requests that were sent.
    pub sent: u64,
    /// Arrivals that were dropped because the cap of requests in flight was reached.
    pub capped: u64,
    /// The cap.
    pub in_flight_cap: u64,
    /// Most requests in flight at once.
    pub in_flight_peak: u64,
    /// Rows that the writer refused: the evidence is incomplete.
    pub rows_refused: u64,
    /// Connections opened.
    pub connections: u64,
}

/// The longest frame that a reader accepts, in bytes.
pub const FRAME_LIMIT: u32 = 16 << 20;
