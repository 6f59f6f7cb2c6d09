//! Every setting of the service: name, unit, default and meaning beside each field.
//!
//! All mistakes are reported at once, because a deployment that is mended one mistake at a time is rolled out many times.

mod read;
mod source;

use std::net::IpAddr;
use std::time::Duration;

pub use read::{Problem, Problems};
pub use source::{Environment, Source};

use read::Reader;
#[cfg(feature = "defects")]
pub(crate) use read::parse_duration;

/// The default of `COMPUTE_PERMITS` and `WORKERS`.
const TWO: usize = 2;

/// A value that is never printed: a URL that may hold a password.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value so that it cannot reach a log by accident.
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The value itself, for the library that connects with it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

/// What the service was told. Read once, at the start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `HOST`: the address that the API and the metrics listen on. Default `0.0.0.0`.
    pub host: IpAddr,
    /// `PORT`: the port of the API; 0 takes a free one. Default 8000.
    pub port: u16,
    /// `METRICS_PORT`: the port of `/metrics`; 0 takes a free one. Default 8001.
    pub metrics_port: u16,
    /// `DATABASE_URL`: `postgres://user:password@host:port/name`. Required, secret.
    pub database_url: Secret,
    /// `DATABASE_POOL`: connections to PostgreSQL at most, 1 to 200. Default 8.
    pub database_pool: usize,
    /// `DATABASE_TIMEOUT`: time for one statement. Default `2s`.
    pub database_timeout: Duration,
    /// `REDIS_URL`: `redis://host:port`. Required, secret.
    pub redis_url: Secret,
    /// `CACHE_TTL`: how long an answer stays in Redis. Default `3600s`.
    pub cache_ttl: Duration,
    /// `CACHE_TIMEOUT`: how long a request waits for Redis at most. Default `50ms`.
    pub cache_timeout: Duration,
    /// `MAX_CONCURRENT_REQUESTS`: requests in flight; more are refused at once. Default 100.
    pub max_concurrent_requests: usize,
    /// `REQUEST_TIMEOUT`: time for one request. Default `10s`.
    pub request_timeout: Duration,
    /// `DRAIN_DELAY`: how long connections are still accepted after readiness has turned. Default `1s`.
    pub drain_delay: Duration,
    /// `DRAIN_TIMEOUT`: time for requests in flight to finish after that. Default `20s`.
    pub drain_timeout: Duration,
    /// `COMPUTE_THREADS`: threads for one computation, 1 to 64. Default 1.
    pub compute_threads: usize,
    /// `COMPUTE_PERMITS`: computations side by side, 1 to 256. Default 2.
    pub compute_permits: usize,
    /// `WORKERS`: threads that serve requests, 1 to 64. Default 2.
    pub workers: usize,
    /// `JOB_LEASE`: how long a run belongs to a silent replica before another takes it over. Default `10s`.
    pub job_lease: Duration,
    /// `REPLICA`: the name in `x-replica`. Default: the host's name.
    pub replica: String,
    /// `VERSION`: the version in `x-version`. Default: the version of the package.
    pub version: String,
    /// `RUST_LOG`, else `LOG_LEVEL`: a filter such as `info` or `causal_service=debug`. Default `info`.
    pub log: String,
}

impl Settings {
    /// Reads every setting and reports every mistake, not only the first.
    pub fn read(source: &dyn Source) -> Result<Self, Problems> {
        let mut from = Reader::new(source);
        let read = Self {
            host: from.parsed("HOST", "an IP address such as 0.0.0.0", IpAddr::from([0, 0, 0, 0])),
            port: from.parsed("PORT", "a port from 0 to 65535", 8000),
            metrics_port: from.parsed("METRICS_PORT", "a port from 0 to 65535", 8001),
            database_url: from.url("DATABASE_URL", &["postgres://", "postgresql://"]),
            database_pool: from.count("DATABASE_POOL", 1..=200, 8),
            database_timeout: from.duration("DATABASE_TIMEOUT", "2s"),
            redis_url: from.url("REDIS_URL", &["redis://", "redis+unix://", "unix://"]),
            cache_ttl: from.whole_seconds("CACHE_TTL", "3600s"),
            cache_timeout: from.duration("CACHE_TIMEOUT", "50ms"),
            max_concurrent_requests: from.count("MAX_CONCURRENT_REQUESTS", 1..=100_000, 100),
            request_timeout: from.duration("REQUEST_TIMEOUT", "10s"),
            drain_delay: from.duration_or_zero("DRAIN_DELAY", "1s"),
            drain_timeout: from.duration("DRAIN_TIMEOUT", "20s"),
            compute_threads: from.count("COMPUTE_THREADS", 1..=64, 1),
            compute_permits: from.count("COMPUTE_PERMITS", 1..=256, TWO),
            workers: from.count("WORKERS", 1..=64, TWO),
            job_lease: from.duration("JOB_LEASE", "10s"),
            replica: from.label("REPLICA", host_name),
            version: from.label("VERSION", || env!("CARGO_PKG_VERSION").to_owned()),
            log: from.filter(&["RUST_LOG", "LOG_LEVEL"], "info"),
        };
        from.finish(read)
    }
}

/// The kernel's name of this machine or container.
pub(crate) fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "causal-service".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn settings(pairs: &[(&str, &str)]) -> Result<Settings, Problems> {
        let needed = [("DATABASE_URL", "postgres://u:hunter2@h/d"), ("REDIS_URL", "redis://h")];
        let map: BTreeMap<String, String> =
            needed.iter().chain(pairs).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Settings::read(&map)
    }

    #[test]
    fn the_two_urls_are_enough() {
        let read = settings(&[]).unwrap();
        assert_eq!(read.port, 8000);
        assert_eq!(read.metrics_port, 8001);
        assert_eq!(read.cache_ttl, Duration::from_secs(3600));
        assert_eq!(read.drain_timeout, Duration::from_secs(20));
        assert_eq!(read.max_concurrent_requests, 100);
        assert_eq!(read.version, env!("CARGO_PKG_VERSION"));
        assert!(!read.replica.is_empty());
    }

    #[test]
    fn every_problem_is_reported_at_once_with_its_name_and_an_example() {
        let empty: BTreeMap<String, String> =
            [("PORT", "http"), ("CACHE_TTL", "3600"), ("DATABASE_POOL", "0"), ("REQUEST_TIMEOUT", "0s")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into();
        let problems = Settings::read(&empty).unwrap_err();
        let names: Vec<_> = problems.0.iter().map(|p| p.name).collect();
        assert_eq!(
            names,
            ["PORT", "DATABASE_URL", "DATABASE_POOL", "REDIS_URL", "CACHE_TTL", "REQUEST_TIMEOUT"]
        );
        let text = problems.to_string();
        assert!(text.contains("CACHE_TTL: \"3600\" has no unit; write a duration such as 3600s"), "{text}");
        assert!(text.contains("DATABASE_URL: is not set; write"), "{text}");
    }

    #[test]
    fn a_secret_appears_neither_in_debug_nor_in_a_problem() {
        let read = settings(&[]).unwrap();
        assert!(!format!("{read:?}").contains("hunter2"));
        let problems = settings(&[("DATABASE_URL", "mysql://u:hunter2@h/d")]).unwrap_err();
        assert!(!problems.to_string().contains("hunter2"), "{problems}");
    }

    #[test]
    fn a_name_that_cannot_be_a_header_is_refused() {
        let problems = settings(&[("REPLICA", "a\nb"), ("VERSION", "é")]).unwrap_err();
        assert_eq!(problems.0.len(), 2);
    }

    #[test]
    fn rust_log_wins_over_log_level() {
        assert_eq!(settings(&[("LOG_LEVEL", "debug")]).unwrap().log, "debug");
        assert_eq!(settings(&[("LOG_LEVEL", "debug"), ("RUST_LOG", "warn")]).unwrap().log, "warn");
        assert!(settings(&[("RUST_LOG", "causal_service=loud")]).is_err());
    }
}
