//! The stream of the write-ahead log: pg_receivewal with a slot writes segments into a directory, from where sets take them.
//!
//! A slot keeps the log on the server until it was received, so nothing is missing after the receiver was away; a slot that nobody
//! reads any more fills the server's disk, so drop it when the last backup is done. Source: PostgreSQL's documentation, `pg_receivewal`.

use std::{fmt::Display, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    call::{Call, Programs},
    error::Error,
    lsn::{Lsn, Segment},
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
        self.connection.call("pg_receivewal", args).arg(format!("--slot={}", self.slot))
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

    /// The call that streams until it is ended; each commit is confirmed as soon as it is on disk here. Only one
    /// receiver can use a slot: end it before a set is made or extended, and start it again afterwards.
    pub fn follow(&self) -> Call {
        self.receive(["--synchronous", "--no-loop"])
            .arg(format!("--directory={}", self.directory))
            .within(FOR_EVER)
    }

    /// Ends the segment that is written now, and receives everything up to there.
    pub(crate) async fn catch_up(&self, programs: &dyn Programs) -> Result<Lsn, Error> {
        // An idle server would not switch, and the receiver would wait for a byte after the end.
        let sql = "select from pg_logical_emit_message(true, 'gauntlet', 'a backup ends here');\nselect pg_switch_wal();";
        let end = self.connection.lsn(programs, sql).await?;
        // It ends once it has more than it was asked for: the last byte but one is asked for, so that the segment is complete.
        let last = Segment::of(1, Lsn(end.0.saturating_sub(1))).next().start();
        let call = self.receive(["--no-loop"]).arg(format!("--directory={}", self.directory));
        ask(programs, &call.arg(format!("--endpos={}", Lsn(last.0 - 1))), "").await?;
        Ok(end)
    }

    /// The files from a segment on, and what they are. An error: one is missing.
    pub(crate) async fn files(
        &self,
        programs: &dyn Programs,
        from: Segment,
    ) -> Result<(Vec<String>, Segments), Error> {
        let listed = ask(programs, &Call::new("ls", ["-1", &self.directory]), "").await?;
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

// Complete segments without a gap, and at most one behind them that is still being written.
fn choose(listed: &str, from: Segment) -> Result<(Vec<String>, Segments), impl Display> {
    let (mut next, mut files) = (from, Vec::new());
    let has = |name: &str| listed.lines().any(|line| line == name);
    while has(&next.to_string()) {
        files.push(next.to_string());
        next = next.next();
    }
    let Some(last) = files.last().cloned() else { return Err(format!("segment {from} is missing")) };
    let later = |line: &&str| line.parse::<Segment>().is_ok_and(|s| s.timeline == next.timeline && s > next);
    if let Some(later) = listed.lines().find(later) {
        return Err(format!("segment {next} is missing, {later} is there"));
    }
    let growing = format!("{next}.partial");
    let partial = has(&growing);
    if partial {
        files.push(growing);
    }
    Ok((files, Segments { first: from.to_string(), last, partial }))
}

#[cfg(test)]
mod tests {
    use super::choose;
    use crate::lsn::Segment;

    fn chosen(listed: &str) -> Result<(usize, bool), String> {
        let from: Segment = "000000010000000000000002".parse().unwrap();
        choose(listed, from)
            .map(|(files, segments)| (files.len(), segments.partial))
            .map_err(|why| why.to_string())
    }

    #[test]
    fn segments_are_taken_from_the_first_needed_to_the_one_being_written() {
        let listed = "000000010000000000000001\n000000010000000000000002\n000000010000000000000003\n\
                      000000010000000000000004.partial\n";
        assert_eq!(chosen(listed), Ok((3, true)));
    }

    #[test]
    fn a_gap_is_named() {
        let gap = chosen("000000010000000000000002\n000000010000000000000004\n").unwrap_err();
        assert_eq!(gap, "segment 000000010000000000000003 is missing, 000000010000000000000004 is there");
        assert_eq!(
            chosen("000000010000000000000003\n").unwrap_err(),
            "segment 000000010000000000000002 is missing"
        );
    }
}
