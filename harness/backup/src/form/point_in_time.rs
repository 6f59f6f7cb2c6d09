//! `point-in-time`: a base backup and the log from there on; restored to a transaction, a named place, or the end.
//!
//! To just before a destructive transaction: its id, exclusive, or a restore point; a clock is too coarse. The restored server
//! begins a new timeline: take a new base backup of it. Source: PostgreSQL's documentation, "Continuous Archiving and Point-in-Time Recovery".

use jiff::Timestamp;

use super::{
    Form, base, look, major,
    place::{Directory, untar},
    tool, unsound,
    wal::Stream,
};
use crate::{
    backup::Taken,
    call::{Call, Programs},
    draft::Draft,
    error::Error,
    keys::Keys,
    lsn::{Lsn, Segment},
    manifest::{Manifest, Origin, Part, PartKind, RestorePoint, Segments, Span},
    pipe::{ask, fill, unpack},
    refusal::Refusal,
    set::Set,
};

/// The log's directory inside a restored data directory; it goes when recovery has ended.
const LOG: &str = "gauntlet_wal";

/// Where a restore ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Until {
    /// The last that the set holds.
    End,
    /// Just before this transaction.
    Before {
        /// `pg_current_xact_id()` in it; its low 32 bits are `xmin` of the rows that it wrote.
        xid: u64,
    },
    /// A named restore point.
    Named(String),
}

/// The data directory that is restored into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDirectory {
    /// The directory; the server that uses it must be stopped.
    pub directory: Directory,
    /// Where the restore ends.
    pub until: Until,
}

/// The server's end may be out of reach: then what was streamed before is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The server answers: the set will hold everything up to now.
    Server,
    /// The server is lost: the set will hold what the stream has received.
    Streamed,
}

pub(crate) async fn take(
    draft: &mut Draft,
    stream: &Stream,
    programs: &dyn Programs,
) -> Result<Taken, Error> {
    let source = stream.connection.origin(programs).await?;
    stream.open(programs).await?;
    let start = stream.connection.lsn(programs, "select pg_current_wal_insert_lsn()").await?;
    // To standard output there is no log in the tar; the stream has it.
    let args = [
        "--pgdata=-",
        "--format=tar",
        "--wal-method=none",
        "--checkpoint=fast",
        "--manifest-checksums=SHA256",
    ];
    let call = stream.connection.call("pg_basebackup", args);
    let part = fill(programs, &call, draft.part("base.tar", PartKind::Base)?).await?;
    draft.parts.push(part);
    let from = Segment::of(source.timeline, start);
    let (as_of, end) = gather(draft, stream, from, Reach::Server, programs).await?;
    let end = end.unwrap_or(start);
    let tools = [tool(programs, "pg_basebackup").await?, tool(programs, "pg_receivewal").await?].into();
    let lsn = Some(Span { start, end });
    let source = Origin::Postgres(source);
    Ok(Taken { form: Form::PointInTime, as_of, source, tools, lsn, restore_points: vec![] })
}

/// The set's parts, and the log that came after them.
pub(crate) async fn extend(
    draft: &mut Draft,
    set: &Set,
    stream: &Stream,
    (reach, points): (Reach, &[RestorePoint]),
    programs: &dyn Programs,
) -> Result<Taken, Error> {
    let old = &set.manifest;
    let (Origin::Postgres(source), Some(span)) = (&old.source, old.lsn) else {
        return Err(Error::Refused(vec![unsound(
            "manifest.json",
            "only a point-in-time set can be extended",
        )]));
    };
    let last = old.parts.iter().rev().find_map(|part| part.segments.as_ref());
    let last = last.and_then(|segments| segments.last.parse::<Segment>().ok());
    let from = last
        .map(Segment::next)
        .ok_or_else(|| Error::Refused(vec![unsound("manifest.json", "no log in it")]))?;
    for part in &old.parts {
        draft.adopt(&set.dir, part)?;
    }
    if reach == Reach::Server {
        let now = stream.connection.origin(programs).await?;
        if (&now.identifier, now.timeline) != (&source.identifier, source.timeline) {
            let what = format!("server {} on timeline {}", now.identifier, now.timeline);
            return Err(Error::at(what, "not the one that the set was taken from", "take a new base backup"));
        }
    }
    let (as_of, end) = gather(draft, stream, from, reach, programs).await?;
    let mut restore_points = old.restore_points.clone();
    restore_points.extend(points.iter().filter(|point| !old.restore_points.contains(point)).cloned());
    let end = end.unwrap_or(span.end).max(span.end);
    let (source, tools) = (old.source.clone(), old.tools.clone());
    let lsn = Some(Span { start: span.start, end });
    Ok(Taken { form: Form::PointInTime, as_of: as_of.max(old.as_of), source, tools, lsn, restore_points })
}

// What was acknowledged before `as_of` is in it. Without a server nobody knows when the stream's last byte was written.
async fn gather(
    draft: &mut Draft,
    stream: &Stream,
    from: Segment,
    reach: Reach,
    programs: &dyn Programs,
) -> Result<(Timestamp, Option<Lsn>), Error> {
    let mut known = (Timestamp::UNIX_EPOCH, None);
    if reach == Reach::Server {
        known = (Timestamp::now(), Some(stream.catch_up(programs).await?));
    }
    let chosen = stream.files(programs, from).await;
    let (files, segments) = match (chosen, reach) {
        // Lost before the first segment after the set was complete.
        (Err(_), Reach::Streamed) => lone(stream, from, programs).await?,
        (chosen, _) => chosen?,
    };
    let number = draft.parts.iter().filter(|part| part.kind == PartKind::Wal).count();
    let writer = draft.part(&format!("wal-{number:04}.tar"), PartKind::Wal)?;
    let mut part = fill(programs, &stream.pack(&files), writer).await?;
    let whole = segments.last.parse::<Segment>().map(|last| last.next().start());
    part.segments = Some(segments);
    draft.parts.push(part);
    if let (Reach::Streamed, Ok(end)) = (reach, whole) {
        known.1 = Some(end);
    }
    Ok(known)
}

async fn lone(
    stream: &Stream,
    from: Segment,
    programs: &dyn Programs,
) -> Result<(Vec<String>, Segments), Error> {
    let before = Segment { number: from.number.saturating_sub(1), ..from };
    stream.files(programs, before).await
}

/// Base and log by themselves, and that the log reaches from the base's start to the manifest's end.
pub(crate) async fn check(set: &Set, keys: &Keys) -> Vec<Refusal> {
    let Origin::Postgres(source) = &set.manifest.source else {
        return vec![unsound("manifest.json", "not from PostgreSQL")];
    };
    let refusals = spans(&set.manifest, source.timeline);
    if !refusals.is_empty() {
        return refusals;
    }
    look(set, keys, |set, index, reader| {
        let (part, manifest) = (&set.manifest.parts[index], &set.manifest);
        let Origin::Postgres(source) = &manifest.source else { return Ok(()) };
        let cut = |why| unsound(&part.name, why);
        match part.kind {
            PartKind::Base => {
                let needs = base::base(reader).map_err(cut)?.map_err(|why| unsound(&part.name, why))?;
                covers(manifest, &needs).map_err(|why| unsound(&part.name, why))
            }
            _ => {
                let log = base::log(reader, &source.identifier, source.timeline).map_err(cut)?;
                let (first, last) = log.map_err(|why| unsound(&part.name, why))?;
                let said = part.segments.as_ref().map(|s| (s.first.clone(), s.last.clone()));
                let same = said == Some((first.to_string(), last.to_string()));
                if same {
                    Ok(())
                } else {
                    Err(unsound(&part.name, "not the segments that the manifest names"))
                }
            }
        }
    })
    .await
}

fn covers(manifest: &Manifest, needs: &[base::Needs]) -> Result<(), String> {
    let Some(span) = manifest.lsn else { return Err("no log positions in the manifest".into()) };
    let missing = needs.iter().find(|needs| needs.start < span.start || needs.end > span.end);
    missing.map_or(Ok(()), |needs| {
        Err(format!(
            "it needs the log from {} to {}, the set has {} to {}",
            needs.start, needs.end, span.start, span.end
        ))
    })
}

// From the names in the manifest: one base, then segments without a gap over the span.
fn spans(manifest: &Manifest, timeline: u32) -> Vec<Refusal> {
    let wrong = |why: &str| vec![unsound("manifest.json", why)];
    let (Some(span), [first, rest @ ..]) = (manifest.lsn, manifest.parts.as_slice()) else {
        return wrong("no log positions in it");
    };
    if first.kind != PartKind::Base || rest.iter().any(|part| part.kind != PartKind::Wal) {
        return wrong("not one base backup followed by its log");
    }
    let mut next = Segment::of(timeline, span.start);
    for part in rest {
        let Some((from, last)) = ends(part) else { return wrong("a part of the log without its segments") };
        if from > next {
            return vec![Refusal::Missing { part: format!("log segment {next}") }];
        }
        next = next.max(last.next());
    }
    if next.start() < span.end {
        return vec![Refusal::Missing { part: format!("log segment {next}") }];
    }
    vec![]
}

fn ends(part: &Part) -> Option<(Segment, Segment)> {
    let segments = part.segments.as_ref()?;
    Some((segments.first.parse().ok()?, segments.last.parse().ok()?))
}

/// The version of the server's programs in the place.
pub(crate) async fn version(programs: &dyn Programs) -> Result<Option<u32>, Error> {
    Ok(major(&tool(programs, "pg_verifybackup").await?.1))
}

pub(crate) async fn restore(
    set: &Set,
    target: &DataDirectory,
    keys: &Keys,
    programs: &dyn Programs,
) -> Result<(), Error> {
    if let Until::Named(name) = &target.until
        && !set.manifest.restore_points.iter().any(|point| point.name == *name)
    {
        let known: Vec<&str> = set.manifest.restore_points.iter().map(|point| point.name.as_str()).collect();
        return Err(Error::at(
            format!("restore point {name:?}"),
            "not in this set",
            format!("it has {known:?}"),
        ));
    }
    running(&target.directory, programs).await?;
    target.directory.begin(programs).await?;
    let filled = fill_directory(set, target, keys, programs).await;
    if let Err(why) = filled {
        target.directory.give_up(programs).await;
        return Err(why);
    }
    target.directory.swap(programs).await
}

// Status 0 is a running server; 3 and 4 are none.
async fn running(directory: &Directory, programs: &dyn Programs) -> Result<(), Error> {
    let call = Call::new("pg_ctl", ["status", "-D", &directory.path]);
    let ended = programs.run(&call, None, None).await?;
    if ended.status == Some(0) {
        return Err(Error::at(&directory.path, "a server runs in it", "stop it first"));
    }
    Ok(())
}

async fn fill_directory(
    set: &Set,
    target: &DataDirectory,
    keys: &Keys,
    programs: &dyn Programs,
) -> Result<(), Error> {
    let work = target.directory.work();
    let log = format!("{work}/{LOG}");
    ask(programs, &Call::new("mkdir", [&log]), "").await?;
    for part in &set.manifest.parts {
        let reader = set.reader(part, keys).map_err(|refusal| Error::Refused(vec![refusal]))?;
        let to = if part.kind == PartKind::Base { &work } else { &log };
        unpack(programs, &untar(to), reader).await?;
    }
    ask(programs, &Call::shell(COMPLETE, [&log]), "").await?;
    let args = ["--exit-on-error", "--ignore=gauntlet_wal", &format!("--wal-directory={log}"), &work]
        .map(String::from);
    ask(programs, &Call::new("pg_verifybackup", args), "").await?;
    ask(programs, &Call::shell(CONFIGURE, [&work]), &settings(&target.until)).await.map(drop)
}

// The backed-up server may itself have been restored once, and PostgreSQL refuses two targets.
const CONFIGURE: &str = "
sed -i -e '/^recovery_target/d' -e '/^restore_command/d' -e '/^recovery_end_command/d' \"$1/postgresql.auto.conf\"
cat >> \"$1/postgresql.auto.conf\"
: > \"$1/recovery.signal\"";

// The segment that was being written is read as far as it goes; a later part may hold it complete.
const COMPLETE: &str = "
cd \"$1\"
for partial in *.partial; do
    [ -e \"$partial\" ] || continue
    if [ -e \"${partial%.partial}\" ]; then rm \"$partial\"; else mv \"$partial\" \"${partial%.partial}\"; fi
done";

fn settings(until: &Until) -> String {
    let until = match until {
        Until::End => String::new(),
        Until::Before { xid } => format!("recovery_target_xid = '{xid}'\nrecovery_target_inclusive = off\n"),
        Until::Named(name) => {
            let name = name.replace('\\', "\\\\").replace('\'', "''");
            format!("recovery_target_name = '{name}'\n")
        }
    };
    format!(
        "\n# Written by gauntlet restore.\n\
         restore_command = 'cp \"{LOG}/%f\" \"%p\"'\n\
         recovery_end_command = 'rm -rf {LOG}'\n\
         {until}recovery_target_action = promote\n"
    )
}

#[cfg(test)]
mod tests {
    use super::{Until, settings};

    #[test]
    fn a_restore_has_one_target_at_most() {
        let targets = |until| {
            settings(&until).matches("\nrecovery_target_xid").count()
                + settings(&until).matches("\nrecovery_target_name").count()
        };
        assert_eq!(targets(Until::End), 0);
        let before = Until::Before { xid: 740 };
        assert!(settings(&before).contains("recovery_target_xid = '740'\nrecovery_target_inclusive = off\n"));
        assert_eq!(targets(before), 1);
        let named = Until::Named("it's".into());
        assert!(settings(&named).contains("recovery_target_name = 'it''s'\n"));
        assert_eq!(targets(named), 1);
    }
}
