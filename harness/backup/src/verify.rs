//! The second verb: whether a set may be restored, from cheap looks to dear ones. The first kind of look that refuses is the last.

use std::path::Path;

use crate::{call::Programs, form, manifest::Manifest, policy::Policy, refusal::Refusal, set::Set};

/// A set that nothing speaks against.
#[derive(Debug, Clone)]
pub struct Verified {
    pub(crate) set: Set,
}

impl Verified {
    /// What the set says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.set.manifest
    }

    /// The set.
    pub fn set(&self) -> &Set {
        &self.set
    }
}

/// Looks at a set: names and sizes, then the policy, then the digest of every stored byte, then the structure of what is
/// stored (it is opened, read to its end, and given to the programs that would restore it).
pub async fn verify(dir: &Path, policy: &Policy, programs: &dyn Programs) -> Result<Verified, Vec<Refusal>> {
    let set = Set::open(dir)?;
    none(policy.judge(&set.manifest))?;
    none(set.digests().await)?;
    none(form::check(&set, &policy.keys, programs).await)?;
    Ok(Verified { set })
}

fn none(refusals: Vec<Refusal>) -> Result<(), Vec<Refusal>> {
    if refusals.is_empty() { Ok(()) } else { Err(refusals) }
}
