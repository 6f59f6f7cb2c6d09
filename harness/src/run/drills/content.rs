//! Whether what was there before is there after a restore: looked at while the load goes on, and again when the restored server
//! runs. A dump is not looked at here: its restore compares by itself, with digests of the very moment.

use gauntlet_backup::{Error, content::Rows, form::redis, postgres::Connection, set::Set};
use gauntlet_core::{
    evidence::What,
    kind::{Form, Taken},
    step::Step,
};

use super::{Running, told, way::Way};

/// As many differences are told by name.
const TOLD: usize = 5;

/// The rows of a database before its backup began.
pub(super) struct Looked {
    taken: Taken,
    connection: Connection,
    before: Rows,
    /// What was there just before the destruction.
    later: Rows,
}

impl<'a> Running<'a> {
    /// Reads what a backup must hold, before it begins.
    pub(super) async fn look(&mut self, step: &'a Step) -> Result<(), String> {
        let programs = self.programs(step);
        for taken in self.drill.takes.iter().filter(|taken| is_directory(taken.form)) {
            let programs = programs.at(&taken.at);
            let way = Way::find(taken, &self.drill.track.name, &programs).await.map_err(told)?;
            let Way::BaseAndLog { stream, .. } = way else { continue };
            let connection = stream.connection;
            let before = Rows::read(&connection, &programs).await.map_err(told)?;
            let later = Rows::default();
            self.looked.push(Looked { taken: taken.clone(), connection, before, later });
        }
        Ok(())
    }

    /// Reads it again just before the destruction.
    pub(super) async fn look_again(&mut self, step: &'a Step) -> Result<(), String> {
        let programs = self.programs(step);
        for looked in &mut self.looked {
            let programs = programs.at(&looked.taken.at);
            looked.later = Rows::read(&looked.connection, &programs).await.map_err(told)?;
        }
        Ok(())
    }

    /// Compares what was restored, now that it runs.
    pub(super) async fn compare(&self) -> Result<(), String> {
        let Some(step) = &self.now else { return Ok(()) };
        let Some(programs) = self.programs.get(step) else { return Ok(()) };
        let say = |what: String| self.world.say(What::Compared { step: step.clone(), what });
        for looked in &self.looked {
            let programs = programs.at(&looked.taken.at);
            let restored = Rows::read(&looked.connection, &programs).await.map_err(told)?;
            // With its log to the destruction nothing is lost that came before it.
            let to_the_end = looked.taken.form == Form::BaseAndLogBefore;
            let wanted = if to_the_end { &looked.later } else { &looked.before };
            let changing = looked.before.changing(&looked.later).map_err(told)?;
            let kept = wanted.kept(changing, &restored).map_err(told)?;
            if !kept.lost.is_empty() {
                let named = kept.lost.iter().take(TOLD).map(|row| format!("{} {}", row.table, row.key));
                return Err(format!(
                    "{} rows that were there before are not there, or not as they were: {}",
                    kept.lost.len(),
                    named.collect::<Vec<_>>().join(", ")
                ));
            }
            let moment = if to_the_end { "the destruction" } else { "the backup" };
            say(format!("as before {moment}, row by row: {kept}"));
        }
        for backup in self.sets.iter().filter(|backup| backup.taken.form == Form::Snapshot) {
            let Way::Redis { server, .. } = &backup.way else { continue };
            let programs = programs.at(&backup.taken.at);
            let set = Set::open(&backup.made.dir).map_err(|refusals| told(Error::Refused(refusals)))?;
            let held = redis::keys(&set, &self.policy().keys, &programs).await.map_err(told)?;
            let loaded = server.loaded(&programs).await.map_err(told)?;
            match held.zip(loaded) {
                Some((held, loaded)) if held != loaded => {
                    return Err(format!("the snapshot holds {held} keys, and the server loaded {loaded}"));
                }
                Some((held, _)) => say(format!("the server loaded all of the {held} keys of its snapshot")),
                None => {}
            }
        }
        Ok(())
    }
}

fn is_directory(form: Form) -> bool {
    matches!(form, Form::BaseAndLog | Form::BaseAndLogBefore)
}
