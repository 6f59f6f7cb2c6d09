//! One GET over a connection of its own.

use std::io;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The largest answer that is read.
const LIMIT: usize = 8 << 20;

/// What came of a GET.
pub(super) enum Got {
    /// Nobody listens.
    Refused,
    /// An answer.
    Answer {
        /// Its status.
        status: u16,
        /// Its body.
        body: Bytes,
    },
    /// The connection failed before the whole answer.
    Broken(String),
}

/// Asks once. The caller limits the time.
pub(super) async fn get(address: &str, path: &str) -> Got {
    let stream = match TcpStream::connect(address).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Got::Refused,
        Err(error) => return Got::Broken(error.to_string()),
        Ok(stream) => stream,
    };
    match exchange(stream, address, path).await {
        Ok((status, body)) => Got::Answer { status, body },
        Err(error) => Got::Broken(error.to_string()),
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn exchange(stream: TcpStream, address: &str, path: &str) -> Result<(u16, Bytes), Failure> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(path).header(header::HOST, address).header(header::CONNECTION, "close");
    let request = request.body(Empty::<Bytes>::new())?;
    let answer = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), LIMIT).collect().await?.to_bytes();
        Ok((status, body))
    };
    // The connection is driven here, so that nothing of it outlives a caller that gave up.
    tokio::pin!(answer, connection);
    tokio::select! {
        done = &mut answer => done,
        ended = &mut connection => {
            ended?;
            answer.await
        }
    }
}
