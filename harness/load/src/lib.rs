//! gauntlet-load.
