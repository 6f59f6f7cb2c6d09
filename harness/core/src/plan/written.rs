//! Objectives as written: `p95 of ask < 200ms in fault`, taken apart.

use super::Comparison;
use crate::yaml::{Mistake, one_of};

/// The quantiles that can be asked for.
pub(super) const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999)];

/// The measures besides quantiles and metrics, each with an example.
pub(super) const MEASURES: [(&str, &str); 7] = [
    ("throughput", "throughput > 1000/s"),
    ("errors", "errors < 0.5%"),
    ("recovery", "recovery < 5s"),
    ("rpo", "rpo < 30s"),
    ("rto", "rto < 60s"),
    ("memory", "memory of COMPONENT < 2GB"),
    ("cpu", "cpu of COMPONENT < 70%"),
];

/// The parts of an objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written<'a> {
    /// `p95`, `errors`, the name of a metric, ...
    pub(super) measure: &'a str,
    /// What stands behind `of`.
    pub(super) of: Option<&'a str>,
    /// The side of the bound.
    pub(super) comparison: Comparison,
    /// The bound.
    pub(super) bound: &'a str,
    /// What stands behind `in`.
    pub(super) phase: Option<&'a str>,
}

/// Takes an objective apart.
pub(super) fn parse(text: &str) -> Result<Written<'_>, Mistake> {
    let wrong = |what: String, mend: &str| Mistake::at("", what).mend(mend);
    let Some(at) = text.find(['<', '>']) else {
        return Err(wrong(
            format!("{text:?} is no objective: it compares nothing"),
            "write it like `p95 < 200ms`",
        ));
    };
    let (left, right) = (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default());
    let comparison = if text.get(at..).is_some_and(|rest| rest.starts_with('<')) {
        Comparison::Below
    } else {
        Comparison::Above
    };
    if right.contains(['<', '>', '=']) {
        return Err(wrong(
            format!("{text:?} is no objective: one `<` or `>` is known"),
            "write it like `p95 < 200ms`",
        ));
    }
    let (bound, phase) = match right.split_once(" in ") {
        Some((bound, phase)) => (bound, Some(phase.trim())),
        None => (right, None),
    };
    let (measure, of) = match left.split_once(" of ") {
        Some((measure, of)) => (measure, Some(of.trim())),
        None => (left, None),
    };
    let (measure, bound) = (measure.trim(), bound.trim());
    if measure.is_empty() || bound.is_empty() {
        return Err(wrong(
            format!("{text:?} is no objective: a side is empty"),
            "write it like `p95 < 200ms`",
        ));
    }
    Ok(Written { measure, of, comparison, bound, phase })
}

/// The mistake of a measure that nobody knows.
pub(super) fn unknown_measure<'a>(word: &str, metrics: impl Iterator<Item = &'a str>) -> Mistake {
    let words = QUANTILES.iter().map(|(word, _)| *word).chain(MEASURES.iter().map(|(word, _)| *word));
    Mistake::at("", format!("unknown measure `{word}`")).mend(one_of(word, words.chain(metrics)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Comparison, Written, parse};

    #[test]
    fn every_part_is_found_with_and_without_spaces() {
        let whole = Written {
            measure: "p95",
            of: Some("ask"),
            comparison: Comparison::Below,
            bound: "200ms",
            phase: Some("fault"),
        };
        assert_eq!(parse("p95 of ask < 200ms in fault").unwrap(), whole);
        let short = parse("throughput>1000/s").unwrap();
        assert_eq!(
            (short.measure, short.comparison, short.bound),
            ("throughput", Comparison::Above, "1000/s")
        );
    }

    #[test]
    fn what_compares_nothing_or_too_much_is_refused() {
        for bad in ["", "p95", "p95 <= 200ms", "p95 < 200ms < 3s", "< 5s", "p95 <", "p95 = 2s"] {
            assert!(parse(bad).unwrap_err().mend.is_some(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_apart_or_refused(text in "\\PC*") {
            let _ = parse(&text);
        }
    }
}
