//! The stream of the write-ahead log: pg_receivewal with a slot writes segments into a directory, from where sets take them.
//!
//! A slot keeps the log on the server until it was received, so nothing is missing after the receiver was away; a slot that nobody
//! reads any more fills the server's disk, so drop it when the last backup is done. Source: PostgreSQL's documentation, `pg_receivewal`.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    call::{Call, Programs},
    error::Error,
    lsn::{Lsn, SEGMENT, Segment},
    manifest::Segments,
    pipe::ask,
    postgres::{Connection, literal},
};

/// How long a year-long receiver may run: for ever, as far as a call's limit goes.
const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Where the log is streamed from and to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// The server; its role needs REPLICATION, and to be a superuser or the right to `pg_switch_wal`.
    pub connection: Connection,
    /// The replication slot; made where it is missing.
    pub slot: String,
    /// The directory, in the place where programs run, that keeps the segments. It should outlive the server.
    pub directory: String,
}

impl Stream {
    fn receive<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Call {
        let call = self.connection.call("pg_receivewal", args);
        call.arg(format!("--slot={}", self.slot)).arg(format!("--directory={}", self.directory))
    }

    /// Makes slot and directory; done twice it is done once.
    pub async fn open(&self, programs: &dyn Programs) -> Result<(), Error> {
        ask(programs, &Call::new("mkdir", ["-p", &self.directory]), "").await?;
        // One that was made by `pg_receivewal --create-slot` holds nothing back until its first use.
        let slot = literal(&self.slot);
        let sql = format!(
            "select count(pg_drop_replication_slot(slot_name)) from pg_replication_slots
             where slot_name = {slot} and restart_lsn is null and not active;
             select count(pg_create_physical_replication_slot({slot}, true))
             where not exists (select from pg_replication_slots where slot_name = {slot});"
        );
        self.connection.ask(programs, &sql).await.map(drop)
    }

    /// Drops the slot; the server may forget what was not received. The directory stays.
    pub async fn close(&self, programs: &dyn Programs) -> Result<(), Error> {
        let slot = literal(&self.slot);
        let sql = format!(
            "select count(pg_drop_replication_slot(slot_name)) from pg_replication_slots where slot_name = {slot};"
        );
        self.connection.ask(programs, &sql).await.map(drop)
    }

    /// Streams until the future is dropped or the server goes away; each commit is confirmed as soon as it is on disk here.
    /// Only one receiver can use a slot: end it before a set is made or extended, and start it again afterwards.
    pub async fn follow(&self, programs: &dyn Programs) -> Result<(), Error> {
        let call = self.receive(["--synchronous", "--no-loop"]).within(FOR_EVER);
        self.received(programs, &call).await
    }

    /// Receives; what an earlier receiver only began to lay out is removed, for no other one goes on with it.
    async fn received(&self, programs: &dyn Programs, call: &Call) -> Result<(), Error> {
        let ended = programs.run(call, None, None).await?;
        let Some(begun) = begun(&ended.stderr) else { return call.check(&ended) };
        ask(programs, &Call::new("rm", [format!("{}/{begun}", self.directory)]), "").await?;
        call.check(&programs.run(call, None, None).await?)
    }

    /// Ends the segment that is written now, and receives everything up to there.
    pub(crate) async fn catch_up(&self, programs: &dyn Programs) -> Result<Lsn, Error> {
        // An idle server would not switch, and the receiver would wait for a byte after the end.
        let sql = "select from pg_logical_emit_message(true, 'gauntlet', 'a backup ends here');\nselect pg_switch_wal();";
        let end = self.connection.lsn(programs, sql).await?;
        // It ends once it has more than it was asked for: the last byte but one is asked for, so that the segment is complete.
        let last = Segment::of(1, Lsn(end.0.saturating_sub(1))).next().start();
        let call = self.receive(["--no-loop"]).arg(format!("--endpos={}", Lsn(last.0 - 1)));
        self.received(programs, &call).await?;
        Ok(end)
    }

    /// The files from a segment on, and what they are. An error: one is missing.
    pub(crate) async fn files(
        &self,
        programs: &dyn Programs,
        from: Segment,
    ) -> Result<(Vec<String>, Segments), Error> {
        let listed = ask(programs, &Call::new("ls", ["-ln", &self.directory]), "").await?;
        choose(&listed, from).map_err(|why| {
            let mend = "the stream was interrupted, or the directory is another: take a new base backup";
            Error::at(&self.directory, why, mend)
        })
    }

    pub(crate) fn pack(&self, files: &[String]) -> Call {
        Call::new(
            "tar",
            ["-C", &self.directory, "-cf", "-"].into_iter().chain(files.iter().map(String::as_str)),
        )
    }

    /// Removes the segments before the one that holds a place, such as the start of the oldest set that is kept.
    pub async fn forget(&self, programs: &dyn Programs, timeline: u32, before: Lsn) -> Result<(), Error> {
        let oldest = Segment::of(timeline, before).to_string();
        ask(programs, &Call::new("pg_archivecleanup", [&self.directory, &oldest]), "").await.map(drop)
    }
}

// A file that is laid out has zeros in it, and is of no use to anybody before it has its whole size. The slot was this
// receiver's when it complained, so nobody else is about to.
fn begun(said: &str) -> Option<&str> {
    let (_, of) = said.split_once("write-ahead log file \"")?;
    let (name, size) = of.split_once("\" has ")?;
    let segment = name.strip_suffix(".partial")?;
    (segment.parse::<Segment>().is_ok() && size.contains("should be 0 or ")).then_some(name)
}

// Complete segments without a gap, and at most one behind them that is still being written.
fn choose(listed: &str, from: Segment) -> Result<(Vec<String>, Segments), String> {
    let listed: BTreeMap<&str, u64> = listed.lines().filter_map(file).collect();
    let (mut next, mut files) = (from, Vec::new());
    while listed.contains_key(&*next.to_string()) {
        files.push(next.to_string());
        next = next.next();
    }
    let Some(last) = files.last().cloned() else { return Err(format!("segment {from} is missing")) };
    let later = |name: &&str| name.parse::<Segment>().is_ok_and(|s| s.timeline == next.timeline && s > next);
    if let Some(later) = listed.keys().copied().find(later) {
        return Err(format!("segment {next} is missing, {later} is there"));
    }
    let growing = format!("{next}.partial");
    let partial = listed.get(&*growing) == Some(&SEGMENT);
    if partial {
        files.push(growing);
    }
    Ok((files, Segments { first: from.to_string(), last, partial }))
}

// A file and its size: `-rw------- 1 999 999 16777216 Nov 30 12:00 000000010000000000000002`.
fn file(line: &str) -> Option<(&str, u64)> {
    let mut words = line.starts_with('-').then(|| line.split_whitespace())?;
    let size = words.nth(4)?.parse().ok()?;
    Some((words.last()?, size))
}

#[cfg(test)]
mod tests {
    use super::{begun, choose};
    use crate::lsn::Segment;

    // Names, and the size of those that have not a segment's.
    fn chosen(names: &str) -> Result<(usize, bool), String> {
        let from: Segment = "000000010000000000000002".parse().unwrap();
        let line = |name: &str| match name.split_once(' ') {
            Some((name, size)) => format!("-rw------- 1 999 999 {size} Nov 30 12:00 {name}\n"),
            None => format!("-rw------- 1 999 999 16777216 Nov 30 12:00 {name}\n"),
        };
        let listed = format!("total 1\n{}", names.lines().map(line).collect::<String>());
        choose(&listed, from).map(|(files, segments)| (files.len(), segments.partial))
    }

    #[test]
    fn segments_are_taken_from_the_first_needed_to_the_one_being_written() {
        let names = "000000010000000000000001\n000000010000000000000002\n000000010000000000000003\n\
                     000000010000000000000004.partial";
        assert_eq!(chosen(names), Ok((3, true)));
        let begun = format!("{names} 1409024");
        assert_eq!(chosen(&begun), Ok((2, false)), "nothing is in what was only begun");
    }

    #[test]
    fn a_gap_is_named() {
        let gap = chosen("000000010000000000000002\n000000010000000000000004").unwrap_err();
        assert_eq!(gap, "segment 000000010000000000000003 is missing, 000000010000000000000004 is there");
        assert_eq!(
            chosen("000000010000000000000003").unwrap_err(),
            "segment 000000010000000000000002 is missing"
        );
    }

    #[test]
    fn what_a_receiver_only_began_is_known_by_what_the_next_one_says() {
        let said = "pg_receivewal: error: write-ahead log file \"000000010000000000000004.partial\" has 1409024 bytes, should be 0 or 16777216\n";
        assert_eq!(begun(said), Some("000000010000000000000004.partial"));
        let other = said.replace("000000010000000000000004.partial", "../000000010000000000000004.partial");
        assert_eq!(begun(&other), None);
        assert_eq!(begun("pg_receivewal: error: replication slot \"s\" is active for PID 7"), None);
    }
}
