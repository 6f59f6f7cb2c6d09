//! What went wrong, where, and what mends it.

use std::{fmt, io, path::Path};

use crate::refusal::Refusal;

/// Why a backup, a restore or a retention run did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something at a place failed.
    #[error("{place}: {what}; {mend}")]
    Failed {
        /// Where: a file, a program, a database.
        place: String,
        /// What happened there.
        what: String,
        /// What to do about it.
        mend: String,
    },
    /// The target of a restore holds something, and nobody said that it may be replaced.
    #[error("{place}: not empty ({found}); restore into an empty place, or say that it is to be replaced")]
    NotEmpty {
        /// The database or directory.
        place: String,
        /// What it holds.
        found: String,
    },
    /// The set was refused; the target is untouched.
    #[error("refused: {}", Listed(.0))]
    Refused(
        /// Every reason that was found before the first that made further looks pointless.
        Vec<Refusal>,
    ),
}

struct Listed<'a>(&'a [Refusal]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, refusal) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{refusal} ({})", refusal.mend())?;
        }
        Ok(())
    }
}

impl Error {
    /// A failure at a place.
    pub fn at(place: impl fmt::Display, what: impl fmt::Display, mend: impl fmt::Display) -> Self {
        Self::Failed { place: place.to_string(), what: what.to_string(), mend: mend.to_string() }
    }

    /// A file or directory that could not be read or written.
    pub(crate) fn file(path: &Path, error: &io::Error) -> Self {
        let mend = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                "make room and run it again; no set was left behind"
            }
            io::ErrorKind::PermissionDenied => "give this user access",
            io::ErrorKind::NotFound => "look whether the path is right",
            _ => "look at the file system",
        };
        Self::at(path.display(), error, mend)
    }
}

#[cfg(test)]
mod tests {
    use std::{io, path::Path};

    use super::Error;

    #[test]
    fn an_error_names_the_place_and_the_mend() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let said = Error::file(Path::new("/backups/x"), &full).to_string();
        assert!(said.starts_with("/backups/x: ") && said.contains("make room"), "{said}");
    }
}
