//! Reports: what people and machines read of a run. They only read: a journal, and the verdict of the judges.
//!
//! Reading order: [`story`] folds the evidence; [`reason`] says the verdict in a sentence; [`FORMATS`] lists what is
//! written beside the journal; [`console`] tells a run while it goes on, and its verdict. [`record`] tells the drills of many runs in one place, from the reports of each.
//!
//! - No format reads evidence itself: all take the [`Story`], so no two of them disagree.
//! - Nothing here talks to a target, a witness or a clock.
//! - Every text from outside is escaped; a report loads nothing and runs no script.

use std::path::{Path, PathBuf};

use gauntlet_core::judge::Verdict;

use crate::journal::Recorded;

pub mod console;
mod escape;
mod html;
mod json;
mod junit;
pub mod reason;
pub mod record;
mod show;
pub mod story;

pub use console::{Console, Style};
pub use json::REPORT_FORMAT;
pub use story::Story;

/// A report that is written beside the journal.
pub struct Format {
    /// The name of its file.
    pub file: &'static str,
    /// Who it is for.
    pub about: &'static str,
    /// The whole text.
    pub render: fn(&Story, &Verdict) -> String,
}

/// All of them. One kind, one file, one line here.
pub const FORMATS: [Format; 3] = [html::FORMAT, json::FORMAT, junit::FORMAT];

/// A report that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", path.display())]
pub struct ReportError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: std::io::Error,
}

/// Writes all formats into a directory: each under another name first, so that a reader never meets half a report.
pub fn write_all(dir: &Path, recorded: &Recorded, verdict: &Verdict) -> Result<(), ReportError> {
    let story = Story::of(recorded);
    FORMATS.iter().try_for_each(|format| write(&dir.join(format.file), &(format.render)(&story, verdict)))
}

fn write(path: &Path, text: &str) -> Result<(), ReportError> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let failed = |source| ReportError { path: path.to_owned(), source };
    let written = std::fs::write(&part, text).and_then(|()| std::fs::File::open(&part)?.sync_all());
    written.map_err(failed)?;
    std::fs::rename(&part, path).map_err(failed)
}
