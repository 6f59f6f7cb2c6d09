//! The programs that backups call, and their passwords: from the environment or a file, never from an argument.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use clap::Parser;
use gauntlet_backup::{Error, LocalPrograms};
use rustix::process::geteuid;

use super::trouble::Trouble;

/// The name under which programs know the password.
pub(in crate::cli) const PASSWORD: &str = "password";

/// What PostgreSQL's programs may be told by their environment besides the options here.
const LIBPQ: [&str; 8] = [
    "PGPASSFILE",
    "PGSSLMODE",
    "PGSSLROOTCERT",
    "PGSSLCERT",
    "PGSSLKEY",
    "PGSSLCRL",
    "PGCHANNELBINDING",
    "PGGSSENCMODE",
];

/// Which programs, as whom.
#[derive(Debug, Parser)]
pub(in crate::cli) struct Tools {
    /// Looks here first for the programs of PostgreSQL and Redis; then in /usr/lib/postgresql, the highest version
    /// first, and in PATH.
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Runs them as this account of the machine; only root can.
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
}

impl Tools {
    /// For a server whose password is the content of a file or the value of a variable, if there is one.
    pub(in crate::cli) fn for_server(
        &self,
        password: Option<&Path>,
        variable: &str,
    ) -> Result<(LocalPrograms, Option<String>), Trouble> {
        let programs = self.as_account(None)?;
        let password = match password {
            Some(file) => Some(read(file)?.trim_end_matches(['\n', '\r']).to_owned()),
            None => env::var(variable).ok(),
        };
        Ok(match password {
            Some(value) => (programs.with_secret(PASSWORD, &value), Some(PASSWORD.to_owned())),
            None => (programs, None),
        })
    }

    /// Without a server. Root writes data directories as the account that will run the server.
    pub(in crate::cli) fn as_account(&self, usual: Option<&str>) -> Result<LocalPrograms, Trouble> {
        let mut programs = LocalPrograms::new();
        if let Some(dir) = &self.programs {
            programs = programs.searching(absolute(dir)?);
        }
        for name in LIBPQ {
            if let Some(value) = env::var_os(name) {
                programs = programs.with_variable(name, value);
            }
        }
        let usual = usual.filter(|_| geteuid().is_root());
        let Some(name) = self.account.as_deref().or(usual) else { return Ok(programs) };
        if !geteuid().is_root() {
            return Err(Trouble::mistake("--account: only root can run programs as another account"));
        }
        let (uid, gid) = account(name)?;
        Ok(programs.as_account(uid, gid))
    }
}

fn account(name: &str) -> Result<(u32, u32), Trouble> {
    let known = read(Path::new("/etc/passwd"))?;
    let mut lines = known.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let found = lines.find(|fields| fields.first() == Some(&name));
    let ids = found.and_then(|fields| Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?)));
    ids.ok_or_else(|| {
        Trouble::mistake(format!("account {name:?}: not in /etc/passwd; `--account` names one"))
    })
}

/// A file that the command names.
pub(in crate::cli) fn read(file: &Path) -> Result<String, Trouble> {
    fs::read_to_string(file).map_err(|error| Trouble::mistake(format!("{}: {error}", file.display())))
}

/// Programs run in another directory.
pub(in crate::cli) fn absolute(path: &Path) -> Result<PathBuf, Trouble> {
    std::path::absolute(path).map_err(|error| Trouble::mistake(format!("{}: {error}", path.display())))
}

/// The same, as an argument of theirs.
pub(in crate::cli) fn argument(path: &Path) -> Result<String, Trouble> {
    let path = absolute(path)?;
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| Error::at(path.display(), "no UTF-8", "use another name").into())
}
