//! The record of a series of drills, for whoever has to show that data can be had back: `drills.html` and `drills.json`.
//! It reads the reports of the runs, and says by their digests which ones these were.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use gauntlet_core::{judge::Finding, outcome::Outcome};
use serde::{Deserialize, Serialize};

use super::{ReportError, html, json, story::DrillStory, write};
use crate::{
    digest,
    journal::{EVENTS, METRICS},
};

/// The format of `drills.json`. It changes when a field changes its meaning or goes.
pub const RECORD_FORMAT: u32 = 1;

/// The files of a run that its record names by their digests.
const EVIDENCE: [&str; 4] = [json::FORMAT.file, EVENTS, METRICS, "requests/SHA256SUMS"];

/// The record of a series of drills.
#[derive(Debug, Serialize)]
pub struct Record {
    /// [`RECORD_FORMAT`].
    pub format: u32,
    /// Its name, that of its directory.
    pub name: String,
    /// When it was written, RFC 3339.
    pub wall_clock: String,
    /// The version of the harness.
    pub version: String,
    /// The command.
    pub command: Vec<String>,
    /// The worst outcome.
    pub outcome: Outcome,
    /// Its exit code.
    pub exit_code: u8,
    /// Every scenario, in the order in which they ran.
    pub scenarios: Vec<Entry>,
}

/// One scenario of it.
#[derive(Debug, Serialize)]
pub struct Entry {
    /// The scenario file.
    pub file: PathBuf,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, in a sentence.
    pub reason: String,
    /// Where its journal and reports are, as seen from the record; none: it never began.
    pub directory: Option<PathBuf>,
    /// What its report says.
    #[serde(flatten)]
    pub report: Option<Report>,
    /// SHA-256 of its evidence and of the manifests of its backups, by the path below its directory.
    pub sha256: BTreeMap<String, String>,
}

/// What is taken over from `report.json`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// The run.
    pub run: String,
    /// Why it ended so.
    #[serde(skip_serializing)]
    reason: String,
    /// What it claims.
    pub hypothesis: String,
    /// The system.
    pub system: String,
    /// Where it ran.
    pub target: String,
    /// Every random choice came from it.
    pub seed: u64,
    /// How long the run took, in seconds.
    pub took_s: f64,
    /// The drills.
    #[serde(default)]
    pub drills: Vec<DrillStory>,
    /// All findings, RPO and RTO against their objectives among them.
    pub findings: Vec<Finding>,
}

impl Entry {
    /// What became of one scenario. `error`: why there is no verdict.
    pub fn of(file: &Path, outcome: Outcome, error: Option<&str>, run: Option<&Path>) -> io::Result<Self> {
        let mut entry = Self {
            file: file.to_owned(),
            outcome,
            reason: error.unwrap_or_default().to_owned(),
            directory: run.map(Path::to_owned),
            report: None,
            sha256: BTreeMap::new(),
        };
        let Some(run) = run else { return Ok(entry) };
        let text = match fs::read(run.join(json::FORMAT.file)) {
            Ok(text) => text,
            // It ended before there was one.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(entry),
            Err(error) => return Err(error),
        };
        let report: Report = serde_json::from_slice(&text).map_err(io::Error::other)?;
        let backups = report.drills.iter().flat_map(|drill| &drill.backups);
        let sums = backups.map(|backup| format!("{backup}/{}", gauntlet_backup::set::SUMS));
        for file in EVIDENCE.map(str::to_owned).into_iter().chain(sums) {
            match digest::of_file(&run.join(&file)) {
                Ok(digest) => _ = entry.sha256.insert(file, digest),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        if entry.reason.is_empty() {
            entry.reason.clone_from(&report.reason);
        }
        entry.report = Some(report);
        Ok(entry)
    }
}

impl Record {
    /// Writes it into a directory of its own below `reports`, and answers which.
    pub fn write(mut self, reports: &Path) -> Result<PathBuf, ReportError> {
        let dir = std::path::absolute(reports)
            .and_then(|reports| {
                let dir = reports.join("drills").join(&self.name);
                fs::create_dir_all(reports.join("drills"))?;
                // It is new, or somebody else's.
                fs::create_dir(&dir)?;
                Ok(dir)
            })
            .map_err(|source| ReportError { path: reports.to_owned(), source })?;
        for entry in &mut self.scenarios {
            let below =
                entry.directory.as_deref().and_then(|run| run.strip_prefix(dir.parent()?.parent()?).ok());
            if let Some(below) = below {
                entry.directory = Some(Path::new("../..").join(below));
            }
        }
        // Plain data with text keys: writing it to memory does not fail.
        let json = serde_json::to_string_pretty(&self).unwrap_or_default() + "\n";
        write(&dir.join("drills.json"), &json)?;
        write(&dir.join("drills.html"), &html::render_record(&self))?;
        Ok(dir)
    }
}
