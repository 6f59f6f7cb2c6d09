//! What can be known of a namespace, kept in a directory: for a person who was not there. Secrets are hidden.

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use gauntlet_core::{port::Trouble, secrets::Secrets, system::System};
use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod, Secret};
use kube::{Api, Client, api::ListParams};

use super::{cause::cause, logs};
use crate::{
    api::{told::within, wait::reasons},
    cluster::{nodes, program::Call},
    run::pods::{replicas, selected},
};

const ASK: Duration = Duration::from_secs(15);
/// Questions at a time: each is a process, or a log that may be long.
const AT_ONCE: usize = 4;

/// Questions of kubectl, each answered into a file.
const QUESTIONS: [(&str, &str); 12] = [
    ("events.txt", "get events --sort-by=.lastTimestamp"),
    ("pods.txt", "get pods -o wide"),
    ("pods-described.txt", "describe pods"),
    (
        "workloads.txt",
        "get deployments,replicasets,statefulsets,daemonsets,jobs,horizontalpodautoscalers -o wide",
    ),
    ("workloads-described.txt", "describe deployments,statefulsets,daemonsets,jobs"),
    ("rollouts-deployments.txt", "rollout history deployments"),
    ("rollouts-statefulsets.txt", "rollout history statefulsets"),
    ("services.txt", "get services,endpointslices,networkpolicies,poddisruptionbudgets -o wide"),
    ("limits.txt", "describe resourcequotas,limitranges"),
    ("volumes.txt", "describe persistentvolumeclaims"),
    ("nodes.txt", "get nodes -o wide"),
    ("nodes-described.txt", "describe nodes"),
];

/// What a bundle is about.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// The kubeconfig file; none: the usual ones.
    pub kubeconfig: Option<&'a Path>,
    /// Its context; none: the current one.
    pub context: Option<&'a str>,
    /// The namespace.
    pub namespace: &'a str,
    /// The system that should be there.
    pub system: Option<&'a System>,
}

/// Keeps what can be had in a directory; what cannot be had says why in its place. The error is of this machine.
pub async fn bundle(client: &Client, around: Around<'_>, into: &Path) -> Result<(), Trouble> {
    let failed = |error: io::Error| Trouble::failed(format!("keep diagnostics in {}", into.display()), error);
    let logs = into.join("logs");
    fs::create_dir_all(&logs).map_err(failed)?;
    let secrets = match secrets(client, around.namespace).await {
        Ok(secrets) => secrets,
        Err(trouble) => {
            // Without them nobody knows what to hide.
            let why = format!("nothing else is kept, for what must be hidden is not known: {trouble}\n");
            return fs::write(into.join("summary.txt"), why).map_err(failed);
        }
    };
    let pods: Api<Pod> = Api::namespaced(client.clone(), around.namespace);
    let listed = within(ASK, "list the pods", pods.list(&ListParams::default())).await.map(|list| list.items);
    let text = summary(client, around, &listed).await;
    logs::write(&into.join("summary.txt"), &text, &secrets).map_err(failed)?;
    let answers = stream::iter(QUESTIONS.map(|(file, words)| answer(around, file, words)));
    let mut answers = answers.buffer_unordered(AT_ONCE);
    while let Some((file, text)) = answers.next().await {
        logs::write(&into.join(file), &text, &secrets).map_err(failed)?;
    }
    let listed = listed.unwrap_or_default();
    let wanted = listed.iter().flat_map(lives);
    let mut lives = stream::iter(wanted.map(|life| life.read(&pods))).buffer_unordered(AT_ONCE);
    while let Some((file, text)) = lives.next().await {
        logs::write(&logs.join(file), &text, &secrets).map_err(failed)?;
    }
    Ok(())
}

async fn secrets(client: &Client, namespace: &str) -> Result<Secrets, Trouble> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let all = within(ASK, "read the secrets to hide", api.list(&ListParams::default())).await?;
    Ok(logs::values(&all.items))
}

async fn answer(around: Around<'_>, file: &'static str, words: &str) -> (&'static str, String) {
    let mut args: Vec<String> = words.split(' ').map(str::to_owned).collect();
    args.extend(["--namespace".into(), around.namespace.into(), "--request-timeout=10s".into()]);
    if let Some(kubeconfig) = around.kubeconfig {
        args.extend(["--kubeconfig".into(), kubeconfig.display().to_string()]);
    }
    if let Some(context) = around.context {
        args.extend(["--context".into(), context.into()]);
    }
    let text = Call::new("kubectl", args).within(ASK).run().await;
    (file, text.unwrap_or_else(|trouble| trouble.to_string()) + "\n")
}

/// One life of one container.
struct Life {
    pod: String,
    container: String,
    previous: bool,
}

impl Life {
    async fn read(self, pods: &Api<Pod>) -> (PathBuf, String) {
        let ending = if self.previous { "previous.log" } else { "log" };
        let file = PathBuf::from(format!("{}.{}.{ending}", self.pod, self.container));
        let text = match logs::log(pods, &self.pod, &self.container, self.previous, None).await {
            Ok(text) => text.unwrap_or_default(),
            Err(trouble) => format!("{trouble}\n"),
        };
        (file, text)
    }
}

// Every container that ever ran, those before the main ones too.
fn lives(pod: &Pod) -> Vec<Life> {
    let (name, status) =
        (pod.metadata.name.clone().unwrap_or_default(), pod.status.clone().unwrap_or_default());
    let all =
        [status.init_container_statuses, status.container_statuses, status.ephemeral_container_statuses];
    let all = all.into_iter().flatten().flatten().filter(has_run);
    all.flat_map(|container| {
        let life = |previous| Life { pod: name.clone(), container: container.name.clone(), previous };
        [false, true]
            .into_iter()
            .filter(|previous| !previous || container.restart_count > 0)
            .map(life)
            .collect::<Vec<_>>()
    })
    .collect()
}

fn has_run(container: &ContainerStatus) -> bool {
    container.container_id.is_some() || container.restart_count > 0
}

// What to read first.
async fn summary(client: &Client, around: Around<'_>, pods: &Result<Vec<Pod>, Trouble>) -> String {
    let mut text = format!("namespace {}\n", around.namespace);
    let pods = match pods {
        Ok(pods) => pods,
        Err(trouble) => return text + &trouble.to_string() + "\n",
    };
    for (component, spec) in around.system.iter().flat_map(|system| &system.components) {
        let Some(system) = around.system else { continue };
        let (select, container) = selected(system, component);
        let here = pods.iter().filter(|pod| bears(pod, &select));
        let here = replicas(here, &container);
        // A set is there only while its canary goes on.
        if spec.set.is_some() && here.is_empty() {
            continue;
        }
        let running = here.iter().filter(|replica| replica.id.is_some()).count();
        let restarts: i32 = here.iter().map(|replica| replica.restarts).sum();
        let _ =
            writeln!(text, "{component}: {running} of {} replicas run, {restarts} restarts", spec.replicas);
    }
    let unready = pods.iter().flat_map(|pod| {
        let name = pod.metadata.name.clone().unwrap_or_default();
        reasons(pod).into_iter().map(move |why| format!("pod {name}: {why}"))
    });
    let nodes = nodes::holding_up(client, pods).await;
    let warnings = warnings(client, around.namespace).await;
    for why in nodes.into_iter().chain(unready).chain(warnings) {
        let named = cause(&why).map(|cause| format!("{}: ", cause.name)).unwrap_or_default();
        let _ = writeln!(text, "{named}{why}");
    }
    text
}

// Selectors of several labels, each with one value; others select nothing here.
fn bears(pod: &Pod, select: &str) -> bool {
    let labels = pod.metadata.labels.clone().unwrap_or_default();
    select.split(',').all(|one| {
        one.split_once('=').is_some_and(|(name, value)| {
            labels.get(name.trim()).map(String::as_str) == Some(value.trim_start_matches('=').trim())
        })
    })
}

async fn warnings(client: &Client, namespace: &str) -> Vec<String> {
    let events: Api<Event> = Api::namespaced(client.clone(), namespace);
    let warned = ListParams::default().fields("type=Warning");
    match within(ASK, "read the events", events.list(&warned)).await {
        Err(trouble) => vec![trouble.to_string()],
        Ok(list) => condensed(list.items.into_iter().map(told)),
    }
}

// A controller that tries again tells the same again, with another name in it.
fn condensed(events: impl IntoIterator<Item = (String, String)>) -> Vec<String> {
    let mut kept: Vec<(String, String, usize)> = vec![];
    for (of, message) in events {
        match kept.iter_mut().find(|(known, ..)| *known == of) {
            Some((_, last, count)) => {
                *last = message;
                *count += 1;
            }
            None => kept.push((of, message, 1)),
        }
    }
    let shown = kept.into_iter().map(|(of, message, count)| match count {
        1 => format!("{of}: {message}"),
        count => format!("{of}: {message} (and {} more)", count - 1),
    });
    shown.collect()
}

// Of what and why, and the message.
fn told(event: Event) -> (String, String) {
    let of = &event.involved_object;
    let (kind, name) = (of.kind.as_deref().unwrap_or("?"), of.name.as_deref().unwrap_or("?"));
    let reason = event.reason.as_deref().unwrap_or("?");
    let message = event.message.as_deref().unwrap_or_default().trim().to_owned();
    (format!("event of {kind} {name}: {reason}"), message)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::json;

    use super::{bears, condensed, lives};

    fn pod() -> Pod {
        let status = |name: &str, id: Option<&str>, restarts: i32| {
            json!({ "name": name, "image": "i", "imageID": "", "ready": false, "restartCount": restarts,
                    "containerID": id })
        };
        serde_json::from_value(json!({
            "metadata": { "name": "p", "labels": { "a": "b", "c": "d" } },
            "status": {
                "initContainerStatuses": [status("side", Some("containerd://1"), 0)],
                "containerStatuses": [status("web", None, 2), status("waits", None, 0)],
            },
        }))
        .unwrap()
    }

    #[test]
    fn every_life_of_every_container_has_a_log() {
        let lives: Vec<_> = lives(&pod()).into_iter().map(|life| (life.container, life.previous)).collect();
        assert_eq!(lives, [("side".into(), false), ("web".into(), false), ("web".into(), true)]);
    }

    #[test]
    fn a_selector_wants_all_of_its_labels() {
        for (select, bears_it) in
            [("a=b", true), ("a=b,c=d", true), ("a==b", true), ("a=b,c=x", false), ("a", false)]
        {
            assert_eq!(bears(&pod(), select), bears_it, "{select}");
        }
    }

    #[test]
    fn what_is_told_again_and_again_is_one_line() {
        let event = |of: &str, message: &str| (of.to_owned(), message.to_owned());
        let lines = condensed([event("a", "one"), event("b", "x"), event("a", "two"), event("a", "three")]);
        assert_eq!(lines, ["a: three (and 2 more)", "b: x"]);
    }
}
