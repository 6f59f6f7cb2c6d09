//! What stands on nodes and in pods, and how it is asked.
//!
//! - [`agent`]: signals a container's processes, on their node; [`eye`]: sees them; [`probe`]: opens connections from a pod
//! - [`idle`]: what all of them do meanwhile; `desk`: the far end of a line
//! - [`line`](mod@line): the near end, a kept exec, one question and one answer at a time; [`lines`]: all of a run

pub mod agent;
pub(crate) mod desk;
pub mod eye;
pub mod idle;
pub mod line;
pub mod lines;
pub mod probe;
#[cfg(test)]
mod staged;
