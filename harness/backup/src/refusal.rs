//! Why a set is refused: a closed set of reasons, each with what mends it.

use std::fmt;

use serde::Serialize;

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "refused", rename_all = "kebab-case")]
pub enum Refusal {
    /// The directory was never finished, or is no set.
    Unfinished {
        /// The directory.
        place: String,
    },
    /// A part that the manifest names is not there.
    Missing {
        /// The part.
        part: String,
    },
    /// A file is there that nothing names.
    Extra {
        /// The file.
        file: String,
    },
    /// A part, or the whole set, holds nothing.
    Empty {
        /// The part.
        part: String,
    },
    /// A part ends too early.
    Truncated {
        /// The part.
        part: String,
    },
    /// A part's bytes are not those that were written.
    Flipped {
        /// The part.
        part: String,
    },
    /// Older than the policy allows.
    Stale {
        /// Its age in seconds.
        seconds: i64,
        /// The greatest age allowed.
        allowed: i64,
    },
    /// Of another system or another server.
    Foreign {
        /// What differs.
        what: String,
        /// What was expected.
        expected: String,
        /// What the set says.
        found: String,
    },
    /// A version that cannot be restored here.
    WrongVersion {
        /// What of.
        what: String,
        /// What would do.
        expected: String,
        /// What the set says.
        found: String,
    },
    /// Sealed to somebody else, or not sealed where it has to be.
    WronglyEncrypted {
        /// What is wrong.
        why: String,
    },
    /// Digests are right, but what was digested is no whole backup.
    Unsound {
        /// The part.
        part: String,
        /// What is wrong with it.
        why: String,
    },
    /// A file or program was out of reach, so that nothing can be said.
    Unreadable {
        /// What.
        place: String,
        /// Why.
        why: String,
    },
}

impl Refusal {
    /// What mends it.
    pub fn mend(&self) -> &'static str {
        match self {
            Self::Unfinished { .. } => "use a finished set; `gauntlet backup` makes one",
            Self::Missing { .. } | Self::Extra { .. } => {
                "copy the set again, whole and alone in its directory"
            }
            Self::Empty { .. } => "take the backup again, and look at what it was taken from",
            Self::Truncated { .. } | Self::Flipped { .. } => "use another copy of this set, or an older set",
            Self::Stale { .. } => "use a newer set, or accept its age with --accept-stale",
            Self::Foreign { .. } => "use a set of this system, or say which one is meant",
            Self::WrongVersion { .. } => "restore with programs of the version that made it",
            Self::WronglyEncrypted { .. } => {
                "name the identity file of one of its recipients; seal where the policy asks for it"
            }
            Self::Unsound { .. } => "use an older set, and look at how this one was taken",
            Self::Unreadable { .. } => "give access to it and verify again",
        }
    }

    /// Its name, as records hold it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unfinished { .. } => "unfinished",
            Self::Missing { .. } => "missing",
            Self::Extra { .. } => "extra",
            Self::Empty { .. } => "empty",
            Self::Truncated { .. } => "truncated",
            Self::Flipped { .. } => "flipped",
            Self::Stale { .. } => "stale",
            Self::Foreign { .. } => "foreign",
            Self::WrongVersion { .. } => "wrong-version",
            Self::WronglyEncrypted { .. } => "wrongly-encrypted",
            Self::Unsound { .. } => "unsound",
            Self::Unreadable { .. } => "unreadable",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unfinished { place } => write!(f, "{place} is no finished set"),
            Self::Missing { part } => write!(f, "{part} is missing"),
            Self::Extra { file } => write!(f, "{file} does not belong to the set"),
            Self::Empty { part } => write!(f, "{part} is empty"),
            Self::Truncated { part } => write!(f, "{part} is truncated"),
            Self::Flipped { part } => write!(f, "{part} is not what was written (digest)"),
            Self::Stale { seconds, allowed } => write!(f, "stale: {seconds} s old, {allowed} s are allowed"),
            Self::Foreign { what, expected, found } => {
                write!(f, "foreign: {what} is {found}, not {expected}")
            }
            Self::WrongVersion { what, expected, found } => {
                write!(f, "wrong version: {what} is {found}, {expected} is needed")
            }
            Self::WronglyEncrypted { why } => write!(f, "wrongly encrypted: {why}"),
            Self::Unsound { part, why } => write!(f, "{part} is no whole backup: {why}"),
            Self::Unreadable { place, why } => write!(f, "{place} cannot be read: {why}"),
        }
    }
}
