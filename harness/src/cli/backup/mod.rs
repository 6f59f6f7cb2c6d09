//! `gauntlet backup`: sets of PostgreSQL, Redis and configuration, for every day.

use clap::{Parser, Subcommand};
use gauntlet_core::outcome::Outcome;

mod configuration;
mod extend;
mod follow;
mod log;
mod logical;
mod making;
mod point_in_time;
pub(super) mod programs;
mod prune;
mod redis;
pub(super) mod report;
pub(super) mod server;
pub(super) mod trouble;

/// Makes backup sets: of a database, of a server with its log, of Redis, of configuration; and removes old ones.
///
/// A set exists as a whole or not at all. Exit codes: 0 made, 1 the set to extend is refused, 2 a mistake in the command,
/// 4 it could not be made (no such server, no right, no program, a full disk), 130 interrupted; no half set is left.
#[derive(Debug, Parser)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Logical(logical::Args),
    PointInTime(point_in_time::Args),
    Follow(follow::Args),
    Extend(extend::Args),
    Redis(redis::Args),
    Configuration(configuration::Args),
    Prune(prune::Args),
}

impl Args {
    pub(super) fn run(self) -> Outcome {
        match self.command {
            Command::Logical(args) => args.run(),
            Command::PointInTime(args) => args.run(),
            Command::Follow(args) => args.run(),
            Command::Extend(args) => args.run(),
            Command::Redis(args) => args.run(),
            Command::Configuration(args) => args.run(),
            Command::Prune(args) => args.run(),
        }
    }
}
