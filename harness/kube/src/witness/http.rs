//! GETs over connections through the kubelet.

use http_body_util::{BodyExt, Empty, Limited};
use hyper::{
    HeaderMap, Request,
    body::Bytes,
    client::conn::http1::{self, SendRequest},
    header,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::AbortHandle,
};

/// The largest answer that is read.
const LIMIT: usize = 8 << 20;

/// What a connection is, whichever way it takes.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for T {}

/// What came of a GET.
pub(super) enum Got {
    /// The connection was closed before an answer began.
    Closed,
    /// An answer.
    Answer {
        /// Its status.
        status: u16,
        /// Its headers.
        headers: HeaderMap,
        /// Its body.
        body: Bytes,
    },
    /// Anything else.
    Broken(String),
}

/// A connection that is asked again and again.
pub(super) struct Kept {
    sender: SendRequest<Empty<Bytes>>,
    driver: AbortHandle,
}

/// Asks once. The caller limits the time.
pub(super) async fn get(connection: impl Stream, path: &str) -> Got {
    match Kept::over(connection).await {
        Ok(mut kept) => kept.get(path).await,
        Err(why) => Got::Broken(why),
    }
}

impl Kept {
    /// Keeps a connection.
    pub(super) async fn over(connection: impl Stream) -> Result<Self, String> {
        let (sender, driver) = http1::handshake(TokioIo::new(connection)).await.map_err(|e| e.to_string())?;
        let driven = async {
            if let Err(error) = driver.await {
                tracing::trace!("a kept connection ended: {error}");
            }
        };
        Ok(Self { sender, driver: tokio::spawn(driven).abort_handle() })
    }

    /// Asks; a connection that did not answer is of no use any more.
    pub(super) async fn get(&mut self, path: &str) -> Got {
        let request = Request::get(path).header(header::HOST, "pod").body(Empty::<Bytes>::new());
        let request = match request {
            Ok(request) => request,
            Err(error) => return Got::Broken(error.to_string()),
        };
        let answer = match self.sender.send_request(request).await {
            Err(error) if error.is_closed() || error.is_incomplete_message() || error.is_canceled() => {
                return Got::Closed;
            }
            Err(error) => return Got::Broken(error.to_string()),
            Ok(answer) => answer,
        };
        let (head, body) = answer.into_parts();
        match Limited::new(body, LIMIT).collect().await {
            Ok(body) => {
                Got::Answer { status: head.status.as_u16(), headers: head.headers, body: body.to_bytes() }
            }
            Err(error) => Got::Broken(error.to_string()),
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
