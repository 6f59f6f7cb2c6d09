//! The stream of a server's write-ahead log: its options, and what of it is needed no more.

use std::path::{Path, PathBuf};

use clap::Parser;
use gauntlet_backup::{
    Error, LocalPrograms,
    form::{Form, wal::Stream},
    manifest::{Manifest, Origin},
    set::Set,
};

use super::{
    programs::{Tools, argument},
    server::Server,
    trouble::Trouble,
};

/// A server whose log is streamed.
#[derive(Debug, Parser)]
pub(super) struct Log {
    #[command(flatten)]
    server: Server,
    /// The database that statements are run in.
    #[arg(long, value_name = "NAME", default_value = "postgres")]
    database: String,
    /// The replication slot; made where it is missing. It keeps the log on the server until it is received.
    #[arg(long, value_name = "NAME")]
    slot: String,
    /// The directory that keeps the segments; on another machine than the server's, so that it outlives it.
    #[arg(long, value_name = "DIR")]
    wal: PathBuf,
    #[command(flatten)]
    tools: Tools,
}

impl Log {
    pub(super) fn stream(&self) -> Result<(Stream, LocalPrograms), Trouble> {
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if self.slot.is_empty() || !self.slot.chars().all(letters) {
            return Err(Trouble::mistake(format!(
                "--slot {:?}: use lower-case letters, digits, _",
                self.slot
            )));
        }
        let (connection, programs) = self.server.reach(&self.database, &self.tools)?;
        Ok((Stream { connection, slot: self.slot.clone(), directory: argument(&self.wal)? }, programs))
    }
}

/// Removes from the stream's directory what is older than every set of this server that was kept.
pub(super) async fn forget(
    stream: &Stream,
    programs: &LocalPrograms,
    made: &Manifest,
    into: &Path,
) -> Result<(), Error> {
    let Origin::Postgres(source) = &made.source else { return Ok(()) };
    let failed = |error| Error::at(into.display(), error, "look whether the directory is readable");
    let mut oldest = made.lsn.map(|span| span.start);
    for entry in std::fs::read_dir(into).map_err(failed)? {
        let Ok(set) = Set::open(&entry.map_err(failed)?.path()) else { continue };
        let ours = set.manifest.form == Form::PointInTime
            && set.manifest.source.identity() == Some(&source.identifier);
        if let (true, Some(span)) = (ours, set.manifest.lsn) {
            oldest = oldest.min(Some(span.start));
        }
    }
    match oldest {
        Some(oldest) => stream.forget(programs, source.timeline, oldest).await,
        None => Ok(()),
    }
}
