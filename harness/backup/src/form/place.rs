//! Directories of the place that programs run in: filled beside their name, and swapped in when all is there.

use crate::{
    call::{Call, Programs},
    error::Error,
    pipe::ask,
};

/// A directory that a restore fills.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// Its path in the place. A sibling beside it is written first, so it must not be a mount point itself.
    pub path: String,
    /// What it holds now may be replaced.
    pub replace: bool,
}

impl Directory {
    /// Where the restore writes.
    pub(crate) fn work(&self) -> String {
        format!("{}.gauntlet-restoring", self.path.trim_end_matches('/'))
    }

    /// Refused unless it is empty, missing, or may be replaced; what an earlier, killed restore wrote beside it is removed.
    pub(crate) async fn begin(&self, programs: &dyn Programs) -> Result<(), Error> {
        let absolute = self.path.starts_with('/') && self.path.trim_end_matches('/').len() > 1;
        if !absolute {
            return Err(Error::at(
                &self.path,
                "no absolute path of a directory",
                "name the directory from / on",
            ));
        }
        let found =
            ask(programs, &Call::shell("if [ -d \"$1\" ]; then ls -A \"$1\"; fi", [&self.path]), "").await?;
        if let (Some(first), false) = (found.lines().next(), self.replace) {
            return Err(Error::NotEmpty { place: self.path.clone(), found: first.to_owned() });
        }
        let script = "rm -rf \"$1\"; mkdir -p \"${1%/*}\"; mkdir -m 700 \"$1\"";
        ask(programs, &Call::shell(script, [&self.work()]), "").await.map(drop)
    }

    /// What was written becomes the directory.
    pub(crate) async fn swap(&self, programs: &dyn Programs) -> Result<(), Error> {
        let path = self.path.trim_end_matches('/');
        let old = format!("{path}.gauntlet-replaced");
        let script = "
            if [ -d \"$2\" ] && ! rmdir \"$2\" 2> /dev/null; then
                [ \"$4\" = true ] || { echo \"$2 is not empty any more\" >&2; exit 1; }
                rm -rf \"$3\"
                mv \"$2\" \"$3\"
            fi
            mv \"$1\" \"$2\"
            rm -rf \"$3\"";
        let replace = self.replace.to_string();
        ask(programs, &Call::shell(script, [&self.work(), path, &old, &replace]), "").await.map(drop)
    }

    /// Removes what was written so far.
    pub(crate) async fn give_up(&self, programs: &dyn Programs) {
        // What remains is removed by the next restore.
        let _ = ask(programs, &Call::new("rm", ["-rf".to_owned(), self.work()]), "").await;
    }
}

/// Unpacks tar into a directory.
pub(crate) fn untar(directory: &str) -> Call {
    Call::new("tar", ["-C", directory, "-xf", "-"])
}

/// Writes its input into a file, durably.
pub(crate) fn write(file: &str) -> Call {
    Call::new("dd", [&format!("of={file}"), "bs=65536", "conv=fsync"].map(String::from))
}
