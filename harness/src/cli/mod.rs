//! The command line: one command, one file, one line in `Command`.

use std::{
    ffi::OsString,
    io::IsTerminal,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use gauntlet_core::{outcome::Outcome, system::System};

use crate::report::console::Style;

mod backup;
mod cluster;
mod compare;
mod deploy;
mod diagnose;
mod doctor;
mod drill;
mod gate;
mod heal;
mod images;
mod list;
mod plan;
mod replay;
mod restore;
pub(crate) mod run;
mod schema;
mod status;
mod undeploy;
mod verify;

/// Decides, with evidence, whether a service may be released: load, faults, objectives and checks, from one file.
///
/// Exit codes: 0 passed, 1 failed, 2 bad scenario or usage, 3 inconclusive, 4 setup failed, 5 not healed, 6 broken (the
/// harness itself), 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "gauntlet", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Gate(gate::Args),
    Drill(drill::Args),
    Plan(plan::Args),
    Replay(replay::Args),
    List(list::Args),
    Schema(schema::Args),
    Doctor(doctor::Args),
    Status(status::Args),
    Heal(heal::Args),
    Cluster(cluster::Args),
    Images(images::Args),
    Deploy(deploy::Args),
    Undeploy(undeploy::Args),
    Diagnose(diagnose::Args),
    Backup(backup::Args),
    Verify(verify::Args),
    Restore(restore::Args),
    Compare(compare::Args),
}

/// Runs the command line. What a process is told behind its name by the harness itself is no command.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    if let Some(code) = crate::run::hidden(&args) {
        return code;
    }
    log_to_stderr();
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no mistakes; printing them can only fail on a closed pipe.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { Outcome::BadScenario.exit_code() } else { 0 });
        }
    };
    let outcome = match cli.command {
        Command::Run(args) => args.run(),
        Command::Gate(args) => args.run(),
        Command::Drill(args) => args.run(),
        Command::Plan(args) => args.run(),
        Command::Replay(args) => args.run(),
        Command::List(args) => args.run(),
        Command::Schema(args) => args.run(),
        Command::Doctor(args) => args.run(),
        Command::Status(args) => args.run(),
        Command::Heal(args) => args.run(),
        Command::Cluster(args) => args.run(),
        Command::Images(args) => args.run(),
        Command::Deploy(args) => args.run(),
        Command::Undeploy(args) => args.run(),
        Command::Diagnose(args) => args.run(),
        Command::Backup(args) => args.run(),
        Command::Verify(args) => args.run(),
        Command::Restore(args) => args.run(),
        Command::Compare(args) => args.run(),
    };
    ExitCode::from(outcome.exit_code())
}

/// The client of the API server tells each failure that is asked again as an error; who asked tells it better.
const QUIET: &str = "warn,kube_client=off,kube_runtime=off";

/// Warnings and errors go to standard error, one line each; with `RUST_LOG` also what it asks for, each with its time.
pub(crate) fn log_to_stderr() {
    let ansi = std::io::stderr().is_terminal() && !no_color();
    let log = tracing_subscriber::fmt().with_ansi(ansi).with_target(false).with_writer(std::io::stderr);
    // A second caller in the same process (a test) keeps the first one's settings.
    let _ = match tracing_subscriber::EnvFilter::try_from_default_env() {
        Ok(filter) => log.with_env_filter(filter).try_init(),
        Err(_) => log.with_env_filter(QUIET).without_time().try_init(),
    };
}

fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// What standard output can do (`NO_COLOR`: no-color.org).
pub(crate) fn style() -> Style {
    Style::of(
        std::io::stdout().is_terminal(),
        std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
    )
}

/// Reads a system file, and its directory; a mistake in it is told.
fn system(file: &Path) -> Result<(System, PathBuf), Outcome> {
    crate::run::ready::system(file).map_err(|bad| {
        complain(bad.to_string());
        Outcome::BadScenario
    })
}

/// Prints to standard output; a reader that went away is not our trouble.
pub(crate) fn say(text: impl AsRef<str>) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{}", text.as_ref());
}

/// Prints to standard error.
pub(crate) fn complain(text: impl AsRef<str>) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{}", text.as_ref());
}
