//! How a set is told: as a person reads it, or as JSON.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use gauntlet_backup::{
    Made, Pruned,
    manifest::{Manifest, Origin},
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{programs::absolute, trouble::Trouble};
use crate::cli::say;

/// A set that was made, and what retention did afterwards.
pub(super) fn made(made: &Made, took: Duration, pruned: Option<&Pruned>, as_json: bool) {
    let manifest = &made.manifest;
    let speed = manifest.plain_bytes() as f64 / took.as_secs_f64().max(0.001);
    if as_json {
        let told = json!({
            "set": made.dir, "seconds": took.as_secs_f64(), "bytes_per_second": speed,
            "manifest": manifest, "retention": pruned.map(as_value),
        });
        return say(told.to_string());
    }
    say(made.dir.display().to_string());
    rows(manifest).into_iter().for_each(|(name, value)| row(name, &value));
    row("took", &format!("{:.1} s, {}/s", took.as_secs_f64(), size(speed as u64)));
    if let Some(pruned) = pruned {
        retention(pruned, false);
    }
}

/// What a retention run did.
pub(super) fn retention(pruned: &Pruned, as_json: bool) {
    if as_json {
        return say(as_value(pruned).to_string());
    }
    let named = |word: &str, dirs: &[PathBuf]| {
        dirs.iter().for_each(|dir| say(format!("{word} {}", dir.display())));
    };
    named("removed", &pruned.removed);
    named("no whole set, left alone:", &pruned.unusable);
    say(format!("{} kept, {} removed", pruned.kept.len(), pruned.removed.len()));
}

fn as_value(pruned: &Pruned) -> Value {
    json!({ "kept": pruned.kept, "removed": pruned.removed, "unusable": pruned.unusable })
}

/// One line of what is told.
pub(in crate::cli) fn row(name: &str, value: &str) {
    say(format!("  {name:<10}{value}"));
}

/// What a manifest says, line by line.
pub(in crate::cli) fn rows(manifest: &Manifest) -> Vec<(&'static str, String)> {
    let of = match &manifest.source {
        Origin::Postgres(s) => {
            format!("PostgreSQL {}, database {}, system {}", s.version, s.database, s.identifier)
        }
        Origin::Redis(s) => format!("Redis {}, replication {}", s.version, s.replication),
        Origin::Configuration { of } => of.clone(),
    };
    let (plain, stored) = (size(manifest.plain_bytes()), size(manifest.stored_bytes()));
    let sealed = match manifest.sealed_to.len() {
        0 => "to nobody: it lies in the clear".to_owned(),
        1 => "to one recipient".to_owned(),
        many => format!("to {many} recipients, each of whom opens it alone"),
    };
    let points: Vec<&str> = manifest.restore_points.iter().map(|point| point.name.as_str()).collect();
    let mut rows = vec![
        ("form", format!("{} of {}", manifest.form, manifest.system)),
        ("source", of),
        ("as of", format!("{:.0}, {} old", manifest.as_of, age(manifest.as_of))),
        ("size", format!("{plain} of content, {stored} on disk, parts: {}", manifest.parts.len())),
        ("sealed", sealed),
    ];
    rows.extend(manifest.lsn.map(|span| ("log", format!("{} to {}", span.start, span.end))));
    if !points.is_empty() {
        rows.push(("points", points.join(", ")));
    }
    rows
}

fn age(as_of: Timestamp) -> String {
    let seconds = Timestamp::now().duration_since(as_of).as_secs();
    humantime::format_duration(Duration::from_secs(u64::try_from(seconds).unwrap_or(0))).to_string()
}

/// A size with three digits.
pub(in crate::cli) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 999.5 && unit + 1 < UNITS.len() {
        (value, unit) = (value / 1000.0, unit + 1);
    }
    let digits = if unit == 0 || value >= 99.95 { 0 } else { 1 };
    format!("{value:.digits$} {}", UNITS[unit])
}

/// A directory that the command names must be there; from the root on, so that it has a name and a parent.
pub(in crate::cli) fn directory(path: &Path) -> Result<PathBuf, Trouble> {
    let why = if path.exists() { "no directory" } else { "no such directory" };
    if !path.is_dir() {
        return Err(Trouble::mistake(format!("{}: {why}", path.display())));
    }
    absolute(path)
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_read_at_a_glance() {
        let shown = [0, 999, 1000, 12_345, 999_499, 999_500, 123_456_789, 5_000_000_000_000_000].map(size);
        assert_eq!(shown, ["0 B", "999 B", "1.0 kB", "12.3 kB", "999 kB", "1.0 MB", "123 MB", "5000 TB"]);
    }
}
