//! Where a run's replicas live: directories and ports, fixed before anything is started. Shared, as data, by what acts
//! and what sees.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use gauntlet_core::{
    act::Unit,
    name::Name,
    system::{Port, System},
};
use serde::{Deserialize, Serialize};

/// The ground of a run on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// The run's name.
    pub run: String,
    /// The private directory (mode 0711): every process of the run has its working directory inside it. That is the run's mark.
    pub private: PathBuf,
    /// The directory of the system file; relative paths start there.
    pub root: PathBuf,
    /// The address that everything listens on.
    pub host: String,
    /// Every replica of every component.
    pub replicas: Vec<Replica>,
}

/// One replica's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    /// The component.
    pub component: Name,
    /// Counted from 1.
    pub index: u16,
    /// Its ports by name.
    pub ports: BTreeMap<Name, u16>,
}

impl Layout {
    /// Lays the system's replicas out over consecutive ports from `first` on. Answers how many it took.
    pub fn plan(system: &System, run: &str, private: &Path, root: &Path, first: u16) -> (Self, u16) {
        let mut next = first;
        let mut replicas = Vec::new();
        for (name, component) in &system.components {
            for index in 1..=component.replicas {
                let mut ports = BTreeMap::new();
                for port in &component.ports {
                    ports.insert(port.clone(), next);
                    next += 1;
                }
                replicas.push(Replica { component: name.clone(), index, ports });
            }
        }
        let layout = Self {
            run: run.to_owned(),
            private: private.to_owned(),
            root: root.to_owned(),
            host: "127.0.0.1".to_owned(),
            replicas,
        };
        (layout, next - first)
    }

    /// One replica's place.
    pub fn replica(&self, component: &Name, index: u16) -> Option<&Replica> {
        self.replicas.iter().find(|replica| replica.component == *component && replica.index == index)
    }

    /// The place of a unit, where it is a replica.
    pub fn of(&self, unit: &Unit) -> Option<&Replica> {
        match unit {
            Unit::Ground | Unit::Component { .. } | Unit::Probe { .. } => None,
            Unit::Replica { component, index } => self.replica(component, *index),
        }
    }

    /// The private directory of a replica: working directory of its whole process tree.
    pub fn dir(&self, replica: &Replica) -> PathBuf {
        self.private.join(format!("{}-{}", replica.component, replica.index))
    }

    /// The file to which a replica's standard output and error go.
    pub fn log(&self, replica: &Replica) -> PathBuf {
        self.private.join("logs").join(format!("{}-{}.log", replica.component, replica.index))
    }

    /// The file with the run's secrets: a JSON map of name to value, mode 0600.
    pub fn secrets(&self) -> PathBuf {
        self.private.join("secrets.json")
    }

    /// `127.0.0.1:20003` of one port of the first replica of a component.
    pub fn authority(&self, port: &Port) -> Option<String> {
        let replica = self.replica(&port.component, 1)?;
        Some(format!("{}:{}", self.host, replica.ports.get(&port.port)?))
    }
}
