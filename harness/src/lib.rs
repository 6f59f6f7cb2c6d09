//! gauntlet.
