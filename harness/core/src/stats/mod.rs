//! Statistics: small, exact where that is possible, and without any knowledge of what is judged.
//!
//! - [`quantile`]: order statistics by nearest rank, with failures as infinitely slow
//! - [`interval`]: intervals for shares and for quantiles
//! - [`split`]: an e-process on a counted event in two arms; [`sequence`]: confidence sequences for shares and ranks
//! - [`dispersion`]: how much events come together, and for how long; [`ladder`]: many values in few numbers
//! - [`increase`]: what a counter gained between two moments, over restarts

pub mod dispersion;
pub mod increase;
pub mod interval;
pub mod ladder;
pub mod quantile;
pub mod sequence;
pub mod split;
