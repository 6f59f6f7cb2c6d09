//! The files that users write, from text to plan; and judges on whole runs.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod canary;
mod gate;
mod mistakes;
mod properties;
