//! The third verb: a set is verified, written beside its target, and put in the target's place when it is complete.
//!
//! A restore that was killed leaves the target as it was, and is simply run again.

use std::{path::Path, time::Duration};

use jiff::Timestamp;

use crate::{
    call::{Call, Programs},
    content::Compared,
    error::Error,
    form::{Form, configuration, logical, place::Directory, point_in_time, redis},
    manifest::Manifest,
    policy::Policy,
    refusal::Refusal,
    verify::verify,
};

/// Where a set is restored to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A database of a running server.
    Logical(logical::Database),
    /// The data directory of a server that is started afterwards; recovery happens then, and ends by itself.
    PointInTime(point_in_time::DataDirectory),
    /// The data directory of a Redis server that is started afterwards.
    Redis(redis::DataDirectory),
    /// A directory for the files, or for `objects.yaml`.
    Configuration(Directory),
    /// A program that reads the objects and makes them.
    Objects(Call),
}

/// What was restored, and what it took.
#[derive(Debug, Clone)]
pub struct Restored {
    /// The set's manifest.
    pub manifest: Manifest,
    /// How much of it was compared with the digests of its source; none: the set has none, or its form is compared otherwise.
    pub compared: Option<Compared>,
    /// How long the verification took.
    pub verified_in: Duration,
    /// How long the rest took.
    pub restored_in: Duration,
}

impl Target {
    fn form(&self) -> Form {
        match self {
            Self::Logical(_) => Form::Logical,
            Self::PointInTime(_) => Form::PointInTime,
            Self::Redis(_) => Form::Redis,
            Self::Configuration(_) | Self::Objects(_) => Form::Configuration,
        }
    }

    async fn version(&self, programs: &dyn Programs) -> Result<Option<u32>, Error> {
        match self {
            Self::Logical(target) => logical::version(target, programs).await,
            Self::PointInTime(_) => point_in_time::version(programs).await,
            Self::Redis(_) => redis::version(programs).await,
            Self::Configuration(_) | Self::Objects(_) => Ok(None),
        }
    }
}

/// Verifies the set and restores it; the version of the target is asked where the policy names none.
pub async fn restore(
    set: &Path,
    target: &Target,
    policy: &Policy,
    programs: &dyn Programs,
) -> Result<Restored, Error> {
    let began = Timestamp::now();
    let mut policy = policy.clone();
    if policy.major.is_none() {
        policy.major = target.version(programs).await?;
    }
    let verified = verify(set, &policy, programs).await.map_err(Error::Refused)?;
    let (set, keys) = (verified.set(), &policy.keys);
    let (what, expected, found) =
        ("the form of the set", target.form().to_string(), set.manifest.form.to_string());
    if expected != found {
        return Err(Error::Refused(vec![Refusal::Foreign { what: what.into(), expected, found }]));
    }
    let between = Timestamp::now();
    let mut compared = None;
    match target {
        Target::Logical(target) => compared = logical::restore(set, target, keys, programs).await?,
        Target::PointInTime(target) => point_in_time::restore(set, target, keys, programs).await?,
        Target::Redis(target) => redis::restore(set, target, keys, programs).await?,
        Target::Configuration(target) => configuration::restore(set, target, keys, programs).await?,
        Target::Objects(call) => configuration::make(set, call, keys, programs).await?,
    }
    let took = |from: Timestamp, to: Timestamp| to.duration_since(from).unsigned_abs();
    Ok(Restored {
        manifest: set.manifest.clone(),
        compared,
        verified_in: took(began, between),
        restored_in: took(between, Timestamp::now()),
    })
}
