//! The tracks of drills: back up, wait for writes, destroy, restore. What a drill runs in a place is run by the steps of
//! its programs; what cannot be backed up or restored is a finding about the system, and the run goes on.

use std::{collections::BTreeMap, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use gauntlet_backup::{
    About, Error, Keys, Made, Policy, Seal, backup, extend, form::point_in_time::Reach, restore, verify,
};
use gauntlet_core::{
    act::{Act, Artefact, Place},
    evidence::{TroubleKind, What},
    kind::{Stage, Taken},
    plan::DrillPlan,
    step::{Step, StepId},
    unit::Bytes,
};
use tokio::time::{Instant, timeout_at};

use self::{content::Looked, way::Way};
use super::{
    enter::enter,
    faults::{chain, undo},
    programs::{Said, TargetPrograms},
    recorder::Recorder,
    stop::Stop,
    world::World,
};
use crate::artefacts::Pipes;

mod content;
mod refusals;
mod way;

/// How often acknowledged writes are counted.
const COUNTED_EVERY: Duration = Duration::from_millis(50);
/// Who begins later than this was held up.
const BEGINS_WITHIN: Duration = Duration::from_secs(1);
/// How long a row may take from the load process to here.
const COME_BY: Duration = Duration::from_secs(1);

/// What drills need besides a world.
pub(super) struct Kit {
    pub(super) pipes: Arc<Pipes>,
    pub(super) recorder: Arc<Recorder>,
    /// The system's name.
    pub(super) system: String,
    /// The run's directory.
    pub(super) journal: PathBuf,
}

/// Runs the tracks of drills one after the other: what a drill broke is whole again before the next one begins, even
/// when that takes longer than it was given.
pub(super) async fn tracks(
    mut drills: Vec<DrillPlan>,
    zero: Instant,
    world: World,
    kit: Arc<Kit>,
    stop: Stop,
) {
    drills.sort_by_key(|drill| drill.begins);
    for drill in drills {
        if !stop.sleep_until(zero + drill.begins).await {
            return;
        }
        track(&drill, zero, &world, &kit, &stop).await;
    }
}

/// Runs one drill's track. When the run ends early, what is in the ledger is the run's end to undo.
async fn track(drill: &DrillPlan, zero: Instant, world: &World, kit: &Kit, stop: &Stop) {
    let mut running = Running::new(drill, world, kit);
    let ends = zero + drill.ends();
    let late = (zero + drill.begins).elapsed();
    let over = || Err(overrun(drill.within, late));
    if Instant::now() >= ends {
        running.tell(over());
        return;
    }
    let ended = tokio::select! {
        ended = timeout_at(ends, running.all()) => ended,
        () = stop.heard() => return,
    };
    let restored = running.tell(ended.unwrap_or_else(|_| over()));
    running.close().await;
    if restored {
        let ended = tokio::select! {
            ended = timeout_at(ends, running.compare()) => ended,
            () = stop.heard() => return,
        };
        running.tell(ended.unwrap_or_else(|_| over()));
    }
}

fn overrun(within: Duration, late: Duration) -> String {
    let over = format!("not done within {within:?}");
    if late < BEGINS_WITHIN {
        return over;
    }
    let late = late.as_secs_f64();
    format!(
        "{over}, of which the drill before it took {late:.0} s more than its own: give that one a longer `within:`"
    )
}

/// A drill as far as it has come.
struct Running<'a> {
    drill: &'a DrillPlan,
    world: &'a World,
    kit: &'a Kit,
    /// Whom sets with secrets are sealed to: nobody but this drill opens them.
    lock: (Seal, Keys),
    /// What others are not sealed to.
    open_seal: Seal,
    sets: Vec<Backup>,
    /// What was there before the backup.
    looked: Vec<Looked>,
    /// Who runs the programs of each step, and counts them.
    programs: BTreeMap<StepId, TargetPrograms>,
    /// Steps that are in force, oldest first.
    open: Vec<StepId>,
    /// The step that it is in.
    now: Option<StepId>,
    /// What the destruction printed.
    printed: Said,
}

/// A backup that was taken.
struct Backup {
    taken: Taken,
    way: Way,
    made: Made,
}

/// What a stage does that is decided there.
type Work<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// A step that only asks, while it does. However it ends, also when nobody waits for it any more, nothing of it is left.
struct Asking<'a> {
    world: &'a World,
    id: StepId,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.world.say(What::Healing { step: self.id.clone() });
        self.world.say(What::Healed { step: self.id.clone() });
    }
}

impl<'a> Running<'a> {
    fn new(drill: &'a DrillPlan, world: &'a World, kit: &'a Kit) -> Self {
        let (sets, open, printed) = (vec![], vec![], Said::default());
        let (lock, open_seal) = (Keys::generate(), Seal::none());
        let (looked, programs) = (vec![], BTreeMap::new());
        Self { drill, world, kit, lock, open_seal, sets, looked, programs, open, now: None, printed }
    }

    /// Whether it is done; why not is told.
    fn tell(&self, ended: Result<(), String>) -> bool {
        let Err(why) = ended else { return true };
        let first = || self.drill.track.steps.first().map(|step| step.id.clone());
        let step = self.now.clone().or_else(first);
        self.world.say(What::Trouble { kind: TroubleKind::Drill, step, why });
        false
    }

    async fn all(&mut self) -> Result<(), String> {
        let drill = self.drill;
        for (stage, step) in drill.steps() {
            self.now = Some(step.id.clone());
            match stage {
                Stage::Hold | Stage::Stop | Stage::Destroy => self.enter(step).await?,
                Stage::Backup => {
                    let ways = self.ways(step).await?;
                    self.look(step, &ways).await?;
                    self.asking(step, |me| Box::pin(me.back_up(step, ways))).await?;
                }
                Stage::Refuse => self.asking(step, |me| Box::pin(me.refuse(step))).await?,
                Stage::Write => {
                    self.asking(step, |me| Box::pin(me.writes())).await?;
                    self.look_again(step).await?;
                }
                Stage::Extend => self.asking(step, |me| Box::pin(me.extend(step))).await?,
                Stage::Restore => self.asking(step, |me| Box::pin(me.restore(step))).await?,
            }
        }
        Ok(())
    }

    /// Takes back what is in force, the newest first: what was stopped runs again.
    async fn close(&mut self) {
        while let Some(step) = self.open.pop() {
            undo(&mut vec![step], self.world).await;
        }
    }

    async fn enter(&mut self, step: &Step) -> Result<(), String> {
        if let Some(printed) = prints(step) {
            self.kit.pipes.writes(printed, Box::new(self.printed.clone()));
        }
        self.open.push(step.id.clone());
        enter(step, self.world).await.map_err(|why| chain(&why))
    }

    /// A step without acts of its own: nothing of it is ever in force.
    async fn asking<'b>(
        &'b mut self,
        step: &Step,
        work: impl FnOnce(&'b mut Self) -> Work<'b>,
    ) -> Result<(), String> {
        let asking = Asking { world: self.world, id: step.id.clone() };
        asking.world.say(What::Entering { step: step.id.clone(), acts: vec![] });
        let done = work(self).await;
        if done.is_ok() {
            asking.world.say(What::Entered { step: step.id.clone() });
        }
        done
    }

    /// Asks each place how a backup of it is taken.
    async fn ways(&mut self, step: &'a Step) -> Result<Vec<(Taken, Way)>, String> {
        let programs = self.programs(step);
        let mut ways = vec![];
        for taken in &self.drill.takes {
            let way = Way::find(taken, &self.drill.track.name, &programs.at(&taken.at)).await;
            ways.push((taken.clone(), way.map_err(told)?));
        }
        Ok(ways)
    }

    async fn back_up(&mut self, step: &'a Step, ways: Vec<(Taken, Way)>) -> Result<(), String> {
        let into = self.kit.journal.join("backups");
        std::fs::create_dir_all(&into).map_err(|error| format!("{}: {error}", into.display()))?;
        let programs = self.programs(step);
        for (taken, way) in ways {
            let programs = programs.at(&taken.at);
            let began = Instant::now();
            let about = self.about(&way);
            let made = backup(way.source(), &into, about, &programs).await.map_err(told)?;
            self.keep(step, taken, way, made, (began, &programs)).await?;
        }
        Ok(())
    }

    /// The log that was written since, up to now.
    async fn extend(&mut self, step: &'a Step) -> Result<(), String> {
        let programs = self.programs(step);
        for Backup { taken, way, made } in std::mem::take(&mut self.sets) {
            let Some(stream) = way.stream() else { continue };
            let programs = programs.at(&taken.at);
            let began = Instant::now();
            let more = extend(&made.dir, stream, (Reach::Server, &[]), self.about(&way), &programs);
            let made = more.await.map_err(told)?;
            self.keep(step, taken, way, made, (began, &programs)).await?;
        }
        Ok(())
    }

    /// A backup counts when it was verified.
    async fn keep(
        &mut self,
        step: &Step,
        taken: Taken,
        way: Way,
        made: Made,
        (began, programs): (Instant, &TargetPrograms),
    ) -> Result<(), String> {
        let took = began.elapsed();
        let refused = |refusals| told(Error::Refused(refusals));
        verify(&made.dir, &self.policy(), programs).await.map_err(refused)?;
        let bytes: u64 = made.manifest.parts.iter().map(|part| part.stored.bytes).sum();
        let name = made.dir.file_name().unwrap_or_default().to_string_lossy();
        let at = format!("backups/{name}");
        let what = format!(
            "{taken}: {} in {:.1} s, verified in {:.1} s: {at}",
            Bytes::new(bytes),
            took.as_secs_f64(),
            (began.elapsed() - took).as_secs_f64()
        );
        self.world.say(What::Kept { step: step.id.clone(), at, what });
        self.sets.push(Backup { taken, way, made });
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

    async fn restore(&mut self, step: &'a Step) -> Result<(), String> {
        let programs = self.programs(step);
        for Backup { taken, way, made } in &self.sets {
            let programs = programs.at(&taken.at);
            let target = way.target(&self.printed.text())?;
            let restored = restore(&made.dir, &target, &self.policy(), &programs).await.map_err(told)?;
            if let Some(compared) = restored.compared {
                let what = format!("restored from the {taken}: {compared}, as they were backed up");
                self.world.say(What::Compared { step: step.id.clone(), what });
            }
            way.settle(&programs).await.map_err(told)?;
        }
        for Backup { taken, way, made } in &self.sets {
            let Some(target) = way.last() else { continue };
            restore(&made.dir, &target, &self.policy(), &programs.at(&taken.at)).await.map_err(told)?;
        }
        Ok(())
    }

    fn about<'b>(&'b self, way: &Way) -> About<'b> {
        About { system: &self.kit.system, seal: if way.sealed() { &self.lock.0 } else { &self.open_seal } }
    }

    fn programs(&mut self, step: &Step) -> TargetPrograms {
        let first = self.drill.takes.first().map(|taken| taken.at.clone());
        let at = first.unwrap_or_else(|| Place::of(gauntlet_core::act::Unit::Ground));
        let new = || TargetPrograms::new(self.world, &self.kit.pipes, at, &step.id);
        self.programs.entry(step.id.clone()).or_insert_with(new).clone()
    }

    fn policy(&self) -> Policy {
        let (system, keys) = (Some(self.kit.system.clone()), self.lock.1.clone());
        Policy { system, keys, ..Policy::new(jiff::Timestamp::now()) }
    }
}

/// What a step's program prints, where somebody waits for it.
fn prints(step: &Step) -> Option<&Artefact> {
    step.acts.iter().find_map(|act| match act {
        Act::Exec { program, .. } => program.stdout.as_ref(),
        _ => None,
    })
}

fn told(error: Error) -> String {
    error.to_string()
}
