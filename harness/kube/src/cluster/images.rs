//! The images that a cluster needs: built when they are missing, and loaded onto the nodes of a kind cluster.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use gauntlet_core::port::Trouble;
use k8s_openapi::api::core::v1::Node;
use kube::{Api, Client, api::ListParams};
use serde::{Deserialize, Serialize};

use super::{Kind, Say, program::Call};
use crate::api::told::within;

/// The first build compiles everything.
const BUILD: Duration = Duration::from_secs(3600);
const LOAD: Duration = Duration::from_secs(300);
const ASK: Duration = Duration::from_secs(10);
const PROGRAM: &str = "deploy/images/build";

/// The images of a checkout: a folder each beside the program that builds them.
#[derive(Debug, Clone)]
pub struct Images {
    root: PathBuf,
    version: String,
}

// What was loaded, so that a second time costs nothing.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Loaded {
    cluster: String,
    images: BTreeMap<String, String>,
}

impl Images {
    /// Of the checkout in that directory.
    pub fn new(root: impl Into<PathBuf>, version: &str) -> Self {
        Self { root: root.into(), version: version.to_owned() }
    }

    /// The image of the harness itself.
    pub fn harness(&self) -> String {
        self.called("harness")
    }

    /// What is asked for and is no image, before anything is done.
    pub fn mistake(&self, only: &[String]) -> Option<String> {
        // A checkout that is none is told by the build.
        let names = self.names().ok()?;
        let unknown = only.iter().find(|name| !names.contains(name))?;
        Some(format!("no image {unknown}; there are: {}", names.join(", ")))
    }

    /// Builds these, or all; answers what the program printed.
    pub async fn build(&self, only: &[String]) -> Result<String, Trouble> {
        let program = self.root.join(PROGRAM);
        if !program.exists() {
            let why = "it is not there; run this in a checkout of the harness";
            return Err(Trouble::failed(program.display(), why));
        }
        // The program calls docker, but says less well that it is missing.
        Call::new("docker", ["version", "--format", "{{.Server.Version}}"]).run().await?;
        let args = only.iter().flat_map(|name| ["--only", name.as_str()]);
        Call::new(program, args).within(BUILD).run().await
    }

    /// Builds what is missing or of other sources; answers the images with their ids, and how many were built.
    pub(super) async fn ensure(&self, say: Say<'_>) -> Result<(BTreeMap<String, String>, usize), Trouble> {
        let names = self.names()?;
        let told = Call::new(self.root.join(PROGRAM), ["--stale"]).run().await?;
        let stale: Vec<String> = told.split_whitespace().map(str::to_owned).collect();
        if !stale.is_empty() {
            let which = stale.join(", ");
            say(format!(
                "images           building {which}: not there, or of other sources (minutes, at times)"
            ));
            self.build(&stale).await?;
        }
        let mut images = BTreeMap::new();
        for name in &names {
            let image = self.called(name);
            let id =
                id(&image).await?.ok_or_else(|| Trouble::failed(&image, "it was built, and is not there"))?;
            images.insert(image, id);
        }
        Ok((images, stale.len()))
    }

    fn called(&self, name: &str) -> String {
        format!("gauntlet/{name}:{}", self.version)
    }

    // Every folder with a recipe.
    fn names(&self) -> Result<Vec<String>, Trouble> {
        let dir = self.root.join(PROGRAM).with_file_name("");
        let entries = fs::read_dir(&dir).map_err(|e| Trouble::failed(dir.display(), e))?;
        let recipes = entries.flatten().filter(|entry| entry.path().join("Dockerfile").exists());
        let mut names: Vec<String> =
            recipes.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        Ok(names)
    }
}

/// The id of an image of this machine; nothing when there is none.
async fn id(image: &str) -> Result<Option<String>, Trouble> {
    let ids = Call::new("docker", ["images", "--quiet", "--no-trunc", image]).run().await?;
    Ok(ids.lines().next().map(str::to_owned))
}

/// Loads images onto all nodes; says whether that was needed.
pub(super) async fn load(
    kind: &Kind,
    client: &Client,
    images: &BTreeMap<String, String>,
) -> Result<bool, Trouble> {
    let nodes: Api<Node> = Api::all(client.clone());
    let nodes = within(ASK, "listing nodes", nodes.list(&ListParams::default())).await?.items;
    // A cluster made anew under the same name has other nodes.
    let cluster = nodes.iter().filter_map(|node| node.metadata.uid.clone()).min().unwrap_or_default();
    let wanted = Loaded { cluster, images: images.clone() };
    let file = kind.loaded();
    if read(&file).as_ref() == Some(&wanted)
        && nodes.iter().all(|node| images.keys().all(|image| holds(node, image)))
    {
        return Ok(false);
    }
    let args =
        ["load", "docker-image", "--name", &kind.name].into_iter().chain(images.keys().map(String::as_str));
    Call::new("kind", args).within(LOAD).run().await?;
    let failed = |error: std::io::Error| Trouble::failed(file.display(), error);
    let text = serde_json::to_vec_pretty(&wanted).map_err(|e| failed(e.into()))?;
    fs::write(&file, text).map_err(failed)?;
    Ok(true)
}

fn read(file: &Path) -> Option<Loaded> {
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

// A node names an image with its registry.
fn holds(node: &Node, image: &str) -> bool {
    let images = node.status.iter().flat_map(|status| status.images.iter().flatten());
    let mut names = images.flat_map(|image| image.names.iter().flatten());
    names.any(|name| name == image || name.strip_suffix(image).is_some_and(|before| before.ends_with('/')))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Node;
    use serde_json::{from_value, json};

    use super::{Images, holds};

    #[tokio::test]
    async fn images_are_the_folders_with_a_recipe() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["deploy/images/b", "deploy/images/a", "deploy/images/none"] {
            std::fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        for name in ["a", "b"] {
            std::fs::write(dir.path().join("deploy/images").join(name).join("Dockerfile"), "").unwrap();
        }
        let images = Images::new(dir.path(), "1.2.3");
        assert_eq!(images.names().unwrap(), ["a", "b"]);
        assert_eq!(images.mistake(&["a".into()]), None);
        assert_eq!(images.mistake(&["c".into()]).unwrap(), "no image c; there are: a, b");
        assert_eq!(images.harness(), "gauntlet/harness:1.2.3");
        let error = images.build(&[]).await.unwrap_err().to_string();
        assert!(error.ends_with("it is not there; run this in a checkout of the harness"), "{error}");
    }

    #[test]
    fn a_node_names_an_image_with_its_registry() {
        let images = json!([{ "names": ["docker.io/gauntlet/harness:1"] }, { "names": ["x@sha256:0"] }]);
        let node: Node = from_value(json!({ "metadata": {}, "status": { "images": images } })).unwrap();
        assert!(holds(&node, "gauntlet/harness:1"));
        assert!(!holds(&node, "gauntlet/harness:2") && !holds(&node, "harness:10"));
        assert!(!holds(&node, "auntlet/harness:1"));
    }
}
