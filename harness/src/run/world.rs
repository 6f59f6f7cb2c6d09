//! What a step needs of the world: the three doors, and someone to tell.

use std::sync::Arc;

use gauntlet_core::{
    evidence::What,
    port::{Ledger, Target, Trouble, Witness},
};

use crate::target::{Doors, Tempo};

/// Hears what happens. The journal and the console of a run; the log of a watchdog.
pub trait Tell: Send + Sync {
    /// Takes one event. A journal that cannot be written is the teller's to remember: healing goes on.
    fn tell(&self, what: What);
}

/// The doors of one run, shared by its tracks.
#[derive(Clone)]
pub struct World {
    /// Acts.
    pub target: Arc<dyn Target>,
    /// Sees.
    pub witness: Arc<dyn Witness>,
    /// Remembers.
    pub ledger: Arc<dyn Ledger>,
    /// Hears.
    pub tell: Arc<dyn Tell>,
    /// How fast the target is.
    pub tempo: Tempo,
}

impl World {
    /// The doors of a run, and who hears of it.
    pub fn of(doors: &Doors, tell: Arc<dyn Tell>, tempo: Tempo) -> Self {
        let Doors { target, witness, ledger, .. } = doors.clone();
        Self { target, witness, ledger, tell, tempo }
    }

    /// Tells what happened.
    pub fn say(&self, what: What) {
        self.tell.tell(what);
    }

    /// The receipts that are in force, oldest first.
    pub async fn in_force(&self) -> Result<Vec<gauntlet_core::receipt::Receipt>, Trouble> {
        self.ledger.open().await
    }
}
