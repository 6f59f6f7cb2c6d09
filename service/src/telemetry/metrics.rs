//! The metrics by name. Labels come from closed sets, so that no client can make new series.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::process::Process;

/// Seconds: dense around the objective of 200 ms.
const REQUEST_BUCKETS: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5, 10.0];
/// Seconds: from a small model to the largest that is allowed.
const COMPUTATION_BUCKETS: [f64; 12] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

/// What a request is counted under.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct RequestLabels {
    /// The method, or `OTHER`.
    pub method: &'static str,
    /// The route's template, never the raw path.
    pub route: &'static str,
    /// The status code.
    pub status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabels {
    method: &'static str,
    route: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct LookupLabels {
    result: &'static str,
}

/// How a look-up in the cache ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Result {
    /// The answer was there.
    Hit,
    /// It was not.
    Miss,
    /// The cache could not be asked.
    Error,
}

/// All counters, gauges and histograms.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Family<RouteLabels, Histogram, fn() -> Histogram>,
    lookups: [Counter; 3],
    /// `causal_computation_duration_seconds`.
    pub computation_seconds: Histogram,
    /// `concurrent_experiments`: runs that this replica computes now.
    pub concurrent_experiments: Gauge,
    /// `http_requests_in_flight`.
    pub in_flight: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Registers everything.
    pub fn new() -> Self {
        let lookups: Family<LookupLabels, Counter> = Family::default();
        let [hit, miss, error] =
            ["hit", "miss", "error"].map(|result| lookups.get_or_create_owned(&LookupLabels { result }));
        let mut metrics = Self {
            registry: Registry::default(),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(|| Histogram::new(REQUEST_BUCKETS)),
            lookups: [hit.clone(), miss.clone(), error],
            computation_seconds: Histogram::new(COMPUTATION_BUCKETS),
            concurrent_experiments: Gauge::default(),
            in_flight: Gauge::default(),
        };
        metrics.register(lookups, HitRate { hit, miss });
        // A name that is missing until the first request looks like a service that does not count.
        let probe = RequestLabels { method: "GET", route: "/health", status: 200 };
        drop(metrics.requests.get_or_create(&probe));
        drop(metrics.request_seconds.get_or_create(&RouteLabels { method: "GET", route: "/health" }));
        metrics
    }

    fn register(&mut self, lookups: Family<LookupLabels, Counter>, hit_rate: HitRate) {
        let r = &mut self.registry;
        r.register("http_requests", "Requests by method, route and status", self.requests.clone());
        let seconds = self.request_seconds.clone();
        r.register("http_request_duration_seconds", "Time from head to answer", seconds);
        r.register("http_requests_in_flight", "Requests being served", self.in_flight.clone());
        let seconds = self.computation_seconds.clone();
        r.register("causal_computation_duration_seconds", "Time of one computation", seconds);
        r.register("cache_lookups", "Look-ups of answers in the cache", lookups);
        let runs = self.concurrent_experiments.clone();
        r.register("concurrent_experiments", "Runs that this replica computes now", runs);
        r.register_collector(Box::new(hit_rate));
        r.register_collector(Box::new(Process));
    }

    /// Counts one request that was answered.
    pub fn request(&self, labels: RequestLabels, seconds: f64) {
        let RequestLabels { method, route, .. } = labels;
        self.requests.get_or_create(&labels).inc();
        self.request_seconds.get_or_create(&RouteLabels { method, route }).observe(seconds);
    }

    /// Counts one look-up in the cache.
    pub fn lookup(&self, result: Result) {
        self.lookups[result as usize].inc();
    }

    /// The text that a scrape reads (OpenMetrics 1.0).
    pub fn text(&self) -> std::result::Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// `cache_hit_rate`: hits among hits and misses since the start; 0 before the first.
#[derive(Debug)]
struct HitRate {
    hit: Counter,
    miss: Counter,
}

impl Collector for HitRate {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::result::Result<(), std::fmt::Error> {
        let (hit, all) = (self.hit.get() as f64, (self.hit.get() + self.miss.get()) as f64);
        let rate = if all > 0.0 { hit / all } else { 0.0 };
        let help = "Hits among hits and misses since the start, 0 to 1";
        let gauge = encoder.encode_descriptor("cache_hit_rate", help, None, MetricType::Gauge)?;
        ConstGauge::new(rate).encode(gauge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_name_is_there_before_the_first_request() {
        let text = Metrics::new().text().unwrap();
        for line in [
            "# TYPE http_requests counter",
            "# TYPE http_request_duration_seconds histogram",
            "causal_computation_duration_seconds_count 0",
            "cache_hit_rate 0.0",
            "cache_lookups_total{result=\"hit\"} 0",
            "concurrent_experiments 0",
            "# TYPE memory_usage_bytes gauge",
            "# TYPE process_cpu_seconds counter",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn the_hit_rate_counts_hits_and_misses_but_not_errors() {
        let metrics = Metrics::new();
        for result in [Result::Hit, Result::Hit, Result::Hit, Result::Miss, Result::Error] {
            metrics.lookup(result);
        }
        let text = metrics.text().unwrap();
        assert!(text.contains("cache_hit_rate 0.75"), "{text}");
        assert!(text.contains("cache_lookups_total{result=\"error\"} 1"), "{text}");
    }

    #[test]
    fn a_request_is_counted_and_timed() {
        let metrics = Metrics::new();
        metrics.request(RequestLabels { method: "GET", route: "/health", status: 200 }, 0.002);
        let text = metrics.text().unwrap();
        let labels = "method=\"GET\",route=\"/health\"";
        assert!(text.contains(&format!("http_requests_total{{{labels},status=\"200\"}} 1")), "{text}");
        let bucket = format!("http_request_duration_seconds_bucket{{le=\"0.0025\",{labels}}} 1");
        assert!(text.contains(&bucket), "{text}");
    }
}
