//! Which revision of a component its replicas are started as. It lies on the ground, beside what it is true of, so that
//! whoever starts a replica (a roll out, the end of a kill, a watchdog in another process) starts the right one.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use gauntlet_core::{act::Revision, name::Name};

use super::ground;
use crate::layout::Layout;

/// Beside a replica's own files: what it was started as last.
const OF_REPLICA: &str = ".gauntlet-revision";

/// What replicas of a component are to run; the original, unless something else was rolled out.
pub(super) fn wanted(layout: &Layout, component: &Name) -> io::Result<Revision> {
    read(&of_component(layout, component))
}

/// From here on, who starts a replica starts this.
pub(super) fn want(layout: &Layout, component: &Name, revision: &Revision) -> io::Result<()> {
    write(&of_component(layout, component), revision)
}

/// What the replica of this directory was started as last.
pub(super) fn started_as(dir: &Path) -> io::Result<Revision> {
    read(&dir.join(OF_REPLICA))
}

/// Noted before it is started: a start that is cut short is taken up again as the same.
pub(super) fn starts_as(dir: &Path, revision: &Revision) -> io::Result<()> {
    write(&dir.join(OF_REPLICA), revision)
}

fn of_component(layout: &Layout, component: &Name) -> PathBuf {
    layout.private.join(format!(".revision-{component}"))
}

fn read(path: &Path) -> io::Result<Revision> {
    match fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Revision::original()),
        Err(error) => Err(error),
    }
}

fn write(path: &Path, revision: &Revision) -> io::Result<()> {
    ground::write(path, &serde_json::to_vec(revision)?)
}
