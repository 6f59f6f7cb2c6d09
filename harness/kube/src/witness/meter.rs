//! Samples: CPU and memory of each replica by the eye of its node, and what components export, read at the same time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use gauntlet_core::{
    evidence::{CPU_SECONDS, RESIDENT_BYTES, Sample, Wanted},
    name::Name,
    port::{Later, Meter, Trouble},
    system::{Metric, System},
};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use tokio::{task::JoinSet, time::timeout};

use super::{
    KubeWitness,
    http::{Got, Kept},
    pods::{Pods, Replica},
};
use crate::{
    node::{
        eye::{self, Container, Root, State},
        lines::Lines,
    },
    witness::forward::connect,
};

/// A scrape that takes longer gives no sample.
const LIMIT: Duration = Duration::from_secs(1);

/// Reads all replicas of a run, again and again.
pub struct KubeMeter {
    system: Arc<System>,
    pods: Arc<Pods>,
    eyes: Arc<Lines>,
    api: Api<Pod>,
    wanted: BTreeMap<Name, Arc<Wanted>>,
    lives: BTreeMap<(Name, u16), Life>,
    /// By container: each life of a replica has a connection of its own.
    kept: BTreeMap<String, Kept>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Life {
    root: Option<Root>,
    number: u32,
}

/// A replica that runs.
struct Running {
    component: Name,
    index: u16,
    replica: Replica,
    id: String,
}

impl KubeMeter {
    /// A meter that sees what the witness sees.
    pub fn new(witness: &KubeWitness, metrics: &BTreeMap<Name, Metric>) -> Self {
        let client: Client = witness.client.clone();
        let wanted = Wanted::of(&witness.system, metrics).into_iter();
        Self {
            system: witness.system.clone(),
            pods: witness.pods.clone(),
            eyes: witness.eyes.clone(),
            api: Api::namespaced(client, &witness.site.namespace),
            wanted: wanted.map(|(name, wanted)| (name, Arc::new(wanted))).collect(),
            lives: BTreeMap::new(),
            kept: BTreeMap::new(),
        }
    }

    async fn read(&mut self, at_us: u64) -> Result<(Vec<Sample>, Vec<String>), Trouble> {
        let running = self.running().await?;
        let (seen, mut troubles) = self.look(&running).await;
        let (mut samples, mut scrapes) = (vec![], JoinSet::new());
        for one in running {
            let Some((container, ticks)) = seen.get(&one.id) else { continue };
            let Some(root) = container.root else { continue };
            let life = self.life(&one, root);
            let sampled = Sampled { at_us, component: one.component.clone(), index: one.index, life };
            samples.extend(sampled.of_processes(container, *ticks));
            let wanted = self.wanted.get(&one.component).filter(|wanted| wanted.scrape.is_some()).cloned();
            if let (Some(wanted), true) = (wanted, container.state == State::Running) {
                let kept = self.kept.remove(&one.id);
                scrapes.spawn(scrape(self.api.clone(), kept, wanted, one, sampled));
            }
        }
        // What was not scraped now belongs to a container that is gone or frozen.
        self.kept.clear();
        while let Some(scraped) = scrapes.join_next().await {
            match scraped {
                Ok(Ok((id, kept, more))) => {
                    self.kept.insert(id, kept);
                    samples.extend(more);
                }
                Ok(Err(trouble)) => troubles.push(trouble),
                Err(panic) => troubles.push(panic.to_string()),
            }
        }
        samples.sort_by_cached_key(|one| (one.component.clone(), one.replica, one.series.clone()));
        Ok((samples, troubles))
    }

    async fn running(&self) -> Result<Vec<Running>, Trouble> {
        let mut running = vec![];
        for component in self.system.components.keys() {
            for (replica, index) in self.pods.replicas(component).await?.into_iter().zip(1..) {
                if let Some(id) = replica.id.clone() {
                    running.push(Running { component: component.clone(), index, replica, id });
                }
            }
        }
        Ok(running)
    }

    /// Every container that runs, with the clock of its node; nodes side by side.
    async fn look(&self, running: &[Running]) -> (BTreeMap<String, (Container, u64)>, Vec<String>) {
        let mut nodes = BTreeMap::<&str, BTreeSet<String>>::new();
        for one in running {
            nodes.entry(&one.replica.node).or_default().insert(one.id.clone());
        }
        let asked = nodes.into_iter().map(|(node, containers)| async move {
            self.eyes.ask(node, &eye::Question { containers }).await
        });
        let (mut seen, mut troubles) = (BTreeMap::new(), vec![]);
        for answer in futures_util::future::join_all(asked).await {
            match answer {
                Ok(answer) => {
                    let ticks = answer.ticks_per_second;
                    seen.extend(
                        answer.containers.into_iter().map(|(id, container)| (id, (container, ticks))),
                    );
                }
                Err(trouble) => troubles.push(trouble.to_string()),
            }
        }
        (seen, troubles)
    }

    fn life(&mut self, one: &Running, root: Root) -> u32 {
        let life = self.lives.entry((one.component.clone(), one.index)).or_default();
        if life.root != Some(root) {
            *life = Life { root: Some(root), number: life.number + 1 };
        }
        life.number
    }
}

impl Meter for KubeMeter {
    fn sample(&mut self, at_us: u64) -> Later<'_, (Vec<Sample>, Vec<String>)> {
        Box::pin(self.read(at_us))
    }
}

/// Whose sample it is, and when it was taken.
struct Sampled {
    at_us: u64,
    component: Name,
    index: u16,
    life: u32,
}

impl Sampled {
    fn sample(&self, series: String, value: f64) -> Sample {
        let Self { at_us, component, index, life } = self;
        Sample { at_us: *at_us, component: component.clone(), replica: *index, life: *life, series, value }
    }

    fn of_processes(&self, container: &Container, ticks_per_second: u64) -> [Sample; 2] {
        let cpu = container.cpu_ticks as f64 / ticks_per_second.max(1) as f64;
        let resident = container.resident_bytes as f64;
        [self.sample(CPU_SECONDS.to_owned(), cpu), self.sample(RESIDENT_BYTES.to_owned(), resident)]
    }
}

type Scraped = (String, Kept, Vec<Sample>);

async fn scrape(
    api: Api<Pod>,
    kept: Option<Kept>,
    wanted: Arc<Wanted>,
    one: Running,
    sampled: Sampled,
) -> Result<Scraped, String> {
    let name = format!("metrics of {}-{}", one.component, one.index);
    let told = |why: String| format!("{name}: {why}");
    let scrape = wanted.scrape.as_ref().ok_or_else(|| told("not declared".to_owned()))?;
    let port = one.replica.port(&scrape.port).map_err(told)?;
    let mut kept = match kept {
        Some(kept) => kept,
        None => {
            let connection = connect(&api, &one.replica.pod, port).await.map_err(|t| told(t.to_string()))?;
            Kept::over(connection).await.map_err(told)?
        }
    };
    let text = match timeout(LIMIT, kept.get(&scrape.path)).await {
        Err(_) => return Err(told(format!("no answer within {LIMIT:?}"))),
        Ok(Got::Closed) => return Err(told("closed".to_owned())),
        Ok(Got::Broken(why)) => return Err(told(why)),
        Ok(Got::Answer { status: 200, body, .. }) => body,
        Ok(Got::Answer { status, .. }) => return Err(told(format!("status {status}"))),
    };
    let picked = wanted.pick(&String::from_utf8_lossy(&text));
    let samples = picked.into_iter().map(|(series, value)| sampled.sample(series, value)).collect();
    Ok((one.id, kept, samples))
}
