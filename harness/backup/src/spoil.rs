//! Spoilt copies of a good set, one for each kind of backup that must be refused: for drills and tests.
//!
//! The set is only read. Truncated, flipped and empty are done to the bytes of its first part; the rest is a set that is
//! consistent in itself (its sums are right), and says another thing.

use std::{
    fmt, fs,
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::SignedDuration;

use crate::{
    draft::sums,
    error::Error,
    keys::Keys,
    manifest::{FORMAT, Manifest},
    policy::Policy,
    set::{MANIFEST, SUMS, Set},
};

/// The greatest age where a policy names none.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A way in which a backup is no good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoilt {
    /// Its last byte is missing.
    Truncated,
    /// One bit is another.
    Flipped,
    /// A part of it has no byte.
    Empty,
    /// It is older than its policy allows.
    Stale,
    /// It belongs to another system.
    Foreign,
    /// Its format is one that nobody knows yet.
    WrongVersion,
    /// It is sealed to somebody else.
    WronglyEncrypted,
}

impl Spoilt {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Truncated,
        Self::Flipped,
        Self::Empty,
        Self::Stale,
        Self::Foreign,
        Self::WrongVersion,
        Self::WronglyEncrypted,
    ];

    /// The name of the refusal that it must meet.
    pub fn name(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Flipped => "flipped",
            Self::Empty => "empty",
            Self::Stale => "stale",
            Self::Foreign => "foreign",
            Self::WrongVersion => "wrong-version",
            Self::WronglyEncrypted => "wrongly-encrypted",
        }
    }

    /// Makes a spoilt copy inside `into`; one of the same name is removed first.
    pub fn copy(self, set: &Set, into: &Path) -> Result<PathBuf, Error> {
        let name = set.dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let to = into.join(format!("{name}.{self}"));
        self.copy_to(set, &to).map_err(|error| Error::file(&to, &error))?;
        Ok(to)
    }

    fn copy_to(self, set: &Set, to: &Path) -> std::io::Result<()> {
        if to.exists() {
            fs::remove_dir_all(to)?;
        }
        fs::create_dir_all(to)?;
        for file in fs::read_dir(&set.dir)? {
            let file = file?;
            fs::copy(file.path(), to.join(file.file_name()))?;
        }
        let first = set.manifest.parts.first().map(|part| to.join(&part.name)).unwrap_or_default();
        match self {
            Self::Truncated => {
                let file = fs::OpenOptions::new().write(true).open(first)?;
                file.set_len(file.metadata()?.len().saturating_sub(1))
            }
            Self::Flipped => flip(&first),
            Self::Empty => fs::OpenOptions::new().write(true).open(first)?.set_len(0),
            Self::Stale => say(set, to, |manifest| manifest.as_of -= SignedDuration::from_hours(24 * 365)),
            Self::Foreign => say(set, to, |manifest| manifest.system.push_str("-of-somebody-else")),
            Self::WrongVersion => say(set, to, |manifest| manifest.format = FORMAT + 1),
            Self::WronglyEncrypted => {
                say(set, to, |manifest| manifest.sealed_to = Keys::generate().0.fingerprints())
            }
        }
    }
}

/// The policy of one who restores: it names the system and an age, where the given one does not.
pub fn strict(policy: &Policy, set: &Set) -> Policy {
    Policy {
        system: policy.system.clone().or_else(|| Some(set.manifest.system.clone())),
        max_age: policy.max_age.or(Some(DAY)),
        accept_stale: false,
        ..policy.clone()
    }
}

fn flip(file: &Path) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().read(true).write(true).open(file)?;
    let middle = file.metadata()?.len() / 2;
    let mut byte = [0];
    file.seek(SeekFrom::Start(middle))?;
    file.read_exact(&mut byte)?;
    byte[0] ^= 1;
    file.seek(SeekFrom::Start(middle))?;
    file.write_all(&byte)
}

/// A manifest that says another thing, with sums that are right.
fn say(set: &Set, to: &Path, how: impl FnOnce(&mut Manifest)) -> std::io::Result<()> {
    let mut manifest = set.manifest.clone();
    how(&mut manifest);
    let text = serde_json::to_string_pretty(&manifest)? + "\n";
    fs::write(to.join(SUMS), sums(&text, &manifest.parts))?;
    fs::write(to.join(MANIFEST), text)
}

impl fmt::Display for Spoilt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
