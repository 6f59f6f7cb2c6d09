//! Which revision of a component its replicas are started as. It lies on the ground, beside what it is true of, so that
//! whoever starts a replica (a rollout, the end of a kill, a watchdog in another process) starts the right one.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use gauntlet_core::{act::Revision, name::Name, system::System};

use super::{account::Account, ground};
use crate::layout::Layout;

/// Beside a replica's own files: what it was started as last.
const OF_REPLICA: &str = ".gauntlet-revision";

/// What replicas of a component are to run: what was rolled out last, else what they are there for.
pub(super) fn wanted(system: &System, layout: &Layout, component: &Name) -> io::Result<Revision> {
    let set = system.components.get(component).and_then(|spec| spec.set.as_ref());
    let first = || set.map_or_else(Revision::original, |set| set.revision.clone());
    read(&of_component(layout, component)).map(|wanted| wanted.unwrap_or_else(first))
}

/// From here on, who starts a replica starts this.
pub(super) fn want(layout: &Layout, component: &Name, revision: &Revision) -> io::Result<()> {
    write(&of_component(layout, component), revision)
}

/// What the replica of this directory was started as last.
pub(super) fn started_as(dir: &Path) -> io::Result<Revision> {
    read(&dir.join(OF_REPLICA)).map(|started| started.unwrap_or_else(Revision::original))
}

/// Noted before it is started: a start that is cut short is taken up again as the same.
pub(super) fn starts_as(dir: &Path, account: Option<Account>, revision: &Revision) -> io::Result<()> {
    let path = dir.join(OF_REPLICA);
    write(&path, revision)?;
    Account::own(account, &path)
}

fn of_component(layout: &Layout, component: &Name) -> PathBuf {
    layout.private.join(format!(".revision-{component}"))
}

fn read(path: &Path) -> io::Result<Option<Revision>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn write(path: &Path, revision: &Revision) -> io::Result<()> {
    ground::write(path, &serde_json::to_vec(revision)?)
}
