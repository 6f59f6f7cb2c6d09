//! One generator thread: starts each arrival at its moment, whatever became of those before.

use std::{io, sync::Arc, time::Duration};

use tokio::{sync::mpsc, task::yield_now, time::interval};

use crate::{
    client::Client,
    rows::CHUNK_AGE,
    schedule::{Arrival, Schedule},
    timer::Timer,
};

/// Which of the schedule's arrivals a thread starts: one in `of`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shard {
    /// Its number, from 0.
    pub(crate) number: u64,
    /// How many there are.
    pub(crate) of: u64,
}

/// Arrivals that are started in a row before the requests in flight get their turn.
const BURST: u32 = 32;

impl Shard {
    /// How many threads offer load: the machine is shared with the service.
    pub(crate) fn count(cores: usize) -> u64 {
        if cores <= 4 { 1 } else { (cores / 2).min(4) as u64 }
    }

    fn has(self, arrival: &Arrival) -> bool {
        arrival.ordinal % self.of == self.number
    }
}

/// Starts this thread's arrivals and waits until the last request has ended.
pub(crate) async fn offer(client: Arc<Client>, schedule: Schedule, shard: Shard) -> io::Result<()> {
    let sweeper = tokio::spawn(sweep(Arc::clone(&client)));
    // Every arrival holds a sender; the receiver ends when the last is dropped.
    let (playing, mut ended) = mpsc::channel::<()>(1);
    let timer = Timer::new()?;
    let mut burst = 0;
    for arrival in schedule.filter(|arrival| shard.has(arrival)) {
        let early = arrival.at_us.saturating_sub(client.run.now_us());
        if early > 0 {
            timer.sleep(Duration::from_micros(early)).await?;
            burst = 0;
        } else if burst == BURST {
            yield_now().await;
            burst = 0;
        }
        burst += 1;
        start(&client, arrival, &playing);
    }
    drop(playing);
    ended.recv().await;
    sweeper.abort();
    client.rows.settle().await;
    Ok(())
}

fn start(client: &Arc<Client>, arrival: Arrival, playing: &mpsc::Sender<()>) {
    client.run.tally.scheduled.add(1);
    let Some(place) = client.run.tally.enter(client.run.cap) else { return client.drop_arrival(&arrival) };
    let (client, playing) = (Arc::clone(client), playing.clone());
    tokio::spawn(async move {
        client.play(&arrival).await;
        drop((place, playing));
    });
}

/// Hands rows over before they are old, and closes connections that nobody uses.
async fn sweep(client: Arc<Client>) {
    let mut ticks = interval(CHUNK_AGE);
    loop {
        ticks.tick().await;
        client.rows.flush();
        client.connections.prune();
    }
}

#[cfg(test)]
mod tests {
    use gauntlet_core::seed::Seed;

    use super::{Arrival, Shard};

    #[test]
    fn a_small_machine_gets_one_thread_and_a_large_one_four() {
        assert_eq!([1, 2, 4, 6, 8, 64].map(Shard::count), [1, 1, 1, 3, 4, 4]);
    }

    #[test]
    fn every_arrival_belongs_to_one_shard() {
        for ordinal in 0..50 {
            let arrival = Arrival { at_us: 0, behaviour: 0, ordinal, seed: Seed(0) };
            assert_eq!((0..3).filter(|number| Shard { number: *number, of: 3 }.has(&arrival)).count(), 1);
        }
    }
}
