//! Clusters on this machine, made with kind, and the tools on any cluster.

use std::{
    fs,
    future::Future,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use gauntlet_core::port::Trouble;

mod addon;
mod diagnose;
mod images;
mod install;
mod program;
mod status;
mod up;

pub use images::Images;
pub use install::{Tools, install, uninstall};
pub use status::status;
pub use up::{Up, up};

use program::Call;

/// Where progress goes, a line at a time.
pub type Say<'a> = &'a (dyn Fn(String) + Sync);

/// A kind cluster of this machine, and what is kept of it: a kubeconfig of its own.
#[derive(Debug, Clone)]
pub struct Kind {
    /// What kind calls it.
    pub name: String,
    dir: PathBuf,
}

impl Kind {
    /// A cluster of that name, whether it is there or not. `state` is the harness' state directory.
    pub fn new(name: &str, state: &Path) -> Result<Self, Trouble> {
        let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
        if name.is_empty() || name.len() > 50 || !name.bytes().all(letters) {
            let rule = "a cluster's name holds lower-case letters, digits, dots and dashes, 50 at most";
            return Err(Trouble::refused(format!("cluster {name:?}"), rule));
        }
        Ok(Self { name: name.to_owned(), dir: state.join("clusters") })
    }

    /// The kubeconfig of this cluster alone; nobody's own is touched.
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.join(format!("{}.kubeconfig", self.name))
    }

    /// Whether there is such a cluster.
    pub async fn exists(&self) -> Result<bool, Trouble> {
        let names = Call::new("kind", ["get", "clusters"]).run().await?;
        Ok(names.lines().any(|name| name.trim() == self.name))
    }

    /// Removes the cluster and what was kept of it; says whether there was one.
    pub async fn down(&self) -> Result<bool, Trouble> {
        let there = self.exists().await?;
        if there {
            let kubeconfig = self.kubeconfig();
            let kubeconfig = kubeconfig.to_string_lossy();
            let args = ["delete", "cluster", "--name", &self.name, "--kubeconfig", &kubeconfig];
            Call::new("kind", args).within(Duration::from_secs(120)).run().await?;
        }
        self.forget()?;
        Ok(there)
    }

    fn forget(&self) -> Result<(), Trouble> {
        for file in [self.kubeconfig(), self.loaded(), self.making()] {
            match fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Trouble::failed(format!("removing {}", file.display()), error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    // There while kind makes it: one that was left then is no cluster.
    fn making(&self) -> PathBuf {
        self.dir.join(format!("{}.making", self.name))
    }

    // Which images were loaded onto its nodes.
    fn loaded(&self) -> PathBuf {
        self.dir.join(format!("{}.images.json", self.name))
    }
}

// One stage: its name, what came of it, and how long it took, in one line.
async fn stage<T>(
    say: Say<'_>,
    name: &str,
    work: impl Future<Output = Result<(String, T), Trouble>>,
) -> Result<T, Trouble> {
    let began = Instant::now();
    let (note, done) = work.await?;
    say(format!("{name:<16} {note:<56} {:>6.1} s", began.elapsed().as_secs_f64()));
    Ok(done)
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Mutex};

    use super::{Kind, stage};

    #[test]
    fn a_cluster_has_a_kubeconfig_of_its_own() {
        let kind = Kind::new("one", Path::new("/state")).unwrap();
        assert_eq!(kind.kubeconfig(), Path::new("/state/clusters/one.kubeconfig"));
        for name in ["", "../up", "Upper", "a b"] {
            assert!(Kind::new(name, Path::new("/state")).is_err(), "{name}");
        }
    }

    #[tokio::test]
    async fn a_stage_is_one_line() {
        let said = Mutex::new(vec![]);
        let say = |line| said.lock().unwrap().push(line);
        stage(&say, "load", async { Ok(("2 images".to_owned(), ())) }).await.unwrap();
        let lines = said.into_inner().unwrap();
        assert_eq!(lines.len(), 1);
        assert!(
            lines[0].starts_with("load             2 images") && lines[0].ends_with("0.0 s"),
            "{lines:?}"
        );
    }
}
