//! A finished set on disk: a directory with `manifest.json`, its parts, and `SHA256SUMS` over all of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use tokio::{io::AsyncRead, task::spawn_blocking};

use crate::{
    digest,
    keys::Keys,
    manifest::{FORMAT, Manifest, Part},
    part::PartReader,
    pipe::Draining,
    refusal::Refusal,
};

/// The manifest's file.
pub const MANIFEST: &str = "manifest.json";

/// The file of digests.
pub const SUMS: &str = "SHA256SUMS";

/// A set whose manifest could be read.
#[derive(Debug, Clone)]
pub struct Set {
    /// Its directory.
    pub dir: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
}

#[derive(Deserialize)]
struct Numbered {
    format: u32,
}

impl Set {
    /// Reads manifest and sums, and compares them with each other and with the files that are there; no part is read.
    pub fn open(dir: &Path) -> Result<Self, Vec<Refusal>> {
        let unfinished = || vec![Refusal::Unfinished { place: dir.display().to_string() }];
        let hidden = dir.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        let files = files(dir).map_err(|why| vec![unreadable(dir, &why)])?;
        if hidden || !files.contains_key(MANIFEST) || !files.contains_key(SUMS) {
            return Err(unfinished());
        }
        let text = |name: &str| {
            fs::read_to_string(dir.join(name)).map_err(|why| vec![unreadable(&dir.join(name), &why)])
        };
        let (manifest, sums) = (text(MANIFEST)?, text(SUMS)?);
        let listed = listed(&sums).map_err(|refusal| vec![refusal])?;
        let manifest = read(&manifest, &listed).map_err(|refusal| vec![refusal])?;
        let mut refusals = complete(&manifest, &listed, &files);
        refusals.extend(manifest.parts.iter().filter_map(|part| size(part, *files.get(&part.name)?)));
        if refusals.is_empty() { Ok(Self { dir: dir.to_owned(), manifest }) } else { Err(refusals) }
    }

    /// Reads every stored byte and compares its digest.
    pub async fn digests(&self) -> Vec<Refusal> {
        let set = self.clone();
        let look =
            spawn_blocking(move || set.manifest.parts.iter().filter_map(|part| set.digest(part)).collect());
        look.await.unwrap_or_else(|why| vec![unreadable(&self.dir, &io::Error::other(why))])
    }

    pub(crate) fn digest(&self, part: &Part) -> Option<Refusal> {
        let path = self.dir.join(&part.name);
        match digest::of_file(&path) {
            Err(why) => Some(unreadable(&path, &why)),
            Ok(found) => {
                (found.sha256 != part.stored.sha256).then(|| Refusal::Flipped { part: part.name.clone() })
            }
        }
    }

    /// Whether its parts are sealed.
    pub fn sealed(&self) -> bool {
        !self.manifest.sealed_to.is_empty()
    }

    pub(crate) fn reader(&self, part: &Part, keys: &Keys) -> Result<PartReader, Refusal> {
        PartReader::open(&self.dir, part, self.sealed(), keys)
            .map_err(|why| unopened(part, self.sealed(), &why))
    }

    /// A part's content as a stream, for one who applies it: the stream ends early when the part turns out to be wrong, so verify first.
    pub fn stream(&self, part: &Part, keys: &Keys) -> Result<impl AsyncRead + Send + Unpin + use<>, Refusal> {
        self.reader(part, keys).map(|reader| Draining::start(reader).pipe)
    }
}

fn unreadable(place: &Path, why: &io::Error) -> Refusal {
    Refusal::Unreadable { place: place.display().to_string(), why: why.to_string() }
}

// Where a part cannot be opened although its stored bytes are right, it is the seal.
fn unopened(part: &Part, sealed: bool, why: &io::Error) -> Refusal {
    if sealed && why.kind() == io::ErrorKind::InvalidData {
        return Refusal::WronglyEncrypted { why: format!("{}: {why}", part.name) };
    }
    Refusal::Unreadable { place: part.name.clone(), why: why.to_string() }
}

fn files(dir: &Path) -> io::Result<BTreeMap<String, u64>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        found.insert(entry.file_name().to_string_lossy().into_owned(), entry.metadata()?.len());
    }
    Ok(found)
}

// Name to digest.
fn listed(sums: &str) -> Result<BTreeMap<&str, &str>, Refusal> {
    if sums.is_empty() {
        return Err(Refusal::Empty { part: SUMS.to_owned() });
    }
    if !sums.ends_with('\n') {
        return Err(Refusal::Truncated { part: SUMS.to_owned() });
    }
    let pair = |line: &'_ str| line.split_once("  ").is_some_and(|(digest, _)| digest.len() == 64);
    if !sums.lines().all(pair) {
        return Err(Refusal::Flipped { part: SUMS.to_owned() });
    }
    Ok(sums.lines().filter_map(|line| line.split_once("  ")).map(|(digest, name)| (name, digest)).collect())
}

fn read(text: &str, listed: &BTreeMap<&str, &str>) -> Result<Manifest, Refusal> {
    let part = || MANIFEST.to_owned();
    if text.is_empty() {
        return Err(Refusal::Empty { part: part() });
    }
    let parsed = serde_json::from_str::<serde_json::Value>(text);
    if listed.get(MANIFEST).is_none_or(|digest| *digest != digest::of(text.as_bytes())) {
        let cut = parsed.is_err_and(|error| error.is_eof());
        return Err(if cut {
            Refusal::Truncated { part: part() }
        } else {
            Refusal::Flipped { part: part() }
        });
    }
    let unsound = |why: serde_json::Error| Refusal::Unsound { part: part(), why: why.to_string() };
    let value = parsed.map_err(unsound)?;
    let Numbered { format } = Numbered::deserialize(&value).map_err(unsound)?;
    if format != FORMAT {
        let (expected, found) = (FORMAT.to_string(), format.to_string());
        return Err(Refusal::WrongVersion { what: "the format of the set".into(), expected, found });
    }
    let manifest: Manifest = serde_json::from_value(value).map_err(unsound)?;
    let plain_name =
        |part: &Part| !part.name.is_empty() && !part.name.starts_with('.') && !part.name.contains('/');
    match manifest.parts.iter().find(|part| !plain_name(part)) {
        Some(part) => Err(Refusal::Unsound { part: part.name.clone(), why: "no name of a file".into() }),
        None => Ok(manifest),
    }
}

// The manifest, the sums and the directory name the same files.
fn complete(
    manifest: &Manifest,
    listed: &BTreeMap<&str, &str>,
    files: &BTreeMap<String, u64>,
) -> Vec<Refusal> {
    let parts: BTreeSet<&str> = manifest.parts.iter().map(|part| part.name.as_str()).collect();
    let mut refusals = Vec::new();
    if parts.is_empty() {
        refusals.push(Refusal::Empty { part: MANIFEST.to_owned() });
    }
    for part in &manifest.parts {
        if !files.contains_key(&part.name) {
            refusals.push(Refusal::Missing { part: part.name.clone() });
        }
        if listed.get(part.name.as_str()).copied() != part.stored.sha256.as_deref() {
            refusals.push(Refusal::Flipped { part: format!("{SUMS}: line {}", part.name) });
        }
    }
    let own = |name: &str| name == MANIFEST || name == SUMS || parts.contains(name);
    let strangers = files.keys().map(String::as_str).chain(listed.keys().copied()).filter(|name| !own(name));
    let strangers: BTreeSet<&str> = strangers.collect();
    refusals.extend(strangers.into_iter().map(|name| Refusal::Extra { file: name.to_owned() }));
    refusals
}

fn size(part: &Part, found: u64) -> Option<Refusal> {
    let name = || part.name.clone();
    match found.cmp(&part.stored.bytes) {
        _ if found == 0 || part.plain.bytes == 0 => Some(Refusal::Empty { part: name() }),
        std::cmp::Ordering::Less => Some(Refusal::Truncated { part: name() }),
        std::cmp::Ordering::Greater => Some(Refusal::Flipped { part: name() }),
        std::cmp::Ordering::Equal => None,
    }
}
