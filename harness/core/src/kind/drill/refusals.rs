//! `refusals`: backups of every form that a component has are taken, and copies of them are spoilt in seven ways: truncated, a bit
//! flipped, empty, stale, foreign, of a wrong version, wrongly encrypted. Each must be refused with its reason, when it is
//! verified and when it is restored; nothing is destroyed, and nothing may be lost.

use super::{About, DrillKind, Drilled, Form, Loses, Stage, Staged, Taken, hold, item};
use crate::{
    kind::server::{is_redis, postgres, redis},
    yaml::Mistake,
};

/// The kind.
pub struct Refusals;

static ABOUT: About = About {
    word: "refusals",
    summary: "offers spoilt backups to a restore, which must refuse each with its reason; destroys nothing",
    example: "refusals: database\nat: drill + 5s\n",
    schema: item,
};

impl DrillKind for Refusals {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn fits(&self, said: &Drilled<'_>) -> Result<(), Mistake> {
        if is_redis(said.one(&ABOUT)?.1) { redis(&ABOUT, said) } else { postgres(&ABOUT, said) }
    }

    fn stages(&self, said: &Drilled<'_>) -> Vec<Staged> {
        let log = self.takes(said).iter().any(|taken| taken.form == Form::BaseAndLog);
        let hold = log.then(|| hold(&said.first(), &said.name(&ABOUT)));
        hold.into_iter().chain([Staged::asks(Stage::Backup), Staged::asks(Stage::Refuse)]).collect()
    }

    fn takes(&self, said: &Drilled<'_>) -> Vec<Taken> {
        let cache = said.components.iter().any(|(_, spec)| is_redis(spec));
        let forms = if cache { [Form::Snapshot, Form::AppendOnly] } else { [Form::Dump, Form::BaseAndLog] };
        forms.into_iter().map(|form| Taken { at: said.first(), form }).collect()
    }

    fn loses(&self) -> Loses {
        Loses::Nothing
    }

    fn destroys(&self) -> bool {
        false
    }
}
