//! The ground of a run: its private directory, its secrets, and the end of everything that bears its mark.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use gauntlet_core::{
    act::{Act, Place, Signal, Unit},
    port::Trouble,
    system::System,
};

use super::{process, signal};
use crate::layout::Layout;

/// Says that a directory was made by a run, and by which: nothing else is ever removed.
const MARKER: &str = ".gauntlet-run";
/// How often a removal that met a new process is taken up again.
const ROUNDS: usize = 3;

/// Makes the private directory with its secrets; what is there already is left alone.
pub(super) fn start(system: &System, layout: &Layout) -> Result<(), Trouble> {
    let failed = |e: io::Error| Trouble::failed("start ground", format!("{}: {e}", layout.private.display()));
    ours(layout, "start ground")?;
    make(layout).map_err(failed)?;
    draw_secrets(system, &layout.secrets()).map_err(failed)
}

/// Ends every process that works inside the private directory, then removes the directory.
pub(super) fn stop(layout: &Layout) -> Result<(), Trouble> {
    ours(layout, "stop ground")?;
    let private = process::canonical(&layout.private);
    let kill = || signal::tree(&private, Signal::Kill, || true);
    kill()?;
    // A process that was being started when its starter died may come up, and write, until its directory is gone.
    let mut removed = remove(&layout.private);
    for _ in 0..ROUNDS {
        if removed.is_ok() {
            break;
        }
        kill()?;
        removed = remove(&layout.private);
    }
    kill()?;
    removed.map_err(|e| Trouble::failed("stop ground", format!("{}: {e}", private.display())))
}

/// Whether the private directory is there.
pub(super) fn stands(layout: &Layout) -> bool {
    fs::symlink_metadata(&layout.private).is_ok()
}

/// The act that removes all that bears the mark, if anything does.
pub(super) fn leftovers(layout: &Layout) -> Result<Vec<Act>, Trouble> {
    let marked = process::marked(&process::canonical(&layout.private));
    let marked = marked.map_err(|e| Trouble::failed("look for leftovers", e))?;
    let nothing = marked.is_empty() && !stands(layout);
    Ok(if nothing { vec![] } else { vec![Act::Stop { at: Place::of(Unit::Ground) }] })
}

// A record that was tampered with must never make us kill or remove what no run made.
fn ours(layout: &Layout, what: &str) -> Result<(), Trouble> {
    let private = &layout.private;
    let foreign = |why: &str| Err(Trouble::refused(what, format!("{}: {why}", private.display())));
    if !private.is_absolute() || private.components().count() < 3 {
        return foreign("a private directory is an absolute path below a directory for temporary files");
    }
    let Ok(mut entries) = fs::read_dir(private) else { return Ok(()) };
    let marker = private.join(MARKER);
    let unfinished = unfinished(&marker);
    match fs::read_to_string(marker) {
        Ok(run) if run == layout.run => Ok(()),
        Ok(run) => foreign(&format!("it belongs to run {run:?}")),
        // Who made it may have died in the middle of its mark.
        Err(_) if entries.all(|entry| entry.is_ok_and(|entry| entry.path() == unfinished)) => Ok(()),
        Err(_) => foreign("the directory is not empty and no run made it"),
    }
}

fn make(layout: &Layout) -> io::Result<()> {
    // Passable but not readable for others: PostgreSQL may run as another user.
    make_dir(&layout.private, 0o711)?;
    write(&layout.private.join(MARKER), layout.run.as_bytes())?;
    make_dir(&layout.private.join("logs"), 0o700)
}

/// Makes a directory with exactly this mode, whatever the umask is; one that is there already is left alone.
pub(super) fn make_dir(dir: &Path, mode: u32) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(()) => fs::set_permissions(dir, fs::Permissions::from_mode(mode)),
    }
}

/// Writes a file whole or not at all, mode 0600.
pub(super) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = unfinished(path);
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    fs::rename(new, path)
}

/// What a file is called while it is written.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

fn draw_secrets(system: &System, path: &Path) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let mut drawn = BTreeMap::new();
    for name in &system.secrets {
        let mut random = [0_u8; 16];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        drawn.insert(name, random.map(|byte| format!("{byte:02x}")).concat());
    }
    write(path, &serde_json::to_vec(&drawn)?)
}

// The marker goes last: a removal that was cut short can be taken up again.
fn remove(private: &Path) -> io::Result<()> {
    let gone = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    let Ok(entries) = fs::read_dir(private) else { return gone(fs::remove_dir(private)) };
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        if entry.file_name() != MARKER {
            gone(if entry.file_type()?.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            })?;
        }
    }
    gone(fs::remove_file(private.join(MARKER)))?;
    gone(fs::remove_dir(private))
}
