//! A timer of the kernel, precise to some tens of microseconds; the runtime's own counts in milliseconds.

use std::{io, os::fd::OwnedFd, time::Duration};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::{Interest, unix::AsyncFd};

/// One timer, for one task.
pub(crate) struct Timer(AsyncFd<OwnedFd>);

impl Timer {
    /// Must be called within a runtime.
    pub(crate) fn new() -> io::Result<Self> {
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe, for types that may close their file; an owned one stays open"
        )]
        let registered = AsyncFd::with_interest(timer, Interest::READABLE)?;
        Ok(Self(registered))
    }

    /// Waits that long.
    pub(crate) async fn sleep(&self, span: Duration) -> io::Result<()> {
        // A timer set to nothing would never fire.
        let it_value = Timespec {
            tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: span.subsec_nanos().max(1).into(),
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
        timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &once)?;
        loop {
            let mut ready = self.0.readable().await?;
            let fired = ready.try_io(|timer| Ok(rustix::io::read(timer.get_ref(), &mut [0; 8])?));
            if let Ok(fired) = fired {
                return fired.map(drop);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Timer;

    #[test]
    fn short_waits_are_short_and_none_is_cut() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut over: Vec<Duration> = runtime.block_on(async {
            let (timer, mut over) = (Timer::new().unwrap(), Vec::new());
            for us in [0, 1, 50, 200, 700, 1_300].repeat(20) {
                let (from, span) = (Instant::now(), Duration::from_micros(us));
                timer.sleep(span).await.unwrap();
                over.push(from.elapsed().checked_sub(span).expect("it ended early"));
            }
            over
        });
        over.sort();
        // The middle one: single waits may be long on a busy machine.
        assert!(over[over.len() / 2] < Duration::from_micros(900), "{:?}", over[over.len() / 2]);
    }
}
