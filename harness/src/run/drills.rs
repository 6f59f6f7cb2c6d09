//! The tracks of drills: back up, wait for writes, destroy, restore. What a drill runs in a place is run by the steps of
//! its programs; what cannot be backed up or restored is a finding about the system, and the run goes on.

use std::{path::PathBuf, sync::Arc, time::Duration};

use gauntlet_backup::{
    About, Error, Made, Policy, Seal, Source, Target, backup,
    call::{Call, Programs},
    form::logical::Database,
    postgres::{At, Connection},
    restore, verify,
};
use gauntlet_core::{
    act::Place,
    evidence::{TroubleKind, What},
    kind::Stage,
    plan::DrillPlan,
    step::{Begin, Step, StepId},
    unit::Bytes,
};
use tokio::time::{Instant, timeout_at};

use super::{
    enter::enter,
    faults::{chain, undo},
    programs::TargetPrograms,
    recorder::Recorder,
    stop::Stop,
    world::World,
};
use crate::artefacts::Pipes;

/// How often acknowledged writes are counted.
const COUNTED_EVERY: Duration = Duration::from_millis(50);
/// How long a row may take from the load process to here.
const COME_BY: Duration = Duration::from_secs(1);
/// What the environment of a database's place says of how it is reached from there.
const REACHED: &str = r#"printf '%s\n' "${PGHOST:?}" "${PGPORT:?}" "${PGUSER:?}" "${PGDATABASE:?}""#;

/// What drills need besides a world.
pub(super) struct Kit {
    pub(super) pipes: Arc<Pipes>,
    pub(super) recorder: Arc<Recorder>,
    /// The system's name.
    pub(super) system: String,
    /// The run's directory.
    pub(super) journal: PathBuf,
}

/// Runs one drill's track. When the run ends early, what is in the ledger is the run's end to undo.
pub(super) async fn track(drill: DrillPlan, zero: Instant, world: World, kit: Arc<Kit>, stop: Stop) {
    let begins = drill.track.steps.first().map(|step| step.begin);
    if let Some(Begin::At(at)) = begins
        && !stop.sleep_until(zero + at).await
    {
        return;
    }
    let mut running = Running { drill: &drill, world: &world, kit: &kit, made: None, now: None };
    let ended = tokio::select! {
        ended = timeout_at(zero + drill.ends(), running.all()) => ended,
        () = stop.heard() => return,
    };
    let why = match ended {
        Ok(Ok(())) => None,
        Ok(Err(why)) => Some(why),
        Err(_) => Some(format!("not done within {:?}", drill.within)),
    };
    if let Some(why) = why {
        let step = running.now.clone();
        world.say(What::Trouble { kind: TroubleKind::Drill, step, why });
    }
    if let Some(step) = running.now {
        undo(&mut vec![step.clone()], &world).await;
    }
}

/// A drill as far as it has come.
struct Running<'a> {
    drill: &'a DrillPlan,
    world: &'a World,
    kit: &'a Kit,
    made: Option<Made>,
    /// The step that it is in.
    now: Option<StepId>,
}

impl Running<'_> {
    async fn all(&mut self) -> Result<(), String> {
        for (stage, step) in Stage::ALL.into_iter().zip(&self.drill.track.steps) {
            self.now = Some(step.id.clone());
            match stage {
                Stage::Destroy => {
                    enter(step, self.world).await.map_err(|why| chain(&why))?;
                    undo(&mut vec![step.id.clone()], self.world).await;
                }
                Stage::Backup => self.asking(step, |me, step| Box::pin(me.back_up(step))).await?,
                Stage::Write => self.asking(step, |me, _| Box::pin(me.writes())).await?,
                Stage::Restore => self.asking(step, |me, step| Box::pin(me.restore(step))).await?,
            }
        }
        self.now = None;
        Ok(())
    }

    /// A step without acts of its own: nothing of it is ever in force.
    async fn asking<'b>(
        &'b mut self,
        step: &'b Step,
        work: impl FnOnce(
            &'b mut Self,
            &'b Step,
        ) -> std::pin::Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'b>>,
    ) -> Result<(), String> {
        let (world, id) = (self.world, step.id.clone());
        world.say(What::Entering { step: id.clone(), acts: vec![] });
        let done = work(self, step).await;
        if done.is_ok() {
            world.say(What::Entered { step: id.clone() });
        }
        world.say(What::Healing { step: id.clone() });
        world.say(What::Healed { step: id });
        done
    }

    async fn back_up(&mut self, step: &Step) -> Result<(), String> {
        let programs = self.programs(step);
        let began = Instant::now();
        let into = self.kit.journal.join("backups");
        std::fs::create_dir_all(&into).map_err(|error| format!("{}: {error}", into.display()))?;
        let source = Source::Logical(reached(&programs).await.map_err(told)?);
        let about = About { system: &self.kit.system, seal: &Seal::none() };
        let made = backup(source, &into, about, &programs).await.map_err(told)?;
        let taken = began.elapsed();
        verify(&made.dir, &self.policy(), &programs)
            .await
            .map_err(|refused| told(Error::Refused(refused)))?;
        let bytes: u64 = made.manifest.parts.iter().map(|part| part.stored.bytes).sum();
        let name = made.dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let what = format!(
            "{} in {:.1} s, verified in {:.1} s: backups/{name}",
            Bytes::new(bytes),
            taken.as_secs_f64(),
            (began.elapsed() - taken).as_secs_f64()
        );
        self.world.say(What::Kept { step: step.id.clone(), at: format!("backups/{name}"), what });
        self.made = Some(made);
        Ok(())
    }

    async fn writes(&mut self) -> Result<(), String> {
        // What was acknowledged before the backup ended has come by then.
        tokio::time::sleep(COME_BY).await;
        let before = self.kit.recorder.acknowledged();
        while self.kit.recorder.acknowledged() - before < self.drill.lose {
            tokio::time::sleep(COUNTED_EVERY).await;
        }
        Ok(())
    }

    async fn restore(&mut self, step: &Step) -> Result<(), String> {
        let made = self.made.as_ref().ok_or("there is no backup")?;
        let programs = self.programs(step);
        let connection = reached(&programs).await.map_err(told)?;
        let target = Target::Logical(Database { connection, replace: true });
        restore(&made.dir, &target, &self.policy(), &programs).await.map_err(told)?;
        Ok(())
    }

    fn programs(&self, step: &Step) -> TargetPrograms {
        let at = Place::replica(&self.drill.component, 1);
        TargetPrograms::new(self.world, &self.kit.pipes, at, &step.id)
    }

    fn policy(&self) -> Policy {
        Policy { system: Some(self.kit.system.clone()), ..Policy::new(jiff::Timestamp::now()) }
    }
}

/// How a PostgreSQL server is reached from its own place: its environment says so, password and all.
async fn reached(programs: &dyn Programs) -> Result<Connection, Error> {
    let call = Call::shell(REACHED, []);
    let mut text = vec![];
    let ended = programs.run(&call, None, Some(&mut text)).await?;
    call.check(&ended)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let wrong = || {
        Error::at(
            "the environment of the component",
            format!("{text:?}"),
            "set PGHOST, PGPORT, PGUSER and PGDATABASE",
        )
    };
    let [host, port, user, database] = text.lines().collect::<Vec<_>>()[..] else { return Err(wrong()) };
    let at = At::Tcp { host: host.to_owned(), port: port.parse().map_err(|_| wrong())? };
    Ok(Connection { at, user: user.to_owned(), database: database.to_owned(), password: None })
}

fn told(error: Error) -> String {
    error.to_string()
}
