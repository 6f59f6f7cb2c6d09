//! How findings show quantities: one place, so that a number reads the same everywhere.

use crate::evidence::Request;

/// A length of time in microseconds.
pub(super) fn time(us: f64) -> String {
    match us {
        _ if us.is_infinite() => "endless".into(),
        _ if us < 1e3 => format!("{us:.0} us"),
        _ if us < 1e6 => format!("{:.1} ms", us / 1e3),
        _ => format!("{:.2} s", us / 1e6),
    }
}

/// A moment of the load's time line.
pub(super) fn moment(us: u64) -> String {
    format!("{:.2} s", us as f64 / 1e6)
}

/// A share of a whole, from a fraction.
pub(super) fn share(fraction: f64) -> String {
    format!("{:.3} %", fraction * 100.0)
}

/// A quantile by its usual name: `p95`, `p99.9`.
pub(crate) fn quantile(of: f64) -> String {
    format!("p{}", (of * 1e5).round() / 1e3)
}

/// A size.
pub(super) fn bytes(count: f64) -> String {
    match count {
        _ if count < 1e3 => format!("{count:.0} B"),
        _ if count < 1e6 => format!("{:.1} kB", count / 1e3),
        _ if count < 1e9 => format!("{:.1} MB", count / 1e6),
        _ => format!("{:.3} GB", count / 1e9),
    }
}

/// A number of things: `1 write`, `3 writes`.
pub(super) fn count(number: u64, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// A few of many, in order, and how many more there are.
pub(super) fn examples(mut all: Vec<String>, most: usize) -> String {
    all.sort();
    let more = all.len().saturating_sub(most);
    all.truncate(most);
    let shown = all.join("; ");
    if more == 0 { shown } else { format!("{shown}; and {more} more") }
}

/// Who answered: ` by <arm>`, or nothing when it is unknown.
pub(super) fn arm(request: &Request) -> String {
    if request.arm.is_empty() { String::new() } else { format!(" by {}", request.arm) }
}

#[cfg(test)]
mod tests {
    use super::{bytes, count, examples, moment, share, time};

    #[test]
    fn quantities_are_shown_in_the_unit_that_a_reader_expects() {
        assert_eq!(time(870.0), "870 us");
        assert_eq!(time(12_340.0), "12.3 ms");
        assert_eq!(time(1_234_000.0), "1.23 s");
        assert_eq!(time(f64::INFINITY), "endless");
        assert_eq!(moment(22_034_000), "22.03 s");
        assert_eq!(share(0.005), "0.500 %");
        assert_eq!(bytes(1.5e9), "1.500 GB");
        assert_eq!(bytes(312.4e6), "312.4 MB");
    }

    #[test]
    fn one_thing_and_many_things_are_counted_in_words() {
        assert_eq!(count(1, "write"), "1 write");
        assert_eq!(count(0, "write"), "0 writes");
    }

    #[test]
    fn examples_are_few_and_always_the_same() {
        let all = || ["c", "a", "b"].map(String::from).to_vec();
        assert_eq!(examples(all(), 2), "a; b; and 1 more");
        assert_eq!(examples(all(), 3), "a; b; c");
    }
}
