//! A session of psql that holds one snapshot, so that what is dumped and what is digested beside it are of the same moment.

use std::collections::BTreeMap;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, duplex};

use crate::{
    call::Programs,
    content::{self, Content, Listed, statements},
    error::Error,
    postgres::Connection,
};

/// Bytes that lie between psql and the one who asks.
const PIPE: usize = 64 << 10;

/// What psql says when all is answered.
const END: &str = "gauntlet-has-been-answered";

/// The one who asks; once it is dropped, the session ends.
pub(crate) struct Snapshot {
    statements: DuplexStream,
    answers: Lines<BufReader<DuplexStream>>,
}

impl Snapshot {
    /// Does work that asks a session of one moment, while the session runs.
    pub(crate) async fn during<T, W: Future<Output = Result<T, Error>>>(
        connection: &Connection,
        programs: &dyn Programs,
        work: impl FnOnce(Self) -> W,
    ) -> Result<T, Error> {
        let call = connection.psql();
        let (statements, mut asked) = duplex(PIPE);
        let (mut answered, answers) = duplex(PIPE);
        let session = async {
            let ended = programs.run(&call, Some(&mut asked), Some(&mut answered)).await;
            // Whoever waits for an answer hears that none comes.
            drop(answered);
            ended
        };
        let work = async {
            let mut snapshot = Self { statements, answers: BufReader::new(answers).lines() };
            snapshot.ask(statements::PRELUDE).await?;
            work(snapshot).await
        };
        let (ended, done) = tokio::join!(session, work);
        // What psql complains of is why its answer did not come.
        call.check(&ended?)?;
        done
    }

    /// The name under which other sessions can take the same snapshot.
    pub(crate) async fn export(&mut self) -> Result<String, Error> {
        let lines = self.ask("select pg_export_snapshot();\n").await?;
        lines.into_iter().find(|line| !line.is_empty()).ok_or_else(ended)
    }

    /// Everything that the database holds.
    pub(crate) async fn content(&mut self, ranges: u16) -> Result<Content, Error> {
        let tables = self.tables().await?;
        let lines = self.ask(&statements::digests(&tables, ranges)).await?;
        content::parse(lines.iter().map(String::as_str))
    }

    /// Sequences and definitions, without any table.
    pub(crate) async fn shape(&mut self) -> Result<Content, Error> {
        let lines = self.ask(&statements::shape()).await?;
        content::parse(lines.iter().map(String::as_str))
    }

    /// Every row, by table.
    pub(crate) async fn rows(&mut self) -> Result<BTreeMap<String, Vec<String>>, Error> {
        let mut rows = BTreeMap::new();
        for table in self.tables().await? {
            let all = self.ask(&statements::all_rows(&table)).await?;
            rows.insert(format!("{}.{}", table.schema, table.name), all);
        }
        Ok(rows)
    }

    async fn tables(&mut self) -> Result<Vec<Listed>, Error> {
        let lines = self.ask(&statements::catalogue()).await?;
        content::listed(lines.iter().map(String::as_str))
    }

    async fn ask(&mut self, sql: &str) -> Result<Vec<String>, Error> {
        let sql = format!("{sql}\\echo {END}\n");
        // psql answers while it reads: who only asked would wait for one that waits for him.
        let answered = async {
            let mut lines = vec![];
            loop {
                match self.answers.next_line().await {
                    Ok(Some(line)) if line == END => return Ok(lines),
                    Ok(Some(line)) => lines.push(line),
                    Ok(None) => return Err(ended()),
                    Err(why) => return Err(Error::at("psql", why, "look at what it prints")),
                }
            }
        };
        let (asked, answered) = tokio::join!(self.statements.write_all(sql.as_bytes()), answered);
        asked.map_err(|_| ended())?;
        answered
    }
}

fn ended() -> Error {
    Error::at("psql", "it ended before it had answered", "look at the server's log")
}
