//! Every scenario of the repository that runs on this machine, as a test of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use gauntlet::{run::Options, scenarios};

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(PathBuf::from).unwrap_or_default();
    let options =
        Options { reports: Path::new(env!("CARGO_TARGET_TMPDIR")).join("reports"), ..Options::default() };
    // What needs a cluster is run by the tests that have one; canaries and drills take minutes, and are tested with short
    // phases.
    let elsewhere = |dir: &Path| ["kube", "canary", "drill"].iter().any(|name| dir.ends_with(name));
    let entries = fs::read_dir(root.join("scenarios")).into_iter().flatten().flatten();
    let mut all: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|dir| !elsewhere(dir)).collect();
    all.sort();
    all.push(root.join("examples/hello/steady.yml"));
    scenarios::under(&all, &options, &root)
}
