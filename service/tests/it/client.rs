//! A small HTTP client, and requests whose body comes in two halves.

use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::{Client as Hyper, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use axum::body::Bytes;
use axum::http::{HeaderMap, Request};

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|why| panic!("{why}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The code of an error.
    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

#[derive(Clone)]
pub(crate) struct Client {
    hyper: Hyper<HttpConnector, Full<Bytes>>,
}

impl Client {
    pub(crate) fn new() -> Self {
        Self { hyper: Hyper::builder(TokioExecutor::new()).build_http() }
    }

    /// Fails when there is no answer.
    pub(crate) async fn try_send(
        &self,
        method: &str,
        url: String,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Result<Reply, hyper_util::client::legacy::Error> {
        let mut request = Request::builder().method(method).uri(url);
        if body.is_some() && !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(body.unwrap_or_default())).expect("a request");
        let (head, body) = self.hyper.request(request).await?.into_parts();
        let bytes = body.collect().await.expect("a whole body").to_bytes();
        let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
        Ok(Reply { status: head.status.as_u16(), headers: head.headers, text })
    }
}

/// A POST whose first half was sent: it is in flight until the second half comes.
pub(crate) struct Half {
    stream: TcpStream,
    rest: String,
}

impl Half {
    pub(crate) async fn send(port: u16, path: &str, body: &str) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("a connection");
        let (first, rest) = body.split_at(body.len() / 2);
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{first}",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.expect("sent");
        Self { stream, rest: rest.to_owned() }
    }

    /// Sends the rest; the raw answer. Reads until the service closes, so it must close.
    pub(crate) async fn finish(mut self) -> String {
        self.stream.write_all(self.rest.as_bytes()).await.expect("sent");
        self.read_to_end().await
    }

    /// Sends the rest and reads until the answer's last brace.
    pub(crate) async fn finish_keeping_alive(mut self) -> String {
        self.stream.write_all(self.rest.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            let mut part = [0; 4096];
            let read = self.stream.read(&mut part).await.expect("read");
            assert!(read > 0, "closed early: {}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&part[..read]);
        }
        String::from_utf8(answer).expect("UTF-8")
    }

    pub(crate) async fn read_to_end(&mut self) -> String {
        let mut answer = String::new();
        self.stream.read_to_string(&mut answer).await.expect("read");
        answer
    }
}
