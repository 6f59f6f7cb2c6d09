//! `configuration`: what components have on disk besides data (settings, secrets) is backed up, sealed; they end, it is
//! destroyed, restored into an empty directory, and they start from it. No write may be lost.

use super::{About, DrillKind, Drilled, Form, Loses, Stage, Staged, Taken, items, shell};
use crate::{
    act::{Ability, Act, Place},
    yaml::Mistake,
};

/// The kind.
pub struct Configuration;

static ABOUT: About = About {
    word: "configuration",
    summary: "destroys what components have on disk besides data, and restores it from a sealed backup",
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
        let wipes = said.replicas().map(|(at, _)| wipe(&at, false)).collect();
        vec![
            Staged::asks(Stage::Backup),
            Staged::asks(Stage::Write),
            said.stop(),
            Staged::acts(Stage::Destroy, wipes),
            Staged::asks(Stage::Restore),
        ]
    }

    fn takes(&self, said: &Drilled<'_>) -> Vec<Taken> {
        said.replicas().map(|(at, _)| Taken { at, form: Form::Configuration }).collect()
    }

    fn loses(&self) -> Loses {
        Loses::Nothing
    }

    fn needs(&self) -> &'static [Ability] {
        &[Ability::Exec, Ability::Files]
    }
}

/// Removes what a replica has in its directory: with its data, or without.
pub(super) fn wipe(at: &Place, data: bool) -> Act {
    let kept = if data { "" } else { r#" [ "$one" != "${one%/data}" ] ||"# };
    shell(at, &format!(r#"for one in "${{HOME:?}}"/* "$HOME"/.[!.]*; do{kept} rm -rf -- "$one"; done"#))
}
