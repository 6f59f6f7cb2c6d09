//! The dead man's switch: another process that heals when the harness is dead or hung.
//!
//! The harness holds one end of a pipe and writes a beat every third of the lease. End of file means dead, silence for
//! a lease means hung. A beat counts when it is seen: no clocks are compared. `DONE` means that all is healed.

use std::time::Duration;

use gauntlet_core::port::Trouble;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::timeout,
};

use super::{heal::unwind, world::World};

/// A beat on the pipe.
pub const BEAT: u8 = b'.';
/// The last word of a harness that has healed everything itself.
pub const DONE: u8 = b'q';

/// How often the watchdog looks within a lease.
const LOOKS: u32 = 10;

/// How the watched harness ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// It said that all is healed.
    Done,
    /// The pipe was closed without that word: it is dead.
    Dead,
    /// No beat was seen for a lease: it hangs.
    Hung,
}

/// Waits until the harness is done, dead or hung.
pub async fn silence(beats: &mut (impl AsyncRead + Unpin), lease: Duration) -> Silence {
    let mut buffer = [0u8; 64];
    let mut silent = 0;
    // Silence is counted in short waits: one that was itself frozen for a while looks again before it judges.
    while silent < LOOKS {
        match timeout(lease / LOOKS, beats.read(&mut buffer)).await {
            Err(_) => silent += 1,
            Ok(Err(_) | Ok(0)) => return Silence::Dead,
            Ok(Ok(read)) if buffer[..read].contains(&DONE) => return Silence::Done,
            Ok(Ok(_)) => silent = 0,
        }
    }
    Silence::Hung
}

/// Watches, and when the harness falls silent: fences it, heals from the ledger, removes what bears the mark.
/// `kill_holder` says whether the holder is dead.
/// Answers what is left; none when the harness had healed everything itself.
pub async fn watch(
    silence: impl Future<Output = Silence>,
    world: &World,
    kill_holder: impl AsyncFnOnce() -> bool,
    before_ground: impl AsyncFnOnce(),
) -> Result<Option<Vec<Trouble>>, Trouble> {
    if silence.await == Silence::Done {
        return Ok(None);
    }
    take_over(world, kill_holder, before_ground).await.map(Some)
}

/// Fences the holder, then heals. A fence that cannot be stored (a full disk) is no reason to leave everything in
/// force, as long as the holder is dead.
pub async fn take_over(
    world: &World,
    kill_holder: impl AsyncFnOnce() -> bool,
    before_ground: impl AsyncFnOnce(),
) -> Result<Vec<Trouble>, Trouble> {
    let fenced = world.ledger.fence().await;
    if !kill_holder().await {
        fenced?;
    } else if let Err(trouble) = fenced {
        tracing::warn!("{trouble}; its holder is dead, healing");
    }
    Ok(unwind(world, before_ground).await)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt;

    use super::{BEAT, DONE, Silence, silence};

    const LEASE: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn a_closed_pipe_means_dead() {
        let (harness, mut watcher) = tokio::io::duplex(8);
        drop(harness);
        assert_eq!(silence(&mut watcher, LEASE).await, Silence::Dead);
    }

    #[tokio::test]
    async fn no_beat_for_a_lease_means_hung() {
        let (_harness, mut watcher) = tokio::io::duplex(8);
        assert_eq!(silence(&mut watcher, LEASE).await, Silence::Hung);
    }

    #[tokio::test]
    async fn who_was_frozen_itself_looks_again_before_it_judges() {
        let (mut harness, mut watcher) = tokio::io::duplex(8);
        let watching = tokio::spawn(async move { silence(&mut watcher, LEASE).await });
        tokio::task::yield_now().await;
        // The single thread of this test stands still for two leases, as a stopped process would.
        std::thread::park_timeout(LEASE * 2);
        tokio::time::sleep(Duration::from_millis(1)).await;
        harness.write_all(&[BEAT, DONE]).await.unwrap();
        assert_eq!(watching.await.unwrap(), Silence::Done);
    }

    #[tokio::test]
    async fn a_last_word_means_done_even_when_beats_came_with_it() {
        let (mut harness, mut watcher) = tokio::io::duplex(8);
        harness.write_all(&[BEAT, BEAT, DONE]).await.unwrap();
        drop(harness);
        assert_eq!(silence(&mut watcher, LEASE).await, Silence::Done);
    }
}
