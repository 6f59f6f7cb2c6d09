//! The page of a series of drills.

use super::{
    head, page, section,
    tables::{Table, measured, measures, state, text},
};
use crate::report::{
    escape::Text,
    record::{Entry, Record, Report},
    show,
    story::command_line,
};

pub(in crate::report) fn render(record: &Record) -> String {
    let title = format!("Drills – {}", record.outcome);
    let parts: String = record.scenarios.iter().map(entry).collect();
    page(&title, &[verdict(record), summary(record), parts, signature(record)].concat())
}

fn verdict(record: &Record) -> String {
    let (class, sign) = head::looks(record.outcome);
    let passed =
        record.scenarios.iter().filter(|entry| entry.outcome == gauntlet_core::outcome::Outcome::Passed);
    format!(
        "<header class=\"verdict {class}\">\n<div class=\"sign\" aria-hidden=\"true\">{sign}</div>\n<div>\n\
         <p class=\"over\">Drills</p>\n<h1>{}</h1>\n<p class=\"reason\">{} of {} passed</p>\n\
         <p class=\"under\">{} · record {} · gauntlet {} · exit code {}</p>\n</div>\n</header>\n",
        Text(record.outcome),
        passed.count(),
        show::things(record.scenarios.len(), "scenario"),
        Text(&record.wall_clock),
        Text(&record.name),
        Text(&record.version),
        record.exit_code,
    )
}

fn summary(record: &Record) -> String {
    let mut table = Table::new(&["scenario", "=target", "=outcome", "why"]);
    for entry in &record.scenarios {
        let name = format!("<b>{}</b>", Text(entry.file.display()));
        let name = match &entry.directory {
            Some(run) => format!("<a href=\"{}\">{name}</a>", Text(run.join("report.html").display())),
            None => name,
        };
        table.row([
            name,
            text(entry.report.as_ref().map_or(show::NONE, |report| &report.target)),
            outcome(entry),
            text(&entry.reason),
        ]);
    }
    let command = format!("<pre>{}</pre>\n", Text(command_line(&record.command)));
    section("Scenarios", "", &(table.html() + &command))
}

fn outcome(entry: &Entry) -> String {
    let (class, _) = head::looks(entry.outcome);
    format!("<span class=\"state {class}\">{}</span>", Text(entry.outcome))
}

fn entry(entry: &Entry) -> String {
    let Some(report) = &entry.report else { return String::new() };
    let about = format!(
        "{} Run {}, {} long.",
        Text(&report.hypothesis),
        Text(&report.run),
        show::clock(report.took_s)
    );
    let parts = [measures(&report.drills), findings(report), digests(entry)];
    section(&entry.file.display().to_string(), &about, &parts.concat())
}

/// What the judge of drills found, and whatever else is not met.
fn findings(report: &Report) -> String {
    use gauntlet_core::judge::{State, drill};
    let mut table = Table::new(&["finding", "=at", "measured", "state"]);
    for finding in &report.findings {
        if finding.judge != drill::NAME && finding.state == State::Met {
            continue;
        }
        table.row([
            format!("<b>{}</b>", Text(&finding.what)),
            text(finding.at.as_deref().unwrap_or("the run")),
            measured(finding),
            state(finding.state),
        ]);
    }
    table.html()
}

fn digests(entry: &Entry) -> String {
    let mut table = Table::new(&["file", "SHA-256"]);
    for (file, digest) in &entry.sha256 {
        table.row([format!("<code>{}</code>", Text(file)), format!("<code>{}</code>", Text(digest))]);
    }
    format!(
        "<details><summary>Digests of the evidence and of the backups' manifests</summary>\n{}</details>\n",
        table.html()
    )
}

fn signature(record: &Record) -> String {
    format!(
        "<div class=\"signature\"><p>Drills {}, seen and signed:</p><p>Name</p><p>Date</p><p>Signature</p></div>\n",
        Text(&record.name)
    )
}
