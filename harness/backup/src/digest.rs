//! Counting and hashing what passes by (SHA-256, FIPS 180-4), as `sha256sum` prints it.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Bytes read at once.
pub(crate) const CHUNK: usize = 1 << 16;

/// How much there was, and its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extent {
    /// Bytes.
    pub bytes: u64,
    /// SHA-256 in hexadecimal digits. None: the plain content of a sealed part, where a digest would let anybody try guesses of a
    /// secret; there the seal authenticates what it opens to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// Counts and hashes what is written to or read from the inner one.
pub(crate) struct Tally<T> {
    inner: T,
    bytes: u64,
    hasher: Sha256,
}

impl<T> Tally<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self { inner, bytes: 0, hasher: Sha256::new() }
    }

    /// What passed so far, and the inner one.
    pub(crate) fn finish(self) -> (Extent, T) {
        (Extent { bytes: self.bytes, sha256: Some(hex(&self.hasher.finalize())) }, self.inner)
    }

    /// What passed so far.
    pub(crate) fn extent(&self) -> Extent {
        Extent { bytes: self.bytes, sha256: Some(hex(&self.hasher.clone().finalize())) }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.hasher.update(bytes);
    }
}

impl<W: Write> Write for Tally<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.take(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Tally<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.take(&buffer[..read]);
        Ok(read)
    }
}

/// Of bytes in memory.
pub(crate) fn of(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Of a stream, to its end.
pub(crate) fn of_stream(from: impl Read) -> io::Result<Extent> {
    let mut tally = Tally::new(from);
    let mut buffer = vec![0; CHUNK];
    while tally.read(&mut buffer)? > 0 {}
    Ok(tally.finish().0)
}

/// Of a file.
pub(crate) fn of_file(path: &Path) -> io::Result<Extent> {
    of_stream(File::open(path)?)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_digest_is_the_one_that_sha256sum_prints() {
        let extent = super::of_stream(&b"abc"[..]).unwrap();
        assert_eq!(extent.bytes, 3);
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(extent.sha256.as_deref(), Some(known));
        assert_eq!(super::of(b"abc"), known);
    }
}
