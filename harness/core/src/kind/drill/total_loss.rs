//! `total-loss`: components end and everything that they have on disk is destroyed: settings, secrets, data. They are restored
//! from the backups alone. What was acknowledged after the backup began is lost, and nothing else.
//!
//! Where the system is configured by objects the whole ground goes, volumes included, so all components are lost or none.

use super::{
    About, DrillKind, Drilled, Form, Loses, Staged, Taken, configuration::wipe, hold, items, objects,
};
use crate::{
    act::{Ability, Place},
    kind::server::{found, is_postgres, is_redis},
    system::Component,
    yaml::Mistake,
};

/// The kind.
pub struct TotalLoss;

static ABOUT: About = About {
    word: "total-loss",
    summary: "destroys everything that components have, and restores them from the backups alone",
    example: "total-loss: [database, cache, service, ingress]\nat: drill + 5s\nlose: 1000\n",
    schema: items,
};

impl DrillKind for TotalLoss {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn fits(&self, said: &Drilled<'_>) -> Result<(), Mistake> {
        let databases = said.components.iter().filter(|(_, spec)| is_postgres(spec)).count();
        if databases > 1 {
            return Err(Mistake::at(ABOUT.word, "two databases cannot be backed up at one moment")
                .mend("name one of them"));
        }
        if said.objects && !said.all {
            let what = "on this target everything is lost at once, and not all components are named";
            return Err(Mistake::at(ABOUT.word, what).mend("name every component of the system"));
        }
        found(&ABOUT, said)
    }

    fn stages(&self, said: &Drilled<'_>) -> Vec<Staged> {
        let database = said.replicas().find(|(_, spec)| is_postgres(spec));
        let hold = database.map(|(at, _)| hold(&at, &said.name(&ABOUT)));
        let wipes = if said.objects {
            vec![objects(["remove-all".to_owned()])]
        } else {
            said.replicas().map(|(at, _)| wipe(&at, true)).collect()
        };
        hold.into_iter().chain(said.stopped(wipes)).collect()
    }

    fn takes(&self, said: &Drilled<'_>) -> Vec<Taken> {
        let of = |(at, spec): (Place, &Component)| {
            let database = is_postgres(spec).then_some(Form::BaseAndLog);
            let form = database.or(is_redis(spec).then_some(Form::Snapshot))?;
            Some(Taken { at, form })
        };
        // What data are restored into comes first.
        said.configuration().into_iter().chain(said.replicas().filter_map(of)).collect()
    }

    fn loses(&self) -> Loses {
        Loses::SinceBackup
    }

    fn needs(&self, said: &Drilled<'_>) -> Vec<Ability> {
        said.configurable()
    }
}
