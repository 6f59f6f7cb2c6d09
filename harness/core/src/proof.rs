//! Proofs: a question to the system and the answer that counts. Data, so that any process can ask it.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{act::Place, scenario::Destination};

/// A question, the answer that counts, and how long it may take to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// What the witness is asked, again and again.
    pub ask: Query,
    /// The reading that proves it.
    pub expect: Expect,
    /// How long it may take until the reading is the expected one.
    pub within: Duration,
}

/// What a witness can be asked. It sees by its own way and shares nothing with what acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Query {
    /// The state of the process tree: `running`, `paused` or `absent`; `waiting: WHY` where the place itself starts it
    /// later. A pinned place asks for that very object.
    Process {
        /// Whose processes.
        at: Place,
    },
    /// One round trip to the readiness check that the system file declares: `ready`, `refused`, `silent` (no answer in time), or what came instead.
    Ready {
        /// Who is asked.
        at: Place,
    },
    /// The same round trip by the way that users take: through the system file's endpoint, from where the load comes.
    Way {
        /// The first replica of the endpoint's component.
        at: Place,
    },
    /// One value read with SQL, as text.
    Sql {
        /// The database.
        at: Place,
        /// A statement that answers one value.
        statement: String,
    },
    /// How a component's traffic is split: what each set gets (`service-canary 5%`), or `no set`.
    Shares {
        /// The component as a whole.
        at: Place,
    },
    /// How many replicas of a component run.
    Replicas {
        /// The component as a whole.
        at: Place,
    },
    /// Which connections can be opened from a place: of each destination `open`, `refused`, `silent` (no answer in time) or
    /// `unknown` (its name has no address).
    Reach {
        /// The probe there.
        at: Place,
        /// Where they go.
        to: Vec<Destination>,
    },
    /// The name of the revision that all replicas of a component run; else how far they are (`v2 at 1 of 3`).
    Revision {
        /// The component as a whole.
        at: Place,
    },
}

/// The reading that proves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expect {
    /// Exactly this.
    Is(String),
    /// Anything but this.
    Not(String),
}

/// What the witness read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reading(pub String);

impl Query {
    /// What it asks about.
    pub fn at(&self) -> &Place {
        match self {
            Self::Process { at }
            | Self::Ready { at }
            | Self::Way { at }
            | Self::Revision { at }
            | Self::Shares { at }
            | Self::Replicas { at } => at,
            Self::Sql { at, .. } | Self::Reach { at, .. } => at,
        }
    }
}

impl Reading {
    /// What was seen of each destination.
    pub fn of_reach(seen: &BTreeMap<Destination, String>) -> Self {
        Self(seen.iter().map(|(to, seen)| format!("{to} {seen}")).collect::<Vec<_>>().join(", "))
    }

    /// The way back from the words; what is none of them is left out.
    pub fn reach(&self) -> BTreeMap<Destination, String> {
        let pairs = self.0.split(", ").filter_map(|pair| pair.split_once(' '));
        pairs.filter_map(|(to, seen)| Some((to.parse().ok()?, seen.to_owned()))).collect()
    }
}

impl Expect {
    /// Whether the reading is the expected one.
    pub fn holds(&self, reading: &Reading) -> bool {
        match self {
            Expect::Is(value) => reading.0 == *value,
            Expect::Not(value) => reading.0 != *value,
        }
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Query::Process { at } => write!(f, "process of {at}"),
            Query::Ready { at } => write!(f, "readiness of {at}"),
            Query::Way { at } => write!(f, "the users' way to {at}"),
            Query::Revision { at } => write!(f, "revision of {at}"),
            Query::Shares { at } => write!(f, "shares of {at}"),
            Query::Replicas { at } => write!(f, "replicas of {at}"),
            Query::Reach { at, .. } => write!(f, "reach of the {at}"),
            Query::Sql { at, statement } => write!(f, "`{statement}` at {at}"),
        }
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expect::Is(value) => write!(f, "is {value}"),
            Expect::Not(value) => write!(f, "is not {value}"),
        }
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} within {:?}", self.ask, self.expect, self.within)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::Reading;

    #[test]
    fn a_reach_reads_back_from_its_words() {
        let seen = BTreeMap::from([
            ("database:sql".parse().unwrap(), "open".to_owned()),
            ("dns".parse().unwrap(), "silent".to_owned()),
        ]);
        let reading = Reading::of_reach(&seen);
        assert_eq!(reading.0, "database:sql open, dns silent");
        assert_eq!(reading.reach(), seen);
        assert_eq!(Reading("absent".into()).reach(), BTreeMap::new());
    }
}
