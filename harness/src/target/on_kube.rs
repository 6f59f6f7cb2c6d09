//! `kube`: a run on a Kubernetes cluster.

use std::{collections::BTreeSet, io, path::Path, sync::Arc, time::Duration};

use gauntlet_core::{
    act::Ability,
    port::{Later, Trouble},
    system::System,
    yaml::Mistake,
};
use gauntlet_kube::{
    Client, KubeLedger, KubeQueries, KubeTarget, KubeWitness, Mode, Site,
    api::client,
    cluster, connect,
    deploy::{cause, manifests},
    run::abilities,
};

use super::{At, Can, Doors, TargetKind, Tempo};
use crate::artefacts::{ArtefactFolder, Pipes};
use crate::record::{Draft, Ground, Record, state_dir};

/// The kind.
pub(super) struct OnKube;

/// The cluster that is meant where none is named.
const CLUSTER: &str = "gauntlet";
/// What a context or namespace is called where real users are.
const PRODUCTION: [&str; 3] = ["prod", "production", "live"];

impl TargetKind for OnKube {
    fn name(&self) -> &'static str {
        "kube"
    }

    fn about(&self) -> &'static str {
        "pods of a Kubernetes cluster, in a namespace of the run's own or where the system runs already"
    }

    fn most(&self) -> BTreeSet<Ability> {
        abilities::most()
    }

    fn tempo(&self) -> Tempo {
        Tempo {
            lease: Duration::from_secs(30),
            slack: Duration::from_secs(60),
            pace: Duration::from_millis(150),
            appears: Duration::from_secs(45),
            // The longest pause of a kubelet before it starts again what ended again and again.
            held: Duration::from_secs(300),
            undo: Duration::from_secs(60),
            roll: Duration::from_secs(60),
            one_by_one: false,
        }
    }

    // A small machine that carries cluster, service and generator starves the generator now and then.
    fn repeats(&self) -> usize {
        2
    }

    fn abilities<'a>(&'a self, system: &'a System, at: &'a At) -> Later<'a, Can> {
        Box::pin(async move {
            let at = located(at)?;
            allowed(system, &at).await?;
            let client = connect(at.kubeconfig.as_deref(), at.context.as_deref()).await?;
            let (can, without_agents) = abilities::now(client, at.namespace.is_none()).await?;
            let lacking =
                without_agents.map(|why| [Ability::Kill, Ability::Pause].map(|it| (it, why.clone())));
            Ok((can, lacking.into_iter().flatten().collect()))
        })
    }

    fn rehearse(&self, system: &System, root: &Path) -> Vec<Mistake> {
        let Some(kube) = &system.kube else {
            let what = "the system file does not say where the system is on Kubernetes";
            return vec![
                Mistake::at("", what)
                    .mend("add `kube: { overlays: { kind: DIRECTORY }, endpoint: HOST:PORT }`"),
            ];
        };
        let wrong = manifests::rehearse(system, kube).into_iter();
        let mut mistakes: Vec<Mistake> = wrong
            .map(|(key, why)| {
                Mistake::at(format!("kube.secret.keys.{key}"), why).mend("name a secret of `secrets`")
            })
            .collect();
        for (name, dir) in &kube.overlays {
            if !root.join(dir).join("kustomization.yml").exists()
                && !root.join(dir).join("kustomization.yaml").exists()
            {
                let what = format!("{} holds no kustomization", root.join(dir).display());
                mistakes.push(
                    Mistake::at(format!("kube.overlays.{name}"), what)
                        .mend("write a directory beside this file"),
                );
            }
        }
        mistakes
    }

    fn named(&self, why: String) -> String {
        match cause(&why) {
            Some(cause) => format!("{}: {why}; mend: {}", cause.name, cause.mend),
            None => why,
        }
    }

    fn missing(&self, _: &System, _: &Path) -> Vec<String> {
        let there = std::process::Command::new("kubectl").arg("version").arg("--client").output().is_ok();
        if there { vec![] } else { vec!["kubectl: install it (kubernetes.io/docs/tasks/tools)".to_owned()] }
    }

    fn claim(&self, draft: &Draft, at: &At, state: &Path) -> io::Result<Record> {
        let at = located(at).map_err(io::Error::other)?;
        let mode = match (&at.namespace, &draft.system.kube) {
            (None, Some(kube)) if !kube.overlays.is_empty() => Mode::Provision {
                overlay: kube.overlays.values().next().map(|dir| draft.root.join(dir)).unwrap_or_default(),
            },
            (None, _) => {
                return Err(io::Error::other(
                    "the system file names no `kube.overlays` to deploy; name the `--namespace` where it runs",
                ));
            }
            (Some(_), _) => Mode::Attach,
        };
        let site = Site {
            run: draft.run.clone(),
            kubeconfig: at.kubeconfig.map(std::path::absolute).transpose()?,
            context: at.context,
            namespace: at.namespace.unwrap_or_else(|| format!("gauntlet-{}", draft.run)),
            mode,
        };
        draft.store(state, Ground::Kube(site)).map_err(io::Error::other)
    }

    fn doors<'a>(&'a self, record: &'a Record) -> Later<'a, Doors> {
        Box::pin(async {
            let Ground::Kube(site) = &record.ground else {
                return Err(Trouble::refused(&record.run, "it does not run on a cluster"));
            };
            let client = connect(site.kubeconfig.as_deref(), site.context.as_deref()).await?;
            Ok(doors(client, record, site))
        })
    }
}

/// The doors of a run on a cluster, with any account that may use them.
pub(crate) fn doors(client: Client, record: &Record, site: &Site) -> Doors {
    let (system, site) = (Arc::new(record.system.clone()), Arc::new(site.clone()));
    let witness = Arc::new(KubeWitness::new(client.clone(), system.clone(), site.clone()));
    let artefacts = Arc::new(Pipes::over(ArtefactFolder::of(&record.journal)));
    let target = KubeTarget::new(client.clone(), system.clone(), site.clone()).keeping(artefacts.clone());
    Doors {
        target: Arc::new(target),
        artefacts,
        witness: witness.clone(),
        ledger: Arc::new(KubeLedger::new(client.clone(), &record.run)),
        queries: Arc::new(KubeQueries::new(client, system, site, witness)),
    }
}

/// Without a kubeconfig and a context, the cluster of `gauntlet cluster up` is meant: never by accident another one.
fn located(at: &At) -> Result<At, Trouble> {
    let mut at = at.clone();
    if at.kubeconfig.is_none() && at.context.is_none() {
        let own = cluster::Kind::new(CLUSTER, &state_dir())?.kubeconfig();
        if !own.exists() {
            let why = "there is no cluster of `gauntlet cluster up`; run that, or name a --context";
            return Err(Trouble::refused("--target kube", why));
        }
        at.kubeconfig = Some(own);
    }
    Ok(at)
}

/// The blast radius: only namespaces that the system file lists, and nothing that looks like production unless it is meant.
async fn allowed(system: &System, at: &At) -> Result<(), Trouble> {
    let listed = system.kube.iter().flat_map(|kube| &kube.namespaces).collect::<Vec<_>>();
    if let Some(namespace) = &at.namespace
        && !listed.contains(&namespace)
    {
        let why = format!("`kube.namespaces` of the system file does not list it (it lists {listed:?})");
        return Err(Trouble::refused(format!("--namespace {namespace}"), why));
    }
    let context = client::context(at.kubeconfig.as_deref(), at.context.as_deref())?;
    let names = std::iter::once(context.as_str()).chain(at.namespace.as_deref());
    production(names, at.allow_production)
}

/// Refuses what looks like production unless it is meant.
pub(crate) fn production<N: AsRef<str>>(
    names: impl IntoIterator<Item = N>,
    allow: bool,
) -> Result<(), Trouble> {
    match names.into_iter().find(|name| looks_like_production(name.as_ref())) {
        Some(name) if !allow => {
            let why = "it looks like production; if that is meant, say --allow-production";
            Err(Trouble::refused(format!("{:?}", name.as_ref()), why))
        }
        _ => Ok(()),
    }
}

fn looks_like_production(name: &str) -> bool {
    name.to_lowercase().split(|c: char| !c.is_ascii_alphanumeric()).any(|word| PRODUCTION.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::looks_like_production;

    #[test]
    fn a_name_looks_like_production_by_its_words() {
        for name in ["prod", "eu-prod-1", "Production", "shop.live", "gke_shop_europe_prod"] {
            assert!(looks_like_production(name), "{name}");
        }
        for name in ["kind-gauntlet", "staging", "product-team", "olive"] {
            assert!(!looks_like_production(name), "{name}");
        }
    }
}
