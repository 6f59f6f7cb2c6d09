//! Samples: CPU and memory of each replica from /proc, and what components export, read at the same time.

use std::{collections::BTreeMap, fs, sync::Arc, time::Duration};

use gauntlet_core::{
    evidence::{CPU_SECONDS, RESIDENT_BYTES, Sample, Wanted},
    name::Name,
    port::{Later, Meter},
    system::{Metric, System},
};
use rustix::param::{clock_ticks_per_second, page_size};
use tokio::{task::JoinSet, time::timeout};

use super::{
    address,
    http::{self, Got},
    proc::{self, Seen},
};
use crate::layout::{Layout, Replica};

/// A scrape that takes longer gives no sample.
const LIMIT: Duration = Duration::from_millis(250);

/// Reads all replicas of a run, again and again.
#[derive(Debug)]
pub struct Sampler {
    layout: Arc<Layout>,
    wanted: BTreeMap<Name, Arc<Wanted>>,
    lives: BTreeMap<(Name, u16), Life>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Life {
    root: Option<(u32, u64)>,
    number: u32,
}

impl Sampler {
    /// Reads what these metrics need, and what the system file keeps.
    pub fn new(system: &System, layout: Arc<Layout>, metrics: &BTreeMap<Name, Metric>) -> Self {
        let wanted =
            Wanted::of(system, metrics).into_iter().map(|(name, wanted)| (name, Arc::new(wanted))).collect();
        Self { layout, wanted, lives: BTreeMap::new() }
    }

    async fn read(&mut self, at_us: u64) -> (Vec<Sample>, Vec<String>) {
        let seen = match proc::under(&self.layout, None) {
            Ok(seen) => seen,
            Err(error) => return (vec![], vec![format!("/proc: {error}")]),
        };
        let (mut samples, mut troubles, mut scrapes) = (vec![], vec![], JoinSet::new());
        let layout = Arc::clone(&self.layout);
        for replica in &layout.replicas {
            let tree = self.tree(&seen, replica);
            let Some(root) = proc::root(&tree) else { continue };
            let sampled = Sampled { at_us, replica: replica.clone(), life: self.life(replica, root) };
            samples.extend(sampled.of_processes(&tree));
            if tree.iter().all(|one| one.stopped) {
                continue;
            }
            if let Some(wanted) = self.wanted.get(&replica.component).filter(|wanted| wanted.scrape.is_some())
            {
                scrapes.spawn(scrape(Arc::clone(&layout), Arc::clone(wanted), sampled));
            }
        }
        while let Some(scraped) = scrapes.join_next().await {
            match scraped {
                Ok(Ok(more)) => samples.extend(more),
                Ok(Err(trouble)) => troubles.push(trouble),
                Err(panic) => troubles.push(panic.to_string()),
            }
        }
        let key = |one: &Sample| (one.component.clone(), one.replica, one.series.clone());
        samples.sort_by_cached_key(key);
        (samples, troubles)
    }

    fn tree(&self, seen: &[Seen], replica: &Replica) -> Vec<Seen> {
        let private = &self.layout.private;
        let dir = self.layout.dir(replica);
        let name = dir.strip_prefix(private).unwrap_or(&dir);
        // Symbolic links in the private directory's own path are resolved in /proc.
        let private = private.canonicalize().unwrap_or_else(|_| private.clone());
        seen.iter().filter(|one| one.cwd.starts_with(private.join(name))).cloned().collect()
    }

    fn life(&mut self, replica: &Replica, root: (u32, u64)) -> u32 {
        let life = self.lives.entry((replica.component.clone(), replica.index)).or_default();
        if life.root != Some(root) {
            *life = Life { root: Some(root), number: life.number + 1 };
        }
        life.number
    }
}

impl Meter for Sampler {
    fn sample(&mut self, at_us: u64) -> Later<'_, (Vec<Sample>, Vec<String>)> {
        Box::pin(async move { Ok(self.read(at_us).await) })
    }
}

// Whose sample it is, and when it was taken.
struct Sampled {
    at_us: u64,
    replica: Replica,
    life: u32,
}

impl Sampled {
    fn sample(&self, series: String, value: f64) -> Sample {
        let Self { at_us, replica, life } = self;
        Sample {
            at_us: *at_us,
            component: replica.component.clone(),
            replica: replica.index,
            life: *life,
            series,
            value,
        }
    }

    fn of_processes(&self, tree: &[Seen]) -> [Sample; 2] {
        let ticks: u64 = tree.iter().map(|one| one.cpu_ticks).sum();
        let bytes: u64 = tree.iter().map(|one| resident(one.pid)).sum();
        let cpu = ticks as f64 / clock_ticks_per_second() as f64;
        [self.sample(CPU_SECONDS.to_owned(), cpu), self.sample(RESIDENT_BYTES.to_owned(), bytes as f64)]
    }
}

async fn scrape(layout: Arc<Layout>, wanted: Arc<Wanted>, sampled: Sampled) -> Result<Vec<Sample>, String> {
    let name = format!("metrics of {}-{}", sampled.replica.component, sampled.replica.index);
    let scrape = wanted.scrape.as_ref().ok_or_else(|| format!("{name}: not declared"))?;
    let address =
        address(&layout, &sampled.replica, &scrape.port).ok_or_else(|| format!("{name}: no such port"))?;
    let text = match timeout(LIMIT, http::get(&address, &scrape.path)).await {
        Err(_) => return Err(format!("{name}: no answer within {LIMIT:?}")),
        Ok(Got::Refused) => return Err(format!("{name}: refused")),
        Ok(Got::Broken(why)) => return Err(format!("{name}: {why}")),
        Ok(Got::Answer { status: 200, body }) => body,
        Ok(Got::Answer { status, .. }) => return Err(format!("{name}: status {status}")),
    };
    let picked = wanted.pick(&String::from_utf8_lossy(&text));
    Ok(picked.into_iter().map(|(series, value)| sampled.sample(series, value)).collect())
}

fn resident(pid: u32) -> u64 {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * page_size() as u64
}
