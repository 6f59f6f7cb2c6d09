//! Open lines of a run, one for each part of each node: opened when first used, opened again when one broke.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use gauntlet_core::port::Trouble;
use kube::Client;
use tokio::time::timeout;

use crate::node::line::{Line, NodeQuestion, Part};

/// How long it may all take: to get the line while others use it, to open it, to ask, and once more.
const LIMIT: Duration = Duration::from_secs(10);
/// A pod that is just replaced is there at the second look.
const PAUSE: Duration = Duration::from_millis(300);

type Slot = Arc<tokio::sync::Mutex<Option<Line>>>;

/// Lines to the agents and eyes of a cluster.
pub struct Lines {
    client: Client,
    slots: Mutex<BTreeMap<(String, Part), Slot>>,
}

impl Lines {
    /// No line is open yet.
    pub fn new(client: Client) -> Self {
        Self { client, slots: Mutex::default() }
    }

    /// Asks the part of that node. When a line breaks, it is opened once more, and the question is asked again if it may
    /// be heard twice.
    pub async fn ask<Q: NodeQuestion>(&self, node: &str, question: &Q) -> Result<Q::Answer, Trouble> {
        let asked = timeout(LIMIT, self.asked(node, question)).await;
        asked.unwrap_or_else(|_| {
            let what = format!("line to the {} of node {node}", Q::PART);
            Err(Trouble::failed(what, format!("no answer within {LIMIT:?}")))
        })
    }

    /// Opens the line to that part, unless it is open: who cannot be reached is told before anything is asked of it.
    pub async fn reach(&self, node: &str, part: Part) -> Result<(), Trouble> {
        let slot = self.slot(node, part);
        let mut slot = slot.lock().await;
        let kept = slot.take().filter(Line::usable);
        *slot = Some(match kept {
            Some(line) => line,
            None => self.open(node, part).await?,
        });
        Ok(())
    }

    async fn asked<Q: NodeQuestion>(&self, node: &str, question: &Q) -> Result<Q::Answer, Trouble> {
        let slot = self.slot(node, Q::PART);
        let mut slot = slot.lock().await;
        // Taken out: a question that its asker gave up takes the line with it.
        let kept = slot.take().filter(Line::usable);
        let mut line = match kept {
            Some(line) => line,
            None => self.open(node, Q::PART).await?,
        };
        let mut answer = line.ask(question).await;
        if answer.is_err() && !line.usable() && question.repeats() {
            line = self.open(node, Q::PART).await?;
            answer = line.ask(question).await;
        }
        if line.usable() {
            *slot = Some(line);
        }
        answer
    }

    async fn open(&self, node: &str, part: Part) -> Result<Line, Trouble> {
        match Line::open(&self.client, node, part).await {
            Ok(line) => Ok(line),
            Err(error) => {
                tracing::debug!("{error}; once more");
                tokio::time::sleep(PAUSE).await;
                Line::open(&self.client, node, part).await
            }
        }
    }

    fn slot(&self, node: &str, part: Part) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry((node.to_owned(), part)).or_default())
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Lines").field("to", &slots.keys().collect::<Vec<_>>()).finish_non_exhaustive()
    }
}
