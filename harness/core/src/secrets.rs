//! Secrets: values that appear in no plan, journal, log or report, and how they are taken out of a text.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
};

/// Bytes read at once.
const CHUNK: usize = 64 << 10;

/// The values that appear in no journal, log or report, by name.
#[derive(Clone, Default)]
pub struct Secrets(BTreeMap<String, String>);

impl Secrets {
    /// An empty value would be found everywhere, and hides nothing.
    pub fn new(mut values: BTreeMap<String, String>) -> Self {
        values.retain(|_, value| !value.is_empty());
        Self(values)
    }

    /// The text with every value replaced by `[secret:NAME]`.
    pub fn hide(&self, text: &str) -> String {
        let hide = |text: String, (name, value): (&String, &String)| text.replace(value, &mark(name));
        self.0.iter().fold(text.to_owned(), hide)
    }

    /// Copies a log. A secret that straddles two chunks is found too: what could be its beginning is kept back.
    pub fn copy(&self, from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
        let mut held = Vec::with_capacity(2 * CHUNK);
        loop {
            let read = from.by_ref().take(CHUNK as u64).read_to_end(&mut held)?;
            let done = self.emit(&held, read == 0, to)?;
            held.drain(..done);
            if read == 0 {
                return Ok(());
            }
        }
    }

    // Emits all of `bytes` in which no secret can begin any more; answers how many bytes that were.
    fn emit(&self, bytes: &[u8], last: bool, to: &mut impl Write) -> io::Result<usize> {
        let longest = self.0.values().map(String::len).max().unwrap_or(1);
        let end = if last { bytes.len() } else { bytes.len().saturating_sub(longest - 1) };
        let (mut at, mut plain) = (0, 0);
        while at < end {
            let Some((name, value)) =
                self.0.iter().find(|(_, value)| bytes[at..].starts_with(value.as_bytes()))
            else {
                at += 1;
                continue;
            };
            to.write_all(&bytes[plain..at])?;
            to.write_all(mark(name).as_bytes())?;
            at += value.len();
            plain = at;
        }
        to.write_all(&bytes[plain..at])?;
        Ok(at)
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A line whose beginning was cut off may begin within a secret, which nobody would recognise.
pub fn whole_lines(text: &str, is_cut: bool) -> &str {
    if is_cut { text.split_once('\n').map_or("", |(_, rest)| rest) } else { text }
}

fn mark(name: &str) -> String {
    format!("[secret:{name}]")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::{CHUNK, Secrets, whole_lines};

    fn secrets() -> Secrets {
        Secrets(BTreeMap::from([("password".into(), "c0ffee11".into()), ("token".into(), "deadbeef".into())]))
    }

    fn copied(text: &[u8]) -> Vec<u8> {
        let mut to = Vec::new();
        secrets().copy(&mut &*text, &mut to).unwrap();
        to
    }

    #[test]
    fn every_secret_is_replaced_by_its_name() {
        let copy = copied(b"url postgres://c0ffee11@x c0ffee1 deadbeef");
        assert_eq!(
            String::from_utf8(copy).unwrap(),
            "url postgres://[secret:password]@x c0ffee1 [secret:token]"
        );
    }

    #[test]
    fn a_line_that_was_cut_is_left_out_for_it_may_begin_within_a_secret() {
        assert_eq!(whole_lines("ffee11 cut\nwhole\n", true), "whole\n");
        assert_eq!(whole_lines("all\nof it", false), "all\nof it");
        assert_eq!(whole_lines("one long line", true), "");
    }

    #[test]
    fn bytes_that_are_no_text_are_copied_as_they_are() {
        assert_eq!(copied(b"\xff\x00a"), b"\xff\x00a");
    }

    proptest! {
        #[test]
        fn a_secret_is_found_wherever_it_straddles_a_chunk(before in CHUNK - 9..CHUNK + 9, after in 0usize..20) {
            let text = ["a".repeat(before), "c0ffee11".into(), "b".repeat(after)].concat();
            let expected = ["a".repeat(before), "[secret:password]".into(), "b".repeat(after)].concat();
            prop_assert_eq!(copied(text.as_bytes()), expected.as_bytes());
        }
    }
}
