//! Programs of others that are called: kind, docker, kubectl, and the scripts that the caller names.

use std::{io, path::PathBuf, process::Stdio, time::Duration};

use gauntlet_core::port::Trouble;
use tokio::{process::Command, time::timeout};

/// How the programs are got that this needs.
const GET: [(&str, &str); 3] = [
    (
        "kind",
        "`go install sigs.k8s.io/kind@latest`, or https://kind.sigs.k8s.io/docs/user/quick-start/#installation",
    ),
    ("docker", "package docker.io, or https://docs.docker.com/engine/install/"),
    ("kubectl", "package kubernetes-client, or https://kubernetes.io/docs/tasks/tools/#kubectl"),
];

/// One call of a program.
#[derive(Debug)]
pub(crate) struct Call {
    program: PathBuf,
    args: Vec<String>,
    settings: Vec<(String, String)>,
    limit: Duration,
}

impl Call {
    /// Of a program on the path, or at a place.
    pub(crate) fn new<A: ToString>(program: impl Into<PathBuf>, args: impl IntoIterator<Item = A>) -> Self {
        let args = args.into_iter().map(|arg| arg.to_string()).collect();
        Self { program: program.into(), args, settings: vec![], limit: Duration::from_secs(60) }
    }

    /// Longer or shorter than a minute.
    pub(crate) fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// With a variable of its environment.
    pub(crate) fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.settings.push((name.to_owned(), value.to_string()));
        self
    }

    /// Runs it; answers what it printed to standard output.
    pub(crate) async fn run(&self) -> Result<String, Trouble> {
        let mut command = Command::new(&self.program);
        command.args(&self.args).envs(self.settings.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).kill_on_drop(true);
        let what = self.shown();
        let output = match timeout(self.limit, command.output()).await {
            Err(_) => return Err(Trouble::failed(what, format!("not done within {:?}", self.limit))),
            Ok(Err(error)) => return Err(Trouble::failed(what, self.absent(&error))),
            Ok(Ok(output)) => output,
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() {
            return Ok(text(&output.stdout));
        }
        let said = [text(&output.stderr), text(&output.stdout)].into_iter().find(|said| !said.is_empty());
        let said = said.map_or_else(|| output.status.to_string(), |said| last_lines(&said));
        Err(Trouble::failed(what, said))
    }

    fn shown(&self) -> String {
        let program = self.program.display();
        // What follows is often a long list of files.
        let args: Vec<_> = self.args.iter().take(8).map(String::as_str).collect();
        format!("{program} {}", args.join(" ")).trim_end().to_owned()
    }

    fn absent(&self, error: &io::Error) -> String {
        let how = GET.iter().find(|(name, _)| self.program.to_str() == Some(name));
        match how {
            Some((name, how)) if error.kind() == io::ErrorKind::NotFound => {
                format!("{name} is not on this machine; get it: {how}")
            }
            _ => error.to_string(),
        }
    }
}

// The reason comes last, from `ERROR` on where a program says so.
fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let error = lines.iter().rposition(|line| line.to_lowercase().starts_with("error"));
    lines[error.unwrap_or(0).max(lines.len().saturating_sub(5))..].join(" | ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Call, last_lines};

    #[tokio::test]
    async fn a_call_answers_what_was_printed_or_why_it_failed() {
        let shell = |script: &str| Call::new("sh", ["-c", script]).with("WORD", "said");
        assert_eq!(shell("echo \" $WORD \"").run().await.unwrap(), "said");
        let error = shell("echo ignored; echo why >&2; exit 3").run().await.unwrap_err().to_string();
        assert_eq!(error, "sh -c echo ignored; echo why >&2; exit 3 failed: why");
        let error = shell("exit 3").run().await.unwrap_err().to_string();
        assert!(error.ends_with("failed: exit status: 3"), "{error}");
        let late = shell("sleep 60").within(Duration::from_millis(20)).run().await.unwrap_err();
        assert_eq!(late.to_string(), "sh -c sleep 60 failed: not done within 20ms");
    }

    #[tokio::test]
    async fn a_missing_program_is_told_with_how_to_get_it() {
        let call = Call { program: "kind".into(), ..Call::new("kind", ["version"]) };
        let absent = call.absent(&std::io::ErrorKind::NotFound.into());
        assert!(absent.starts_with("kind is not on this machine; get it: `go install"), "{absent}");
        let error = Call::new("/nowhere/program", [""; 0]).run().await.unwrap_err().to_string();
        assert!(error.starts_with("/nowhere/program failed: No such file"), "{error}");
    }

    #[test]
    fn the_last_lines_are_told() {
        assert_eq!(last_lines("1\n2\n\n3\n4\n5\n6\n"), "2 | 3 | 4 | 5 | 6");
        assert_eq!(last_lines("begun\nERROR: no\n  because\n"), "ERROR: no | because");
        assert_eq!(last_lines(""), "");
    }
}
