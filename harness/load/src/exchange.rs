//! One request and its answer, over a connection that is open or a new one.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use gauntlet_core::evidence::Class;
use http::{HeaderName, Request};
use http_body_util::{BodyExt, Full};
use tokio::time::{Instant, timeout_at};

use crate::connections::{Connections, Sender, is_starved};

/// What has arrived of an answer; what there is stays when the rest does not come.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The status; 0 before it is known.
    pub(crate) status: u16,
    /// Who answered.
    pub(crate) arm: String,
    /// Bytes of the body.
    pub(crate) bytes: u64,
    /// The body, when it was asked for.
    pub(crate) body: Vec<u8>,
}

/// What is asked of an answer.
pub(crate) struct Ask<'a> {
    /// For the whole answer, with the connection's opening.
    pub(crate) timeout: Duration,
    /// Whether the body is kept, by status.
    pub(crate) keep: &'a (dyn Fn(u16) -> bool + Sync),
    /// The header that names who answered.
    pub(crate) arm_header: Option<&'a HeaderName>,
}

/// The longest body that is read, in bytes.
pub(crate) const LONGEST_BODY: u64 = 16 << 20;

/// An attempt on one connection that gave no whole answer.
enum Broken {
    /// The connection handed the request back: no byte of it was sent.
    Unsent(Box<Request<Full<Bytes>>>),
    /// The connection broke.
    Reset,
    /// The body is over the limit.
    TooLong,
}

/// Sends a request and reads its answer to the last byte. A failure's class is the error.
pub(crate) async fn exchange(
    connections: &Arc<Connections>,
    mut request: Request<Full<Bytes>>,
    ask: &Ask<'_>,
    answer: &mut Answer,
) -> Result<(), Class> {
    let deadline = Instant::now() + ask.timeout;
    loop {
        let open = connections.reuse();
        let reused = open.is_some();
        let mut sender = match open {
            Some(sender) => sender,
            None => connect(connections, deadline).await?,
        };
        let attempt = timeout_at(deadline, attempt(&mut sender, request, ask, answer)).await;
        // A connection whose answer did not come to its end is dropped, and with it closed.
        match attempt.map_err(|_elapsed| Class::Timeout)? {
            Ok(()) => {
                connections.give_back(sender).await;
                return Ok(());
            }
            // The server had closed it while it was idle: nothing was sent, so this is no second sending.
            Err(Broken::Unsent(back)) if reused => request = *back,
            Err(Broken::Unsent(_) | Broken::Reset) => return Err(Class::Reset),
            Err(Broken::TooLong) => return Err(Class::WrongBody),
        }
    }
}

async fn connect(connections: &Connections, deadline: Instant) -> Result<Sender, Class> {
    match timeout_at(deadline, connections.open()).await {
        Ok(Ok(sender)) => Ok(sender),
        // No file or port left here: the generator's cap, not the service's refusal.
        Ok(Err(error)) if is_starved(&error) => Err(Class::Capped),
        Ok(Err(_)) | Err(_) => Err(Class::Refused),
    }
}

async fn attempt(
    sender: &mut Sender,
    request: Request<Full<Bytes>>,
    ask: &Ask<'_>,
    answer: &mut Answer,
) -> Result<(), Broken> {
    let response =
        sender.try_send_request(request).await.map_err(|mut error| match error.take_message() {
            Some(request) => Broken::Unsent(Box::new(request)),
            None => Broken::Reset,
        })?;
    answer.status = response.status().as_u16();
    if let Some(arm) = ask.arm_header.and_then(|name| response.headers().get(name)) {
        answer.arm = String::from_utf8_lossy(arm.as_bytes()).into_owned();
    }
    let keep = (ask.keep)(answer.status);
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Broken::Reset)?;
        let Some(data) = frame.data_ref() else { continue };
        answer.bytes += data.len() as u64;
        if answer.bytes > LONGEST_BODY {
            return Err(Broken::TooLong);
        }
        if keep {
            answer.body.extend_from_slice(data);
        }
    }
    Ok(())
}
