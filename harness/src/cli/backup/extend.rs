//! `gauntlet backup extend`: a longer set of an older one and the log since.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use clap::Parser;
use gauntlet_backup::{extend, form::point_in_time::Reach};
use gauntlet_core::outcome::Outcome;

use super::{
    log::{Log, forget},
    making::{Making, STOPPED},
    report::directory,
    trouble::blocking,
};

/// Makes a new point-in-time set beside an older one: the same base (the same files on disk), and the log up to now.
///
/// End `follow` first: only one receiver can use a slot.
#[derive(Debug, Parser)]
pub(super) struct Args {
    /// The set.
    set: PathBuf,
    /// Marks this moment in the server's log, so that the set can be restored to it by name.
    #[arg(long, value_name = "NAME", conflicts_with = "lost")]
    restore_point: Option<String>,
    /// The server is lost: the set holds what was streamed before.
    #[arg(long)]
    lost: bool,
    #[command(flatten)]
    log: Log,
    #[command(flatten)]
    making: Making,
}

impl Args {
    pub(super) fn run(self) -> Outcome {
        blocking(STOPPED, async {
            let set = directory(&self.set)?;
            let seal = self.making.seal(false)?;
            let (stream, programs) = self.log.stream()?;
            let mut points = vec![];
            if let Some(name) = &self.restore_point {
                points.push(stream.connection.restore_point(&programs, name).await?);
            }
            let reach = if self.lost { Reach::Streamed } else { Reach::Server };
            let began = Instant::now();
            let about = self.making.about(&seal);
            let made = extend(&set, &stream, (reach, &points), about, &programs).await?;
            let manifest = made.manifest.clone();
            let ended = self.making.end((made, began.elapsed())).await?;
            if self.making.keeping.said() {
                let into = set.parent().unwrap_or(Path::new("."));
                forget(&stream, &programs, &manifest, into).await?;
            }
            Ok(ended)
        })
    }
}
