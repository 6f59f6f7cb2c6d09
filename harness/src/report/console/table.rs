//! The table of findings at the end of a run.

use gauntlet_core::judge::{Finding, State, Verdict};

use super::paint::{Style, WIDTH, fit, of_state, wrap};
use crate::report::reason;

/// The widest that each column may be; two spaces stand between them.
const WIDEST: [usize; 5] = [13, 36, 16, 20, 7];

/// The table, and under it the details of what is not met.
pub(super) fn lines(verdict: &Verdict, style: Style) -> Vec<String> {
    let head = ["state", "what", "at", "measured", "samples"].map(str::to_owned);
    let rows: Vec<[String; 5]> = std::iter::once(head).chain(verdict.findings.iter().map(cells)).collect();
    let widths: [usize; 5] = std::array::from_fn(|column| {
        let longest = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        longest.min(WIDEST[column])
    });
    let states = std::iter::once(None).chain(verdict.findings.iter().map(|finding| Some(finding.state)));
    let table = rows.iter().zip(states).map(|(row, state)| line(row, &widths, state, style));
    let unmet = verdict.findings.iter().filter(|finding| finding.state != State::Met);
    table.chain(unmet.flat_map(details)).collect()
}

fn cells(finding: &Finding) -> [String; 5] {
    let at = finding.at.clone().unwrap_or_default();
    let state = reason::state(finding.state).to_owned();
    [state, finding.what.clone(), at, finding.measured.clone(), finding.samples.to_string()]
}

fn line(row: &[String; 5], widths: &[usize; 5], state: Option<State>, style: Style) -> String {
    let [first, what, at, measured, samples] = std::array::from_fn(|column| {
        let text = fit(&row[column], widths[column]);
        let pad = " ".repeat(widths[column] - text.chars().count());
        if column == 4 { pad + &text } else { text + &pad }
    });
    let first = state.map_or(first.clone(), |state| style.paint(of_state(state), &first));
    format!("{first}  {what}  {at}  {measured}  {samples}")
}

/// Why a finding is not met, under its name.
fn details(finding: &Finding) -> Vec<String> {
    let at = finding.at.as_ref().map(|at| format!(" ({at})")).unwrap_or_default();
    let told = format!("{}: {}{at}: {}", reason::state(finding.state), finding.what, finding.detail);
    let lines = wrap(&told, WIDTH - 2).into_iter().enumerate();
    let indented = lines.map(|(number, line)| if number == 0 { line } else { format!("  {line}") });
    std::iter::once(String::new()).chain(indented).collect()
}
