//! `junit.xml`: a suite for the scenario, a case for each finding. It is red exactly when the run has not passed: what is
//! missed is a failure; what could not be decided or was not healed is an error, for a skipped case would be green.

use std::fmt::Write;

use gauntlet_core::{
    judge::{Finding, State, Verdict},
    outcome::Outcome,
};

use super::{Format, Story, escape::Text, reason};

pub(super) const FORMAT: Format =
    Format { file: "junit.xml", about: "for CI systems: a case for each finding", render };

/// How a case ends.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Well,
    Failure,
    Error,
}

fn render(story: &Story, verdict: &Verdict) -> String {
    let mut cases: Vec<(End, String)> =
        verdict.findings.iter().map(|finding| (end(finding.state), case(story, finding))).collect();
    let last = if verdict.outcome == Outcome::Passed { End::Well } else { End::Error };
    // No finding is red, and yet the run has not passed: the verdict itself is the case.
    if last == End::Error && cases.iter().all(|(end, _)| *end == End::Well) {
        let why = reason::sentence(verdict);
        cases.push((last, element(story, "verdict", "verdict", last, verdict.outcome.word(), &why, &why)));
    }
    let count = |wanted: End| cases.iter().filter(|(end, _)| *end == wanted).count();
    let (failures, errors) = (count(End::Failure), count(End::Error));
    let totals = format!("tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\"", cases.len());
    let (suite, took) = (Text(&story.scenario), story.took_s);
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(xml, "<testsuites name=\"gauntlet\" {totals} time=\"{took:.3}\">");
    let _ = write!(xml, "  <testsuite name=\"{suite}\" {totals} skipped=\"0\" time=\"{took:.3}\"");
    let _ = writeln!(xml, " timestamp=\"{}\">", Text(&story.wall_clock));
    xml.push_str(&properties(story, verdict));
    cases.iter().for_each(|(_, case)| xml.push_str(case));
    xml.push_str("  </testsuite>\n</testsuites>\n");
    xml
}

fn properties(story: &Story, verdict: &Verdict) -> String {
    let mut xml = String::from("    <properties>\n");
    let mut property = |name: &str, value: &str| {
        let _ = writeln!(xml, "      <property name=\"{}\" value=\"{}\"/>", Text(name), Text(value));
    };
    property("run", &story.run);
    property("outcome", verdict.outcome.word());
    property("exit-code", &verdict.outcome.exit_code().to_string());
    property("target", &story.target);
    property("seed", &story.seed.to_string());
    property("command", &story.command_line());
    story.provenance.iter().for_each(|(name, value)| property(name, value));
    xml.push_str("    </properties>\n");
    xml
}

fn end(state: State) -> End {
    match state {
        State::Met => End::Well,
        State::Missed => End::Failure,
        State::Unknown
        | State::Invalid
        | State::SetUp
        | State::Interrupted
        | State::Broken
        | State::Residue => End::Error,
    }
}

fn case(story: &Story, finding: &Finding) -> String {
    let name = match &finding.at {
        Some(at) => format!("{} ({at})", finding.what),
        None => finding.what.clone(),
    };
    let end = end(finding.state);
    let body = format!("{}\nsamples: {}", finding.detail, finding.samples);
    element(story, &finding.judge, &name, end, reason::state(finding.state), &finding.measured, &body)
}

fn element(
    story: &Story,
    judge: &str,
    name: &str,
    end: End,
    kind: &str,
    message: &str,
    body: &str,
) -> String {
    let class = format!("{}.{judge}", story.scenario);
    let head = format!("    <testcase classname=\"{}\" name=\"{}\" time=\"0\"", Text(class), Text(name));
    let tag = match end {
        End::Well => return format!("{head}/>\n"),
        End::Failure => "failure",
        End::Error => "error",
    };
    let (kind, message, body) = (Text(kind), Text(message), Text(body));
    format!("{head}>\n      <{tag} type=\"{kind}\" message=\"{message}\">{body}</{tag}>\n    </testcase>\n")
}
