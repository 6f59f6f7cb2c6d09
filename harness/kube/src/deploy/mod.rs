//! A system that is there to stay: deployed, removed again, and what can be known of one that does not come up.

use std::{collections::BTreeMap, path::Path, time::Duration};

use futures_util::future::try_join_all;
use gauntlet_core::{
    name::Name,
    port::{Trouble, Witness},
    system::{Kube, System},
};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{Api, Client, api::DynamicObject};

use crate::{
    api::{patience::ask, wait::rollout},
    cluster::{Say, stage},
    run::site::{DEPLOYED_LABEL, RUN_LABEL, Site},
};

mod bundle;
mod cause;
mod hopeless;
pub(crate) mod logs;
pub mod manifests;
mod place;
mod reach;
#[cfg(test)]
mod typed;
mod undeploy;

use manifests::{Rendered, kind};

pub use bundle::{Around, bundle};
pub use cause::{Cause, cause, named};
pub(crate) use hopeless::hopeless;
pub(crate) use place::Placing;
pub use undeploy::undeploy;

/// What rolls out.
const WORKLOADS: [&str; 3] = ["Deployment", "StatefulSet", "DaemonSet"];

/// A system, rendered and ready to be deployed.
pub struct Deployment<'a> {
    system: &'a System,
    kube: &'a Kube,
    namespace: String,
    labels: BTreeMap<String, String>,
    objects: Vec<DynamicObject>,
}

impl<'a> Deployment<'a> {
    /// Renders an overlay; without a namespace, that of the overlay's Namespace is meant. The cluster is not asked.
    pub async fn of(system: &'a System, overlay: &Path, namespace: Option<&str>) -> Result<Self, Trouble> {
        let what = format!("deploy {}", system.name);
        let kube = system.kube.as_ref();
        let kube = kube.ok_or_else(|| Trouble::refused(&what, "the system file has no `kube` section"))?;
        let Rendered { namespace: of_overlay, namespace_labels, objects } =
            manifests::render(overlay).await?;
        let namespace = namespace.map(str::to_owned).or(of_overlay);
        let namespace = namespace.ok_or_else(|| {
            Trouble::refused(&what, format!("{} has no Namespace; name a --namespace", overlay.display()))
        })?;
        Ok(Self { system, kube, namespace, labels: namespace_labels, objects })
    }

    /// Where it goes.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Puts it there and waits until all of it has rolled out. What is there already is brought to the same state; what
    /// an earlier overlay had more is left.
    pub async fn up(&self, client: &Client, within: Duration, say: Say<'_>) -> Result<(), Trouble> {
        stage(say, "namespace", self.make_namespace(client)).await?;
        let applied = stage(say, "objects", self.apply(client)).await?;
        let labels = format!("{DEPLOYED_LABEL}={}", self.system.name);
        tokio::select! {
            done = self.rolled_out(client, &applied, within, say) => done,
            why = hopeless(client, &self.namespace, &labels) => {
                Err(Trouble::failed(format!("deploy {} into {}", self.system.name, self.namespace), why))
            }
        }
    }

    /// Where its users reach it, a line each; the last says whether it answers from here.
    pub async fn reached(&self, client: &Client, witness: &dyn Witness) -> Vec<String> {
        reach::reached(client, self.system, self.kube, &self.namespace, witness).await
    }

    /// Whether runs may attach to it.
    pub fn is_listed(&self) -> bool {
        self.kube.namespaces.contains(&self.namespace)
    }

    async fn make_namespace(&self, client: &Client) -> Result<(String, ()), Trouble> {
        let namespace = &self.namespace;
        let there = found(client, namespace).await?;
        // One that goes is as good as none: it is waited out.
        let there = there.filter(|there| there.metadata.deletion_timestamp.is_none());
        let owner = there.as_ref().map(|there| owner(there, self.system.name.as_str()));
        match owner {
            Some(Owner::Other(whose)) => {
                let what = format!("deploy {} into {namespace}", self.system.name);
                Err(Trouble::refused(what, format!("the namespace belongs to {whose}")))
            }
            Some(Owner::Nobody) => {
                Ok((format!("{namespace}: there before, so its labels are not touched"), ()))
            }
            Some(Owner::This) | None => {
                let mut labels = self.labels.clone();
                labels.insert(DEPLOYED_LABEL.to_owned(), self.system.name.to_string());
                self.placing(client).namespace(labels, BTreeMap::new()).await?;
                let note = if owner.is_some() { "there already" } else { "made" };
                Ok((format!("{namespace}: {note}"), ()))
            }
        }
    }

    async fn apply(&self, client: &Client) -> Result<(String, Vec<DynamicObject>), Trouble> {
        let kept = match &self.kube.secret {
            None => "",
            Some(secret) => {
                let secrets: Api<Secret> = Api::namespaced(client.clone(), &self.namespace);
                match ask("find the secret", || secrets.get_opt(&secret.name)).await? {
                    Some(_) => ", secret kept",
                    None => ", secret drawn",
                }
            }
        };
        let applied = self.placing(client).objects(self.system, self.kube, self.objects.clone()).await?;
        Ok((format!("{} applied{kept}", applied.len()), applied))
    }

    async fn rolled_out(
        &self,
        client: &Client,
        applied: &[DynamicObject],
        within: Duration,
        say: Say<'_>,
    ) -> Result<(), Trouble> {
        let workloads = applied.iter().filter(|object| WORKLOADS.contains(&kind(object)));
        let waits = workloads.map(|object| async move {
            let name = object.metadata.name.as_deref().unwrap_or_default();
            stage(say, name, async {
                rollout(client, kind(object), &self.namespace, name, within).await?;
                Ok((format!("{} has rolled out", kind(object)), ()))
            })
            .await
        });
        try_join_all(waits).await.map(drop)
    }

    fn placing<'b>(&'b self, client: &'b Client) -> Placing<'b> {
        Placing { client, namespace: &self.namespace, mark: (DEPLOYED_LABEL, self.system.name.as_str()) }
    }
}

/// The site of a system that stays, for a witness.
pub fn site(kubeconfig: Option<&Path>, context: &str, namespace: &str) -> Site {
    Site {
        run: String::new(),
        kubeconfig: kubeconfig.map(Path::to_owned),
        context: Some(context.to_owned()),
        namespace: namespace.to_owned(),
        mode: crate::Mode::Attach,
    }
}

/// Whose a namespace is.
#[derive(Debug, PartialEq, Eq)]
enum Owner {
    /// A deployment of this system made it.
    This,
    /// A run, or the deployment of another system.
    Other(String),
    /// Somebody made it by other means.
    Nobody,
}

fn owner(namespace: &Namespace, system: &str) -> Owner {
    let labels = namespace.metadata.labels.as_ref();
    let label = |name: &str| labels.and_then(|labels| labels.get(name));
    match (label(RUN_LABEL), label(DEPLOYED_LABEL)) {
        (Some(run), _) => Owner::Other(format!("run {run}")),
        (None, Some(whose)) if whose == system => Owner::This,
        (None, Some(whose)) => Owner::Other(format!("a deployment of {whose}")),
        (None, None) => Owner::Nobody,
    }
}

async fn found(client: &Client, namespace: &str) -> Result<Option<Namespace>, Trouble> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    ask(format!("find namespace {namespace}"), || namespaces.get_opt(namespace)).await
}

/// The overlay of that name, or the first one.
pub fn overlay<'a>(kube: &'a Kube, name: Option<&str>) -> Result<&'a str, Trouble> {
    let known = || kube.overlays.keys().map(Name::as_str).collect::<Vec<_>>().join(", ");
    let found = match name {
        None => kube.overlays.values().next(),
        Some(name) => kube.overlays.iter().find(|(known, _)| known.as_str() == name).map(|(_, dir)| dir),
    };
    found.map(String::as_str).ok_or_else(|| {
        let what = name.map_or_else(|| "an overlay".to_owned(), |name| format!("overlay {name}"));
        Trouble::refused(
            what,
            format!("`kube.overlays` of the system file has none such; there are: {}", known()),
        )
    })
}

#[cfg(test)]
mod tests {
    use gauntlet_core::system;
    use k8s_openapi::api::core::v1::Namespace;
    use serde_json::json;

    use super::{Owner, overlay, owner};

    #[test]
    fn a_namespace_says_whose_it_is() {
        let of = |labels: serde_json::Value| {
            let namespace: Namespace =
                serde_json::from_value(json!({ "metadata": { "labels": labels } })).unwrap();
            owner(&namespace, "shop")
        };
        assert_eq!(of(json!({})), Owner::Nobody);
        assert_eq!(of(json!({ "gauntlet.dev/deployed-by": "shop" })), Owner::This);
        assert_eq!(of(json!({ "gauntlet.dev/deployed-by": "x" })), Owner::Other("a deployment of x".into()));
        let run = json!({ "gauntlet.dev/run": "r1", "gauntlet.dev/deployed-by": "shop" });
        assert_eq!(of(run), Owner::Other("run r1".into()));
    }

    #[test]
    fn the_first_overlay_is_meant_unless_another_one_is_named() {
        let text = "format: 1\nname: x\ncomponents:\n  web: { ports: [http], ready: { tcp: { port: http } } }\n\
                    endpoint: { component: web, port: http }\nkube:\n  endpoint: 127.0.0.1:1\n  \
                    overlays: { small: o/small, large: o/large }\n";
        let system = system::read(text).unwrap();
        let kube = system.kube.as_ref().unwrap();
        assert_eq!(overlay(kube, None), Ok("o/small"));
        assert_eq!(overlay(kube, Some("large")), Ok("o/large"));
        let told = overlay(kube, Some("lage")).unwrap_err().to_string();
        assert!(told.ends_with("there are: small, large"), "{told}");
    }
}
