//! Answers in Redis, by content. A cache that is down, slow or wrong costs time, never an answer.

use std::time::{Duration, Instant};

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Cmd, FromRedisValue, RedisError};

use crate::answer::Answer;
use crate::breaker::Breaker;
use crate::config::Settings;
use crate::question::Digest256;

/// Failures in a row after which Redis is left alone.
const FAILURES: u32 = 3;
/// How long Redis is left alone between two probes.
const REST: Duration = Duration::from_millis(250);
/// Time for one attempt to connect; it goes on behind the requests that do not wait for it.
const CONNECT: Duration = Duration::from_secs(1);

/// What a look-up found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lookup {
    /// The answer.
    Hit(Answer),
    /// Redis has no answer.
    Miss,
    /// Redis could not be asked in time.
    Error,
}

/// The cache of answers.
pub struct Cache {
    redis: ConnectionManager,
    breaker: Breaker,
    timeout: Duration,
    ttl: Duration,
}

impl Cache {
    /// Connects on first use, so a Redis that is down now does not stop the start. Must run inside the runtime.
    pub fn new(settings: &Settings) -> Result<Self, RedisError> {
        // The breaker paces the attempts; waits inside the client would only delay the return.
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(None);
        let client = Client::open(settings.redis_url.expose())?;
        Ok(Self {
            redis: ConnectionManager::new_lazy_with_config(client, config)?,
            breaker: Breaker::new(FAILURES, REST),
            timeout: settings.cache_timeout,
            ttl: settings.cache_ttl,
        })
    }

    /// The answer to a question, if Redis has it.
    pub async fn get(&self, question: Digest256) -> Lookup {
        let mut get = redis::cmd("GET");
        get.arg(&name(question)[..]);
        match self.ask::<Option<Vec<u8>>>(&get).await {
            Some(Some(bytes)) => Answer::decode(question, &bytes).map_or(Lookup::Miss, Lookup::Hit),
            Some(None) => Lookup::Miss,
            None => Lookup::Error,
        }
    }

    /// Keeps an answer for the time to live. Failing to is no failure.
    pub async fn put(&self, question: Digest256, answer: &Answer) {
        let mut set = redis::cmd("SET");
        set.arg(&name(question)[..]).arg(&answer.encode(question)[..]).arg("EX").arg(self.ttl.as_secs());
        let _: Option<()> = self.ask(&set).await;
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Option<T> {
        if !self.breaker.admits(Instant::now()) {
            return None;
        }
        let mut redis = self.redis.clone();
        let why = match tokio::time::timeout(self.timeout, command.query_async(&mut redis)).await {
            Ok(Ok(value)) => {
                self.breaker.succeeded();
                return Some(value);
            }
            Ok(Err(why)) => why.to_string(),
            Err(late) => late.to_string(),
        };
        if self.breaker.failed(Instant::now()) {
            tracing::warn!(why, "redis does not answer; computing without a cache");
        }
        None
    }
}

/// The key in Redis: a prefix and the digest, as raw bytes.
fn name(question: Digest256) -> [u8; 36] {
    let mut name = *b"ate:________________________________";
    name[4..].copy_from_slice(&question.0);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_a_prefix_and_the_whole_digest() {
        let name = name(Digest256([9; 32]));
        assert_eq!(&name[..4], b"ate:");
        assert_eq!(&name[4..], [9; 32]);
    }
}
