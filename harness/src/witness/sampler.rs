//! Samples: CPU and memory of each replica from /proc, and what components export, read at the same time.

use std::{collections::BTreeMap, fs, sync::Arc, time::Duration};

use gauntlet_core::{
    evidence::{CPU_SECONDS, RESIDENT_BYTES, Sample},
    name::Name,
    system::{Metric, Scrape, System},
};
use rustix::param::{clock_ticks_per_second, page_size};
use tokio::{task::JoinSet, time::timeout};

use super::{
    address,
    exposition::{self, Series},
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

// What is kept of a component's export.
#[derive(Debug, Default)]
struct Wanted {
    scrape: Option<Scrape>,
    // Recorded as the metric writes them, summed over the labels that it leaves out.
    series: Vec<(String, Series)>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Life {
    root: Option<(u32, u64)>,
    number: u32,
}

impl Sampler {
    /// Reads what these metrics need, and what the system file keeps.
    pub fn new(system: &System, layout: Arc<Layout>, metrics: &BTreeMap<Name, Metric>) -> Self {
        let mut wanted = BTreeMap::<Name, Wanted>::new();
        for (name, component) in &system.components {
            wanted.entry(name.clone()).or_default().scrape.clone_from(&component.scrape);
        }
        for metric in metrics.values() {
            let series = metric.of.iter().chain(&metric.to);
            let series = series.filter_map(|text| Some((text.clone(), Series::parse(text)?.0)));
            wanted.entry(metric.component.clone()).or_default().series.extend(series);
        }
        for wanted in wanted.values_mut() {
            wanted.series.sort();
            wanted.series.dedup();
        }
        let wanted = wanted.into_iter().map(|(name, wanted)| (name, Arc::new(wanted))).collect();
        Self { layout, wanted, lives: BTreeMap::new() }
    }

    /// Reads everything once; also answers what could not be read though it should. A replica that is frozen or
    /// gone gives no sample, and that is no fault of the reading.
    pub async fn sample(&mut self, at_us: u64) -> (Vec<Sample>, Vec<String>) {
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
    let picked = pick(&wanted, &String::from_utf8_lossy(&text));
    Ok(picked.into_iter().map(|(series, value)| sampled.sample(series, value)).collect())
}

fn pick(wanted: &Wanted, text: &str) -> BTreeMap<String, f64> {
    let keep = wanted.scrape.iter().flat_map(|scrape| &scrape.keep).collect::<Vec<_>>();
    let mut picked = BTreeMap::new();
    for (series, value) in exposition::parse(text) {
        let whole = wanted.series.iter().filter(|(_, whole)| series.is_part_of(whole));
        let mut as_written: Vec<String> = whole.map(|(text, _)| text.clone()).collect();
        if keep.iter().any(|name| **name == series.name) && !as_written.contains(&series.written()) {
            as_written.push(series.written());
        }
        for text in as_written {
            *picked.entry(text).or_insert(0.0) += value;
        }
    }
    picked
}

fn resident(pid: u32) -> u64 {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * page_size() as u64
}

#[cfg(test)]
mod tests {
    use gauntlet_core::system::Scrape;

    use super::{Series, Wanted, pick};

    fn wanted(series: &[&str], keep: &[&str]) -> Wanted {
        let scrape = Scrape {
            port: "metrics".parse().unwrap(),
            path: "/metrics".into(),
            keep: keep.iter().map(ToString::to_string).collect(),
        };
        let series = series.iter().map(|text| ((*text).to_owned(), Series::parse(text).unwrap().0)).collect();
        Wanted { scrape: Some(scrape), series }
    }

    const EXPORT: &str = "hits{kind=\"a\",route=\"x\"} 1\nhits{kind=\"a\",route=\"y\"} 2\nhits{kind=\"b\",route=\"x\"} 4\nother 8\n";

    #[test]
    fn a_wanted_series_sums_the_labels_that_it_leaves_out() {
        let picked = pick(&wanted(&[r#"hits{kind="a"}"#], &[]), EXPORT);
        assert_eq!(picked.into_iter().collect::<Vec<_>>(), [(r#"hits{kind="a"}"#.to_owned(), 3.0)]);
    }

    #[test]
    fn kept_names_are_recorded_series_by_series() {
        assert_eq!(pick(&wanted(&[], &["hits"]), EXPORT).len(), 3);
    }

    #[test]
    fn a_series_that_is_wanted_and_kept_counts_once() {
        let series = r#"hits{kind="b",route="x"}"#;
        let picked = pick(&wanted(&[series], &["hits"]), EXPORT);
        assert_eq!(picked.get(series), Some(&4.0));
    }
}
