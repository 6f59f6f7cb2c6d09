//! The near end of a line: an exec into a node's agent or eye that is kept open, one question and one answer at a time.
//! Who may exec may ask; nothing listens.

use std::{fmt, time::Duration};

use futures_util::FutureExt;
use gauntlet_core::{act::Signal, port::Trouble};
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::Status};
use kube::{
    Api, Client,
    api::{AttachParams, AttachedProcess, ListParams},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    task::JoinHandle,
    time::timeout,
};

use crate::{
    api::told::{told, within},
    cluster::tools::{AGENT, NAMESPACE},
    node::{agent, eye, probe},
};

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(3);
/// How long it may take until a line is open.
const OPEN: Duration = Duration::from_secs(5);
/// How long a line that broke may take to say why.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// A longer answer is none of ours.
const LONGEST: u64 = 4 * 1024 * 1024;

/// Who is at the far end: a container of the node's agent pod, and the hidden word that makes it answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// What acts.
    Agent,
    /// What sees.
    Eye,
}

/// A question that is asked over a line.
pub trait Question: Serialize + Sync {
    /// What comes back.
    type Answer: DeserializeOwned + Send;
}

/// A question that one part of a node answers.
pub trait NodeQuestion: Question {
    /// Who answers.
    const PART: Part;
    /// Whether it may be asked again when nobody knows if it was heard.
    fn repeats(&self) -> bool;
}

impl Question for agent::Question {
    type Answer = agent::Signalled;
}

impl NodeQuestion for agent::Question {
    const PART: Part = Part::Agent;

    fn repeats(&self) -> bool {
        // Asking twice to end politely means something else to many programs.
        !matches!(self.signal, Signal::Terminate | Signal::Interrupt)
    }
}

impl Question for probe::Question {
    type Answer = probe::Seen;
}

impl Question for eye::Question {
    type Answer = eye::Seen;
}

impl NodeQuestion for eye::Question {
    const PART: Part = Part::Eye;

    fn repeats(&self) -> bool {
        true
    }
}

/// An open line to one part on one node.
pub struct Line {
    name: String,
    process: AttachedProcess,
    questions: Box<dyn AsyncWrite + Send + Sync + Unpin>,
    answers: Box<dyn AsyncBufRead + Send + Sync + Unpin>,
    complaints: JoinHandle<String>,
    // Not between a question and its answer: after a question that was given up, the next answer would be the wrong one.
    in_step: bool,
}

impl Line {
    /// Opens a line to the part of that node.
    pub async fn open(client: &Client, node: &str, part: Part) -> Result<Self, Trouble> {
        let name = format!("line to the {part} of node {node}");
        let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
        let pod = agent_pod(&pods, node, &name).await?;
        Self::into(&pods, name, (&pod, &part.to_string()), part.word()).await
    }

    /// Opens a line to a probe, a container of that pod.
    pub async fn to_probe(pods: &Api<Pod>, pod: &str, container: &str) -> Result<Self, Trouble> {
        Self::into(pods, format!("line to the probe in pod {pod}"), (pod, container), probe::WORD).await
    }

    async fn into(
        pods: &Api<Pod>,
        name: String,
        (pod, container): (&str, &str),
        word: &str,
    ) -> Result<Self, Trouble> {
        let params = AttachParams::default().container(container).stdin(true);
        let opening = pods.exec(pod, ["/usr/bin/gauntlet", word], &params);
        let opening = async { opening.await.map_err(|e| Trouble::failed(&name, told(&e))) };
        let opened = timeout(OPEN, opening).await;
        let process = opened.map_err(|_| Trouble::failed(&name, format!("not open within {OPEN:?}")))??;
        Self::over(name.clone(), process).ok_or_else(|| Trouble::failed(name, "the exec has no streams"))
    }

    fn over(name: String, mut process: AttachedProcess) -> Option<Self> {
        let (questions, answers) = (process.stdin()?, process.stdout()?);
        let complaints = tokio::spawn(drain(process.stderr()?));
        let (questions, answers) = (Box::new(questions), Box::new(BufReader::new(answers)));
        Some(Self { name, process, questions, answers, complaints, in_step: true })
    }

    /// Whether a question may still be asked over it.
    pub fn usable(&self) -> bool {
        self.in_step && !self.complaints.is_finished()
    }

    /// Asks, and waits for the answer. A line that did not answer is not usable any more; one whose far end answered
    /// that it cannot, is.
    pub async fn ask<Q: Question>(&mut self, question: &Q) -> Result<Q::Answer, Trouble> {
        if !self.usable() {
            return Err(self.broken("it is closed").await);
        }
        self.in_step = false;
        let exchanged = timeout(ANSWER, exchange(&mut self.questions, &mut self.answers, question)).await;
        match exchanged {
            Ok(Ok(Told::Answer(answer))) => {
                self.in_step = true;
                Ok(answer)
            }
            Ok(Ok(Told::Error { error })) => {
                self.in_step = true;
                Err(Trouble::failed(&self.name, error))
            }
            Ok(Err(error)) => Err(self.broken(&error.to_string()).await),
            Err(_) => Err(self.broken(&format!("no answer within {ANSWER:?}")).await),
        }
    }

    async fn broken(&mut self, why: &str) -> Trouble {
        let mut reasons = vec![why.to_owned()];
        let ended = async {
            let status = match self.process.take_status() {
                Some(status) => status.await,
                None => None,
            };
            (status, (&mut self.complaints).map(Result::unwrap_or_default).await)
        };
        if let Ok((status, complaints)) = timeout(LAST_WORDS, ended).await {
            reasons.extend(status.as_ref().and_then(reason));
            reasons.extend(Some(complaints.trim().to_owned()).filter(|text| !text.is_empty()));
            // A task is not asked twice for what it answered.
            self.complaints = tokio::spawn(async move { complaints });
        }
        Trouble::failed(&self.name, reasons.join(": "))
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line")
            .field("name", &self.name)
            .field("in_step", &self.in_step)
            .finish_non_exhaustive()
    }
}

impl Part {
    fn word(self) -> &'static str {
        match self {
            Part::Agent => agent::WORD,
            Part::Eye => eye::WORD,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Agent => "agent",
            Part::Eye => "eye",
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Told<A> {
    Error { error: String },
    Answer(A),
}

async fn exchange<Q: Question>(
    questions: &mut (impl AsyncWrite + Unpin + ?Sized),
    answers: &mut (impl AsyncBufRead + Unpin + ?Sized),
    question: &Q,
) -> std::io::Result<Told<Q::Answer>> {
    let mut text = serde_json::to_vec(question)?;
    text.push(b'\n');
    questions.write_all(&text).await?;
    questions.flush().await?;
    let mut answer = vec![];
    answers.take(LONGEST).read_until(b'\n', &mut answer).await?;
    if !answer.ends_with(b"\n") {
        return Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "it was closed"));
    }
    Ok(serde_json::from_slice(&answer)?)
}

// The far end blocks once nobody reads what it complains.
async fn drain(mut from: impl AsyncRead + Unpin) -> String {
    let mut first = vec![];
    let _ = (&mut from).take(4096).read_to_end(&mut first).await;
    let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&first).into_owned()
}

fn reason(status: &Status) -> Option<String> {
    if status.status.as_deref() == Some("Success") {
        return Some("it ended".to_owned());
    }
    status.message.clone().or_else(|| status.reason.clone())
}

async fn agent_pod(pods: &Api<Pod>, node: &str, name: &str) -> Result<String, Trouble> {
    let of_node = ListParams::default().labels(AGENT).fields(&format!("spec.nodeName={node}"));
    let found = within(OPEN, name, pods.list(&of_node)).await?;
    pick(&found.items, node).map_err(|why| Trouble::failed(name, why))
}

// The one that stays, when a rollout replaces it.
fn pick(pods: &[Pod], node: &str) -> Result<String, String> {
    let staying = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
    let Some(pod) = staying.max_by_key(|pod| pod.metadata.creation_timestamp.clone()) else {
        return Err(format!("no agent on node {node}: run `gauntlet cluster install`"));
    };
    let status = pod.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    if !conditions.iter().any(|one| one.type_ == "Ready" && one.status == "True") {
        let waits = crate::api::wait::reasons(pod);
        return Err(format!("the agent on node {node} is not ready: {}", waits.join("; ")));
    }
    pod.metadata.name.clone().ok_or_else(|| format!("the agent on node {node} has no name"))
}

#[cfg(test)]
mod tests {
    use gauntlet_core::act::Signal;
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::json;
    use tokio::io::{AsyncWriteExt, BufReader, duplex};

    use super::{NodeQuestion, Told, exchange, pick};
    use crate::node::agent;

    fn question(signal: Signal) -> agent::Question {
        agent::Question { container: "c".repeat(64), signal }
    }

    async fn answered(text: &str) -> Result<Told<agent::Signalled>, String> {
        let (mut far, near) = duplex(64);
        far.write_all(text.as_bytes()).await.unwrap();
        far.shutdown().await.unwrap();
        let mut sent = vec![];
        let told = exchange(&mut sent, &mut BufReader::new(near), &question(Signal::Pause)).await;
        let expected = format!("{{\"container\":\"{}\",\"signal\":\"pause\"}}\n", "c".repeat(64));
        assert_eq!(String::from_utf8(sent).unwrap(), expected);
        told.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_question_has_an_answer_or_a_reason() {
        let told = answered("{\"signalled\":3}\n").await.unwrap();
        assert!(matches!(told, Told::Answer(agent::Signalled { signalled: 3 })));
        let told = answered("{\"error\":\"not so\"}\n").await.unwrap();
        assert!(matches!(told, Told::Error { error } if error == "not so"));
        assert_eq!(answered("{\"signalled\":").await.unwrap_err(), "it was closed");
        assert_eq!(answered("").await.unwrap_err(), "it was closed");
        assert!(answered("what?\n").await.is_err());
    }

    #[test]
    fn only_what_may_happen_twice_is_asked_twice() {
        let once = [Signal::Terminate, Signal::Interrupt];
        for signal in [Signal::Kill, Signal::Terminate, Signal::Interrupt, Signal::Pause, Signal::Resume] {
            assert_eq!(question(signal).repeats(), !once.contains(&signal), "{signal}");
        }
    }

    fn pod(name: &str, created: u32, ready: bool, going: bool) -> Pod {
        let at = |seconds: u32| format!("2026-01-01T00:00:{seconds:02}Z");
        let ready = if ready { "True" } else { "False" };
        serde_json::from_value(json!({
            "metadata": {
                "name": name,
                "creationTimestamp": at(created),
                "deletionTimestamp": going.then(|| at(59)),
            },
            "status": { "conditions": [{ "type": "Ready", "status": ready }] },
        }))
        .unwrap()
    }

    #[test]
    fn the_agent_of_a_node_is_the_one_that_stays() {
        let pods = [pod("old", 3, true, true), pod("new", 2, true, false)];
        assert_eq!(pick(&pods, "n"), Ok("new".into()));
        assert_eq!(pick(&pods[..1], "n").unwrap_err(), "no agent on node n: run `gauntlet cluster install`");
        let error = pick(&[pod("new", 1, false, false)], "n").unwrap_err();
        assert!(error.starts_with("the agent on node n is not ready"), "{error}");
    }
}
