//! A kind cluster with everything that the harness needs, in stages; each finds what is there already.

use std::{fs, path::PathBuf, time::Duration};

use gauntlet_core::port::Trouble;
use k8s_openapi::api::core::v1::Node;
use kube::Client;
use tokio::time::{Instant, sleep};

use super::{Images, Kind, Say, Tools, addon, diagnose::diagnose, images::load, install};
use crate::{
    api::client::connect,
    cluster::{nodes, ports, program::Call, stage},
};

const CREATE: Duration = Duration::from_secs(300);
const NODES: Duration = Duration::from_secs(120);
const ASK: Duration = Duration::from_secs(10);

/// What a cluster is made of.
#[derive(Debug, Clone)]
pub struct Up {
    /// Which cluster.
    pub kind: Kind,
    /// kind's configuration.
    pub config: PathBuf,
    /// Another node image than kind's own.
    pub node_image: Option<String>,
    /// The images of the system and the harness.
    pub images: Images,
    /// Add-ons beside metrics-server.
    pub addons: Vec<String>,
    /// A program that installs add-ons: `PROGRAM NAME`, with `KUBECONFIG` and `CLUSTER` set.
    pub addon_program: Option<PathBuf>,
    /// The version of the tools.
    pub version: String,
}

impl Up {
    /// What is asked for and cannot be had, before anything is done.
    pub fn mistake(&self) -> Option<String> {
        if !self.config.is_file() {
            return Some(format!("{}: no such file; `--config` names another", self.config.display()));
        }
        let program = self.addon_program.is_some();
        self.addons.iter().filter(|_| !program).find_map(|name| addon::mistake(name))
    }
}

/// Brings the cluster up, or finds it up. What goes wrong leaves diagnostics, and says where.
pub async fn up(up: &Up, say: Say<'_>) -> Result<(), Trouble> {
    programs().await?;
    let mut before = up.kind.exists().await?;
    if before && up.kind.making().exists() {
        say(format!("cluster          {} was never finished: made anew", up.kind.name));
        up.kind.down().await?;
        before = false;
    }
    if !before {
        ports::free(&up.config).await?;
    }
    let Err(error) = stages(up, before, say).await else { return Ok(()) };
    if up.kind.exists().await? {
        match diagnose(&up.kind).await {
            Ok(dir) => say(format!("diagnostics are kept in {}", dir.display())),
            Err(error) => say(format!("no diagnostics could be kept: {error}")),
        }
        if !before && up.kind.making().exists() {
            // kind gave up in the middle; what it left is no cluster, and would be taken for one.
            up.kind.down().await?;
        }
    }
    Err(error)
}

async fn programs() -> Result<(), Trouble> {
    for call in [["docker", "version"], ["kind", "version"]] {
        Call::new(call[0], [call[1]]).within(ASK).run().await?;
    }
    Call::new("kubectl", ["version", "--client"]).within(ASK).run().await.map(drop)
}

async fn stages(up: &Up, before: bool, say: Say<'_>) -> Result<(), Trouble> {
    let images = stage(say, "images", async {
        let (images, built) = up.images.ensure(say).await?;
        let note = if built == 0 { "there already".to_owned() } else { format!("{built} built") };
        Ok((note, images))
    })
    .await?;
    let client = stage(say, "cluster", cluster(up, before)).await?;
    stage(say, "load", async {
        let loaded = load(&up.kind, &client, &images).await?;
        let note =
            if loaded { format!("{} images onto every node", images.len()) } else { "there already".into() };
        Ok((note, ()))
    })
    .await?;
    for name in [addon::ALWAYS].into_iter().chain(up.addons.iter().map(String::as_str)) {
        let program = up.addon_program.as_deref();
        let installing =
            async { Ok((addon::ensure(&up.kind, &client, name, program).await?.to_owned(), ())) };
        stage(say, name, installing).await?;
    }
    let image = up.images.harness();
    let tools = Tools { version: up.version.clone(), image_id: images.get(&image).cloned(), image };
    stage(say, "tools", async {
        install(&client, &tools).await?;
        Ok(("agents and janitor are ready".to_owned(), ()))
    })
    .await
}

async fn cluster(up: &Up, there: bool) -> Result<(String, Client), Trouble> {
    let kubeconfig = up.kind.kubeconfig();
    let failed = |error: std::io::Error| Trouble::failed(up.kind.dir.display(), error);
    fs::create_dir_all(&up.kind.dir).map_err(failed)?;
    let own = [
        "--name".to_owned(),
        up.kind.name.clone(),
        "--kubeconfig".to_owned(),
        kubeconfig.display().to_string(),
    ];
    if there {
        Call::new("kind", ["export", "kubeconfig"].map(str::to_owned).into_iter().chain(own)).run().await?;
    } else {
        // That of an earlier cluster would make this one look whole.
        up.kind.forget()?;
        fs::write(up.kind.making(), "").map_err(failed)?;
        let config = up.config.display().to_string();
        // Retained, so that there is something to look at when it fails.
        let args =
            ["create", "cluster", "--retain", "--config", &config].map(str::to_owned).into_iter().chain(own);
        let image = up.node_image.iter().flat_map(|image| ["--image".to_owned(), image.clone()]);
        Call::new("kind", args.chain(image)).within(CREATE).run().await?;
        fs::remove_file(up.kind.making()).map_err(failed)?;
    }
    let client = connect(Some(&kubeconfig), None).await?;
    let nodes = all_ready(&up.kind, &client).await?;
    Ok((format!("{} ({nodes} nodes)", if there { "there already" } else { "created" }), client))
}

// Waits until all nodes are there and ready; answers how many there are. kind knows which: a node that has not joined yet is
// in no list of the API server.
async fn all_ready(kind: &Kind, client: &Client) -> Result<usize, Trouble> {
    let expected = kind.nodes().await?;
    let until = Instant::now() + NODES;
    loop {
        let why = match nodes::list(client).await {
            Ok(found) => match missing(&expected, &found) {
                None => return Ok(found.len()),
                Some(why) => why,
            },
            Err(error) => error.to_string(),
        };
        if Instant::now() >= until {
            return Err(Trouble::failed(
                "waiting for the nodes",
                format!("not ready within {NODES:?}: {why}"),
            ));
        }
        sleep(Duration::from_millis(500)).await;
    }
}

// What is still to come of the nodes.
fn missing(expected: &[String], found: &[Node]) -> Option<String> {
    if found.is_empty() {
        return Some("there is no node".to_owned());
    }
    let joined = |name: &String| found.iter().any(|node| nodes::name(node) == name);
    let absent: Vec<&str> = expected.iter().filter(|name| !joined(name)).map(String::as_str).collect();
    if !absent.is_empty() {
        return Some(format!("not joined yet: {}", absent.join(", ")));
    }
    found.iter().find_map(nodes::unready)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Node;
    use serde_json::{from_value, json};

    use super::missing;

    fn node(name: &str, ready: &str) -> Node {
        let ready = json!({ "type": "Ready", "status": ready, "reason": "KubeletNotReady" });
        from_value(json!({ "metadata": { "name": name }, "status": { "conditions": [ready] } })).unwrap()
    }

    #[test]
    fn a_cluster_is_whole_when_every_node_has_joined_and_is_ready() {
        let expected = ["plane", "worker", "worker2"].map(str::to_owned);
        let two = [node("plane", "True"), node("worker", "True")];
        assert_eq!(missing(&expected, &two).unwrap(), "not joined yet: worker2");
        let late = [two.clone(), [node("worker2", "False"), node("other", "True")]].concat();
        assert_eq!(missing(&expected, &late).unwrap(), "node worker2 is not ready since ?: KubeletNotReady");
        let all = [two.as_slice(), &[node("worker2", "True")]].concat();
        assert_eq!(missing(&expected, &all), None);
        assert_eq!(missing(&[], &[]).unwrap(), "there is no node");
    }
}
