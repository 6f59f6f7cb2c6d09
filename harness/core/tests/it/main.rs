//! The files that users write, from text to plan.

mod gate;
mod mistakes;
mod properties;
