//! The table of findings at the end of a run.

use gauntlet_core::judge::{Finding, State, Verdict};

use super::paint::{Style, WIDTH, fit, of_state, wrap};
use crate::report::reason;

const COLUMNS: usize = 5;
/// Spaces between columns.
const GAP: usize = 2;
/// The columns that may be cut when all would not fit, and the width that they keep at least.
const CUT: [(usize, usize); 3] = [(1, 24), (2, 12), (3, 16)];

/// The table, and under it the details of what is not met.
pub(super) fn lines(verdict: &Verdict, style: Style) -> Vec<String> {
    let head = ["state", "what", "at", "measured", "samples"].map(str::to_owned);
    let rows: Vec<[String; COLUMNS]> =
        std::iter::once(head).chain(verdict.findings.iter().map(cells)).collect();
    let widths = widths(&rows);
    let states = std::iter::once(None).chain(verdict.findings.iter().map(|finding| Some(finding.state)));
    let table = rows.iter().zip(states).map(|(row, state)| line(row, &widths, state, style));
    let unmet = verdict.findings.iter().filter(|finding| finding.state != State::Met);
    table.chain(unmet.flat_map(details)).collect()
}

/// As wide as their longest cell; where that is too wide, the widest of those that may be cut gives way.
fn widths(rows: &[[String; COLUMNS]]) -> [usize; COLUMNS] {
    let mut widths: [usize; COLUMNS] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    while widths.iter().sum::<usize>() + GAP * (COLUMNS - 1) > WIDTH {
        let cut = CUT.iter().filter(|(column, least)| widths[*column] > *least);
        let Some((widest, _)) = cut.max_by_key(|(column, least)| widths[*column] - least) else { break };
        widths[*widest] -= 1;
    }
    widths
}

fn cells(finding: &Finding) -> [String; COLUMNS] {
    let at = finding.at.clone().unwrap_or_default();
    let state = reason::state(finding.state).to_owned();
    [state, finding.what.clone(), at, finding.measured.clone(), finding.samples.to_string()]
}

fn line(row: &[String; COLUMNS], widths: &[usize; COLUMNS], state: Option<State>, style: Style) -> String {
    let [first, what, at, measured, samples] = std::array::from_fn(|column| {
        let text = fit(&row[column], widths[column]);
        let pad = " ".repeat(widths[column] - text.chars().count());
        if column == 4 { pad + &text } else { text + &pad }
    });
    let first = state.map_or_else(|| first.clone(), |state| style.paint(of_state(state), &first));
    [first, what, at, measured, samples].join(&" ".repeat(GAP))
}

/// Why a finding is not met, under its name.
fn details(finding: &Finding) -> Vec<String> {
    let at = finding.at.as_ref().map(|at| format!(" ({at})")).unwrap_or_default();
    let told = format!("{}: {}{at}: {}", reason::state(finding.state), finding.what, finding.detail);
    let lines = wrap(&told, WIDTH - 2).into_iter().enumerate();
    let indented = lines.map(|(number, line)| if number == 0 { line } else { format!("  {line}") });
    std::iter::once(String::new()).chain(indented).collect()
}

#[cfg(test)]
mod tests {
    use gauntlet_core::judge::{Finding, State, Verdict};

    use super::lines;
    use crate::report::console::paint::{Style, WIDTH};

    #[test]
    fn the_widest_column_gives_way_and_every_line_fits() {
        let finding = Finding {
            judge: "no-lost-write".into(),
            what: "a check with quite a long name that nobody needs".into(),
            at: Some("the pause of service-2 and more".into()),
            state: State::Residue,
            measured: "0 of 7795 writes lost, 0 otherwise wrong, and so on and on".into(),
            samples: 123_456_789,
            detail: "why ".repeat(90),
        };
        let shown = lines(&Verdict::of(vec![finding]), Style::Plain);
        assert!(shown.iter().all(|line| line.chars().count() <= WIDTH), "{shown:#?}");
        assert!(shown[1].contains('…') && shown[1].ends_with("123456789"), "{}", shown[1]);
    }
}
