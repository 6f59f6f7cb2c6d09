//! Scenario files as tests: `cargo nextest run` lists one test for each file and target, and runs it in a process of its own.
//!
//! A crate of yours needs an entry in `Cargo.toml` and two lines of code:
//!
//! ```toml
//! [[test]]
//! name = "scenarios"
//! harness = false
//! ```
//!
//! ```no_run
//! fn main() -> std::process::ExitCode {
//!     gauntlet::scenarios::main("scenarios")
//! }
//! ```

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
};

use gauntlet_core::outcome::Outcome;
use libtest_mimic::{Arguments, Failed, Trial};

use crate::{
    cli::run::scenario_files,
    run::{self, Options},
};

/// Runs every scenario under a directory (relative to the crate) as a test on this machine's processes.
pub fn main(directory: impl AsRef<Path>) -> ExitCode {
    under(&[directory.as_ref().to_owned()], &Options::default(), directory.as_ref())
}

/// The same with several files or directories and options of your own; tests are named relative to `base`.
pub fn under(paths: &[PathBuf], options: &Options, base: &Path) -> ExitCode {
    // The harness starts this very binary again as load process and as watchdog.
    if let Some(code) = run::hidden(&std::env::args_os().collect::<Vec<_>>()) {
        return code;
    }
    crate::cli::log_to_stderr();
    let files = match scenario_files(paths) {
        Ok(files) => files,
        Err(why) => {
            crate::cli::complain(format!("error: {why}"));
            return ExitCode::from(Outcome::BadScenario.exit_code());
        }
    };
    let alone = Arc::new(Mutex::new(()));
    let trials = files.iter().map(|file| trial(file, options, base, &alone)).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// One file, one test. Runs in one process wait for each other: they share the machine.
fn trial(file: &Path, options: &Options, base: &Path, alone: &Arc<Mutex<()>>) -> Trial {
    let name = file.strip_prefix(base).unwrap_or(file).with_extension("");
    let (file, options, alone) = (file.to_owned(), options.clone(), alone.clone());
    Trial::test(format!("{}::{}", options.target, name.display()), move || {
        let _alone = alone.lock().unwrap_or_else(PoisonError::into_inner);
        let done = run::blocking(&file, &options);
        match done.outcome {
            Outcome::Passed => Ok(()),
            other => {
                let place = done.directory.map(|dir| dir.display().to_string()).unwrap_or_default();
                Err(Failed::from(format!("{other}: {} {place}", done.error.unwrap_or_default())))
            }
        }
    })
}
