//! A connection to a port of a pod, through the API server and the node's kubelet: it passes no NetworkPolicy and needs
//! no route to the pod.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use gauntlet_core::port::Trouble;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::Portforwarder};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::timeout,
};

use crate::api::told::told;

/// How long the API server may take to connect.
const CONNECTS_WITHIN: Duration = Duration::from_secs(3);

trait Both: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Both for T {}

/// An open connection. It ends when this is dropped.
pub(crate) struct Connection {
    stream: Box<dyn Both>,
    forwarder: Portforwarder,
}

/// Connects to a port of a pod.
pub(crate) async fn connect(pods: &Api<Pod>, pod: &str, port: u16) -> Result<Connection, Trouble> {
    let what = format!("connect to port {port} of {pod}");
    let ports = [port];
    let asked = timeout(CONNECTS_WITHIN, pods.portforward(pod, &ports)).await;
    let asked = asked.map_err(|_| Trouble::failed(&what, format!("not within {CONNECTS_WITHIN:?}")))?;
    let mut forwarder = asked.map_err(|error| Trouble::failed(&what, told(&error)))?;
    let stream = forwarder.take_stream(port).ok_or_else(|| Trouble::failed(&what, "no stream came"))?;
    Ok(Connection { stream: Box::new(stream), forwarder })
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.forwarder.abort();
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
