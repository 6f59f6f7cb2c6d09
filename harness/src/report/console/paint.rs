//! How text stands on a console: colours, width, wrapping.

use gauntlet_core::{judge::State, outcome::Outcome};

/// Columns that every line fits, but for paths and commands that one copies.
pub(super) const WIDTH: usize = 100;

/// What the console can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// A terminal: the status is redrawn.
    Terminal {
        /// Whether it may have colours.
        colours: bool,
    },
    /// A file or the log of a CI system.
    Plain,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Plain,
    Bold,
    Red,
    Green,
    Yellow,
}

impl Style {
    /// By what the output is, and whether `NO_COLOR` is set to anything (no-color.org).
    pub fn of(is_terminal: bool, no_color: bool) -> Self {
        if is_terminal { Style::Terminal { colours: !no_color } } else { Style::Plain }
    }

    pub(super) fn redraws(self) -> bool {
        matches!(self, Style::Terminal { .. })
    }

    pub(super) fn paint(self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::Plain => return text.to_owned(),
            Colour::Bold => 1,
            Colour::Red => 31,
            Colour::Green => 32,
            Colour::Yellow => 33,
        };
        let coloured = self == Style::Terminal { colours: true };
        if coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

pub(super) fn of_outcome(outcome: Outcome) -> Colour {
    match outcome {
        Outcome::Passed => Colour::Green,
        Outcome::Inconclusive | Outcome::Interrupted => Colour::Yellow,
        Outcome::Failed
        | Outcome::BadScenario
        | Outcome::SetupFailed
        | Outcome::NotHealed
        | Outcome::Broken => Colour::Red,
    }
}

pub(super) fn of_state(state: State) -> Colour {
    match state {
        State::Met => Colour::Green,
        State::Unknown | State::Invalid | State::Interrupted => Colour::Yellow,
        State::Missed | State::SetUp | State::Broken | State::Residue => Colour::Red,
    }
}

/// At most so many columns of one line; control characters, which a terminal would obey, are shown as `?`.
pub(super) fn fit(text: &str, columns: usize) -> String {
    let clean = text.chars().map(|c| if c.is_control() { '?' } else { c });
    if text.chars().count() <= columns {
        clean.collect()
    } else {
        clean.take(columns.saturating_sub(1)).chain(['…']).collect()
    }
}

/// Lines of at most so many columns, broken between words where that is possible.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let word = fit(word, columns);
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= columns => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{Colour, Style, fit, wrap};

    #[test]
    fn colours_are_only_for_terminals_without_no_color() {
        assert_eq!(Style::of(true, false).paint(Colour::Red, "x"), "\x1b[31mx\x1b[0m");
        assert_eq!(Style::of(true, true).paint(Colour::Red, "x"), "x");
        assert_eq!(Style::of(false, false).paint(Colour::Red, "x"), "x");
    }

    #[test]
    fn what_is_too_long_is_cut_and_marked() {
        assert_eq!(fit("abcdef", 6), "abcdef");
        assert_eq!(fit("abcdefg", 6), "abcde…");
        assert_eq!(fit("a\x1b[31m", 9), "a?[31m");
    }

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrap("one two  three", 8), ["one two", "three"]);
        assert_eq!(wrap("incomprehensible", 6), ["incom…"]);
    }
}
