//! Accounts of this machine, for programs that refuse to run as root.

use std::{fs, io, os::unix::fs::chown, path::Path};

use rustix::process::geteuid;

/// A user and its first group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Account {
    /// The account that a component runs as; none: the harness' own.
    pub(super) fn of(user: Option<&str>) -> io::Result<Option<Self>> {
        let Some(user) = user.filter(|_| geteuid().is_root()) else { return Ok(None) };
        let known = fs::read_to_string("/etc/passwd")?;
        let missing = || io::Error::new(io::ErrorKind::NotFound, format!("/etc/passwd has no user {user:?}"));
        find(&known, user).map(Some).ok_or_else(missing)
    }

    /// Gives it a file or directory.
    pub(super) fn own(account: Option<Self>, path: &Path) -> io::Result<()> {
        account.map_or(Ok(()), |account| chown(path, Some(account.uid), Some(account.gid)))
    }
}

fn find(passwd: &str, user: &str) -> Option<Account> {
    let mut lines = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let fields = lines.find(|fields| fields.first() == Some(&user))?;
    Some(Account { uid: fields.get(2)?.parse().ok()?, gid: fields.get(3)?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::{Account, find};

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\npostgres:x:101:104::/var/lib/postgresql:/bin/bash\n";
        assert_eq!(find(passwd, "postgres"), Some(Account { uid: 101, gid: 104 }));
        assert_eq!(find(passwd, "post"), None);
    }

    #[test]
    fn without_a_user_nothing_changes() {
        assert_eq!(Account::of(None).unwrap(), None);
    }
}
