//! A set in the making: a hidden sibling of its later place, locked by the one who writes it, gone unless it is finished.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};

use crate::{
    backup::About,
    digest,
    error::Error,
    form::Form,
    keys::Seal,
    manifest::{Manifest, Part, PartKind},
    part::PartWriter,
    set::{MANIFEST, SUMS},
};

/// How the names of sets in the making begin.
pub(crate) const UNFINISHED: &str = ".unfinished-";

/// A set in the making.
pub(crate) struct Draft {
    dir: PathBuf,
    place: PathBuf,
    seal: Seal,
    /// Its parts so far.
    pub(crate) parts: Vec<Part>,
    finished: bool,
    // Held as long as this process writes; a lock without a holder is a set without a writer.
    _lock: File,
}

impl Draft {
    /// Begins one inside `into`, which is made where it is missing.
    pub(crate) fn begin(into: &Path, form: Form, about: &About<'_>) -> Result<Self, Error> {
        about.check()?;
        fs::create_dir_all(into).map_err(|error| Error::file(into, &error))?;
        let name = format!("{}-{form}-{}", about.system, Timestamp::now().strftime("%Y%m%dT%H%M%S%3fZ"));
        let (dir, place) = (into.join(format!("{UNFINISHED}{name}")), into.join(name));
        let lock = locked(&dir).map_err(|error| Error::file(&dir, &error))?;
        let seal = about.seal.clone();
        Ok(Self { dir, place, seal, parts: vec![], finished: false, _lock: lock })
    }

    /// A new part's writer; the part is added to `parts` by the one who finishes it.
    pub(crate) fn part(&self, name: &str, kind: PartKind) -> Result<PartWriter, Error> {
        PartWriter::create(&self.dir, name, kind, &self.seal)
            .map_err(|error| Error::file(&self.dir.join(name), &error))
    }

    /// Takes a part of another set as it is: the same file under a second name.
    pub(crate) fn adopt(&mut self, dir: &Path, part: &Part) -> Result<(), Error> {
        let to = self.dir.join(&part.name);
        fs::hard_link(dir.join(&part.name), &to)
            .or_else(|_| fs::copy(dir.join(&part.name), &to).map(drop))
            .map_err(|error| Error::file(&to, &error))?;
        self.parts.push(part.clone());
        Ok(())
    }

    /// Removes a part that is not to be in it.
    pub(crate) fn discard(&self, name: &str) -> Result<(), Error> {
        for path in [self.dir.join(name), self.dir.join(format!("{name}.age"))] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::file(&path, &error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes manifest and sums, makes all durable, and gives the set its name.
    pub(crate) fn finish(mut self, manifest: &Manifest) -> Result<PathBuf, Error> {
        self.seal_up(manifest).map_err(|error| Error::file(&self.dir, &error))?;
        self.finished = true;
        Ok(self.place.clone())
    }

    fn seal_up(&self, manifest: &Manifest) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(manifest)?;
        text.push('\n');
        durable(&self.dir.join(MANIFEST), &text)?;
        durable(&self.dir.join(SUMS), &sums(&text, &manifest.parts))?;
        File::open(&self.dir)?.sync_all()?;
        renameat_with(CWD, &self.dir, CWD, &self.place, RenameFlags::NOREPLACE)?;
        self.place.parent().map_or(Ok(()), |into| File::open(into)?.sync_all())
    }
}

fn locked(dir: &Path) -> io::Result<File> {
    DirBuilder::new().mode(0o700).create(dir)?;
    let lock = File::open(dir)?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
    Ok(lock)
}

/// What `sha256sum --check` reads.
pub(crate) fn sums(manifest: &str, parts: &[Part]) -> String {
    let own = format!("{}  {MANIFEST}\n", digest::of(manifest.as_bytes()));
    let line =
        |part: &Part| format!("{}  {}\n", part.stored.sha256.as_deref().unwrap_or_default(), part.name);
    parts.iter().map(line).fold(own, |sums, line| sums + &line)
}

fn durable(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.finished {
            // What remains is never taken for a set, and the next retention run removes it.
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}
