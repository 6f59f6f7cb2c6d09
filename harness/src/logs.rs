//! Logs of components: copied into the journal, without the run's secrets.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufWriter, Read, Seek, SeekFrom, Write},
    path::Path,
};

use gauntlet_core::act::Unit;

use crate::layout::Layout;

/// Bytes read at once.
const CHUNK: usize = 64 << 10;

/// The values that appear in no journal, log or report.
#[derive(Clone, Default)]
pub struct Secrets(BTreeMap<String, String>);

impl Secrets {
    /// The secrets of a run.
    pub fn read(layout: &Layout) -> io::Result<Self> {
        let mut values: BTreeMap<String, String> = serde_json::from_slice(&fs::read(layout.secrets())?)?;
        values.retain(|_, value| !value.is_empty());
        Ok(Self(values))
    }

    /// The text with every value replaced by `[secret:NAME]`.
    pub fn hide(&self, text: &str) -> String {
        let hide = |text: String, (name, value): (&String, &String)| text.replace(value, &mark(name));
        self.0.iter().fold(text.to_owned(), hide)
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

/// Copies the log of every replica into a directory, with every secret replaced by `[secret:NAME]`. A log that was
/// never written is left out; copying again replaces the copies.
pub fn collect(layout: &Layout, into: &Path) -> io::Result<()> {
    let logs: Vec<_> =
        layout.replicas.iter().map(|replica| layout.log(replica)).filter(|log| log.exists()).collect();
    if logs.is_empty() {
        return Ok(());
    }
    let secrets = Secrets::read(layout)?;
    fs::create_dir_all(into)?;
    for log in logs {
        let Some(name) = log.file_name() else { continue };
        let new = into.join(name).with_extension("log.new");
        let mut to = BufWriter::new(File::create(&new)?);
        copy(&mut File::open(&log)?, &mut to, &secrets)?;
        to.flush()?;
        fs::rename(new, into.join(name))?;
    }
    Ok(())
}

/// The last lines that a replica logged, without secrets; none when it logged nothing.
pub fn tail(layout: &Layout, unit: &Unit, lines: usize) -> Option<String> {
    let mut log = File::open(layout.log(layout.of(unit)?)).ok()?;
    let from = log.metadata().ok()?.len().saturating_sub(CHUNK as u64);
    log.seek(SeekFrom::Start(from)).ok()?;
    let mut bytes = Vec::new();
    log.take(CHUNK as u64).read_to_end(&mut bytes).ok()?;
    let text = Secrets::read(layout).ok()?.hide(whole_lines(&String::from_utf8_lossy(&bytes), from > 0));
    let all: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &all[all.len().saturating_sub(lines)..];
    (!last.is_empty()).then(|| last.join("\n"))
}

/// A line whose beginning was cut off may begin within a secret, which nobody would recognise.
pub(crate) fn whole_lines(text: &str, is_cut: bool) -> &str {
    if is_cut { text.split_once('\n').map_or("", |(_, rest)| rest) } else { text }
}

// A secret that straddles two chunks is found too: what could be its beginning is kept back.
fn copy(from: &mut impl Read, to: &mut impl Write, secrets: &Secrets) -> io::Result<()> {
    let mut held = Vec::with_capacity(2 * CHUNK);
    loop {
        let read = from.by_ref().take(CHUNK as u64).read_to_end(&mut held)?;
        let done = secrets.emit(&held, read == 0, to)?;
        held.drain(..done);
        if read == 0 {
            return Ok(());
        }
    }
}

fn mark(name: &str) -> String {
    format!("[secret:{name}]")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::{CHUNK, Secrets, copy, whole_lines};

    fn secrets() -> Secrets {
        Secrets(BTreeMap::from([("password".into(), "c0ffee11".into()), ("token".into(), "deadbeef".into())]))
    }

    fn copied(text: &[u8]) -> Vec<u8> {
        let mut to = Vec::new();
        copy(&mut &*text, &mut to, &secrets()).unwrap();
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
