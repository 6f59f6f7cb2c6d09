//! Places in PostgreSQL's write-ahead log, its segments' names and its pages' headers (`xlogdefs.h`, `xlog_internal.h`).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Bytes of a segment: initdb's default. Others are refused, not guessed.
pub const SEGMENT: u64 = 16 << 20;

/// Bytes of a page.
pub const PAGE: u64 = 8192;

/// A log sequence number: bytes since the log's beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Lsn(pub u64);

/// A segment: the timeline and the number of the 16 MiB piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Segment {
    /// The timeline.
    pub timeline: u32,
    /// Which piece.
    pub number: u64,
}

/// What the first page of a segment says (`XLogLongPageHeaderData`, little-endian).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The timeline.
    pub timeline: u32,
    /// Where the page is in the log.
    pub at: Lsn,
    /// The server's system identifier.
    pub identifier: u64,
    /// Bytes of a segment.
    pub segment: u32,
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

impl FromStr for Lsn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let halves = text.split_once('/').and_then(|(high, low)| {
            let half = |digits| u32::from_str_radix(digits, 16).ok().map(u64::from);
            Some((half(high)?, half(low)?))
        });
        let (high, low) = halves.ok_or_else(|| format!("{text:?} is no log position such as 0/1A2B3C4"))?;
        Ok(Self(high << 32 | low))
    }
}

impl TryFrom<String> for Lsn {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Lsn> for String {
    fn from(lsn: Lsn) -> Self {
        lsn.to_string()
    }
}

impl Segment {
    /// The segment that holds a place.
    pub fn of(timeline: u32, lsn: Lsn) -> Self {
        Self { timeline, number: lsn.0 / SEGMENT }
    }

    /// Where it begins.
    pub fn start(self) -> Lsn {
        Lsn(self.number * SEGMENT)
    }

    /// The one after it.
    pub fn next(self) -> Self {
        Self { number: self.number + 1, ..self }
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_high = (1_u64 << 32) / SEGMENT;
        write!(f, "{:08X}{:08X}{:08X}", self.timeline, self.number / per_high, self.number % per_high)
    }
}

impl FromStr for Segment {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let part =
            |from: usize| name.get(from..from + 8).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let parsed = (name.len() == 24).then(|| Some((part(0)?, part(8)?, part(16)?))).flatten();
        let (timeline, high, low) = parsed.ok_or_else(|| format!("{name:?} is no name of a log segment"))?;
        let number = (u64::from(high) << 32) / SEGMENT + u64::from(low);
        let segment = Self { timeline, number };
        if segment.to_string() == name { Ok(segment) } else { Err(format!("{name:?} is no 16 MiB segment")) }
    }
}

impl Header {
    /// Bytes of it that are read.
    pub const BYTES: usize = 40;

    /// From a segment's first bytes; none where there is no long header.
    pub fn read(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let info = u16::from_le_bytes([bytes[2], bytes[3]]);
        let long = info & 0x0002 != 0;
        long.then(|| Self {
            timeline: u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
            at: Lsn(word(bytes, 8)),
            identifier: word(bytes, 24),
            segment: u32::from_le_bytes([bytes[32], bytes[33], bytes[34], bytes[35]]),
        })
    }
}

fn word(bytes: &[u8; Header::BYTES], from: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[from..from + 8]);
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::{Header, Lsn, SEGMENT, Segment};

    #[test]
    fn a_place_reads_back_as_it_is_printed() {
        for text in ["0/0", "0/1A2B3C4", "1F/FFFFFFFF"] {
            assert_eq!(text.parse::<Lsn>().unwrap().to_string(), text);
        }
        assert!("16".parse::<Lsn>().is_err() && "x/1".parse::<Lsn>().is_err());
    }

    #[test]
    fn a_segment_has_the_name_that_postgresql_gives_it() {
        // select pg_walfile_name('1/FF000028') on timeline 1
        let segment = Segment::of(1, "1/FF000028".parse().unwrap());
        assert_eq!(segment.to_string(), "0000000100000001000000FF");
        assert_eq!(segment.next().to_string(), "000000010000000200000000");
        assert_eq!("0000000100000001000000FF".parse::<Segment>(), Ok(segment));
        assert!(
            "000000010000000100000100".parse::<Segment>().is_err(),
            "256 pieces of 16 MiB are one high word"
        );
        assert!("0000000100000001000000FF.partial".parse::<Segment>().is_err());
    }

    #[test]
    fn a_page_without_a_long_header_says_nothing() {
        let mut page = [0; Header::BYTES];
        assert_eq!(Header::read(&page), None);
        page[2] = 2;
        page[4] = 1;
        page[8..16].copy_from_slice(&SEGMENT.to_le_bytes());
        let header = Header::read(&page).unwrap();
        assert_eq!((header.timeline, header.at), (1, Lsn(SEGMENT)));
    }
}
