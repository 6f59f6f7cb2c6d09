//! Logs of components: copied into the journal, without the run's secrets.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufWriter, Read, Seek, SeekFrom, Write},
    path::Path,
};

use gauntlet_core::{
    act::Unit,
    secrets::{Secrets, whole_lines},
};

use crate::layout::Layout;

/// Of a log, this much at its end is searched for its last lines.
const TAIL: u64 = 64 << 10;

/// The secrets of a run.
pub(crate) fn secrets(layout: &Layout) -> io::Result<Secrets> {
    let values: BTreeMap<String, String> = serde_json::from_slice(&fs::read(layout.secrets())?)?;
    Ok(Secrets::new(values))
}

/// Copies the log of every replica into a directory, with every secret replaced by `[secret:NAME]`. A log that was
/// never written is left out; copying again replaces the copies.
pub fn collect(layout: &Layout, into: &Path) -> io::Result<()> {
    let logs: Vec<_> =
        layout.replicas.iter().map(|replica| layout.log(replica)).filter(|log| log.exists()).collect();
    if logs.is_empty() {
        return Ok(());
    }
    let hide = secrets(layout)?;
    fs::create_dir_all(into)?;
    for log in logs {
        let Some(name) = log.file_name() else { continue };
        let new = into.join(name).with_extension("log.new");
        let mut to = BufWriter::new(File::create(&new)?);
        hide.copy(&mut File::open(&log)?, &mut to)?;
        to.flush()?;
        fs::rename(new, into.join(name))?;
    }
    Ok(())
}

/// The last lines that a replica logged, without secrets; none when it logged nothing.
pub fn tail(layout: &Layout, unit: &Unit, lines: usize) -> Option<String> {
    let mut log = File::open(layout.log(layout.of(unit)?)).ok()?;
    let from = log.metadata().ok()?.len().saturating_sub(TAIL);
    log.seek(SeekFrom::Start(from)).ok()?;
    let mut bytes = Vec::new();
    log.take(TAIL).read_to_end(&mut bytes).ok()?;
    let text = secrets(layout).ok()?.hide(whole_lines(&String::from_utf8_lossy(&bytes), from > 0));
    let all: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &all[all.len().saturating_sub(lines)..];
    (!last.is_empty()).then(|| last.join("\n"))
}
