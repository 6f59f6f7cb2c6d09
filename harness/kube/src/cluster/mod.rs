//! Clusters on this machine, made with kind, and the tools on any cluster.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use gauntlet_core::port::Trouble;

mod addon;
mod diagnose;
mod images;
mod install;
pub(crate) mod nodes;
mod ports;
pub(crate) mod program;
mod progress;
mod status;
pub mod tools;
mod up;

pub use images::Images;
pub use install::{Tools, install, uninstall};
pub use progress::Say;
pub(crate) use progress::stage;
pub use status::status;
pub use up::{Up, up};

use program::Call;

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

    /// The names of its nodes, as kind made them: whether they have joined yet, only the API server knows.
    async fn nodes(&self) -> Result<Vec<String>, Trouble> {
        let names = Call::new("kind", ["get", "nodes", "--name", &self.name]).run().await?;
        Ok(nodes_of(&names))
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

// The load balancer before several control planes is a container of kind's, but no node.
fn nodes_of(names: &str) -> Vec<String> {
    let names = names.lines().map(str::trim);
    names
        .filter(|name| !name.is_empty() && !name.ends_with("-external-load-balancer"))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Kind, nodes_of};

    #[test]
    fn a_load_balancer_is_no_node() {
        assert_eq!(
            nodes_of("a-worker\na-external-load-balancer\n\na-control-plane\n"),
            ["a-worker", "a-control-plane"]
        );
    }

    #[test]
    fn a_cluster_has_a_kubeconfig_of_its_own() {
        let kind = Kind::new("one", Path::new("/state")).unwrap();
        assert_eq!(kind.kubeconfig(), Path::new("/state/clusters/one.kubeconfig"));
        for name in ["", "../up", "Upper", "a b"] {
            assert!(Kind::new(name, Path::new("/state")).is_err(), "{name}");
        }
    }
}
