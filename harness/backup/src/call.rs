//! Program calls as data, and the door behind which they run: processes of this machine, or a container of the database.
//!
//! A call sees its arguments, its standard input and output, and the directories of the place that it runs in; nothing of the
//! machine that asks. Passwords travel as names of secrets, which the one who runs the call turns into environment variables.

use std::{collections::BTreeMap, pin::Pin, time::Duration};

use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::Error;

/// What comes later; object-safe without a macro.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a program reads.
pub type Input<'a> = Option<&'a mut (dyn AsyncRead + Send + Unpin)>;

/// Where a program writes.
pub type Output<'a> = Option<&'a mut (dyn AsyncWrite + Send + Unpin)>;

/// One call of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Call {
    /// The program's name.
    pub program: String,
    /// Its arguments; never a secret.
    pub args: Vec<String>,
    /// Environment variables.
    pub env: BTreeMap<String, String>,
    /// Environment variables whose values are secrets, by the secrets' names.
    pub secrets: BTreeMap<String, String>,
    /// The longest that it may take; then it is killed with all that it started.
    pub within: Duration,
    /// The exit statuses that mean success.
    pub accepts: Vec<i32>,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its exit status; none: killed by a signal.
    pub status: Option<i32>,
    /// The end of what it wrote to its standard error.
    pub stderr: String,
}

/// Runs calls. Dropping what `run` gives ends the program.
pub trait Programs: Send + Sync {
    /// Runs one to its end. An error: it could not be run, or did not end in time.
    fn run<'a>(
        &'a self,
        call: &'a Call,
        stdin: Input<'a>,
        stdout: Output<'a>,
    ) -> Later<'a, Result<Ended, Error>>;
}

impl Call {
    /// A call that succeeds with status 0, within an hour.
    pub fn new<I: IntoIterator<Item = S>, S: Into<String>>(program: &str, args: I) -> Self {
        Self {
            program: program.to_owned(),
            args: args.into_iter().map(Into::into).collect(),
            env: [("LC_ALL".to_owned(), "C".to_owned())].into(),
            secrets: BTreeMap::new(),
            within: Duration::from_secs(3600),
            accepts: vec![0],
        }
    }

    /// A script of the shell, with its arguments as `$1`, `$2`, ...
    pub fn shell<const N: usize>(script: &str, args: [&str; N]) -> Self {
        Self::new("sh", ["-euc", script, "sh"].into_iter().chain(args))
    }

    /// With one more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// With another limit.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.within = limit;
        self
    }

    /// An error unless it ended well.
    pub fn check(&self, ended: &Ended) -> Result<(), Error> {
        if ended.status.is_some_and(|status| self.accepts.contains(&status)) {
            return Ok(());
        }
        let how =
            ended.status.map_or("killed by a signal".to_owned(), |status| format!("exit status {status}"));
        let said = ended.stderr.trim();
        let what = if said.is_empty() { how } else { format!("{how}: {said}") };
        Err(Error::at(&self.program, what, "mend what it complains of and run it again"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Call, Ended};

    #[test]
    fn what_a_program_complained_of_is_in_the_error() {
        let call = Call::new("pg_dump", ["--format=custom"]);
        let ended = Ended { status: Some(1), stderr: "no such role\n".into() };
        let error = call.check(&ended).unwrap_err().to_string();
        assert_eq!(error, "pg_dump: exit status 1: no such role; mend what it complains of and run it again");
        assert!(call.check(&Ended { status: None, stderr: String::new() }).is_err());
        assert!(call.check(&Ended { status: Some(0), stderr: "warning".into() }).is_ok());
    }
}
