//! `configuration`: what the product needs besides its data, as one stream of tar or YAML documents; secrets are in it, so it is
//! refused unless it is sealed.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Read},
};

use jiff::Timestamp;
use serde::Deserialize;
use tokio::{io::AsyncRead, task::spawn_blocking};

use super::{
    Form, look,
    place::{Directory, untar, write},
    unsound,
};
use crate::{
    backup::Taken,
    call::{Call, Programs},
    draft::Draft,
    error::Error,
    keys::{Keys, Seal},
    manifest::{Origin, PartKind},
    part::{PartReader, PartWriter},
    pipe::{fill, pour, unpack, unwritten},
    refusal::Refusal,
    set::Set,
};

/// A YAML document longer than this is refused: an object of Kubernetes is at most 1.5 MiB, and a part is never held as a whole.
const DOCUMENT: usize = 8 << 20;

/// What is kept, and where it came from.
pub struct Stream<'a> {
    /// In words: `namespace shop`.
    pub of: String,
    /// Tar or YAML.
    pub kind: StreamKind,
    /// The content.
    pub content: &'a mut (dyn AsyncRead + Send + Unpin),
}

/// What a file or standard input holds.
pub struct Reading {
    /// Where it came from, in words.
    pub of: String,
    /// Tar or YAML.
    pub kind: StreamKind,
    /// The content; it is read on a thread where blocking is right.
    pub content: Box<dyn Read + Send>,
}

/// What a program writes to its standard output; unless it ends well there is no set.
#[derive(Debug, Clone)]
pub struct Packed {
    /// Where it came from, in words.
    pub of: String,
    /// Tar or YAML.
    pub kind: StreamKind,
    /// The program.
    pub call: Call,
}

/// How a configuration is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamKind {
    /// Files as tar.
    Tar,
    /// Objects as YAML documents, each with `apiVersion`, `kind` and a name.
    Yaml,
}

pub(crate) async fn take(draft: &mut Draft, stream: &mut Stream<'_>, seal: &Seal) -> Result<Taken, Error> {
    let as_of = Timestamp::now();
    let writer = begin(draft, stream.kind, seal)?;
    draft.parts.push(pour(stream.content, writer).await?);
    Ok(taken(&stream.of, as_of))
}

pub(crate) async fn pack(
    draft: &mut Draft,
    packed: &Packed,
    seal: &Seal,
    programs: &dyn Programs,
) -> Result<Taken, Error> {
    let as_of = Timestamp::now();
    let writer = begin(draft, packed.kind, seal)?;
    draft.parts.push(fill(programs, &packed.call, writer).await?);
    Ok(taken(&packed.of, as_of))
}

pub(crate) async fn read(draft: &mut Draft, mut reading: Reading, seal: &Seal) -> Result<Taken, Error> {
    let as_of = Timestamp::now();
    let mut writer = begin(draft, reading.kind, seal)?;
    let copied = spawn_blocking(move || {
        io::copy(&mut reading.content, &mut writer)?;
        writer.finish().map(|part| (part, reading.of))
    });
    let copied = copied.await.unwrap_or_else(|why| Err(io::Error::other(why)));
    let (part, of) = copied.map_err(|why| unwritten(&why))?;
    draft.parts.push(part);
    Ok(taken(&of, as_of))
}

fn begin(draft: &Draft, kind: StreamKind, seal: &Seal) -> Result<PartWriter, Error> {
    if seal.0.is_empty() {
        let mend = "name a recipient; `age-keygen` makes a key";
        return Err(Error::at("configuration", "it holds secrets, and nobody is named to seal it to", mend));
    }
    match kind {
        StreamKind::Tar => draft.part("files.tar", PartKind::Tar),
        StreamKind::Yaml => draft.part("objects.yaml", PartKind::Yaml),
    }
}

fn taken(of: &str, as_of: Timestamp) -> Taken {
    Taken {
        form: Form::Configuration,
        as_of,
        source: Origin::Configuration { of: of.to_owned() },
        tools: BTreeMap::new(),
        lsn: None,
        restore_points: vec![],
    }
}

pub(crate) async fn check(set: &Set, keys: &Keys) -> Vec<Refusal> {
    look(set, keys, |set, index, reader| {
        let part = &set.manifest.parts[index];
        let found = match part.kind {
            PartKind::Tar => files(reader).map_err(|why| why.to_string()),
            PartKind::Yaml => documents(reader),
            _ => Err("not a part of a configuration".into()),
        };
        match found {
            Err(why) => Err(unsound(&part.name, why)),
            Ok(0) => Err(Refusal::Empty { part: part.name.clone() }),
            Ok(_) => Ok(()),
        }
    })
    .await
}

fn files(reader: PartReader) -> std::io::Result<usize> {
    let (mut archive, mut files) = (tar::Archive::new(reader), 0);
    for entry in archive.entries()? {
        let mut entry = entry?;
        files += usize::from(entry.header().entry_type().is_file());
        std::io::copy(&mut entry, &mut std::io::sink())?;
    }
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink())?;
    Ok(files)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    api_version: String,
    kind: String,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

// One document at a time; `---` at the beginning of a line is always a separator in YAML.
fn documents(from: impl Read) -> Result<usize, String> {
    let (mut from, mut text, mut found) = (BufReader::new(from), String::new(), 0);
    loop {
        let before = text.len();
        let read = from.by_ref().take(DOCUMENT as u64).read_line(&mut text).map_err(|why| why.to_string())?;
        if text.len() > DOCUMENT {
            return Err(format!("document {} is longer than {DOCUMENT} bytes", found + 1));
        }
        let line = &text[before..];
        if read > 0 && line.trim_end() != "---" && !line.starts_with("--- ") {
            continue;
        }
        let document = &text[..before];
        let blank = |line: &str| line.trim().is_empty() || line.starts_with('#');
        if !document.lines().all(blank) {
            found += 1;
            object(document).map_err(|why| format!("document {found}: {why}"))?;
        }
        if read == 0 {
            return Ok(found);
        }
        text.clear();
    }
}

// The parser's own words may quote a secret, so only the place is told.
fn object(document: &str) -> Result<(), String> {
    let object: Object = serde_saphyr::from_str(document)
        .map_err(|_| "no object with apiVersion, kind and metadata.name".to_owned())?;
    let named =
        [&object.api_version, &object.kind, &object.metadata.name].iter().all(|text| !text.is_empty());
    if named { Ok(()) } else { Err("an object without a name".into()) }
}

pub(crate) async fn restore(
    set: &Set,
    directory: &Directory,
    keys: &Keys,
    programs: &dyn Programs,
) -> Result<(), Error> {
    directory.begin(programs).await?;
    for part in &set.manifest.parts {
        let work = directory.work();
        let reader = set.reader(part, keys).map_err(|refusal| Error::Refused(vec![refusal]))?;
        let call =
            if part.kind == PartKind::Tar { untar(&work) } else { write(&format!("{work}/objects.yaml")) };
        if let Err(why) = unpack(programs, &call, reader).await {
            directory.give_up(programs).await;
            return Err(why);
        }
    }
    directory.swap(programs).await
}

/// A program makes the objects of a set; files are none.
pub(crate) async fn make(set: &Set, call: &Call, keys: &Keys, programs: &dyn Programs) -> Result<(), Error> {
    for part in &set.manifest.parts {
        if part.kind != PartKind::Yaml {
            return Err(Error::Refused(vec![unsound(&part.name, "it holds files and no objects")]));
        }
        let reader = set.reader(part, keys).map_err(|refusal| Error::Refused(vec![refusal]))?;
        unpack(programs, call, reader).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::documents;

    #[test]
    fn objects_are_counted_one_document_at_a_time() {
        let text = "---\napiVersion: v1\nkind: Secret\nmetadata: { name: a }\n---\n# nothing\n---\n\
                    apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: b\nspec:\n  note: |\n    --- not here\n";
        assert_eq!(documents(text.as_bytes()), Ok(2));
        assert_eq!(documents(&b"---\n"[..]), Ok(0));
    }

    #[test]
    fn what_is_no_object_is_refused_without_showing_it() {
        let why =
            documents(&b"apiVersion: v1\nkind: Secret\nstringData: { password: hunter2\n"[..]).unwrap_err();
        assert!(why.starts_with("document 1") && !why.contains("hunter2"), "{why}");
    }
}
