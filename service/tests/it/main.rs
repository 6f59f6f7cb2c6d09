//! The service as a process, against PostgreSQL and Redis of its own.

#![expect(clippy::expect_used, clippy::panic, reason = "a test says what is wrong by failing")]

mod ate;
mod client;
#[cfg(feature = "defects")]
mod defects;
mod drain;
mod experiments;
mod openapi;
mod outage;
mod process;
mod runs;
mod secret;
mod settings;
mod world;
