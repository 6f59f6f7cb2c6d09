//! The files that users write, from text to plan.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod gate;
mod mistakes;
mod properties;
