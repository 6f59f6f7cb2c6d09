//! How reports show quantities: one place, so that a number reads the same everywhere.

/// What stands where there is no number.
pub(super) const NONE: &str = "–";

/// Milliseconds: `0.8 ms`, `12.3 ms`, `312 ms`, `1.31 s`.
pub(super) fn ms(value: Option<f64>) -> String {
    match value {
        None => NONE.into(),
        Some(ms) if ms < 100.0 => format!("{ms:.1} ms"),
        Some(ms) if ms < 1_000.0 => format!("{ms:.0} ms"),
        Some(ms) => format!("{:.2} s", ms / 1e3),
    }
}

/// A percentile of requests: null means that it falls among those without a right answer.
pub(super) fn percentile(value: Option<f64>, requests: u64) -> String {
    if value.is_none() && requests > 0 { "endless".into() } else { ms(value) }
}

/// So many a second.
pub(super) fn rate(per_s: f64) -> String {
    if per_s < 100.0 { format!("{per_s:.1}/s") } else { format!("{}/s", count(per_s.round() as u64)) }
}

/// A share of a whole, from a fraction.
pub(super) fn share(fraction: Option<f64>) -> String {
    match fraction.map(|fraction| fraction * 100.0) {
        None => NONE.into(),
        Some(0.0) => "0 %".into(),
        Some(percent) if percent > 0.0 && percent < 1.0 => format!("{percent:.3} %"),
        Some(percent) => format!("{percent:.1} %"),
    }
}

/// With spaces between thousands: `71 500`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            // A narrow space that does not break.
            shown.push('\u{202f}');
        }
        shown.push(digit);
    }
    shown
}

/// `1 fault`, `2 faults`.
pub(super) fn things(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", count(number as u64))
}

/// A size.
pub(super) fn bytes(value: Option<f64>) -> String {
    match value {
        None => NONE.into(),
        Some(bytes) if bytes < 1e3 => format!("{bytes:.0} B"),
        Some(bytes) if bytes < 1e6 => format!("{:.1} kB", bytes / 1e3),
        Some(bytes) if bytes < 1e9 => format!("{:.1} MB", bytes / 1e6),
        Some(bytes) => format!("{:.2} GB", bytes / 1e9),
    }
}

/// A moment: `22.03 s`.
pub(super) fn moment(at_s: Option<f64>) -> String {
    at_s.map_or_else(|| NONE.into(), |at| format!("{at:.2} s"))
}

/// A length of time in whole seconds: `1:05`.
pub(super) fn clock(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    format!("{}:{:02}", whole / 60, whole % 60)
}

/// A value of a metric: large and whole numbers without a fraction.
pub(super) fn value(value: Option<f64>) -> String {
    match value {
        None => NONE.into(),
        Some(value)
            if (0.0..1e15).contains(&value) && (value >= 100.0 || (value - value.round()).abs() < 0.05) =>
        {
            count(value.round() as u64)
        }
        Some(value) => format!("{value:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{bytes, clock, count, ms, percentile, rate, share, things, value};

    #[test]
    fn quantities_are_shown_with_their_units() {
        assert_eq!([ms(Some(0.84)), ms(Some(312.4)), ms(Some(1_312.0))], ["0.8 ms", "312 ms", "1.31 s"]);
        assert_eq!([rate(3.25), rate(1_099.6)], ["3.2/s".to_owned(), "1\u{202f}100/s".to_owned()]);
        assert_eq!([share(Some(0.0004)), share(Some(0.0)), share(Some(0.91))], ["0.040 %", "0 %", "91.0 %"]);
        assert_eq!([bytes(Some(52.4e6)), bytes(Some(2.1e9))], ["52.4 MB", "2.10 GB"]);
        assert_eq!(clock(65.9), "1:05");
        assert_eq!([value(Some(3.0)), value(Some(2.5))], ["3", "2.5"]);
    }

    #[test]
    fn thousands_are_told_apart() {
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
    }

    #[test]
    fn one_thing_and_many_things_are_counted_in_words() {
        assert_eq!([things(1, "fault"), things(2, "fault")], ["1 fault", "2 faults"]);
    }

    #[test]
    fn no_value_among_requests_is_endless_and_without_requests_nothing() {
        assert_eq!(percentile(None, 10), "endless");
        assert_eq!(percentile(None, 0), "–");
    }
}
