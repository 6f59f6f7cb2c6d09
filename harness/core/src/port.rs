//! The only doors between the pure core and the world: a target acts, a witness sees, a ledger remembers; queries answer
//! where a system is reached, what it logged and what it measures; artefacts are what its programs wrote and read.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::{Future, pending},
    io::{Read, Write},
    path::Path,
    pin::Pin,
    time::Duration,
};

use crate::{
    act::{Ability, Act, Artefact, Program, Unit},
    evidence::{Sample, Surroundings},
    name::Name,
    proof::{Query, Reading},
    receipt::{Prepared, Receipt},
    step::StepId,
    system::Metric,
};

/// Object-safe async, without a macro.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T, Trouble>> + Send + 'a>>;

/// Why a door did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Something that is not allowed here, or that this target cannot do.
    #[error("{what} refused: {why}")]
    Refused {
        /// The act or query.
        what: String,
        /// The rule.
        why: String,
    },
    /// It was tried and did not work.
    #[error("{what} failed: {why}")]
    Failed {
        /// The act or query.
        what: String,
        /// The last reason.
        why: String,
    },
    /// A program ended otherwise than well.
    #[error("{what} failed: exit code {code}: {said}")]
    Exited {
        /// The act.
        what: String,
        /// Its exit code.
        code: i32,
        /// The end of what it complained of.
        said: String,
    },
    /// A proof did not come in time.
    #[error("{what} not seen within {within:?}: last saw {last}")]
    Unproved {
        /// The proof.
        what: String,
        /// How long was waited.
        within: Duration,
        /// The last reading or error.
        last: String,
    },
    /// Another process took over; the old holder acts no more.
    #[error("fenced: another process took this run over")]
    Fenced,
}

impl Trouble {
    /// `Failed` from anything that can be shown.
    pub fn failed(what: impl ToString, why: impl ToString) -> Self {
        Self::Failed { what: what.to_string(), why: why.to_string() }
    }

    /// `Refused` from anything that can be shown.
    pub fn refused(what: impl ToString, why: impl ToString) -> Self {
        Self::Refused { what: what.to_string(), why: why.to_string() }
    }
}

/// Processes, containers or a cluster: four verbs, whatever the catalogue grows to.
pub trait Target: Send + Sync {
    /// What it can do here and now; the pure planner reads it.
    fn abilities(&self) -> Later<'_, BTreeSet<Ability>>;
    /// Reads only: pins names to objects, takes the inverse from the present state.
    fn prepare<'a>(&'a self, act: &'a Act) -> Later<'a, Prepared>;
    /// Idempotent. An undo whose object is gone has succeeded.
    fn apply<'a>(&'a self, act: &'a Act) -> Later<'a, ()>;
    /// What carries the run's mark, as the acts that remove it.
    fn leftovers(&self) -> Later<'_, Vec<Act>>;
}

/// Sees by its own way (/proc, a socket, SQL); imports nothing from a `Target`.
pub trait Witness: Send + Sync {
    /// One reading, now.
    fn look<'a>(&'a self, ask: &'a Query) -> Later<'a, Reading>;
}

/// What a place where systems run answers, besides acting.
pub trait Queries: Send + Sync {
    /// `HOST:PORT` where the system file's endpoint is reached from here.
    fn endpoint(&self) -> Later<'_, String>;
    /// Copies what every replica logged into a directory, one file each, without secrets.
    fn logs<'a>(&'a self, into: &'a Path) -> Later<'a, ()>;
    /// Keeps what can be known of a system that did not come up in a directory, without secrets; answers whether there
    /// is more to know than the logs.
    fn diagnose<'a>(&'a self, into: &'a Path) -> Later<'a, bool>;
    /// Answers why what is started now cannot come, however long one waits; never, where that is not known.
    fn hopeless(&self) -> Pin<Box<dyn Future<Output = String> + Send + '_>> {
        Box::pin(pending())
    }
    /// The last lines that a unit logged, without secrets; none when it logged nothing.
    fn last_words<'a>(&'a self, unit: &'a Unit, lines: usize) -> Later<'a, Option<String>>;
    /// What runs, and on what, for the record; empty where the beginning of the journal says it all.
    fn surroundings(&self) -> Later<'_, Surroundings> {
        Box::pin(async { Ok(Surroundings::default()) })
    }
    /// What reads these metrics, and CPU and memory of every replica. Sees by the way of the witness.
    fn meter(&self, metrics: &BTreeMap<Name, Metric>) -> Box<dyn Meter>;
}

/// Reads metrics, again and again.
pub trait Meter: Send {
    /// Reads everything once; also answers what could not be read though it should. A replica that is frozen or gone
    /// gives no sample, and that is no fault of the reading.
    fn sample(&mut self, at_us: u64) -> Later<'_, (Vec<Sample>, Vec<String>)>;
}

/// Where a run keeps what its programs wrote, and finds what they read.
pub trait Artefacts: Send + Sync {
    /// Opens one for reading.
    fn read(&self, artefact: &Artefact) -> Result<Box<dyn Read + Send>, Trouble>;
    /// Begins one. There is none of that name before `keep`, nor when it never comes.
    fn write(&self, artefact: &Artefact) -> Result<Box<dyn Keep>, Trouble>;
}

/// An artefact that is being written.
pub trait Keep: Write + Send {
    /// It is whole: stored durably under its name, in the place of an older one.
    fn keep(self: Box<Self>) -> Result<(), Trouble>;
}

/// What a program reads and writes, opened before it is started.
pub struct Streams {
    /// What it reads.
    pub stdin: Option<Box<dyn Read + Send>>,
    /// Where its output goes.
    pub stdout: Option<Box<dyn Keep>>,
    /// Where its complaints go.
    pub stderr: Option<Box<dyn Keep>>,
}

impl Streams {
    /// Opens what the program names. `what` is told where that fails.
    pub fn open(program: &Program, artefacts: Option<&dyn Artefacts>, what: &str) -> Result<Self, Trouble> {
        let door = || artefacts.ok_or_else(|| Trouble::refused(what, "no artefacts are kept or found here"));
        let stdin = program.stdin.as_ref().map(|artefact| door()?.read(artefact)).transpose()?;
        let stdout = program.stdout.as_ref().map(|artefact| door()?.write(artefact)).transpose()?;
        let stderr = program.stderr.as_ref().map(|artefact| door()?.write(artefact)).transpose()?;
        Ok(Self { stdin, stdout, stderr })
    }
}

/// What is in force now: small, durable at once, readable by the watchdog. Not the journal.
pub trait Ledger: Send + Sync {
    /// Stores a receipt durably; fails once fenced.
    fn put<'a>(&'a self, receipt: &'a Receipt) -> Later<'a, ()>;
    /// Removes a receipt; one that is gone already has succeeded.
    fn clear<'a>(&'a self, step: &'a StepId) -> Later<'a, ()>;
    /// What is in force, oldest first.
    fn open(&self) -> Later<'_, Vec<Receipt>>;
    /// The old holder acts no more, from here on.
    fn fence(&self) -> Later<'_, ()>;
}
