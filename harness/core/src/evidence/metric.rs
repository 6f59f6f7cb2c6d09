//! Samples of metrics: what the witness read of processes, and what components export.

use serde::{Deserialize, Serialize};

use crate::name::Name;

/// One reading of one series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Microseconds since the run began (the clock of the events).
    pub at_us: u64,
    /// The component of the system file.
    pub component: Name,
    /// Which replica, from 1.
    pub replica: u16,
    /// Which life of the replica, from 1: a restart begins another, and its counters start anew.
    pub life: u32,
    /// The series as Prometheus writes it: `cache_lookups_total{result="hit"}`.
    pub series: String,
    /// Its value.
    pub value: f64,
}

/// Cumulative CPU time of a replica's process tree, in seconds; read from the system, not from the component.
pub const CPU_SECONDS: &str = "process_cpu_seconds_total";
/// Resident memory of a replica's process tree, in bytes; read from the system, not from the component.
pub const RESIDENT_BYTES: &str = "process_resident_memory_bytes";
