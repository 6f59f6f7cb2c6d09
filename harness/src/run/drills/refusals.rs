//! The stage that offers spoilt backups: to a verification, and to a restore into a place where nothing is.

use gauntlet_backup::{
    Error, Policy, Refusal, Target, restore,
    set::Set,
    spoil::{Spoilt, strict},
    verify,
};
use gauntlet_core::{evidence::What, step::Step};

use super::{Running, TargetPrograms, told, way::Way};

impl<'a> Running<'a> {
    /// Each form of backup, spoilt in each way. The copies are removed again: none is a backup.
    pub(super) async fn refuse(&mut self, step: &'a Step) -> Result<(), String> {
        let copies = self.kit.journal.join("spoilt");
        let programs = self.programs(step);
        for backup in &self.sets {
            let programs = programs.at(&backup.taken.at);
            let good = Set::open(&backup.made.dir).map_err(|refusals| told(Error::Refused(refusals)))?;
            let policy = strict(&self.policy(), &good);
            let target = beside(&backup.way)?;
            for spoilt in Spoilt::ALL {
                let set = spoilt.copy(&good, &copies).map_err(told)?;
                let refused = refused(&set, &target, &policy, &programs).await?;
                let what = format!("{} of {}, {spoilt}", backup.taken.form, backup.taken.at);
                let expected = spoilt.name().to_owned();
                self.world.say(What::Offered { step: step.id.clone(), what, expected, refused });
            }
            // One that refuses everything would pass; the good one is still taken.
            let good = verify(&good.dir, &policy, &programs).await;
            good.map_err(|refusals| told(Error::Refused(refusals)))?;
        }
        std::fs::remove_dir_all(&copies).map_err(|error| format!("{}: {error}", copies.display()))
    }
}

/// A place where nothing is: what is accepted there does no harm.
fn beside(way: &Way) -> Result<Target, String> {
    const NEVER: &str = "gauntlet-never-restored";
    Ok(match way.target("0")? {
        Target::Logical(mut database) => {
            (database.connection, database.replace) = (database.connection.to(NEVER), false);
            Target::Logical(database)
        }
        Target::PointInTime(mut data) => {
            (data.directory.path, data.directory.replace) =
                (format!("{}.{NEVER}", data.directory.path), false);
            Target::PointInTime(data)
        }
        Target::Redis(mut data) => {
            (data.directory.path, data.directory.replace) =
                (format!("{}.{NEVER}", data.directory.path), false);
            Target::Redis(data)
        }
        Target::Configuration(mut directory) => {
            (directory.path, directory.replace) = (format!("{}.{NEVER}", directory.path), false);
            Target::Configuration(directory)
        }
        Target::Objects(_) => return Err("objects are restored into the system itself".to_owned()),
    })
}

/// The reasons that both gave; none: one of them took it. An error: something else went wrong.
async fn refused(
    set: &std::path::Path,
    target: &Target,
    policy: &Policy,
    programs: &TargetPrograms,
) -> Result<Option<String>, String> {
    let Err(looked) = verify(set, policy, programs).await else { return Ok(None) };
    let restored = match restore(set, target, policy, programs).await {
        Ok(_) => return Ok(None),
        Err(Error::Refused(restored)) => restored,
        Err(other) => return Err(told(other)),
    };
    let names = |all: &[Refusal]| all.iter().map(Refusal::name).collect::<Vec<_>>().join(" and ");
    let (looked, restored) = (names(&looked), names(&restored));
    Ok(Some(if looked == restored { looked } else { format!("{looked}, but to a restore {restored}") }))
}
