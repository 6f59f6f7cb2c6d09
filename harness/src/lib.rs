//! gauntlet.
pub mod layout;
