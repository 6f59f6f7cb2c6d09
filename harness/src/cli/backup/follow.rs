//! `gauntlet backup follow`: streams a server's log until it is told to stop.

use clap::Parser;
use gauntlet_backup::Error;
use gauntlet_core::outcome::Outcome;

use super::{log::Log, trouble::blocking};
use crate::cli::say;

/// Streams a server's write-ahead log into a directory until Ctrl-C; each commit is confirmed once it is on disk there.
///
/// Ends with exit code 0 when it is told to stop, with 4 when the server goes away: run it again (a service manager does),
/// the slot has kept the rest. End it before `extend` or `point-in-time` use the same slot.
#[derive(Debug, Parser)]
pub(super) struct Args {
    #[command(flatten)]
    log: Log,
}

impl Args {
    pub(super) fn run(self) -> Outcome {
        let stopped = (
            Outcome::Passed,
            "stopped: what was streamed is in the directory; `gauntlet backup extend` takes it",
        );
        blocking(stopped, async {
            let (stream, programs) = self.log.stream()?;
            stream.open(&programs).await?;
            say(format!("streaming into {}; Ctrl-C ends it", stream.directory));
            stream.follow(&programs).await?;
            let mend = "run it again; the slot has kept the rest";
            Err(Error::at("the server", "it ended the stream", mend).into())
        })
    }
}
