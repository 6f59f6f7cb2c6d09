//! Pauses to a few microseconds, because answers take some hundred.
//!
//! The runtime's own timer rounds up to whole milliseconds, and a thread that slept wakes some 50 us late. So the
//! kernel's timer ends a little early, and the rest is spent giving way to other requests.

use std::io;
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::net::unix::pipe::Receiver;

/// How late a thread may wake.
const LATE: Duration = Duration::from_micros(80);

/// Returns once the time is over.
pub(super) async fn pause(time: Duration) {
    let until = Instant::now() + time;
    if let Err(error) = by_kernel(time.saturating_sub(LATE)).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "a defect pauses for whole milliseconds");
        tokio::time::sleep(time).await;
    }
    while Instant::now() < until {
        tokio::task::yield_now().await;
    }
}

async fn by_kernel(time: Duration) -> io::Result<()> {
    // All zero would mean never.
    if time.is_zero() {
        return Ok(());
    }
    let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
    let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
    let it_value = Timespec::try_from(time).map_err(io::Error::other)?;
    let once = Itimerspec { it_interval: Timespec::default(), it_value };
    timerfd_settime(&timer, TimerfdTimerFlags::empty(), &once)?;
    // A timer becomes readable as a pipe does, and this is the runtime's only safe way to wait for a foreign descriptor.
    Receiver::from_owned_fd_unchecked(timer)?.readable().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pause_is_never_too_short_and_hardly_too_long() {
        let mut took = Vec::new();
        for _ in 0..200 {
            let begun = Instant::now();
            pause(Duration::from_micros(100)).await;
            took.push(begun.elapsed());
        }
        took.sort();
        assert!(took[0] >= Duration::from_micros(100), "{took:?}");
        assert!(took[20] < Duration::from_micros(150), "{took:?}");
        pause(Duration::ZERO).await;
    }
}
