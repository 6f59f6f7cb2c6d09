//! Rolling a component out on this machine: one replica after the other is ended in order (it drains), started as the new
//! revision, and awaited, before the next one is touched.
//!
//! It is done as a controller would do it. The revision is written down first, so that whoever starts a replica meanwhile
//! starts the new one. A replica that does not get ready stalls the rollout: the others stay as they are, and serve. That
//! is no failure of the act; a proof says whether the rollout completed. Rolling out again takes up what was cut short,
//! whoever begins: what runs as it should is left alone. Whoever ends replicas, or rolls anew, ends a roll that goes on.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use gauntlet_core::{
    act::{Act, Revision},
    name::Name,
    port::Trouble,
    system::System,
};

use super::{answers::answers, ground, replica::Local, revision};
use crate::layout::{Layout, Replica};

/// So long a replica must answer before the next one goes: an ingress has to see it, too.
const SETTLED: Duration = Duration::from_secs(1);
/// So long it may be away: a fault in the middle of a rollout ends it, and it is started again.
const AWAY: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(50);

/// Held while a replica is started or stopped.
type Turn = Arc<Mutex<()>>;

/// What goes on: one rollout of a component, one start or stop of a replica at a time.
#[derive(Debug, Default)]
pub(super) struct Rolls {
    numbers: Mutex<BTreeMap<Name, u64>>,
    replicas: Mutex<BTreeMap<(Name, u16), Turn>>,
}

impl Rolls {
    /// Ends the rollout of a component that goes on. Answers the number of the next one.
    pub(super) fn supersede(&self, component: &Name) -> u64 {
        let mut numbers = locked(&self.numbers);
        let number = numbers.entry(component.clone()).or_insert(0);
        *number += 1;
        *number
    }

    /// Ends all of them.
    pub(super) fn supersede_all(&self) {
        locked(&self.numbers).values_mut().for_each(|number| *number += 1);
    }

    fn is_current(&self, component: &Name, number: u64) -> bool {
        locked(&self.numbers).get(component) == Some(&number)
    }

    /// Nobody else starts or ends this replica meanwhile.
    pub(super) fn alone<T>(&self, replica: &Replica, work: impl FnOnce() -> T) -> T {
        let key = (replica.component.clone(), replica.index);
        let one = locked(&self.replicas).entry(key).or_default().clone();
        let _held = locked(&one);
        work()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What became of a replica that was started.
enum Became {
    Ready,
    Stalled(&'static str),
    Superseded,
}

/// One rollout.
pub(super) struct Roll<'a> {
    pub(super) system: &'a System,
    pub(super) layout: &'a Layout,
    pub(super) rolls: &'a Rolls,
    pub(super) component: &'a Name,
}

impl Roll<'_> {
    /// The revision that runs, and whether all replicas run it.
    pub(super) fn present(&self) -> io::Result<(Revision, bool)> {
        let wanted = revision::wanted(self.system, self.layout, self.component)?;
        let mut whole = true;
        for replica in self.replicas() {
            whole &= self.local(replica).runs(&wanted)?;
        }
        Ok((wanted, whole))
    }

    /// Rolls out, until every replica runs the revision or one does not come up.
    pub(super) fn out(&self, act: &Act, wanted: &Revision) -> Result<(), Trouble> {
        let failed = |error: io::Error| Trouble::failed(act, error);
        // With the ground the component is gone.
        if !ground::stands(self.layout) {
            return Ok(());
        }
        let number = self.rolls.supersede(self.component);
        revision::want(self.layout, self.component, wanted).map_err(failed)?;
        for replica in self.replicas() {
            let local = self.local(replica);
            if local.runs(wanted).map_err(failed)? {
                continue;
            }
            let replace = || local.stop(|| true).and_then(|()| local.start());
            if !self.rolls.is_current(self.component, number) {
                return Err(superseded(act));
            }
            self.rolls.alone(replica, replace)?;
            match self.became(&local, replica, number) {
                Became::Ready => {}
                Became::Stalled(why) => {
                    tracing::debug!("{act} stalls: {}-{} {why}", replica.component, replica.index);
                    return Ok(());
                }
                Became::Superseded => return Err(superseded(act)),
            }
        }
        Ok(())
    }

    fn became(&self, local: &Local<'_>, replica: &Replica, number: u64) -> Became {
        let Some(spec) = self.system.components.get(self.component) else { return Became::Ready };
        let until = Instant::now() + spec.ready_within.get();
        let (mut since, mut seen) = (None, Instant::now());
        loop {
            if !self.rolls.is_current(self.component, number) {
                return Became::Superseded;
            }
            if local.root().is_some() {
                seen = Instant::now();
            } else if seen.elapsed() >= AWAY {
                return Became::Stalled("has ended");
            }
            if !answers(self.layout, replica, &spec.ready) {
                since = None;
            } else if since.get_or_insert_with(Instant::now).elapsed() >= SETTLED {
                return Became::Ready;
            }
            if since.is_none() && Instant::now() > until {
                return Became::Stalled("does not get ready");
            }
            thread::park_timeout(PAUSE);
        }
    }

    fn replicas(&self) -> impl Iterator<Item = &Replica> {
        self.layout.replicas.iter().filter(|replica| replica.component == *self.component)
    }

    fn local<'b>(&'b self, replica: &'b Replica) -> Local<'b> {
        Local::new(self.system, self.layout, replica)
    }
}

fn superseded(act: &Act) -> Trouble {
    Trouble::failed(act, "another act has ended it")
}
