//! `report.json`: the same as the page, for machines and for trends over runs.

use gauntlet_core::{
    judge::{Finding, Verdict},
    outcome::Outcome,
};
use serde::Serialize;

use super::{Format, Story, reason};

/// The format of `report.json`. It changes when a field changes its meaning or goes.
pub const REPORT_FORMAT: u32 = 1;

pub(super) const FORMAT: Format =
    Format { file: "report.json", about: "for machines: all numbers of the run", render };

#[derive(Serialize)]
struct Report<'a> {
    format: u32,
    outcome: Outcome,
    exit_code: u8,
    reason: String,
    findings: &'a [Finding],
    #[serde(flatten)]
    story: &'a Story,
}

fn render(story: &Story, verdict: &Verdict) -> String {
    let report = Report {
        format: REPORT_FORMAT,
        outcome: verdict.outcome,
        exit_code: verdict.outcome.exit_code(),
        reason: reason::sentence(verdict),
        findings: &verdict.findings,
        story,
    };
    // Plain data with text keys: writing it to memory does not fail.
    let mut text = serde_json::to_string_pretty(&report).unwrap_or_default();
    text.push('\n');
    text
}
