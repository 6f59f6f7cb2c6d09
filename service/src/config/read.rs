//! Reads single settings and gathers what is wrong with them. An empty value counts as not set.

use std::fmt::{self, Display};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use super::{Secret, Source};

/// The longest duration that a setting may have: a year.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// One setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The setting's name.
    pub name: &'static str,
    /// What is wrong with it.
    pub wrong: String,
    /// What to write instead, with unit and example.
    pub write: String,
}

/// Everything that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> =
            self.0.iter().map(|p| format!("{}: {}; write {}", p.name, p.wrong, p.write)).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// Reads settings one after the other; a wrong one leaves a problem and a stand-in that nobody sees.
pub(super) struct Reader<'a> {
    source: &'a dyn Source,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(source: &'a dyn Source) -> Self {
        Self { source, problems: Vec::new() }
    }

    /// Gives the settings out only when nothing was wrong.
    pub(super) fn finish<T>(self, read: T) -> Result<T, Problems> {
        if self.problems.is_empty() { Ok(read) } else { Err(Problems(self.problems)) }
    }

    fn get(&self, name: &str) -> Option<String> {
        self.source.get(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty())
    }

    fn wrong<T>(&mut self, name: &'static str, wrong: String, write: &str, stand_in: T) -> T {
        self.problems.push(Problem { name, wrong, write: write.to_owned() });
        stand_in
    }

    pub(super) fn parsed<T: FromStr>(&mut self, name: &'static str, write: &str, default: T) -> T {
        match self.get(name) {
            None => default,
            Some(text) => match text.parse() {
                Ok(value) => value,
                Err(_) => self.wrong(name, format!("{text:?} cannot be read"), write, default),
            },
        }
    }

    pub(super) fn count(
        &mut self,
        name: &'static str,
        range: RangeInclusive<usize>,
        default: usize,
    ) -> usize {
        let write = format!("a whole number from {} to {} such as {default}", range.start(), range.end());
        let value = self.parsed(name, &write, default);
        if range.contains(&value) {
            return value;
        }
        self.wrong(name, format!("{value} is out of range"), &write, default)
    }

    pub(super) fn duration(&mut self, name: &'static str, default: &str) -> Duration {
        let value = self.duration_or_zero(name, default);
        if !value.is_zero() || self.problems.last().is_some_and(|p| p.name == name) {
            return value;
        }
        self.wrong(name, "must be more than zero".to_owned(), &duration_hint(default), value)
    }

    pub(super) fn duration_or_zero(&mut self, name: &'static str, default: &str) -> Duration {
        let text = self.get(name).unwrap_or_else(|| default.to_owned());
        match parse_duration(&text) {
            Ok(value) => value,
            Err(why) => self.wrong(name, format!("{text:?} {why}"), &duration_hint(default), Duration::ZERO),
        }
    }

    /// Redis keeps time to live in seconds here, so a fraction would be dropped in silence.
    pub(super) fn whole_seconds(&mut self, name: &'static str, default: &str) -> Duration {
        let value = self.duration(name, default);
        if value.subsec_nanos() == 0 {
            return value;
        }
        self.wrong(name, "must be whole seconds".to_owned(), &duration_hint(default), value)
    }

    /// The value is a secret, so a problem never repeats it.
    pub(super) fn url(&mut self, name: &'static str, schemes: &[&str]) -> Secret {
        let write = format!("a URL that begins with {}", schemes.join(" or "));
        match self.get(name) {
            None => self.wrong(name, "is not set".to_owned(), &write, Secret::new(String::new())),
            Some(url) if schemes.iter().any(|scheme| url.starts_with(scheme)) => Secret::new(url),
            Some(_) => self.wrong(name, "has another scheme".to_owned(), &write, Secret::new(String::new())),
        }
    }

    /// A name that is sent in a header.
    pub(super) fn label(&mut self, name: &'static str, default: impl FnOnce() -> String) -> String {
        let value = self.get(name).unwrap_or_else(default);
        if value.len() <= 128 && value.bytes().all(|b| b.is_ascii_graphic()) {
            return value;
        }
        self.wrong(
            name,
            format!("{value:?} cannot be a header"),
            "at most 128 visible ASCII characters",
            String::new(),
        )
    }

    /// A log filter: the first of the names that is set.
    pub(super) fn filter(&mut self, names: &[&'static str], default: &str) -> String {
        let set = names.iter().find_map(|name| self.get(name).map(|value| (*name, value)));
        let Some((name, value)) = set else { return default.to_owned() };
        match EnvFilter::try_new(&value) {
            Ok(_) => value,
            Err(why) => self.wrong(
                name,
                format!("{value:?}: {why}"),
                "a level (error, warn, info, debug, trace) or target=level",
                value.clone(),
            ),
        }
    }
}

fn duration_hint(example: &str) -> String {
    format!("a duration such as {example} (units: ms, s, m, h)")
}

/// Reads a number with its unit. A bare number is refused: nobody knows whether it means seconds.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, &'static str> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| "is not a whole number with a unit")?;
    let millis_each = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "" => return Err("has no unit"),
        _ => return Err("has an unknown unit"),
    };
    number
        .checked_mul(millis_each)
        .map(Duration::from_millis)
        .filter(|value| *value <= LONGEST)
        .ok_or("is longer than a year")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_duration_is_a_number_with_a_unit() {
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("3600s"), Ok(Duration::from_secs(3600)));
        assert_eq!(parse_duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(parse_duration("2h"), Ok(Duration::from_secs(7200)));
    }

    #[test]
    fn a_duration_without_a_unit_or_a_number_is_refused() {
        assert_eq!(parse_duration("3600"), Err("has no unit"));
        assert_eq!(parse_duration("3600 s"), Err("has an unknown unit"));
        assert_eq!(parse_duration("s"), Err("is not a whole number with a unit"));
        assert_eq!(parse_duration("-1s"), Err("is not a whole number with a unit"));
        assert_eq!(parse_duration("99999999999999999999s"), Err("is not a whole number with a unit"));
        assert_eq!(parse_duration("18446744073709551615h"), Err("is longer than a year"));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,20}") {
            let _ = parse_duration(&text);
        }

        #[test]
        fn what_is_written_in_milliseconds_is_read_back(ms in 0_u64..31_536_000_000) {
            prop_assert_eq!(parse_duration(&format!("{ms}ms")), Ok(Duration::from_millis(ms)));
        }
    }
}
