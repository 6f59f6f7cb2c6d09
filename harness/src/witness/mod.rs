//! The witness of this machine: sees by /proc, socket round trips and SQL. Shares no code with what acts.

use std::sync::Arc;

use gauntlet_core::{
    act::{Place, Unit},
    name::Name,
    port::{Later, Trouble, Witness},
    proof::{Query, Reading},
    system::{Change, Component, Ready, System, together},
};

mod http;
mod proc;
mod ready;
pub mod sampler;
mod shares;
mod sql;

pub use sampler::Sampler;

use crate::layout::{Layout, Replica};

/// Sees one run's processes and sockets on this machine.
#[derive(Debug, Clone)]
pub struct LocalWitness {
    system: Arc<System>,
    layout: Arc<Layout>,
}

impl LocalWitness {
    /// A witness for one run.
    pub fn new(system: Arc<System>, layout: Arc<Layout>) -> Self {
        Self { system, layout }
    }

    async fn read(&self, ask: &Query) -> Result<Reading, Trouble> {
        let reading = match ask {
            Query::Process { at } => self.process(ask, at)?,
            Query::Revision { at } => self.revision(ask, at)?,
            // On this machine there is one way only.
            Query::Ready { at } | Query::Way { at } => {
                let (component, replica) = self.replica(ask, &at.unit)?;
                ready::ask(&self.layout, component, replica).await
            }
            Query::Replicas { at } => self.replicas(ask, at)?,
            Query::Shares { at } => {
                let none = || Trouble::refused(ask, "the system has no such component");
                shares::of(&self.system, &self.layout, at.unit.component().ok_or_else(none)?).await
            }
            Query::Reach { .. } => {
                return Err(Trouble::refused(ask, "on this machine nothing stands between components"));
            }
            Query::Sql { at, statement } => {
                let (component, replica) = self.replica(ask, &at.unit)?;
                let Ready::Postgres { port, user, password, database } = &component.ready else {
                    return Err(Trouble::refused(ask, "the component's `ready` is no PostgreSQL session"));
                };
                let at = sql::Access {
                    layout: &self.layout,
                    replica,
                    port,
                    user,
                    password: password.as_ref(),
                    database,
                };
                at.value(statement).await.map_err(|e| Trouble::failed(ask, e.told()))?
            }
        };
        Ok(Reading(reading))
    }

    fn process(&self, ask: &Query, at: &Place) -> Result<String, Trouble> {
        let failed = |e: std::io::Error| Trouble::failed(ask, e);
        if at.unit == Unit::Ground {
            let nothing =
                !self.layout.private.exists() && proc::under(&self.layout, None).map_err(failed)?.is_empty();
            return Ok(if nothing { "absent" } else { "running" }.to_owned());
        }
        if let Unit::Component { component } = &at.unit {
            let mut running = false;
            for replica in self.layout.replicas.iter().filter(|one| one.component == *component) {
                running |=
                    !proc::under(&self.layout, Some(&self.layout.dir(replica))).map_err(failed)?.is_empty();
            }
            return Ok(if running { "running" } else { "absent" }.to_owned());
        }
        let dir = self.layout.dir(self.replica(ask, &at.unit)?.1);
        let seen = proc::under(&self.layout, Some(&dir)).map_err(failed)?;
        let pinned = match &at.object {
            None => None,
            Some(object) => {
                Some(proc::named(&object.0).ok_or_else(|| Trouble::refused(ask, "no process is named so"))?)
            }
        };
        Ok(proc::word(&seen, pinned).to_owned())
    }

    fn replicas(&self, ask: &Query, at: &Place) -> Result<String, Trouble> {
        let mut running = 0;
        for replica in self.layout.replicas.iter().filter(|one| Some(&one.component) == at.unit.component()) {
            let seen = proc::under(&self.layout, Some(&self.layout.dir(replica)));
            running += u16::from(!seen.map_err(|error| Trouble::failed(ask, error))?.is_empty());
        }
        Ok(running.to_string())
    }

    /// Told by what the kernel keeps of every replica's process: nothing that was written down when it was started.
    fn revision(&self, ask: &Query, at: &Place) -> Result<String, Trouble> {
        let failed = |e: std::io::Error| Trouble::failed(ask, e);
        let found = at.unit.component().and_then(|name| self.system.components.get_key_value(name));
        let (name, spec) = found.ok_or_else(|| Trouble::refused(ask, "the system has no such component"))?;
        let mut told = vec![];
        for replica in self.layout.replicas.iter().filter(|replica| replica.component == *name) {
            let seen = proc::under(&self.layout, Some(&self.layout.dir(replica))).map_err(failed)?;
            let Some((pid, _)) = proc::root(&seen) else { continue };
            let Some((settings, programs)) = proc::started_with(pid).map_err(failed)? else { continue };
            told.push(spec.told(|change| match change {
                Change::Setting(name, value) => Some(settings.get(name).is_some_and(|is| is == value)),
                Change::Program(program) => {
                    Some(programs.iter().any(|name| Some(name.as_str()) == program.rsplit('/').next()))
                }
                Change::Image(_) => None,
            }));
        }
        Ok(together(&told, usize::from(spec.replicas)))
    }

    fn replica(&self, ask: &Query, unit: &Unit) -> Result<(&Component, &Replica), Trouble> {
        let replica =
            self.layout.of(unit).ok_or_else(|| Trouble::refused(ask, "the run has no such replica"))?;
        let component = self.system.components.get(&replica.component);
        Ok((component.ok_or_else(|| Trouble::refused(ask, "the system has no such component"))?, replica))
    }
}

impl Witness for LocalWitness {
    fn look<'a>(&'a self, ask: &'a Query) -> Later<'a, Reading> {
        Box::pin(self.read(ask))
    }
}

// `127.0.0.1:20003`, when the replica has a port of that name.
fn address(layout: &Layout, replica: &Replica, port: &Name) -> Option<String> {
    Some(format!("{}:{}", layout.host, replica.ports.get(port)?))
}
