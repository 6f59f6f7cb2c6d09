//! `configuration`: what components are configured by (settings, secrets) is backed up, sealed; they end, it is destroyed,
//! restored, and they start from it. No write may be lost.
//!
//! It is what each replica has in its directory besides data; or all objects of the ground, of which only the workloads of
//! other components and the volumes stay.

use super::{About, DrillKind, Drilled, Loses, Staged, Taken, items, objects, shell};
use crate::{
    act::{Ability, Act, Place},
    yaml::Mistake,
};

/// The kind.
pub struct Configuration;

static ABOUT: About = About {
    word: "configuration",
    summary: "destroys what components are configured by, and restores it from a sealed backup",
    example: "configuration: [service, ingress]\nat: drill + 5s\n",
    schema: items,
};

impl DrillKind for Configuration {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn fits(&self, _: &Drilled<'_>) -> Result<(), Mistake> {
        Ok(())
    }

    fn stages(&self, said: &Drilled<'_>) -> Vec<Staged> {
        let named = said.components.iter().map(|(name, _)| name.to_string());
        let wipes = if said.objects {
            vec![objects(["remove".to_owned()].into_iter().chain(named))]
        } else {
            said.replicas().map(|(at, _)| wipe(&at, false)).collect()
        };
        said.stopped(wipes)
    }

    fn takes(&self, said: &Drilled<'_>) -> Vec<Taken> {
        said.configuration()
    }

    fn loses(&self) -> Loses {
        Loses::Nothing
    }

    fn needs(&self, said: &Drilled<'_>) -> Vec<Ability> {
        said.configurable()
    }
}

/// Removes what a replica has in its directory: with its data, or without.
pub(super) fn wipe(at: &Place, data: bool) -> Act {
    let kept = if data { "" } else { r#" [ "$one" != "${one%/data}" ] ||"# };
    shell(at, &format!(r#"for one in "${{HOME:?}}"/* "$HOME"/.[!.]*; do{kept} rm -rf -- "$one"; done"#))
}
