//! Every scenario of the repository, as a test of its own.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use gauntlet::{run::Options, scenarios};

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(PathBuf::from).unwrap_or_default();
    let options =
        Options { reports: Path::new(env!("CARGO_TARGET_TMPDIR")).join("reports"), ..Options::default() };
    scenarios::under(&[root.join("scenarios"), root.join("examples/hello/steady.yml")], &options, &root)
}
