//! What is shown while a run goes on, on a thread of its own: a terminal that takes nothing (Ctrl-S, a full pipe) must
//! not hold up the run, whose beats would stop.

use std::{
    io,
    sync::mpsc::{SyncSender, sync_channel},
    thread::{self, JoinHandle},
};

/// What may wait to be shown. When a terminal takes nothing for that long, later lines are left out.
const WAITING: usize = 4_096;

type Work<C> = Box<dyn FnOnce(&mut C) + Send>;

/// A console behind a queue.
pub(super) struct Screen<C> {
    to: SyncSender<Work<C>>,
    thread: JoinHandle<C>,
}

impl<C: Send + 'static> Screen<C> {
    /// Starts the thread.
    pub(super) fn new(mut console: C) -> io::Result<Self> {
        let (to, work) = sync_channel::<Work<C>>(WAITING);
        let shows = move || {
            work.iter().for_each(|work| work(&mut console));
            console
        };
        Ok(Self { to, thread: thread::Builder::new().name("screen".into()).spawn(shows)? })
    }

    /// Shows something soon; never waits.
    pub(super) fn show(&self, work: impl FnOnce(&mut C) + Send + 'static) {
        // A line that nobody can read is no loss; the journal has it.
        let _ = self.to.try_send(Box::new(work));
    }

    /// The console again, once all is shown; none when showing panicked.
    pub(super) fn close(self) -> Option<C> {
        drop(self.to);
        self.thread.join().ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::{Screen, WAITING};

    #[test]
    fn all_is_shown_in_order() {
        let screen = Screen::new(Vec::new()).unwrap();
        (0..100).for_each(|line| screen.show(move |lines: &mut Vec<i32>| lines.push(line)));
        assert_eq!(screen.close().unwrap(), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_terminal_that_takes_nothing_holds_nobody_up() {
        let (let_go, stuck) = channel::<()>();
        let screen = Screen::new(0_usize).unwrap();
        screen.show(move |_| stuck.recv().unwrap_or_default());
        (0..2 * WAITING).for_each(|_| screen.show(|shown| *shown += 1));
        let_go.send(()).unwrap();
        assert!((WAITING - 1..=WAITING + 1).contains(&screen.close().unwrap()));
    }

    #[test]
    fn a_panic_while_showing_ends_only_the_showing() {
        let screen = Screen::new(()).unwrap();
        screen.show(|()| std::panic::resume_unwind(Box::new("planted")));
        screen.show(|()| ());
        assert_eq!(screen.close(), None);
    }
}
