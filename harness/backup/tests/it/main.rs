//! Backup sets of real servers: made, corrupted, refused, restored.

#![cfg(test)]

mod configuration;
mod content;
mod corrupt;
mod logical;
mod point_in_time;
mod redis;
mod retention;
mod stage;
mod trouble;
