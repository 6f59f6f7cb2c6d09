//! What a run was made with: commit, digests, machine.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{itself, ready::Ready};
use crate::{digest, target::local::find};

/// Commit, SHA-256 of binaries and files, and the machine.
pub(super) fn provenance(ready: &Ready, earlier: &[PathBuf]) -> BTreeMap<String, String> {
    let mut known = BTreeMap::new();
    if !earlier.is_empty() {
        let runs = earlier.iter().filter_map(|dir| dir.file_name()).map(|run| run.to_string_lossy());
        let runs: Vec<_> = runs.collect();
        known.insert("attempt".to_owned(), format!("{}, after {}", runs.len() + 1, runs.join(", ")));
    }
    if let Some(commit) = commit(&ready.root) {
        known.insert("commit".to_owned(), commit);
    }
    for (name, file) in &ready.files {
        known.insert(format!("sha256/{name}"), digest_or_why(file));
    }
    if let Ok(own) = itself() {
        known.insert("sha256/gauntlet".to_owned(), digest_or_why(&own));
    }
    for (name, component) in &ready.system.components {
        if ready.kind.starts_processes()
            && let Some(local) = &component.local
            && let Ok(program) = find(name, local, &local.program, &ready.root)
        {
            let program = plain(&program);
            known.insert(format!("program/{name}"), program.display().to_string());
            known.insert(format!("sha256/program/{name}"), digest_or_why(&program));
        }
    }
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    known.insert("machine/cores".to_owned(), cores.to_string());
    if let Ok(kernel) = std::fs::read_to_string("/proc/sys/kernel/osrelease") {
        known.insert("machine/kernel".to_owned(), kernel.trim().to_owned());
    }
    known
}

/// Without `..` on the way; a link at the end stays, for its name says what is run.
fn plain(program: &Path) -> PathBuf {
    let dir = program.parent().and_then(|dir| dir.canonicalize().ok());
    dir.zip(program.file_name()).map_or_else(|| program.to_owned(), |(dir, name)| dir.join(name))
}

/// The commit of the checkout that holds the system file, and whether it was changed since; none outside a checkout.
fn commit(root: &Path) -> Option<String> {
    let git = |args: &[&str]| {
        let output =
            Command::new("git").arg("-C").arg(root).args(args).stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "HEAD"])?;
    let changed =
        git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|text| !text.is_empty());
    Some(if changed { format!("{commit}, changed since") } else { commit })
}

fn digest_or_why(file: &Path) -> String {
    digest::of_file(file).unwrap_or_else(|error| format!("unreadable: {error}"))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::plain;

    #[test]
    fn a_program_is_named_without_detours() {
        assert_eq!(plain(Path::new("/usr/bin/../bin/env")), PathBuf::from("/usr/bin/env"));
        assert_eq!(plain(Path::new("/no/such/../dir/x")), PathBuf::from("/no/such/../dir/x"));
    }
}
