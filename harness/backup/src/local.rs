//! Calls as processes of this machine: each in a process group of its own, killed as a whole when its time is up.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
    time::timeout,
};

use crate::{
    call::{Call, Ended, Input, Later, Output, Programs},
    digest::CHUNK,
    error::Error,
};

/// How much of the standard error is kept: its end.
const TAIL: usize = 8 << 10;

/// Programs that backups and restores call, and the Debian packages that have them.
pub const PROGRAMS: [(&str, &str); 13] = [
    ("psql", "postgresql-client"),
    ("pg_dump", "postgresql-client"),
    ("pg_restore", "postgresql-client"),
    ("pg_basebackup", "postgresql-client"),
    ("pg_receivewal", "postgresql-client"),
    ("pg_verifybackup", "postgresql-client"),
    ("pg_archivecleanup", "postgresql"),
    ("pg_ctl", "postgresql"),
    ("redis-cli", "redis-tools"),
    ("redis-check-rdb", "redis-tools"),
    ("redis-check-aof", "redis-tools"),
    ("redis-server", "redis-server"),
    ("tar", "tar"),
];

/// Runs calls on this machine.
#[derive(Clone, Default)]
pub struct LocalPrograms {
    search: Vec<PathBuf>,
    variables: BTreeMap<String, OsString>,
    account: Option<(u32, u32)>,
    secrets: BTreeMap<String, String>,
}

impl LocalPrograms {
    /// Looks in `/usr/lib/postgresql/*/bin`, the highest version first, then in `PATH`.
    pub fn new() -> Self {
        let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
            .collect();
        versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
        Self { search: versions.into_iter().map(|(_, dir)| dir).collect(), ..Self::default() }
    }

    /// Looks here first.
    #[must_use]
    pub fn searching(mut self, dir: PathBuf) -> Self {
        self.search.insert(0, dir);
        self
    }

    /// Runs them as this user and group: PostgreSQL's programs refuse root, and own what they write.
    #[must_use]
    pub fn as_account(mut self, uid: u32, gid: u32) -> Self {
        self.account = Some((uid, gid));
        self
    }

    /// Knows the value of a secret.
    #[must_use]
    pub fn with_secret(mut self, name: &str, value: &str) -> Self {
        self.secrets.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Gives every program this environment variable.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: OsString) -> Self {
        self.variables.insert(name.to_owned(), value);
        self
    }

    /// Those of [`PROGRAMS`] that are not on this machine.
    pub fn missing(&self) -> Vec<(&'static str, &'static str)> {
        PROGRAMS.into_iter().filter(|(program, _)| self.find(program).is_err()).collect()
    }

    fn find(&self, program: &str) -> Result<PathBuf, Error> {
        let path = env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
        let dirs = self.search.iter().cloned().chain(env::split_paths(&path));
        let found = dirs.map(|dir| dir.join(program)).find(|path| path.is_file());
        found.ok_or_else(|| {
            let package = PROGRAMS.iter().find(|(known, _)| *known == program);
            let package = package.map_or("it".to_owned(), |(_, package)| format!("the package {package}"));
            Error::at(program, "not on this machine", format!("install {package}, or say where it is"))
        })
    }

    fn command(&self, call: &Call) -> Result<Command, Error> {
        let program = self.find(&call.program)?;
        let mut command = Command::new(&program);
        command
            .args(&call.args)
            .env_clear()
            .envs(&self.variables)
            .envs(&call.env)
            .process_group(0)
            .kill_on_drop(true);
        command.env("PATH", path(program.parent())).current_dir("/");
        for (variable, name) in &call.secrets {
            let unknown = || Error::at(name, "a secret that nobody gave", "give its value");
            command.env(variable, self.secrets.get(name).ok_or_else(unknown)?);
        }
        if let Some((uid, gid)) = self.account {
            command.uid(uid).gid(gid);
        }
        Ok(command)
    }
}

// Programs call their neighbours (pg_verifybackup: pg_waldump), so their directory goes first.
fn path(own: Option<&Path>) -> OsString {
    let rest = env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    let dirs = own.map(Path::to_owned).into_iter().chain(env::split_paths(&rest));
    env::join_paths(dirs).unwrap_or(rest)
}

impl Programs for LocalPrograms {
    fn run<'a>(
        &'a self,
        call: &'a Call,
        stdin: Input<'a>,
        stdout: Output<'a>,
    ) -> Later<'a, Result<Ended, Error>> {
        Box::pin(async move {
            let mut command = self.command(call)?;
            command.stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() });
            command.stdout(if stdout.is_some() { Stdio::piped() } else { Stdio::null() });
            let failed =
                |why: std::io::Error| Error::at(&call.program, why, "look whether it can be run here");
            let child = command.stderr(Stdio::piped()).spawn().map_err(failed)?;
            let mut group = Group::of(&child);
            let ended = timeout(call.within, attend(child, stdin, stdout)).await.map_err(|_| {
                let what = format!("did not end within {:?}", call.within);
                Error::at(&call.program, what, "look what it waits for, or give it more time")
            })?;
            group.0 = None;
            ended.map_err(failed)
        })
    }
}

async fn attend(mut child: Child, stdin: Input<'_>, stdout: Output<'_>) -> std::io::Result<Ended> {
    let (to, from, complaints) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let give = async {
        if let (Some(stdin), Some(mut to)) = (stdin, to) {
            // A program that has read enough closes its input; its status says whether that was well.
            let _ = tokio::io::copy(stdin, &mut to).await;
            let _ = to.shutdown().await;
        }
        std::future::pending::<()>().await;
    };
    let take = async {
        let mut taken = Ok(());
        if let (Some(stdout), Some(mut from)) = (stdout, from) {
            taken = tokio::io::copy(&mut from, stdout).await.map(drop);
        }
        taken
    };
    let listen = async { if let Some(from) = complaints { tail(from).await } else { Ok(String::new()) } };
    let end = async {
        let (taken, stderr) = tokio::join!(take, listen);
        let status = child.wait().await?;
        // Output that nobody could take is no success; a program that failed itself says more.
        if status.success() {
            taken?;
        }
        Ok(Ended { status: status.code(), stderr: stderr? })
    };
    tokio::select! {
        ended = end => ended,
        () = give => Err(std::io::Error::other("its input outlived it")),
    }
}

async fn tail(mut from: impl AsyncRead + Unpin) -> std::io::Result<String> {
    let (mut kept, mut buffer) = (Vec::new(), vec![0; CHUNK]);
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(String::from_utf8_lossy(&kept).into_owned());
        }
        kept.extend_from_slice(&buffer[..read]);
        kept.drain(..kept.len().saturating_sub(TAIL));
    }
}

// Kills the group of a call that is given up.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::LocalPrograms;
    use crate::{call::Call, pipe::ask};

    #[tokio::test]
    async fn a_call_reads_writes_and_knows_its_secrets() {
        let programs = LocalPrograms::new().with_secret("word", "hunter2");
        let mut call = Call::shell("cat; printf %s \"$WORD\"", []);
        call.secrets.insert("WORD".into(), "word".into());
        assert_eq!(ask(&programs, &call, "said ").await.unwrap(), "said hunter2");
    }

    #[tokio::test]
    async fn a_call_that_takes_too_long_is_killed_with_all_that_it_started() {
        let (programs, dir) = (LocalPrograms::new(), tempfile::tempdir().unwrap());
        let file = dir.path().join("pid");
        let call = Call::shell("sleep 1000 & echo $! > \"$1\"; wait", [file.to_str().unwrap()]);
        let (call, began) = (call.within(Duration::from_millis(500)), Instant::now());
        let error = ask(&programs, &call, "").await.unwrap_err().to_string();
        assert!(error.contains("did not end within 500ms"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(20));
        let pid = std::fs::read_to_string(file).unwrap();
        let gone = || match std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())) {
            Err(_) => true,
            Ok(stat) => stat.contains(") Z"),
        };
        let end = Instant::now() + Duration::from_secs(5);
        while !gone() && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(gone());
    }

    #[tokio::test]
    async fn a_program_that_stops_reading_does_not_hang_the_call() {
        let input = "x".repeat(1 << 20);
        assert_eq!(ask(&LocalPrograms::new(), &Call::new("true", [""; 0]), &input).await.unwrap(), "");
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let error = ask(&LocalPrograms::new(), &Call::new("pg_nonsense", [""; 0]), "").await.unwrap_err();
        assert!(error.to_string().starts_with("pg_nonsense: not on this machine"));
    }
}
