//! Prometheus' text format: just enough to pick series out of it, and what a run wants of each component.

use std::collections::BTreeMap;

use crate::{
    name::Name,
    system::{Metric, Scrape, System},
};

/// A series' name and labels.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    /// The metric's name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

impl Series {
    /// From `name{label="value"}`; what follows is given back.
    pub fn parse(text: &str) -> Option<(Self, &str)> {
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
    pub fn is_part_of(&self, whole: &Self) -> bool {
        self.name == whole.name
            && whole.labels.iter().all(|(label, value)| self.labels.get(label) == Some(value))
    }

    /// As Prometheus writes it, labels in order of their names.
    pub fn written(&self) -> String {
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
pub fn parse(text: &str) -> impl Iterator<Item = (Series, f64)> {
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

/// What is kept of a component's export.
#[derive(Debug, Default)]
pub struct Wanted {
    /// Where it is exported; none: nowhere.
    pub scrape: Option<Scrape>,
    // Recorded as the metric writes them, summed over the labels that it leaves out.
    series: Vec<(String, Series)>,
}

impl Wanted {
    /// What these metrics need, and what the system file keeps, by component.
    pub fn of(system: &System, metrics: &BTreeMap<Name, Metric>) -> BTreeMap<Name, Self> {
        let mut wanted = BTreeMap::<Name, Self>::new();
        for (name, component) in &system.components {
            wanted.entry(name.clone()).or_default().scrape.clone_from(&component.scrape);
        }
        for metric in metrics.values() {
            let series = metric.of.iter().chain(&metric.to);
            let series = series.filter_map(|text| Some((text.clone(), Series::parse(text)?.0)));
            wanted.entry(metric.component.clone()).or_default().series.extend(series);
        }
        for wanted in wanted.values_mut() {
            wanted.series.sort();
            wanted.series.dedup();
        }
        wanted
    }

    /// Picks it out of an export.
    pub fn pick(&self, text: &str) -> BTreeMap<String, f64> {
        let keep = self.scrape.iter().flat_map(|scrape| &scrape.keep).collect::<Vec<_>>();
        let mut picked = BTreeMap::new();
        for (series, value) in parse(text) {
            let whole = self.series.iter().filter(|(_, whole)| series.is_part_of(whole));
            let mut as_written: Vec<String> = whole.map(|(text, _)| text.clone()).collect();
            if keep.iter().any(|name| **name == series.name) && !as_written.contains(&series.written()) {
                as_written.push(series.written());
            }
            for text in as_written {
                *picked.entry(text).or_insert(0.0) += value;
            }
        }
        picked
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Series, Wanted, parse};
    use crate::system::Scrape;

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

    fn wanted(series: &[&str], keep: &[&str]) -> Wanted {
        let scrape = Scrape {
            port: "metrics".parse().unwrap(),
            path: "/metrics".into(),
            keep: keep.iter().map(ToString::to_string).collect(),
        };
        let series = series.iter().map(|text| ((*text).to_owned(), Series::parse(text).unwrap().0)).collect();
        Wanted { scrape: Some(scrape), series }
    }

    const EXPORT: &str = "hits{kind=\"a\",route=\"x\"} 1\nhits{kind=\"a\",route=\"y\"} 2\nhits{kind=\"b\",route=\"x\"} 4\nother 8\n";

    #[test]
    fn a_wanted_series_sums_the_labels_that_it_leaves_out() {
        let picked = wanted(&[r#"hits{kind="a"}"#], &[]).pick(EXPORT);
        assert_eq!(picked.into_iter().collect::<Vec<_>>(), [(r#"hits{kind="a"}"#.to_owned(), 3.0)]);
    }

    #[test]
    fn kept_names_are_recorded_series_by_series() {
        assert_eq!(wanted(&[], &["hits"]).pick(EXPORT).len(), 3);
    }

    #[test]
    fn a_series_that_is_wanted_and_kept_counts_once() {
        let series = r#"hits{kind="b",route="x"}"#;
        let picked = wanted(&[series], &["hits"]).pick(EXPORT);
        assert_eq!(picked.get(series), Some(&4.0));
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
