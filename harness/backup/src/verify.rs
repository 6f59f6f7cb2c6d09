//! The second verb: whether a set may be restored, from cheap looks to dear ones. The first kind of look that refuses is the last.

use std::{fmt, path::Path};

use crate::{call::Programs, form, manifest::Manifest, policy::Policy, refusal::Refusal, set::Set};

/// The looks, from cheap to dear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Names and sizes.
    Names,
    /// What the manifest says, held against the policy.
    Manifest,
    /// The digest of every stored byte.
    Bytes,
    /// Whether what is stored is a whole backup.
    Structure,
}

/// All of them.
pub const LOOKS: [Look; 4] = [Look::Names, Look::Manifest, Look::Bytes, Look::Structure];

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Names => "names and sizes",
            Self::Manifest => "manifest",
            Self::Bytes => "every stored byte",
            Self::Structure => "structure",
        })
    }
}

/// Is told each look when it is over, and what it refused.
pub type Tell<'a> = &'a mut (dyn FnMut(Look, &[Refusal]) + Send);

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
    verify_telling(dir, policy, programs, &mut |_, _| ()).await
}

/// The same, told look by look.
pub async fn verify_telling(
    dir: &Path,
    policy: &Policy,
    programs: &dyn Programs,
    tell: Tell<'_>,
) -> Result<Verified, Vec<Refusal>> {
    let set = Set::open(dir).inspect_err(|refusals| tell(Look::Names, refusals))?;
    tell(Look::Names, &[]);
    let mut over = |look, refusals: Vec<Refusal>| {
        tell(look, &refusals);
        if refusals.is_empty() { Ok(()) } else { Err(refusals) }
    };
    over(Look::Manifest, policy.judge(&set.manifest))?;
    over(Look::Bytes, set.digests().await)?;
    over(Look::Structure, form::check(&set, &policy.keys, programs).await)?;
    Ok(Verified { set })
}
