//! The first verb: a set is made from a source, or an older set is extended by the log that came after it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use crate::{
    call::Programs,
    draft::Draft,
    error::Error,
    form::{
        Form, configuration, logical,
        point_in_time::{self, Reach},
        redis, wal,
    },
    keys::Seal,
    manifest::{FORMAT, Manifest, Origin, RestorePoint, Span},
    postgres::Connection,
    set::Set,
};

/// What a backup is taken from; its form follows.
pub enum Source<'a> {
    /// A database, as pg_dump sees it, and the digests of its content, by which a restore is compared.
    Logical(Connection),
    /// The same without digests: the database is read once instead of twice.
    Undigested(Connection),
    /// A server: base backup and streamed log.
    PointInTime(wal::Stream),
    /// A Redis server.
    Redis(redis::Server),
    /// Objects and files, as a stream.
    Configuration(configuration::Stream<'a>),
    /// Objects and files, as a program writes them.
    Packed(configuration::Packed),
    /// Objects and files, as they lie in a file.
    Reading(configuration::Reading),
}

/// Whose it is, and who may open it.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The system's name.
    pub system: &'a str,
    /// Whom it is sealed to.
    pub seal: &'a Seal,
}

impl About<'_> {
    /// An error: the system's name cannot be part of a set's name.
    pub fn check(&self) -> Result<(), Error> {
        let usable = !self.system.is_empty()
            && self.system.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if usable && !self.system.starts_with('.') {
            return Ok(());
        }
        let mend = "use letters, digits, dashes, dots: it becomes part of the set's name";
        Err(Error::at(format!("{:?}", self.system), "no name for a system", mend))
    }
}

/// A finished set.
#[derive(Debug, Clone)]
pub struct Made {
    /// Its directory.
    pub dir: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
}

/// What a form knows after it has taken its parts.
pub(crate) struct Taken {
    pub(crate) form: Form,
    pub(crate) as_of: Timestamp,
    pub(crate) source: Origin,
    pub(crate) tools: BTreeMap<String, String>,
    pub(crate) lsn: Option<Span>,
    pub(crate) restore_points: Vec<RestorePoint>,
}

/// Makes a set inside the directory `into`. On an error nothing is left there; the source is only read (a point-in-time backup
/// leaves its slot, and ends a segment of the log).
pub async fn backup(
    source: Source<'_>,
    into: &Path,
    about: About<'_>,
    programs: &dyn Programs,
) -> Result<Made, Error> {
    let form = match &source {
        Source::Logical(_) | Source::Undigested(_) => Form::Logical,
        Source::PointInTime(_) => Form::PointInTime,
        Source::Redis(_) => Form::Redis,
        Source::Configuration(_) | Source::Packed(_) | Source::Reading(_) => Form::Configuration,
    };
    let mut draft = Draft::begin(into, form, &about)?;
    let taken = match source {
        Source::Logical(connection) => logical::take(&mut draft, &connection, true, programs).await?,
        Source::Undigested(connection) => logical::take(&mut draft, &connection, false, programs).await?,
        Source::PointInTime(stream) => point_in_time::take(&mut draft, &stream, programs).await?,
        Source::Redis(server) => redis::take(&mut draft, &server, programs).await?,
        Source::Configuration(mut stream) => configuration::take(&mut draft, &mut stream, about.seal).await?,
        Source::Reading(reading) => configuration::read(&mut draft, reading, about.seal).await?,
        Source::Packed(packed) => configuration::pack(&mut draft, &packed, about.seal, programs).await?,
    };
    finish(draft, taken, &about)
}

/// Makes a new set of an older point-in-time set and the log after it; parts in common are the same files on disk. The older one stays
/// until retention removes it. `points` are the restore points that were made since.
pub async fn extend(
    set: &Path,
    stream: &wal::Stream,
    reach: (Reach, &[RestorePoint]),
    about: About<'_>,
    programs: &dyn Programs,
) -> Result<Made, Error> {
    let old = Set::open(set).map_err(Error::Refused)?;
    if old.manifest.sealed_to != about.seal.fingerprints() {
        let mend = "name the recipients of the set that is extended";
        return Err(Error::at(set.display(), "it is sealed to others", mend));
    }
    let into = set.parent().unwrap_or(Path::new("."));
    let mut draft = Draft::begin(into, Form::PointInTime, &about)?;
    let taken = point_in_time::extend(&mut draft, &old, stream, reach, programs).await?;
    finish(draft, taken, &about)
}

fn finish(mut draft: Draft, taken: Taken, about: &About<'_>) -> Result<Made, Error> {
    let manifest = Manifest {
        format: FORMAT,
        form: taken.form,
        system: about.system.to_owned(),
        as_of: taken.as_of,
        made: Timestamp::now(),
        source: taken.source,
        tools: taken.tools,
        lsn: taken.lsn,
        restore_points: taken.restore_points,
        sealed_to: about.seal.fingerprints(),
        parts: std::mem::take(&mut draft.parts),
    };
    let dir = draft.finish(&manifest)?;
    Ok(Made { dir, manifest })
}
