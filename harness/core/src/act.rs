//! Acts: changes to the system, as data, so that a plan can print them, a ledger can store them, and another
//! process can apply them.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    name::Name,
    system::{Changes, Shares},
};

/// One change to the system. A closed set: a new one changes every target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// Starts a unit; one that runs already is left alone.
    Start {
        /// What is started.
        unit: Unit,
    },
    /// Ends a unit and its whole process tree; one that is gone already has succeeded.
    Stop {
        /// What is ended.
        at: Place,
    },
    /// Signals the whole process tree of a replica.
    Signal {
        /// Who is signalled.
        at: Place,
        /// With what.
        signal: Signal,
    },
    /// Makes every replica of a component run another revision, one after the other. It is done when the target has
    /// done its part: a proof says whether all of them came up.
    Configure {
        /// The component, as a unit.
        unit: Unit,
        /// What they are to run.
        revision: Revision,
    },
    /// Tells a component how many replicas it is to have. Those that go are asked to end; which ones is the target's
    /// choice.
    Scale {
        /// The component, as a unit.
        unit: Unit,
        /// How many.
        replicas: u16,
    },
    /// Splits a component's traffic between it and its sets.
    Weigh {
        /// The component, as a unit.
        unit: Unit,
        /// What each set gets; the rest is the component's own.
        shares: Shares,
    },
    /// Runs a program at the place of a replica, in its environment, to its end. It is done when the program ended well
    /// (exit code 0). For drills and hooks: nobody can read what would take it back.
    Exec {
        /// The replica.
        at: Place,
        /// What runs there.
        program: Program,
    },
}

/// A program that is run to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Its name and arguments; no shell reads them.
    pub argv: Vec<String>,
    /// What it reads; nothing unless named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<Artefact>,
    /// Where its output is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout: Option<Artefact>,
    /// Where the end of what it complains of is kept; that of one that fails is told besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr: Option<Artefact>,
    /// How long it may take.
    pub within: Duration,
}

/// A file that a run keeps, by name: a backup, or what a program wrote. Healing never removes one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Artefact(pub Name);

/// What a component is to run: the system file as it stands, or with named changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// `original`, or the name that the system file gives it.
    pub name: Name,
    /// What differs from the original. Whole in itself, so that a receipt needs no system file.
    #[serde(default)]
    pub changes: Changes,
}

/// What `Start` brings up. The target knows the recipe (program, settings, ports) from the system file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// What a run stands on: a private directory and ports, or a namespace. Ending it removes all that bears the run's mark.
    Ground,
    /// One replica of a component.
    Replica {
        /// The component of the system file.
        component: Name,
        /// Counted from 1.
        index: u16,
    },
    /// A component as a whole: what is true of all its replicas.
    Component {
        /// The component of the system file.
        component: Name,
    },
    /// A tool that opens connections from the place of a component's first replica, or of a stranger.
    Probe {
        /// The component or the stranger of the system file.
        source: Name,
    },
}

/// Where an act applies: a unit, and once `prepare` has pinned it, the very object that was found there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The unit as the plan names it.
    pub unit: Unit,
    /// The object that `prepare` found, in the target's own words (`process 4711 started 81234`). An act that is pinned never touches a successor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<Object>,
}

/// The identity of one living thing of a target: never reused, unlike a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Object(pub String);

/// What a process tree can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signal {
    /// SIGKILL.
    Kill,
    /// SIGTERM.
    Terminate,
    /// SIGINT: for programs that end faster on it, such as PostgreSQL.
    Interrupt,
    /// SIGSTOP.
    Pause,
    /// SIGCONT.
    Resume,
}

/// What a target must be able to do for a plan; derived from its acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ability {
    /// Start and stop units.
    Start,
    /// Kill or terminate a process tree.
    Kill,
    /// What was killed stays away until it is started: nobody else starts it.
    Away,
    /// Freeze and thaw a process tree.
    Pause,
    /// Roll a component out anew, with other settings.
    Configure,
    /// The same with another program: replicas are processes of this machine.
    Program,
    /// The same with another image: replicas are containers.
    Image,
    /// Change how many replicas a component has.
    Scale,
    /// Open connections from the place of a component.
    Probe,
    /// Split a component's traffic between it and its sets.
    Weigh,
    /// Run programs at the place of a replica.
    Exec,
    /// What a replica is configured by lies in its own directory (`HOME`), and a start takes it from there.
    Files,
    /// What the system is configured by are objects: the ground runs `objects export`, `objects remove COMPONENT...`,
    /// `objects remove-all`, and `objects import`, with `closed` for all but what lets users in.
    Objects,
}

impl Revision {
    /// The name of what the system file says without changes.
    pub const ORIGINAL: &str = "original";

    /// The system file as it stands.
    pub fn original() -> Self {
        Self { name: Name::known(Self::ORIGINAL), changes: Changes::default() }
    }
}

impl Unit {
    /// The component that it belongs to; the ground belongs to none.
    pub fn component(&self) -> Option<&Name> {
        match self {
            Unit::Ground | Unit::Probe { .. } => None,
            Unit::Replica { component, .. } | Unit::Component { component } => Some(component),
        }
    }
}

impl Place {
    /// A unit, not pinned yet.
    pub fn of(unit: Unit) -> Self {
        Self { unit, object: None }
    }

    /// One replica of a component, not pinned yet.
    pub fn replica(component: &Name, index: u16) -> Self {
        Self::of(Unit::Replica { component: component.clone(), index })
    }

    /// A component as a whole.
    pub fn component(component: &Name) -> Self {
        Self::of(Unit::Component { component: component.clone() })
    }

    /// The same place, bound to what was found there.
    pub fn pinned(&self, object: Object) -> Self {
        Self { unit: self.unit.clone(), object: Some(object) }
    }
}

impl Act {
    /// The unit that this act changes: two steps never hold one unit at the same time.
    pub fn unit(&self) -> &Unit {
        match self {
            Act::Start { unit }
            | Act::Configure { unit, .. }
            | Act::Scale { unit, .. }
            | Act::Weigh { unit, .. } => unit,
            Act::Stop { at } | Act::Signal { at, .. } | Act::Exec { at, .. } => &at.unit,
        }
    }

    /// Whether what it asks for may be so already, and then changes nothing.
    pub fn may_be_idle(&self) -> bool {
        matches!(self, Self::Start { .. } | Self::Configure { .. } | Self::Scale { .. } | Self::Weigh { .. })
    }

    /// What a target must be able to do for it.
    pub fn needs(&self) -> Ability {
        match self {
            Act::Start { unit } | Act::Stop { at: Place { unit, .. } } => match unit {
                Unit::Probe { .. } => Ability::Probe,
                Unit::Ground | Unit::Replica { .. } | Unit::Component { .. } => Ability::Start,
            },
            Act::Signal { signal: Signal::Kill | Signal::Terminate | Signal::Interrupt, .. } => Ability::Kill,
            Act::Signal { signal: Signal::Pause | Signal::Resume, .. } => Ability::Pause,
            Act::Configure { .. } => Ability::Configure,
            Act::Scale { .. } => Ability::Scale,
            Act::Weigh { .. } => Ability::Weigh,
            Act::Exec { .. } => Ability::Exec,
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unit::Ground => f.write_str("ground"),
            Unit::Replica { component, index } => write!(f, "{component}-{index}"),
            Unit::Component { component } => component.fmt(f),
            Unit::Probe { source } => write!(f, "probe from {source}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.object {
            None => self.unit.fmt(f),
            Some(object) => write!(f, "{} ({})", self.unit, object.0),
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Act::Start { unit } => write!(f, "start {unit}"),
            Act::Stop { at } => write!(f, "stop {at}"),
            Act::Signal { at, signal } => write!(f, "{signal} {at}"),
            Act::Configure { unit, revision } => write!(f, "configure {unit} as {}", revision.name),
            Act::Scale { unit, replicas } => write!(f, "scale {unit} to {replicas}"),
            Act::Weigh { unit, shares } => write!(f, "weigh {unit}: {shares}"),
            Act::Exec { at, program } => write!(f, "run {program} at {at}"),
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The rest may be long, and says little.
        let first = self.argv.first().map_or("nothing", String::as_str);
        write!(f, "`{first}{}`", if self.argv.len() > 1 { " ..." } else { "" })
    }
}

impl fmt::Display for Artefact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Signal::Kill => "kill",
            Signal::Terminate => "terminate",
            Signal::Interrupt => "interrupt",
            Signal::Pause => "pause",
            Signal::Resume => "resume",
        })
    }
}
