//! What a set must be to be accepted.

use std::time::Duration;

use jiff::Timestamp;

use crate::{form::Form, keys::Keys, manifest::Manifest, refusal::Refusal};

/// What is asked of a set.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The time that ages are counted to.
    pub now: Timestamp,
    /// The system that it must belong to.
    pub system: Option<String>,
    /// The source that it must have: a PostgreSQL system identifier, a Redis replication id.
    pub source: Option<String>,
    /// The greatest age.
    pub max_age: Option<Duration>,
    /// An older one is accepted all the same.
    pub accept_stale: bool,
    /// The major version of the server that it is for; a restore fills it in.
    pub major: Option<u32>,
    /// It must be sealed.
    pub sealed: bool,
    /// What opens it.
    pub keys: Keys,
}

impl Policy {
    /// Anything goes that is whole.
    pub fn new(now: Timestamp) -> Self {
        Self {
            now,
            system: None,
            source: None,
            max_age: None,
            accept_stale: false,
            major: None,
            sealed: false,
            keys: Keys::none(),
        }
    }

    /// Everything that the manifest alone tells.
    pub fn judge(&self, manifest: &Manifest) -> Vec<Refusal> {
        let source = manifest.source.identity();
        [
            differs("the system", self.system.as_deref(), Some(&manifest.system)),
            source.and_then(|found| differs("its source", self.source.as_deref(), Some(found))),
            self.version(manifest),
            self.age(manifest),
            self.seal(manifest),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    // A dump and an RDB file go into newer servers; a data directory only into the same major version.
    fn version(&self, manifest: &Manifest) -> Option<Refusal> {
        let (ours, theirs) = (self.major?, manifest.source.major()?);
        let (fits, expected) = match manifest.form {
            Form::PointInTime => (ours == theirs, ours.to_string()),
            Form::Logical | Form::Redis => (theirs <= ours, format!("at most {ours}")),
            Form::Configuration => (true, String::new()),
        };
        let what = "the server's major version".to_owned();
        (!fits).then(|| Refusal::WrongVersion { what, expected, found: theirs.to_string() })
    }

    fn age(&self, manifest: &Manifest) -> Option<Refusal> {
        let allowed = i64::try_from(self.max_age?.as_secs()).unwrap_or(i64::MAX);
        let seconds = self.now.duration_since(manifest.as_of).as_secs();
        (seconds > allowed && !self.accept_stale).then_some(Refusal::Stale { seconds, allowed })
    }

    fn seal(&self, manifest: &Manifest) -> Option<Refusal> {
        let wrong = |why: &str| Some(Refusal::WronglyEncrypted { why: why.to_owned() });
        let must = self.sealed || manifest.form == Form::Configuration;
        if manifest.sealed_to.is_empty() {
            return if must { wrong("it lies in the clear") } else { None };
        }
        let ours = self.keys.fingerprints();
        if ours.is_empty() {
            return wrong("it is sealed, and no identity was given");
        }
        let opens = ours.iter().any(|key| manifest.sealed_to.contains(key));
        if opens { None } else { wrong("it is sealed to other recipients") }
    }
}

fn differs(what: &str, expected: Option<&str>, found: Option<&str>) -> Option<Refusal> {
    let (expected, found) = (expected?, found.unwrap_or("unknown"));
    let refusal = || Refusal::Foreign { what: what.into(), expected: expected.into(), found: found.into() };
    (expected != found).then(refusal)
}
