//! Whether what was there before is there after a restore: looked at while the load goes on, and again when the restored server
//! runs. A dump is not looked at here: its restore compares by itself, with digests of the very moment.

use gauntlet_backup::{
    Error,
    content::{Kept, Rows},
    form::redis::{self, Server},
    postgres::Connection,
    set::Set,
};
use gauntlet_core::{
    evidence::What,
    kind::{Form, Stage, Taken},
    step::Step,
};

use super::{Running, TargetPrograms, told, way::Way};

/// As many differences are told by name.
const TOLD: usize = 5;

/// What was there before its backup began.
pub(super) struct Looked {
    taken: Taken,
    holder: Holder,
    before: Rows,
    /// What was there just before the destruction.
    later: Rows,
}

/// Who has the rows or keys.
enum Holder {
    Postgres(Connection),
    Redis(Server),
}

impl Holder {
    fn of(way: &Way) -> Option<Self> {
        match way {
            Way::BaseAndLog { stream, .. } => Some(Self::Postgres(stream.connection.clone())),
            Way::Redis { server, .. } => Some(Self::Redis(server.clone())),
            Way::Dump(_) | Way::Configuration { .. } | Way::Objects => None,
        }
    }

    async fn read(&self, programs: &TargetPrograms) -> Result<Rows, String> {
        let read = match self {
            Self::Postgres(connection) => Rows::read(connection, programs).await,
            Self::Redis(server) => Rows::read_keys(server, programs).await,
        };
        read.map_err(told)
    }

    fn unit(&self) -> (&'static str, &'static str) {
        match self {
            Self::Postgres(_) => ("rows", "tables"),
            Self::Redis(_) => ("keys", "prefixes"),
        }
    }
}

/// What a restore lacks, the first of it by name.
fn missed(all: impl ExactSizeIterator<Item = String>, of: &str) -> String {
    let count = all.len();
    let named = all.take(TOLD).collect::<Vec<_>>().join(", ");
    format!("{count} {of} that were there before are not there, or not as they were: {named}")
}

impl<'a> Running<'a> {
    /// Reads what a backup must hold, before it begins, where it will be restored.
    pub(super) async fn look(&mut self, step: &'a Step, ways: &[(Taken, Way)]) -> Result<(), String> {
        if self.drill.step(Stage::Restore).is_none() {
            return Ok(());
        }
        let programs = self.programs(step);
        for (taken, way) in ways {
            let Some(holder) = Holder::of(way) else { continue };
            let before = holder.read(&programs.at(&taken.at)).await?;
            self.looked.push(Looked { taken: taken.clone(), holder, before, later: Rows::default() });
        }
        Ok(())
    }

    /// Reads it again just before the destruction.
    pub(super) async fn look_again(&mut self, step: &'a Step) -> Result<(), String> {
        let programs = self.programs(step);
        for looked in &mut self.looked {
            looked.later = looked.holder.read(&programs.at(&looked.taken.at)).await?;
        }
        Ok(())
    }

    /// Compares what was restored, now that it runs. A drill that only offers spoilt backups restores nothing.
    pub(super) async fn compare(&self) -> Result<(), String> {
        let Some(Step { id: step, .. }) = self.drill.step(Stage::Restore) else { return Ok(()) };
        let Some(programs) = self.programs.get(step) else { return Ok(()) };
        let say = |what: String| self.world.say(What::Compared { step: step.clone(), what });
        for looked in &self.looked {
            let restored = looked.holder.read(&programs.at(&looked.taken.at)).await?;
            let (rows, tables) = looked.holder.unit();
            // With its log to the destruction nothing is lost that came before it.
            let to_the_end = looked.taken.form == Form::BaseAndLogBefore;
            let wanted = if to_the_end { &looked.later } else { &looked.before };
            let changing = looked.before.changing(&looked.later).map_err(told)?;
            let kept = wanted.kept(changing, &restored).map_err(told)?;
            if !kept.lost.is_empty() {
                let named = kept.lost.iter().map(|row| format!("{} {}", row.table, row.key));
                return Err(missed(named, rows));
            }
            if !kept.gone.is_empty() {
                return Err(missed(kept.gone.iter().map(ToString::to_string), "sequences and definitions"));
            }
            let moment = if to_the_end { "the destruction" } else { "the backup" };
            let Kept { rows: compared, tables: of, shape, changing, .. } = kept;
            let shape =
                if shape == 0 { String::new() } else { format!(", and {shape} sequences and definitions") };
            let except = if changing.is_empty() {
                String::new()
            } else {
                let named = changing.join(", ");
                format!("; not compared, for their {rows} change under this load: {named}")
            };
            say(format!("as before {moment}, one by one: {compared} {rows} in {of} {tables}{shape}{except}"));
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
