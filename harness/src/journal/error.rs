//! What can go wrong with a journal: always with the file, and with the line or row where there is one.

use std::{io, path::PathBuf, sync::Arc};

use parquet::errors::ParquetError;

/// A journal that cannot be written or read. It can be cloned, so that one failure is told to everyone who appends.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// There is one already.
    #[error("{} holds a journal already", path.display())]
    Exists {
        /// The directory.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// `create`, `write`, `read`, ...
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
    /// A segment of requests cannot be written or read.
    #[error("cannot {doing} the table {}", path.display())]
    Table {
        /// `write` or `read`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<ParquetError>,
    },
    /// A row of a segment makes no sense.
    #[error("{}, row group {group}, row {row}: {why}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        group: usize,
        /// Counted from 1 within its group.
        row: usize,
        /// What is wrong with it.
        why: String,
    },
    /// A segment has not the columns of this format.
    #[error("{} has other columns than this version reads: {why}", path.display())]
    Columns {
        /// The file.
        path: PathBuf,
        /// What differs.
        why: String,
    },
    /// A segment is not as it was written.
    #[error("{} is damaged: its digest is not the one in {}", path.display(), sums.display())]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// The file of digests.
        sums: PathBuf,
    },
    /// A segment is missing between two others.
    #[error("{} is missing, although a later segment is there", path.display())]
    Gap {
        /// The segment that is not there.
        path: PathBuf,
    },
    /// A line cannot be read or written as what it should be.
    #[error("{}, line {line}: not {wanted}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// `an event`, `a sample`.
        wanted: &'static str,
        /// Why.
        #[source]
        source: Arc<serde_json::Error>,
    },
    /// The journal does not begin with `began`.
    #[error("{} does not begin with a `began` event: this is no journal, or its run was killed before it began", path.display())]
    NoBeginning {
        /// The file of events.
        path: PathBuf,
    },
    /// `began` stands where it may not.
    #[error("{}, line {line}: a second `began`", path.display())]
    BeganTwice {
        /// The file of events.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// Written by a version with another format.
    #[error("{} has journal format {found}; this version of gauntlet reads format {known} only", path.display())]
    Format {
        /// The file of events.
        path: PathBuf,
        /// The format of the file.
        found: u64,
        /// The format of this version.
        known: u32,
    },
    /// Something was appended after `close`.
    #[error("{} is closed", path.display())]
    Closed {
        /// The directory.
        path: PathBuf,
    },
}

impl JournalError {
    /// Of the file system, while doing something to a file.
    pub(super) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source: Arc::new(source) }
    }

    /// Of a table. A failure of the file system below it is told as such.
    pub(super) fn table(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(ParquetError) -> Self {
        let path = path.into();
        move |source| Self::Table { doing, path, source: Arc::new(source) }
    }
}
