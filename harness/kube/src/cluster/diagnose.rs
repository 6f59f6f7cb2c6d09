//! What is kept of a cluster that did not come up.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{Kind, program::Call};

const LOGS: Duration = Duration::from_secs(60);
const ASK: Duration = Duration::from_secs(15);

/// Questions to the cluster, each answered into a file.
const QUESTIONS: [(&str, &[&str]); 5] = [
    ("nodes.txt", &["get", "nodes", "-o", "wide"]),
    ("nodes-described.txt", &["describe", "nodes"]),
    ("pods.txt", &["get", "pods", "--all-namespaces", "-o", "wide"]),
    ("pods-described.txt", &["describe", "pods", "--all-namespaces"]),
    ("events.txt", &["get", "events", "--all-namespaces", "--sort-by=.lastTimestamp"]),
];

/// Keeps what can be had, and answers where. What cannot be had says why.
pub(super) async fn diagnose(kind: &Kind) -> std::io::Result<PathBuf> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let dir = kind.dir.join(format!("{}.diagnostics-{now}", kind.name));
    fs::create_dir_all(&dir)?;
    let kubeconfig = kind.kubeconfig();
    if kubeconfig.exists() {
        for (file, args) in QUESTIONS {
            let own =
                ["--request-timeout=10s", "--kubeconfig", &kubeconfig.to_string_lossy()].map(str::to_owned);
            let args = args.iter().map(ToString::to_string).chain(own);
            keep(&dir.join(file), Call::new("kubectl", args).within(ASK)).await?;
        }
    }
    let logs = dir.join("kind");
    let args = ["export", "logs", &logs.to_string_lossy(), "--name", &kind.name].map(str::to_owned);
    keep(&dir.join("kind.txt"), Call::new("kind", args).within(LOGS)).await?;
    Ok(dir)
}

async fn keep(file: &Path, call: Call) -> std::io::Result<()> {
    fs::write(file, call.run().await.unwrap_or_else(|error| error.to_string()) + "\n")
}
