//! Files of JSON lines: appended one whole line at a time, read back with the number of the line that is wrong.

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Serialize, de::DeserializeOwned};

use super::error::JournalError;

/// A file that grows by lines.
#[derive(Debug)]
pub(super) struct Lines {
    path: PathBuf,
    file: File,
    written: usize,
}

/// What a file of lines holds.
pub(super) struct Read<T> {
    /// The whole lines.
    pub(super) items: Vec<T>,
    /// Whether the last line has no end: its writer was killed within it.
    pub(super) torn: bool,
}

impl Lines {
    /// Opens for appending; makes the file where there is none.
    pub(super) fn open(path: &Path) -> Result<Self, JournalError> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .map_err(JournalError::io("create", path))?;
        Ok(Self { path: path.to_owned(), file, written: 0 })
    }

    /// Appends lines with one write, so that a kill tears at most the last of them.
    pub(super) fn append<'a, T: Serialize + 'a>(
        &mut self,
        items: impl IntoIterator<Item = &'a T>,
        wanted: &'static str,
    ) -> Result<(), JournalError> {
        let mut text = Vec::new();
        for item in items {
            self.written += 1;
            serde_json::to_writer(&mut text, item).map_err(|source| self.bad(wanted, source))?;
            text.push(b'\n');
        }
        self.file.write_all(&text).map_err(JournalError::io("write", &self.path))
    }

    /// How many lines were appended.
    pub(super) fn written(&self) -> usize {
        self.written
    }

    /// Makes sure that the disk has it.
    pub(super) fn sync(&self) -> Result<(), JournalError> {
        self.file.sync_data().map_err(JournalError::io("sync", &self.path))
    }

    fn bad(&self, wanted: &'static str, source: serde_json::Error) -> JournalError {
        JournalError::Line { path: self.path.clone(), line: self.written, wanted, source: Arc::new(source) }
    }
}

/// Reads all whole lines. A file that is not there holds none and is torn.
pub(super) fn read<T: DeserializeOwned>(path: &Path, wanted: &'static str) -> Result<Read<T>, JournalError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(Read { items: Vec::new(), torn: true });
        }
        Err(error) => return Err(JournalError::io("read", path)(error)),
    };
    let (whole, rest) =
        bytes.split_at(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
    let lines = whole.split_inclusive(|byte| *byte == b'\n').enumerate();
    let items = lines.map(|(number, line)| {
        serde_json::from_slice(line).map_err(|source| JournalError::Line {
            path: path.to_owned(),
            line: number + 1,
            wanted,
            source: Arc::new(source),
        })
    });
    Ok(Read { items: items.collect::<Result<_, _>>()?, torn: !rest.is_empty() })
}

/// The first line, whole or not; none when the file is empty or not there.
pub(super) fn first(path: &Path) -> Result<Option<Vec<u8>>, JournalError> {
    match std::fs::read(path) {
        Ok(bytes) => {
            Ok(bytes.split(|byte| *byte == b'\n').next().filter(|line| !line.is_empty()).map(<[u8]>::to_vec))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(JournalError::io("read", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Lines, read};
    use crate::journal::JournalError;

    #[test]
    fn a_full_disk_is_told_with_the_file_and_the_cause() {
        let mut lines = Lines::open(Path::new("/dev/full")).unwrap();
        let error = lines.append(&[1, 2, 3], "a number").unwrap_err();
        assert!(
            matches!(&error, JournalError::Io { source, .. } if source.raw_os_error() == Some(28)),
            "{error:?}"
        );
        assert_eq!(error.to_string(), "cannot write /dev/full");
    }

    #[test]
    fn a_line_without_its_end_is_left_out_and_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, "1\n2\n3").unwrap();
        let found = read::<u32>(&path, "a number").unwrap();
        assert_eq!((found.items, found.torn), (vec![1, 2], true));
    }

    #[test]
    fn a_whole_line_that_is_wrong_is_refused_with_its_number() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, "1\nzwei\n3\n").unwrap();
        let error = read::<u32>(&path, "a number").map(|_| ()).unwrap_err();
        assert!(error.to_string().ends_with("line 2: not a number"), "{error}");
    }
}
