//! Add-ons: other people's software that a cluster needs, installed by a program that the caller names or from what
//! upstream publishes; never from a copy of ours.

use std::{path::Path, time::Duration};

use gauntlet_core::port::Trouble;
use kube::{Client, core::DynamicObject};
use serde_json::Value;

use super::{Kind, program::Call};
use crate::api::{apply::Applier, documents::documents, wait::rollout};

const INSTALL: Duration = Duration::from_secs(300);
const READY: Duration = Duration::from_secs(120);
/// What is rolled out already is seen at once.
const GLANCE: Duration = Duration::from_secs(2);

/// What every cluster gets.
pub(super) const ALWAYS: &str = "metrics-server";

// What is known of an add-on: where upstream's manifest is, and what must have rolled out.
struct Known {
    name: &'static str,
    manifest: Option<&'static str>,
    namespace: &'static str,
    deployments: &'static [&'static str],
}

const KNOWN: [Known; 5] = [
    Known {
        name: "metrics-server",
        manifest: Some(
            "https://github.com/kubernetes-sigs/metrics-server/releases/download/v0.9.0/components.yaml",
        ),
        namespace: "kube-system",
        deployments: &["metrics-server"],
    },
    Known {
        name: "cert-manager",
        manifest: Some(
            "https://github.com/cert-manager/cert-manager/releases/download/v1.21.2/cert-manager.yaml",
        ),
        namespace: "cert-manager",
        deployments: &["cert-manager", "cert-manager-cainjector", "cert-manager-webhook"],
    },
    // Upstream publishes no single manifest of these, so only what they bring is known.
    Known { name: "traefik", manifest: None, namespace: "traefik", deployments: &["traefik"] },
    Known {
        name: "prometheus",
        manifest: None,
        namespace: "monitoring",
        deployments: &["prometheus-operator"],
    },
    Known {
        name: "vpa",
        manifest: None,
        namespace: "kube-system",
        deployments: &["vpa-admission-controller", "vpa-recommender", "vpa-updater"],
    },
];

/// kind's kubelets sign their own certificates, and a test wants to see use within seconds.
const METRICS_ARGS: [&str; 3] =
    ["--kubelet-insecure-tls", "--metric-resolution=10s", "--kubelet-request-timeout=5s"];

const NO_MANIFEST: &str =
    "no single manifest of it is known; let GAUNTLET_ADDON name a program that installs it";

/// Why an add-on cannot be installed without a program.
pub(super) fn mistake(name: &str) -> Option<String> {
    let from_upstream = KNOWN.iter().any(|known| known.name == name && known.manifest.is_some());
    (!from_upstream).then(|| format!("add-on {name}: {NO_MANIFEST}"))
}

/// Installs an add-on and waits until it is ready; says how it came.
pub(super) async fn ensure(
    kind: &Kind,
    client: &Client,
    name: &str,
    program: Option<&Path>,
) -> Result<&'static str, Trouble> {
    let known = KNOWN.iter().find(|known| known.name == name);
    if let Some(known) = known
        && rolled(client, known, GLANCE).await.is_ok()
    {
        return Ok("there already");
    }
    match (program, known.and_then(|known| known.manifest)) {
        (Some(program), _) => {
            let call = Call::new(program, [name]).with("KUBECONFIG", kind.kubeconfig().display());
            call.with("CLUSTER", &kind.name).within(INSTALL).run().await?;
        }
        (None, Some(manifest)) => from_manifest(kind, client, manifest).await?,
        (None, None) => return Err(Trouble::refused(format!("add-on {name}"), NO_MANIFEST)),
    }
    if let Some(known) = known {
        rolled(client, known, READY).await?;
    }
    Ok("installed")
}

async fn rolled(client: &Client, known: &Known, limit: Duration) -> Result<(), Trouble> {
    for name in known.deployments {
        rollout(client, "Deployment", known.namespace, name, limit).await?;
    }
    Ok(())
}

// kubectl fetches it, so that proxies and certificates are those of the user.
async fn from_manifest(kind: &Kind, client: &Client, manifest: &str) -> Result<(), Trouble> {
    let kubeconfig = kind.kubeconfig();
    let kubeconfig = kubeconfig.to_string_lossy();
    let args = ["create", "--dry-run=client", "--validate=false", "-o", "yaml", "-f", manifest];
    let text = Call::new("kubectl", args.into_iter().chain(["--kubeconfig", &kubeconfig])).run().await?;
    let mut objects = documents(manifest, &text)?;
    objects.iter_mut().for_each(for_kind);
    Applier::new(client.clone(), INSTALL).apply(objects).await.map(drop)
}

fn for_kind(object: &mut DynamicObject) {
    let deployment = object.types.as_ref().is_some_and(|types| types.kind == "Deployment");
    if !deployment || object.metadata.name.as_deref() != Some("metrics-server") {
        return;
    }
    let args = object.data.pointer_mut("/spec/template/spec/containers/0/args");
    if let Some(args) = args.and_then(Value::as_array_mut) {
        let name = |arg: &str| arg.split('=').next().unwrap_or_default().to_owned();
        args.retain(|arg| {
            arg.as_str().is_none_or(|arg| METRICS_ARGS.iter().all(|ours| name(ours) != name(arg)))
        });
        args.extend(METRICS_ARGS.map(Value::from));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{ALWAYS, for_kind, mistake};
    use crate::api::documents::documents;

    #[test]
    fn an_add_on_without_a_manifest_needs_a_program() {
        assert_eq!(mistake(ALWAYS), None);
        assert_eq!(mistake("cert-manager"), None);
        for name in ["traefik", "nonsense"] {
            assert!(mistake(name).unwrap().starts_with(&format!("add-on {name}: no single manifest")));
        }
    }

    #[test]
    fn metrics_server_is_told_how_kubelets_sign_once() {
        let text = r#"
apiVersion: apps/v1
kind: Deployment
metadata: { name: metrics-server }
spec: { template: { spec: { containers: [{ args: [--secure-port=10250, --metric-resolution=15s] }] } } }
"#;
        let mut object = documents("it", text).unwrap().remove(0);
        for_kind(&mut object);
        for_kind(&mut object);
        let args = json!([
            "--secure-port=10250",
            "--kubelet-insecure-tls",
            "--metric-resolution=10s",
            "--kubelet-request-timeout=5s"
        ]);
        assert_eq!(object.data.pointer("/spec/template/spec/containers/0/args"), Some(&args));
    }
}
