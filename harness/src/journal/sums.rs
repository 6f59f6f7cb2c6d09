//! `requests/SHA256SUMS`: one line a segment, as `sha256sum --check` reads it. A Parquet file that was damaged can lead
//! its reader anywhere, so nothing of a segment is read before its digest is right.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::error::JournalError;
use crate::digest;

const SUMS: &str = "SHA256SUMS";

/// The digests of the segments of a run.
pub(super) struct Sums {
    path: PathBuf,
    /// By the segment's name. None: the journal is of a version that wrote no digests.
    lines: Option<BTreeMap<String, String>>,
}

impl Sums {
    /// Reads them all. A line that was cut short by a kill belongs to a segment that was never closed.
    pub(super) fn read(dir: &Path) -> Result<Self, JournalError> {
        let path = dir.join(SUMS);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self { path, lines: None }),
            text => text.map_err(JournalError::io("read", &path))?,
        };
        let lines = text.lines().filter_map(|line| line.split_once("  "));
        let lines = lines.map(|(digest, name)| (name.to_owned(), digest.to_owned())).collect();
        Ok(Self { path, lines: Some(lines) })
    }

    /// Refuses a segment whose bytes are not those that were written.
    pub(super) fn check(&self, segment: &Path) -> Result<(), JournalError> {
        let Some(lines) = &self.lines else { return Ok(()) };
        let found = digest::of_file(segment).map_err(JournalError::io("read", segment))?;
        match lines.get(&name(segment)) {
            Some(written) if *written == found => Ok(()),
            _ => Err(JournalError::Damaged { path: segment.to_owned(), sums: self.path.clone() }),
        }
    }
}

/// Stores the digest of a segment that is still called `part`, under the name that it gets next.
pub(super) fn append(dir: &Path, part: &Path, whole: &Path) -> Result<(), JournalError> {
    let path = dir.join(SUMS);
    let digest = digest::of_file(part).map_err(JournalError::io("read", part))?;
    let open = || OpenOptions::new().create(true).append(true).open(&path);
    let write = |mut file: File| writeln!(file, "{digest}  {}", name(whole));
    open().and_then(write).map_err(JournalError::io("write", &path))
}

fn name(segment: &Path) -> String {
    segment.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
