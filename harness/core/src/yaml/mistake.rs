//! A mistake in a file: where, what, and how to mend it.

/// A mistake in a file that a user wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Counted from 1; 0 until it is located.
    pub line: u32,
    /// Counted from 1.
    pub column: u32,
    /// The path in the file: `faults[0].at`; empty: the file as a whole.
    pub path: String,
    /// What is wrong.
    pub what: String,
    /// How to mend it.
    pub mend: Option<String>,
    /// It is the name at the path that is wrong, not the value.
    pub of_key: bool,
}

impl Mistake {
    /// A mistake in the value at a path.
    pub fn at(path: impl Into<String>, what: impl Into<String>) -> Self {
        Self { line: 0, column: 0, path: path.into(), what: what.into(), mend: None, of_key: false }
    }

    /// A mistake in the name at a path.
    pub fn of_key(path: impl Into<String>, what: impl Into<String>) -> Self {
        Self { of_key: true, ..Self::at(path, what) }
    }

    /// The same with its mend.
    #[must_use]
    pub fn mend(self, mend: impl Into<String>) -> Self {
        Self { mend: Some(mend.into()), ..self }
    }

    /// The same for something that stands deeper in the file.
    #[must_use]
    pub fn under(self, path: &str) -> Self {
        let path = match (path, self.path.as_str()) {
            ("", own) => own.to_owned(),
            (path, "") => path.to_owned(),
            (path, own) if own.starts_with('[') => format!("{path}{own}"),
            (path, own) => format!("{path}.{own}"),
        };
        Self { path, ..self }
    }

    /// An unknown word where others are known: the closest of them is offered.
    pub fn unknown<'a>(
        path: impl Into<String>,
        kind: &str,
        word: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        Self::at(path, format!("unknown {kind} `{word}`")).mend(one_of(word, known))
    }

    /// One line for a person: `benchmarks.yml:12:5: unknown field `repilcas`; did you mean `replicas`?`
    pub fn show(&self, file: &str) -> String {
        let place = if self.line == 0 { String::new() } else { format!(":{}:{}", self.line, self.column) };
        let mend = self.mend.as_ref().map(|mend| format!("; {mend}")).unwrap_or_default();
        format!("{file}{place}: {}{mend}", self.what)
    }
}

/// The known word that is closest to a misspelt one, when one is close.
pub fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let reach = (word.chars().count() / 3).max(1);
    let scored = known.into_iter().map(|other| (strsim::damerau_levenshtein(word, other), other));
    scored.filter(|(distance, _)| *distance <= reach).min().map(|(_, other)| other)
}

/// The mend for an unknown word: the closest known one, or all of them.
pub fn one_of<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match closest(word, known.iter().copied()) {
        Some(other) => format!("did you mean `{other}`?"),
        None if known.is_empty() => "none is known here".to_owned(),
        None => format!("write one of `{}`", known.join("`, `")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Mistake, closest, one_of};

    #[test]
    fn a_mistake_is_shown_with_place_reason_and_mend() {
        let mut mistake = Mistake::unknown("x", "field", "repilcas", ["ports", "replicas"]);
        (mistake.line, mistake.column) = (12, 5);
        assert_eq!(mistake.show("a.yml"), "a.yml:12:5: unknown field `repilcas`; did you mean `replicas`?");
    }

    #[test]
    fn a_word_that_is_close_to_none_is_answered_with_all() {
        assert_eq!(closest("zebra", ["kill", "pause"]), None);
        assert_eq!(one_of("zebra", ["kill", "pause"]), "write one of `kill`, `pause`");
    }

    #[test]
    fn paths_are_joined_with_a_dot_but_before_an_index() {
        assert_eq!(Mistake::at("at", "").under("faults[0]").path, "faults[0].at");
        assert_eq!(Mistake::at("[0].at", "").under("faults").path, "faults[0].at");
        assert_eq!(Mistake::at("", "").under("faults").path, "faults");
    }
}
