//! What a base backup and its log say of themselves, read from their tar streams: nothing is unpacked.
//!
//! `backup_manifest` (<https://www.postgresql.org/docs/current/backup-manifest-format.html>) lists every file with its SHA-256;
//! this is what pg_verifybackup compares, done on the stream. The plain directory is given to pg_verifybackup itself at a restore.

use std::{
    collections::BTreeMap,
    io::{self, Read},
};

use serde::Deserialize;
use tar::{Archive, EntryType};

use crate::{
    digest,
    lsn::{Header, Lsn, SEGMENT, Segment},
};

/// The list of files inside a base backup.
pub(crate) const LIST: &str = "backup_manifest";

/// The log that a base backup needs to be consistent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Needs {
    pub(crate) timeline: u32,
    #[serde(rename = "Start-LSN")]
    pub(crate) start: Lsn,
    #[serde(rename = "End-LSN")]
    pub(crate) end: Lsn,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    files: Vec<ListedFile>,
    #[serde(rename = "WAL-Ranges")]
    ranges: Vec<Needs>,
    #[serde(rename = "Manifest-Checksum")]
    checksum: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedFile {
    path: Option<String>,
    size: u64,
    #[serde(rename = "Checksum-Algorithm")]
    algorithm: Option<String>,
    checksum: Option<String>,
}

/// Reads a base backup to its end: every file that it lists is there with its digest. What it needs of the log.
pub(crate) fn base(from: impl Read) -> io::Result<Result<Vec<Needs>, String>> {
    let (mut archive, mut found, mut list) = (Archive::new(from), BTreeMap::new(), None);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).trim_start_matches("./").to_owned();
        if path == LIST {
            let mut text = String::new();
            entry.read_to_string(&mut text)?;
            list = Some(text);
        } else if matches!(entry.header().entry_type(), EntryType::Regular) {
            let extent = digest::of_stream(&mut entry)?;
            found.insert(path, (extent.bytes, extent.sha256.unwrap_or_default()));
        }
    }
    rest(archive.into_inner())?;
    let Some(list) = list else { return Ok(Err(format!("no {LIST} in it"))) };
    Ok(compare(&list, &found))
}

// Behind the two empty blocks that end a tar there may be padding; the digest is over all of it.
fn rest(mut from: impl Read) -> io::Result<()> {
    io::copy(&mut from, &mut io::sink()).map(drop)
}

fn compare(list: &str, found: &BTreeMap<String, (u64, String)>) -> Result<Vec<Needs>, String> {
    let listed: Listed = serde_json::from_str(list).map_err(|why| format!("{LIST}: {why}"))?;
    let covered = list.find("\"Manifest-Checksum\"").unwrap_or(0);
    if digest::of(&list.as_bytes()[..covered]) != listed.checksum {
        return Err(format!("{LIST} does not have its own checksum"));
    }
    for file in &listed.files {
        // A path that is no UTF-8 is written another way; PostgreSQL makes none.
        let path = file.path.as_deref().ok_or_else(|| format!("{LIST} holds an encoded path"))?;
        let (size, digest) = found.get(path).ok_or_else(|| format!("{path} is missing"))?;
        if *size != file.size {
            return Err(format!("{path} has {size} bytes, not {}", file.size));
        }
        let known = file.algorithm.as_deref() == Some("SHA256");
        if !known || file.checksum.as_deref() != Some(digest) {
            return Err(format!("{path} does not have its SHA-256"));
        }
    }
    let control = listed.files.iter().any(|file| file.path.as_deref() == Some("global/pg_control"));
    if control { Ok(listed.ranges) } else { Err("no global/pg_control in it".into()) }
}

/// Reads a stream of segments to its end: each is whole, follows the one before, and is of this server and timeline.
pub(crate) fn log(
    from: impl Read,
    identifier: &str,
    timeline: u32,
) -> io::Result<Result<(Segment, Segment), String>> {
    let (mut archive, mut span) = (Archive::new(from), None::<(Segment, Segment)>);
    let mut wrong = None;
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).trim_start_matches("./").to_owned();
        let mut head = [0; Header::BYTES];
        let whole = entry.size() == SEGMENT;
        let header = entry.read_exact(&mut head).ok().and_then(|()| Header::read(&head));
        let judged = name.trim_end_matches(".partial").parse::<Segment>().and_then(|segment| {
            let last = span.map(|(_, last)| last);
            judge(segment, last, whole, header, (identifier, timeline))?;
            Ok(segment)
        });
        match judged {
            Err(why) => wrong = wrong.or(Some(format!("{name}: {why}"))),
            Ok(segment) if name.ends_with(".partial") => span = span.or(Some((segment, segment))),
            Ok(segment) => span = Some((span.map_or(segment, |(first, _)| first), segment)),
        }
    }
    rest(archive.into_inner())?;
    Ok(wrong.map_or_else(|| span.ok_or_else(|| "no segment in it".to_owned()), Err))
}

fn judge(
    segment: Segment,
    last: Option<Segment>,
    whole: bool,
    header: Option<Header>,
    (identifier, timeline): (&str, u32),
) -> Result<(), String> {
    if last.is_some_and(|last| last.next() != segment) {
        return Err("does not follow the segment before it".into());
    }
    if !whole {
        return Err("not 16 MiB long".into());
    }
    let Some(header) = header else { return Err("no header of the log at its beginning".into()) };
    if header.identifier.to_string() != identifier {
        return Err(format!("of server {}", header.identifier));
    }
    if segment.timeline != timeline || header.timeline > timeline {
        return Err(format!("of timeline {}", header.timeline));
    }
    if header.at != segment.start() || u64::from(header.segment) != SEGMENT {
        return Err(format!("holds the log at {}", header.at));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{compare, judge};
    use crate::{
        digest,
        lsn::{Header, Segment},
    };

    fn list(digest: &str) -> String {
        let body = format!(
            "{{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [\n{{ \"Path\": \"global/pg_control\", \"Size\": 3, \
             \"Checksum-Algorithm\": \"SHA256\", \"Checksum\": \"{digest}\" }}\n],\n\"WAL-Ranges\": [\n{{ \"Timeline\": 1, \
             \"Start-LSN\": \"0/2000028\", \"End-LSN\": \"0/2000100\" }}\n],\n"
        );
        let own = digest::of(body.as_bytes());
        format!("{body}\"Manifest-Checksum\": \"{own}\"}}\n")
    }

    #[test]
    fn a_base_backup_is_what_its_list_says() {
        let digest = digest::of(b"abc");
        let found: BTreeMap<_, _> = [("global/pg_control".to_owned(), (3, digest.clone()))].into();
        assert_eq!(compare(&list(&digest), &found).unwrap()[0].timeline, 1);
        assert!(compare(&list(&digest::of(b"abd")), &found).unwrap_err().contains("SHA-256"));
        assert!(compare(&list(&digest), &BTreeMap::new()).unwrap_err().contains("is missing"));
        let changed = list(&digest).replace("\"Timeline\": 1", "\"Timeline\": 2");
        assert!(compare(&changed, &found).unwrap_err().contains("its own checksum"));
    }

    #[test]
    fn a_segment_is_of_this_server_this_timeline_and_this_place() {
        let segment: Segment = "000000010000000000000003".parse().unwrap();
        let before = Segment { number: 2, ..segment };
        let header = Header { timeline: 1, at: segment.start(), identifier: 7, segment: 16 << 20 };
        let judge = |last, whole, header| judge(segment, Some(last), whole, Some(header), ("7", 1));
        assert_eq!(judge(before, true, header), Ok(()));
        assert!(judge(segment, true, header).unwrap_err().contains("follow"));
        assert!(judge(before, false, header).unwrap_err().contains("16 MiB"));
        assert!(judge(before, true, Header { identifier: 8, ..header }).unwrap_err().contains("server 8"));
        assert!(judge(before, true, Header { timeline: 2, ..header }).unwrap_err().contains("timeline 2"));
        assert!(judge(before, true, Header { at: before.start(), ..header }).unwrap_err().contains("log at"));
    }
}
