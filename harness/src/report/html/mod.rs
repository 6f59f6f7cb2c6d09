//! `report.html`: one self-contained page that a release manager can sign. It loads nothing, runs no script, follows the
//! reader's colour scheme and prints.
//!
//! [`tables`] and [`charts`] make its parts; [`chart`] draws on [`scale`]s; `page.css` is all of its looks.

use gauntlet_core::judge::Verdict;

use super::{Format, Story, escape::Text};

mod canaries;
mod chart;
mod charts;
mod connections;
mod head;
mod line;
mod record;
mod scale;
mod tables;

pub(super) use record::render as render_record;

pub(super) const FORMAT: Format =
    Format { file: "report.html", about: "for people: one page, self-contained", render };

const STYLE: &str = include_str!("page.css");
/// The page may load nothing, whatever stands in it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

fn render(story: &Story, verdict: &Verdict) -> String {
    let title = format!("{} – {}", story.scenario, verdict.outcome);
    let parts = [
        head::verdict(story, verdict),
        tables::objectives(story, verdict),
        canaries::tables(story),
        tables::checks(story, verdict),
        connections::table(story),
        charts::load(story),
        tables::phases(story),
        tables::behaviours(story),
        tables::faults(story),
        tables::rollouts(story),
        tables::drills(story),
        charts::resources(story),
        tables::generator(story),
        tables::series(story),
        tables::timeline(story),
        tables::provenance(story),
        head::signature(story),
    ];
    page(&title, &parts.concat())
}

/// The whole page around its parts.
fn page(title: &str, parts: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n\
         <body>\n{}\n<main>\n{}</main>\n</body>\n</html>\n",
        Text(title),
        chart::HATCH,
        parts,
    )
}

/// A section of the page; nothing when it has no content.
fn section(title: &str, about: &str, content: &str) -> String {
    if content.is_empty() {
        return String::new();
    }
    let about = if about.is_empty() { String::new() } else { format!("<p class=\"about\">{about}</p>\n") };
    format!("<section>\n<h2>{}</h2>\n{about}{content}</section>\n", Text(title))
}
