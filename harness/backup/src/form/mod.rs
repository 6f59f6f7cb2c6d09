//! The forms of backup, one a file: how a set of it is made, what makes it sound, how it is restored.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{call::Programs, error::Error, keys::Keys, part::PartReader, pipe, refusal::Refusal, set::Set};

mod base;
pub mod configuration;
pub mod logical;
pub mod place;
pub mod point_in_time;
pub mod redis;
mod resp;
pub mod wal;

/// A form of backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// A database as pg_dump writes it.
    Logical,
    /// A base backup and the log after it.
    PointInTime,
    /// Redis' snapshot or append-only files.
    Redis,
    /// Objects and files that the product needs, secrets among them.
    Configuration,
}

/// All of them.
pub const FORMS: [Form; 4] = [Form::Logical, Form::PointInTime, Form::Redis, Form::Configuration];

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Logical => "logical",
            Self::PointInTime => "point-in-time",
            Self::Redis => "redis",
            Self::Configuration => "configuration",
        })
    }
}

/// Whether the parts are what their kinds promise; digests are known to be right.
pub(crate) async fn check(set: &Set, keys: &Keys, programs: &dyn Programs) -> Vec<Refusal> {
    match set.manifest.form {
        Form::Logical => logical::check(set, keys, programs).await,
        Form::PointInTime => point_in_time::check(set, keys).await,
        Form::Redis => redis::check(set, keys, programs).await,
        Form::Configuration => configuration::check(set, keys).await,
    }
}

/// Looks at every part in turn, on a thread where blocking is right.
async fn look(
    set: &Set,
    keys: &Keys,
    look: impl Fn(&Set, usize, PartReader) -> Result<(), Refusal> + Send + 'static,
) -> Vec<Refusal> {
    let (set, keys) = (set.clone(), keys.clone());
    let parts = move || {
        let one = |(index, part)| set.reader(part, &keys).and_then(|reader| look(&set, index, reader)).err();
        set.manifest.parts.iter().enumerate().filter_map(one).collect()
    };
    let failed = |why| vec![Refusal::Unreadable { place: "the set".into(), why: format!("{why}") }];
    tokio::task::spawn_blocking(parts).await.unwrap_or_else(failed)
}

fn unsound(part: &str, why: impl fmt::Display) -> Refusal {
    Refusal::Unsound { part: part.to_owned(), why: why.to_string() }
}

// What was refused on the way stays refused; a program that could not be run says nothing about the part.
fn refusal(part: &str, why: Error) -> Refusal {
    if let Error::Refused(refusals) = &why
        && let [refusal] = refusals.as_slice()
    {
        return refusal.clone();
    }
    Refusal::Unreadable { place: part.to_owned(), why: why.to_string() }
}

/// The version that a program names itself by.
pub(crate) async fn tool(programs: &dyn Programs, program: &str) -> Result<(String, String), Error> {
    let said = pipe::ask(programs, &crate::call::Call::new(program, ["--version"]), "").await?;
    Ok((program.to_owned(), said.trim().to_owned()))
}

/// The major version in such a text: the first number of `pg_restore (PostgreSQL) 15.18`, `v=7.0.15`.
pub(crate) fn major(said: &str) -> Option<u32> {
    let number = said.split([' ', '=']).find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{FORMS, major};

    #[test]
    fn a_form_is_printed_as_the_manifest_writes_it() {
        for form in FORMS {
            assert_eq!(serde_json::to_string(&form).unwrap(), format!("\"{form}\""));
        }
    }

    #[test]
    fn programs_tell_their_major_version() {
        assert_eq!(major("pg_restore (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), Some(15));
        assert_eq!(major("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0"), Some(7));
        assert_eq!(major("redis-cli 7.0.15"), Some(7));
        assert_eq!(major("nothing"), None);
    }
}
