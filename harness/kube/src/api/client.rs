//! Clients of an API server: from a kubeconfig, or from inside a cluster.

use std::{path::Path, time::Duration};

use gauntlet_core::port::Trouble;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use crate::api::{told::told, watch::READ_WITHIN};

/// How long the API server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// A client for a context of a kubeconfig: that file, or what `KUBECONFIG` names, or `~/.kube/config`. No context: the
/// current one. Nothing is asked of the API server yet.
pub async fn connect(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Client, Trouble> {
    client(config(kubeconfig, context).await?)
}

/// A client with the account of the pod that this runs in.
pub fn in_cluster() -> Result<Client, Trouble> {
    client(own()?)
}

/// The same for watches that are begun again often: a connection that says nothing for longer is dead.
pub fn in_cluster_to_watch() -> Result<Client, Trouble> {
    let mut config = own()?;
    config.read_timeout = Some(READ_WITHIN);
    client(config)
}

fn own() -> Result<Config, Trouble> {
    Config::incluster().map_err(|e| Trouble::failed("the pod's own account", told(&e)))
}

/// What a kubeconfig says of a context: where the API server is, and the namespace that it names.
pub async fn config(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Config, Trouble> {
    let failed = |why: String| {
        let file = kubeconfig.map_or_else(|| "kubeconfig".to_owned(), |path| path.display().to_string());
        let context = context.map_or_else(|| "current context".to_owned(), |name| format!("context {name}"));
        Trouble::failed(format!("{context} of {file}"), why)
    };
    let read = match kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..Default::default() };
    Config::from_custom_kubeconfig(read.map_err(|e| failed(told(&e)))?, &options)
        .await
        .map_err(|e| failed(told(&e)))
}

/// The name of the context that is meant.
pub fn context(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<String, Trouble> {
    if let Some(context) = context {
        return Ok(context.to_owned());
    }
    let read = match kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let what = kubeconfig.map_or_else(|| "kubeconfig".to_owned(), |path| path.display().to_string());
    let read = read.map_err(|error| Trouble::failed(&what, told(&error)))?;
    read.current_context.ok_or_else(|| Trouble::failed(what, "it has no current context; name a --context"))
}

fn client(mut config: Config) -> Result<Client, Trouble> {
    // More than one provider is linked in, and rustls panics unless one is chosen. The first choice stands.
    let _ = rustls::crypto::ring::default_provider().install_default();
    config.connect_timeout = Some(CONNECT);
    Client::try_from(config).map_err(|e| Trouble::failed("a client of the API server", told(&e)))
}

#[cfg(test)]
mod tests {
    use super::connect;

    const KUBECONFIG: &str = r"
apiVersion: v1
kind: Config
current-context: one
clusters: [{ name: here, cluster: { server: https://127.0.0.1:9 } }]
users: [{ name: me, user: {} }]
contexts: [{ name: one, context: { cluster: here, user: me, namespace: mine } }]
";

    #[tokio::test]
    async fn a_context_is_found_or_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config");
        std::fs::write(&file, KUBECONFIG).unwrap();
        let client = connect(Some(&file), Some("one")).await.unwrap();
        assert_eq!(client.default_namespace(), "mine");
        let error = connect(Some(&file), Some("two")).await.err().unwrap().to_string();
        assert!(error.starts_with(&format!("context two of {} failed:", file.display())), "{error}");
        let error = connect(Some(&dir.path().join("none")), None).await.err().unwrap().to_string();
        assert!(error.contains("No such file"), "{error}");
    }
}
