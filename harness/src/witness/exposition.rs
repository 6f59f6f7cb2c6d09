//! Prometheus' text format: just enough to pick series out of it.

use std::collections::BTreeMap;

/// A series' name and labels.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Series {
    /// The metric's name.
    pub(super) name: String,
    /// Its labels.
    pub(super) labels: BTreeMap<String, String>,
}

impl Series {
    /// From `name{label="value"}`; what follows is given back.
    pub(super) fn parse(text: &str) -> Option<(Self, &str)> {
        let end =
            text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len());
        let (name, mut rest) = text.split_at(end);
        let mut labels = BTreeMap::new();
        if let Some(inside) = rest.strip_prefix('{') {
            rest = inside.trim_start();
            while !rest.starts_with('}') {
                let (label, after) = rest.split_once('=')?;
                let (value, after) = quoted(after.trim_start())?;
                labels.insert(label.trim().to_owned(), value);
                rest = after.trim_start();
                rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
            }
            rest = &rest[1..];
        }
        (!name.is_empty()).then(|| (Self { name: name.to_owned(), labels }, rest))
    }

    /// Whether it has the name and all the labels of the other; it may have more labels.
    pub(super) fn is_part_of(&self, whole: &Self) -> bool {
        self.name == whole.name
            && whole.labels.iter().all(|(label, value)| self.labels.get(label) == Some(value))
    }

    /// As Prometheus writes it, labels in order of their names.
    pub(super) fn written(&self) -> String {
        if self.labels.is_empty() {
            return self.name.clone();
        }
        let escaped = |value: &str| value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
        let labels: Vec<_> =
            self.labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
        format!("{}{{{}}}", self.name, labels.join(","))
    }
}

/// Every series with its value. Lines that are none are passed over, as scrapers do.
pub(super) fn parse(text: &str) -> impl Iterator<Item = (Series, f64)> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (series, rest) = Series::parse(line.trim())?;
        let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
        Some((series, value))
    })
}

fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.strip_prefix('"')?.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((value, &text[at + 2..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Series, parse};

    fn series(text: &str) -> Series {
        Series::parse(text).unwrap().0
    }

    #[test]
    fn series_values_and_time_stamps_are_told_apart() {
        let text = "# HELP a b\n# TYPE a counter\na_total{x=\"1\", y=\"}\\\"\"} 3 1700000000\nb 1e3\n\nbad{ 2\nc NaN\n";
        let found: Vec<_> = parse(text).map(|(series, value)| (series.written(), value)).collect();
        assert_eq!(found[0], ("a_total{x=\"1\",y=\"}\\\"\"}".to_owned(), 3.0));
        assert_eq!(found[1], ("b".to_owned(), 1000.0));
        assert!(found[2].1.is_nan());
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn a_series_with_more_labels_is_part_of_one_with_fewer() {
        assert!(series(r#"a{x="1",y="2"}"#).is_part_of(&series(r#"a{y="2"}"#)));
        assert!(!series(r#"a{x="1"}"#).is_part_of(&series(r#"a{x="2"}"#)));
        assert!(!series(r#"b{x="1"}"#).is_part_of(&series("a")));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_as_the_same(value in "[ -~\n]{0,20}") {
            let one = Series { name: "a".into(), labels: [("x".to_owned(), value)].into() };
            let text = one.written();
            let (read, rest) = Series::parse(&text).unwrap();
            prop_assert_eq!(read, one);
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn no_text_makes_the_reader_fail(text in "\\PC{0,60}") {
            let _ = parse(&text).count();
        }
    }
}
