//! Configuring a workload: another environment or image in its template; its controller rolls.
//!
//! What the container had before the first change (its environment, entry by entry, and its image) is kept in an annotation
//! of the workload and changed in the same request as the template. So the way back is exact, it never depends on who
//! remembers, and a process that is killed between two requests leaves nothing half done.

use gauntlet_core::{
    act::{Act, Revision},
    name::Name,
    port::Trouble,
};
use k8s_openapi::{
    api::{
        apps::v1::{Deployment, StatefulSet},
        core::v1::{Container, EnvVar, PodTemplateSpec},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Kind, Workload, find};
use crate::api::patience::ask;

/// What a workload runs, and what it ran originally.
pub(crate) const KEPT: &str = "gauntlet.dev/revision";

/// The annotation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Kept {
    revision: Revision,
    original: Had,
}

/// What a container had.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Had {
    env: Vec<EnvVar>,
    image: Option<String>,
}

/// The workload of a component, as it stands.
pub(crate) struct Standing {
    workload: Workload,
    container: String,
    kept: Option<Kept>,
    has: Had,
}

/// Reads the workload of a component; none: it has none.
pub(crate) async fn standing(
    client: &Client,
    namespace: &str,
    (component, container): (&Name, &str),
) -> Result<Option<Standing>, Trouble> {
    let Some(workload) = find(client, namespace, component).await? else { return Ok(None) };
    let what = format!("read the workload of {component}");
    let (metadata, template) = match workload.kind {
        Kind::Deployment => {
            let api: Api<Deployment> = Api::namespaced(client.clone(), namespace);
            let found = ask(&what, || api.get(&workload.name)).await?;
            (found.metadata, found.spec.map(|spec| spec.template))
        }
        Kind::StatefulSet => {
            let api: Api<StatefulSet> = Api::namespaced(client.clone(), namespace);
            let found = ask(&what, || api.get(&workload.name)).await?;
            (found.metadata, found.spec.map(|spec| spec.template))
        }
    };
    let kept =
        kept(&metadata).map_err(|error| Trouble::failed(&what, format!("annotation {KEPT}: {error}")))?;
    let has = template.as_ref().and_then(|template| named(template, container)).map(Had::of);
    let has = has.ok_or_else(|| Trouble::failed(&what, format!("it has no container {container:?}")))?;
    Ok(Some(Standing { workload, container: container.to_owned(), kept, has }))
}

/// Makes a copy of a workload run a revision, whatever the workload itself runs by now. Answers what the copy keeps of it.
pub(crate) fn copied(
    copy: &mut Deployment,
    container: &str,
    wanted: &Revision,
) -> Result<Option<String>, String> {
    let kept = kept(&copy.metadata).map_err(|error| format!("annotation {KEPT}: {error}"))?;
    let containers = copy.spec.iter_mut().filter_map(|spec| spec.template.spec.as_mut());
    let named = containers.flat_map(|spec| &mut spec.containers).find(|one| one.name == container);
    let named = named.ok_or_else(|| format!("it has no container {container:?}"))?;
    let original = kept.map_or_else(|| Had::of(named), |kept| kept.original);
    let had = original.with(wanted);
    (named.env, named.image) = (Some(had.env), had.image);
    original.told(wanted).map_err(|error| error.to_string())
}

fn kept(metadata: &ObjectMeta) -> serde_json::Result<Option<Kept>> {
    let text = metadata.annotations.as_ref().and_then(|annotations| annotations.get(KEPT));
    text.map(|text| serde_json::from_str(text)).transpose()
}

fn named<'a>(template: &'a PodTemplateSpec, container: &str) -> Option<&'a Container> {
    template.spec.as_ref()?.containers.iter().find(|one| one.name == container)
}

impl Standing {
    /// What it runs, or is on the way to.
    pub(crate) fn present(&self) -> Revision {
        self.kept.as_ref().map_or_else(Revision::original, |kept| kept.revision.clone())
    }

    /// Changes its template. The controller does the rest.
    pub(crate) async fn configure(
        &self,
        client: &Client,
        namespace: &str,
        act: &Act,
        wanted: &Revision,
    ) -> Result<(), Trouble> {
        if self.present() == *wanted {
            return Ok(());
        }
        let patch = self.patch(wanted).map_err(|error| Trouble::failed(act, error))?;
        let (patch, params) = (Patch::Strategic(&patch), PatchParams::default());
        let name = &self.workload.name;
        match self.workload.kind {
            Kind::Deployment => {
                let api: Api<Deployment> = Api::namespaced(client.clone(), namespace);
                ask(act, || api.patch(name, &params, &patch)).await?;
            }
            Kind::StatefulSet => {
                let api: Api<StatefulSet> = Api::namespaced(client.clone(), namespace);
                ask(act, || api.patch(name, &params, &patch)).await?;
            }
        }
        Ok(())
    }

    /// Template and annotation in one. The environment is replaced as a whole, or what was added would stay.
    fn patch(&self, wanted: &Revision) -> serde_json::Result<Value> {
        let original = self.kept.as_ref().map_or(&self.has, |kept| &kept.original);
        let had = original.with(wanted);
        let kept = original.told(wanted)?;
        let mut env = vec![json!({ "$patch": "replace" })];
        for entry in &had.env {
            env.push(serde_json::to_value(entry)?);
        }
        let container = json!({ "name": self.container, "env": env, "image": had.image });
        Ok(json!({
            "metadata": { "annotations": { KEPT: kept } },
            "spec": { "template": { "spec": { "containers": [container] } } },
        }))
    }
}

impl Had {
    fn of(container: &Container) -> Self {
        Self { env: container.env.clone().unwrap_or_default(), image: container.image.clone() }
    }

    /// The annotation of what runs another revision; none: it runs the original.
    fn told(&self, wanted: &Revision) -> serde_json::Result<Option<String>> {
        let kept = || Kept { revision: wanted.clone(), original: self.clone() };
        (*wanted != Revision::original()).then(|| serde_json::to_string(&kept())).transpose()
    }

    /// The same with what a revision changes.
    fn with(&self, revision: &Revision) -> Self {
        let mut had = self.clone();
        for (name, value) in &revision.changes.settings {
            let entry = EnvVar { name: name.clone(), value: Some(value.clone()), value_from: None };
            match had.env.iter_mut().find(|one| one.name == *name) {
                Some(one) => *one = entry,
                None => had.env.push(entry),
            }
        }
        had.image = revision.changes.image.clone().or(had.image);
        had
    }
}

#[cfg(test)]
mod tests {
    use gauntlet_core::{act::Revision, system::Changes};
    use serde_json::{Value, json};

    use super::{Had, Kept, Standing};
    use crate::run::workload::{Kind, Workload};

    fn revision(name: &str, settings: &[(&str, &str)], image: Option<&str>) -> Revision {
        let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let changes = Changes { settings, image: image.map(Into::into), program: None };
        Revision { name: name.parse().unwrap(), changes }
    }

    fn standing(env: Value) -> Standing {
        let workload = Workload { kind: Kind::Deployment, name: "web".into(), replicas: 3 };
        let has = Had { env: serde_json::from_value(env).unwrap(), image: Some("web:1".into()) };
        Standing { workload, container: "web".into(), kept: None, has }
    }

    /// What stands after such a patch.
    fn patched(before: &Standing, wanted: &Revision) -> Standing {
        let patch = before.patch(wanted).unwrap();
        let container = &patch["spec"]["template"]["spec"]["containers"][0];
        let env: Vec<Value> = container["env"].as_array().unwrap()[1..].to_vec();
        assert_eq!(container["env"][0], json!({ "$patch": "replace" }));
        let kept: Option<Kept> = patch["metadata"]["annotations"]["gauntlet.dev/revision"]
            .as_str()
            .map(|text| serde_json::from_str(text).unwrap());
        let has = Had {
            env: serde_json::from_value(env.into()).unwrap(),
            image: container["image"].as_str().map(Into::into),
        };
        Standing { workload: before.workload.clone(), container: "web".into(), kept, has }
    }

    #[test]
    fn a_revision_adds_and_replaces_and_the_way_back_is_exact() {
        let secret = json!({ "name": "URL", "valueFrom": { "secretKeyRef": { "name": "s", "key": "k" } } });
        let before = standing(json!([{ "name": "A", "value": "a" }, secret]));
        let v2 = revision("v2", &[("URL", "none"), ("VERSION", "v2")], Some("web:2"));
        let after = patched(&before, &v2);
        let env = serde_json::to_value(&after.has.env).unwrap();
        let expected = json!([{ "name": "A", "value": "a" }, { "name": "URL", "value": "none" }, { "name": "VERSION", "value": "v2" }]);
        assert_eq!((env, after.has.image.as_deref()), (expected, Some("web:2")));
        assert_eq!(after.present(), v2);
        let back = patched(&after, &Revision::original());
        assert_eq!((&back.has, &back.kept), (&before.has, &None));
    }

    #[test]
    fn one_revision_after_another_starts_from_the_original() {
        let before = standing(json!([]));
        let after = patched(&before, &revision("v2", &[("VERSION", "v2"), ("OLD", "x")], None));
        let after = patched(&after, &revision("v3", &[("VERSION", "v3")], None));
        assert_eq!(
            serde_json::to_value(&after.has.env).unwrap(),
            json!([{ "name": "VERSION", "value": "v3" }])
        );
        assert_eq!(patched(&after, &Revision::original()).has, before.has);
    }
}
