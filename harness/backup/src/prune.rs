//! The fourth verb, retention: which sets may go. The only good one of a system and form never goes.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};

use crate::{draft::UNFINISHED, error::Error, form::Form, set::Set};

/// How the names of sets begin that are being removed.
const REMOVING: &str = ".removing-";

/// What is kept: what either of the two rules keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keep {
    /// The newest ones, so many of each system and form.
    pub last: usize,
    /// All that are younger.
    pub within: Option<Duration>,
}

/// What a retention run did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Sets that stay.
    pub kept: Vec<PathBuf>,
    /// Sets that are gone, and what killed backups and retention runs had left.
    pub removed: Vec<PathBuf>,
    /// Directories that are no whole sets; they stay for somebody to look at, and count for nothing.
    pub unusable: Vec<PathBuf>,
}

/// Removes what no rule keeps. The digests of the kept sets are read, newest first, until one is right; where none is, older ones are
/// kept until one is.
pub fn prune(dir: &Path, keep: Keep, now: Timestamp) -> Result<Pruned, Error> {
    let (mut pruned, mut groups) = (Pruned::default(), BTreeMap::<(String, Form), Vec<Set>>::new());
    let failed = |error: std::io::Error| Error::file(dir, &error);
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !path.is_dir() {
            continue;
        }
        if name.starts_with(REMOVING) || (name.starts_with(UNFINISHED) && abandoned(&path)) {
            fs::remove_dir_all(&path).map_err(|error| Error::file(&path, &error))?;
            pruned.removed.push(path);
        } else if !name.starts_with('.') {
            match Set::open(&path) {
                Ok(set) => {
                    groups.entry((set.manifest.system.clone(), set.manifest.form)).or_default().push(set)
                }
                Err(_) => pruned.unusable.push(path),
            }
        }
    }
    for (_, mut sets) in groups {
        sets.sort_by_key(|set| std::cmp::Reverse(set.manifest.as_of));
        let kept = kept(&sets, keep, now);
        for (index, set) in sets.into_iter().enumerate() {
            if index >= kept {
                remove(&set.dir)?;
            }
            if index < kept { pruned.kept.push(set.dir) } else { pruned.removed.push(set.dir) }
        }
    }
    pruned.unusable.sort();
    Ok(pruned)
}

// How many of the sets, newest first, stay.
fn kept(sets: &[Set], keep: Keep, now: Timestamp) -> usize {
    let young = |set: &&Set| {
        keep.within.is_some_and(|limit| now.duration_since(set.manifest.as_of).unsigned_abs() <= limit)
    };
    let wanted = keep.last.max(sets.iter().take_while(young).count());
    let good = |set: &Set| set.manifest.parts.iter().all(|part| set.digest(part).is_none());
    let needed = sets.iter().position(good).map_or(sets.len(), |newest| newest + 1);
    wanted.max(needed).min(sets.len())
}

// Its writer holds a lock as long as it lives.
fn abandoned(path: &Path) -> bool {
    File::open(path).is_ok_and(|dir| flock(&dir, FlockOperation::NonBlockingLockExclusive).is_ok())
}

// Renamed first: a set that is half removed is none.
fn remove(set: &Path) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::file(set, &error);
    let name = set.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let hidden = set.with_file_name(format!("{REMOVING}{name}"));
    fs::rename(set, &hidden).map_err(failed)?;
    fs::remove_dir_all(&hidden).map_err(failed)
}
