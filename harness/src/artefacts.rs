//! Artefacts of a run as files of one directory: what programs of the system wrote, kept for whoever comes later.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use gauntlet_core::{
    act::Artefact,
    port::{Artefacts, Keep, Trouble},
};

/// One directory, made when the first artefact is written.
#[derive(Debug, Clone)]
pub struct ArtefactFolder {
    dir: PathBuf,
}

impl ArtefactFolder {
    /// The artefacts of the run with that journal.
    pub fn of(journal: &Path) -> Self {
        Self { dir: journal.join("artefacts") }
    }

    /// The file of one artefact.
    pub fn file(&self, artefact: &Artefact) -> PathBuf {
        self.dir.join(artefact.0.as_str())
    }
}

impl Artefacts for ArtefactFolder {
    fn read(&self, artefact: &Artefact) -> Result<Box<dyn Read + Send>, Trouble> {
        let file = self.file(artefact);
        let opened = File::open(&file);
        let opened = opened
            .map_err(|error| Trouble::failed(format!("read artefact {artefact}"), told(&file, &error)))?;
        Ok(Box::new(opened))
    }

    fn write(&self, artefact: &Artefact) -> Result<Box<dyn Keep>, Trouble> {
        let file = self.file(artefact);
        let new = file.with_extension("part");
        let begun = begin(&self.dir, &new);
        let begun = begun
            .map_err(|error| Trouble::failed(format!("keep artefact {artefact}"), told(&new, &error)))?;
        Ok(Box::new(Part { begun, new, file, kept: false }))
    }
}

/// Artefacts of which some are no files: somebody waits at the other end.
pub struct Pipes {
    folder: ArtefactFolder,
    readers: Mutex<BTreeMap<Artefact, Box<dyn Read + Send>>>,
    writers: Mutex<BTreeMap<Artefact, Box<dyn Keep>>>,
}

impl Pipes {
    /// Whatever is no pipe is a file of that folder.
    pub fn over(folder: ArtefactFolder) -> Self {
        Self { folder, readers: Mutex::default(), writers: Mutex::default() }
    }

    /// The next one who reads that artefact reads this.
    pub fn reads(&self, artefact: &Artefact, from: Box<dyn Read + Send>) {
        lock(&self.readers).insert(artefact.clone(), from);
    }

    /// The next one who writes that artefact writes here.
    pub fn writes(&self, artefact: &Artefact, to: Box<dyn Keep>) {
        lock(&self.writers).insert(artefact.clone(), to);
    }

    /// Closes what nobody has taken.
    pub fn forget(&self, artefact: &Artefact) {
        lock(&self.readers).remove(artefact);
        lock(&self.writers).remove(artefact);
    }
}

impl Artefacts for Pipes {
    fn read(&self, artefact: &Artefact) -> Result<Box<dyn Read + Send>, Trouble> {
        let pipe = lock(&self.readers).remove(artefact);
        pipe.map_or_else(|| self.folder.read(artefact), Ok)
    }

    fn write(&self, artefact: &Artefact) -> Result<Box<dyn Keep>, Trouble> {
        let pipe = lock(&self.writers).remove(artefact);
        pipe.map_or_else(|| self.folder.write(artefact), Ok)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// It may hold what only users of the system should read.
fn begin(dir: &Path, new: &Path) -> io::Result<File> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(new)
}

fn told(file: &Path, error: &io::Error) -> String {
    format!("{}: {error}", file.display())
}

/// An artefact that is not whole yet.
struct Part {
    begun: File,
    new: PathBuf,
    file: PathBuf,
    kept: bool,
}

impl Write for Part {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.begun.flush()
    }
}

impl Keep for Part {
    fn keep(mut self: Box<Self>) -> Result<(), Trouble> {
        let stored = self.begun.sync_all().and_then(|()| fs::rename(&self.new, &self.file));
        let stored = stored.and_then(|()| File::open(self.file.parent().unwrap_or(&self.file))?.sync_all());
        stored.map_err(|error| Trouble::failed("keep an artefact", told(&self.file, &error)))?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.kept {
            // What is left of it bears a name that nobody takes for an artefact.
            let _ = fs::remove_file(&self.new);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use gauntlet_core::{act::Artefact, port::Artefacts};

    use super::ArtefactFolder;

    fn kept(folder: &ArtefactFolder) -> Option<String> {
        let mut text = String::new();
        folder.read(&name()).ok()?.read_to_string(&mut text).unwrap();
        Some(text)
    }

    fn name() -> Artefact {
        Artefact("dump".parse().unwrap())
    }

    #[test]
    fn an_artefact_is_there_once_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let folder = ArtefactFolder::of(dir.path());
        let mut dump = folder.write(&name()).unwrap();
        dump.write_all(b"first").unwrap();
        assert_eq!(kept(&folder), None);
        dump.keep().unwrap();
        assert_eq!(kept(&folder).as_deref(), Some("first"));
        let mut cut_short = folder.write(&name()).unwrap();
        cut_short.write_all(b"sec").unwrap();
        drop(cut_short);
        assert_eq!(kept(&folder).as_deref(), Some("first"), "the older one stays");
        assert_eq!(std::fs::read_dir(dir.path().join("artefacts")).unwrap().count(), 1);
    }

    #[test]
    fn an_artefact_that_is_not_there_is_told_with_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let told = ArtefactFolder::of(dir.path()).read(&name()).err().unwrap().to_string();
        assert!(told.contains("artefact dump failed") && told.contains("artefacts/dump"), "{told}");
    }
}
