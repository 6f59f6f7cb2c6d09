//! The command line: serve (the default), write questions for a test harness, print the OpenAPI document.

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::changes::Changes;
use crate::config::{Environment, Settings};
use crate::http;
use crate::oracle::{self, Order};
use crate::serve::serve;
use crate::telemetry;

/// Exit code of settings that cannot be used.
const BAD_SETTINGS: u8 = 2;

/// Answers questions about average treatment effects over HTTP. Settings come from the environment.
#[derive(Debug, Parser)]
#[command(name = "causal-service", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves until SIGTERM or SIGINT (the default).
    Serve,
    /// Writes questions with known answers, as a JSON array with one question a line.
    Oracle {
        /// How many questions.
        #[arg(long, default_value_t = 600)]
        questions: u32,
        /// The same seed writes the same bytes.
        #[arg(long, default_value_t = 7)]
        seed: u64,
        /// Draws for each arm.
        #[arg(long, default_value_t = 1000)]
        samples: u64,
    },
    /// Prints the OpenAPI document.
    Openapi,
}

/// Runs the command line of this process.
pub fn main(changes: Changes) -> ExitCode {
    match Cli::parse().command.unwrap_or(Command::Serve) {
        Command::Serve => serve_process(changes),
        Command::Oracle { questions, seed, samples } => {
            print(oracle::write(&Order { questions, seed, samples }).map_err(|why| chain(&why)))
        }
        Command::Openapi => print(http::document().map_err(|why| chain(&why))),
    }
}

fn serve_process(changes: Changes) -> ExitCode {
    let settings = match Settings::read(&Environment) {
        Ok(settings) => settings,
        Err(problems) => {
            complain(&problems.to_string());
            return ExitCode::from(BAD_SETTINGS);
        }
    };
    telemetry::log(&settings.log);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(settings.workers)
        // Computations have permits; a few more threads resolve host names.
        .max_blocking_threads(settings.compute_permits + 4)
        .enable_all()
        .build();
    let served = match runtime {
        Ok(runtime) => {
            let served = runtime.block_on(serve(settings, changes)).map_err(|why| chain(&why));
            // A computation that nobody waits for any more cannot be stopped; the process ends without it.
            runtime.shutdown_background();
            served
        }
        Err(why) => Err(chain(&why)),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            complain(&why);
            ExitCode::FAILURE
        }
    }
}

fn print(text: Result<String, String>) -> ExitCode {
    let done = text.and_then(|text| std::io::stdout().write_all(text.as_bytes()).map_err(|why| chain(&why)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            complain(&why);
            ExitCode::FAILURE
        }
    }
}

fn complain(why: &str) {
    // Nothing is left to tell it to when standard error is closed.
    let _ = writeln!(std::io::stderr(), "causal-service: {}", why.replace('\n', "\ncausal-service: "));
}

/// An error and its causes on one line.
fn chain(why: &dyn std::error::Error) -> String {
    let mut text = why.to_string();
    let mut cause = why.source();
    while let Some(why) = cause {
        text = format!("{text}: {why}");
        cause = why.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_error_is_told_with_its_causes() {
        let source = std::io::Error::other("in use");
        let address = ([127, 0, 0, 1], 80).into();
        let why = crate::serve::ServeError::Listen { address, source };
        assert_eq!(chain(&why), "cannot listen on 127.0.0.1:80: in use");
    }
}
