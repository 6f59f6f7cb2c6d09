//! Statistics: small, exact where that is possible, and without any knowledge of what is judged.
//!
//! - [`quantile`]: order statistics by nearest rank, with failures as infinitely slow
//! - [`interval`]: intervals for shares and for quantiles
//! - [`increase`]: what a counter gained between two moments, over restarts

pub mod increase;
pub mod interval;
pub mod quantile;
