//! Connections that are kept open between requests: one request at a time each, the last used first.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use crate::rows::Tally;

/// One end of a connection.
pub(crate) type Sender = SendRequest<Full<Bytes>>;

/// The connections of one generator thread.
pub(crate) struct Connections {
    address: SocketAddr,
    idle: Mutex<Vec<Idle>>,
    tally: Arc<Tally>,
}

struct Idle {
    sender: Sender,
    since: Instant,
}

/// Servers close idle connections, some after 2 s; a request must not meet that moment.
const IDLE_LIMIT: Duration = Duration::from_millis(1_500);
/// How long a connection may take to be ready again after a whole answer.
const READY_LIMIT: Duration = Duration::from_secs(1);

impl Connections {
    pub(crate) fn new(address: SocketAddr, tally: Arc<Tally>) -> Self {
        Self { address, idle: Mutex::default(), tally }
    }

    /// An open connection that waits for a request.
    pub(crate) fn reuse(&self) -> Option<Sender> {
        let mut idle = self.idle();
        while let Some(Idle { sender, since }) = idle.pop() {
            if since.elapsed() > IDLE_LIMIT {
                // Those below it wait even longer.
                idle.clear();
                return None;
            }
            if sender.is_ready() {
                return Some(sender);
            }
        }
        None
    }

    /// A new connection.
    pub(crate) async fn open(&self) -> io::Result<Sender> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        self.tally.connections.add(1);
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        // Its errors reach the request that waits on it.
        tokio::spawn(connection);
        Ok(sender)
    }

    /// Takes a connection back whose answer has been read to its end.
    pub(crate) async fn give_back(self: &Arc<Self>, mut sender: Sender) {
        match poll_fn(|context| Poll::Ready(sender.poll_ready(context))).await {
            Poll::Ready(Ok(())) => self.keep(sender),
            Poll::Ready(Err(_closed)) => {}
            Poll::Pending => {
                let connections = Arc::clone(self);
                tokio::spawn(async move {
                    if let Ok(Ok(())) = timeout(READY_LIMIT, sender.ready()).await {
                        connections.keep(sender);
                    }
                });
            }
        }
    }

    /// Closes those that have waited for too long.
    pub(crate) fn prune(&self) {
        self.idle().retain(|idle| !idle.sender.is_closed() && idle.since.elapsed() <= IDLE_LIMIT);
    }

    fn keep(&self, sender: Sender) {
        self.idle().push(Idle { sender, since: Instant::now() });
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the generator's own machine refused, and not the service.
pub(crate) fn is_starved(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let starved = [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::NOBUFS, Errno::NOMEM];
    error.raw_os_error().is_some_and(|code| starved.iter().any(|errno| errno.raw_os_error() == code))
}

#[cfg(test)]
mod tests {
    use std::{io, net::TcpListener, sync::Arc};

    use super::{Connections, is_starved};

    #[test]
    fn a_full_table_of_files_is_the_generators_fault_and_a_refusal_is_not() {
        assert!(is_starved(&io::Error::from_raw_os_error(24)), "EMFILE");
        assert!(is_starved(&io::Error::from_raw_os_error(99)), "EADDRNOTAVAIL");
        assert!(!is_starved(&io::Error::from_raw_os_error(111)), "ECONNREFUSED");
        assert!(!is_starved(&io::Error::other("x")));
    }

    #[test]
    fn a_connection_that_the_server_closed_is_not_used_again() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let connections = Arc::new(Connections::new(listener.local_addr().unwrap(), Arc::default()));
            let mut sender = connections.open().await.unwrap();
            sender.ready().await.unwrap();
            connections.give_back(sender).await;
            let sender = connections.reuse().expect("it is open");
            connections.give_back(sender).await;
            drop(listener.accept().unwrap());
            let closed = async {
                while !connections.idle().iter().all(|idle| idle.sender.is_closed()) {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(std::time::Duration::from_secs(5), closed)
                .await
                .expect("it never saw the end");
            assert!(connections.reuse().is_none());
        });
    }
}
