//! One request as its client saw it: a row of the run's table of requests.

use serde::{Deserialize, Serialize};

/// One request, or one that should have been sent and was not. Times are microseconds since the load began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// When the schedule wanted it sent. Latency counts from here, so that a stall of the service is not omitted.
    pub intended_us: u64,
    /// When it was handed to the connection.
    pub sent_us: u64,
    /// When the last byte of the body had arrived, or the failure was known.
    pub done_us: u64,
    /// Index into the load plan's `steps`: which request of which behaviour.
    pub step: u16,
    /// Which copy or version answered, from the header that the system file names; empty when unknown.
    pub arm: String,
    /// The HTTP status; 0 when none came.
    pub status: u16,
    /// What became of it.
    pub class: Class,
    /// Bytes of the answer's body.
    pub bytes: u32,
    /// What it did to a record, for the checks of correctness.
    pub operation: Operation,
    /// The record; empty when the operation is `none`.
    pub key: String,
    /// What was written or found. An audit joins all that it found with `\n`. Of a wrong body that is no write's: what
    /// came instead of what was expected.
    pub value: String,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The expected status and body. Only this counts as throughput.
    Ok,
    /// An answer with another status.
    WrongStatus,
    /// The expected status with a wrong body.
    WrongBody,
    /// No full answer within the behaviour's time-out. What the service did with it is unknown.
    Timeout,
    /// No connection.
    Refused,
    /// The connection broke before the full answer. What the service did with it is unknown.
    Reset,
    /// Never sent: the cap of requests in flight was reached.
    Capped,
    /// Never sent: nothing to recall yet, or the run ended first.
    Unsent,
}

/// What a request did to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Nothing that is checked.
    None,
    /// Wrote `value` under `key`.
    Write,
    /// Read `value` under `key`.
    Read,
    /// Read everything that stands under `key`, after the last phase.
    Audit,
}

impl Request {
    /// From the intended start to the last body byte, in microseconds.
    pub fn latency_us(&self) -> u64 {
        self.done_us.saturating_sub(self.intended_us)
    }

    /// From the real start: what an uncorrected generator would have reported.
    pub fn raw_latency_us(&self) -> u64 {
        self.done_us.saturating_sub(self.sent_us)
    }

    /// What a read found: that there is nothing is an answer as well. None: it has none to compare.
    pub fn found(&self) -> Option<Option<&str>> {
        match (self.class, self.status) {
            (Class::Ok, _) => Some(Some(&self.value)),
            (_, 404) => Some(None),
            _ => None,
        }
    }

    /// How late the generator was, in microseconds.
    pub fn lag_us(&self) -> u64 {
        self.sent_us.saturating_sub(self.intended_us)
    }
}

impl Class {
    /// All of them, in the order of the table's codes.
    pub const ALL: [Class; 8] = [
        Class::Ok,
        Class::WrongStatus,
        Class::WrongBody,
        Class::Timeout,
        Class::Refused,
        Class::Reset,
        Class::Capped,
        Class::Unsent,
    ];

    /// The word in the table and the reports.
    pub fn word(self) -> &'static str {
        match self {
            Class::Ok => "ok",
            Class::WrongStatus => "wrong-status",
            Class::WrongBody => "wrong-body",
            Class::Timeout => "timeout",
            Class::Refused => "refused",
            Class::Reset => "reset",
            Class::Capped => "capped",
            Class::Unsent => "unsent",
        }
    }

    /// Whether the request left the generator.
    pub fn was_sent(self) -> bool {
        !matches!(self, Class::Capped | Class::Unsent)
    }
}

impl Operation {
    /// All of them, in the order of the table's codes.
    pub const ALL: [Operation; 4] = [Operation::None, Operation::Write, Operation::Read, Operation::Audit];

    /// The word in the table.
    pub fn word(self) -> &'static str {
        match self {
            Operation::None => "none",
            Operation::Write => "write",
            Operation::Read => "read",
            Operation::Audit => "audit",
        }
    }
}
