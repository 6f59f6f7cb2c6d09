//! What tests and examples share: an HTTP server in this process, a job, and a load that runs it.

use std::{
    convert::Infallible,
    io::{PipeReader, PipeWriter, Read, Write, pipe},
    sync::Arc,
    thread::{self, JoinHandle},
};

use bytes::Bytes;
use gauntlet_core::{
    evidence::{Frame, LoadCounts, Request},
    plan::load::LoadJob,
};
use gauntlet_load::{LoadError, codec::Decoder};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpSocket, sync::oneshot};

/// A server that ends when it is dropped.
pub(crate) struct Server {
    pub(crate) authority: String,
    _stop: oneshot::Sender<()>,
}

/// A load that is under way.
pub(crate) struct Running {
    /// Dropping it stops the load.
    pub(crate) input: PipeWriter,
    output: PipeReader,
    decoder: Decoder,
    serving: JoinHandle<Result<(), LoadError>>,
}

/// What a load left behind.
pub(crate) struct Report {
    pub(crate) rows: Vec<Request>,
    pub(crate) counts: LoadCounts,
}

/// A server on a free port, with a thread of its own.
pub(crate) fn start_server<F, A>(answer: F) -> Server
where
    F: Fn(http::Request<Incoming>) -> A + Send + Sync + 'static,
    A: Future<Output = http::Response<Full<Bytes>>> + Send + 'static,
{
    let (stop, stopped) = oneshot::channel::<()>();
    let (tell, told) = std::sync::mpsc::channel();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let socket = TcpSocket::new_v4().expect("a socket");
            socket.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
            // Long, so that no connection is lost while the server is busy.
            let listener = socket.listen(4_096).expect("a listener");
            tell.send(listener.local_addr().expect("an address").to_string()).expect("somebody waits");
            let accept = async {
                while let Ok((stream, _)) = listener.accept().await {
                    stream.set_nodelay(true).expect("a socket option");
                    let answer = Arc::clone(&answer);
                    let service = service_fn(move |request| {
                        let answer = answer(request);
                        async move { Ok::<_, Infallible>(answer.await) }
                    });
                    tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
                }
            };
            tokio::select! { () = accept => {}, _ = stopped => {} }
        });
    });
    Server { authority: told.recv().expect("the server starts"), _stop: stop }
}

/// One behaviour of these requests, at a constant rate.
pub(crate) fn job(authority: &str, steps: Vec<Value>, rate: f64, seconds: f64) -> LoadJob {
    let lasts = json!({"secs": seconds as u64, "nanos": (seconds.fract() * 1e9) as u32});
    let behaviours = json!([{"name": "visit", "first": 0, "count": steps.len()}]);
    let steps: Vec<Value> =
        steps.into_iter().map(|request| json!({"behaviour": "visit", "request": request})).collect();
    let plan = json!({
        "seed": 42,
        "lasts": lasts,
        "streams": [{
            "mix": [[0, 1.0]],
            "arrivals": "even",
            "segments": [{"lasts": lasts, "from": rate, "to": rate}],
        }],
        "steps": steps,
        "behaviours": behaviours,
        "data": {},
        "audit": null,
        "arm_header": "x-replica",
        "in_flight": 10_000,
    });
    serde_json::from_value(json!({"plan": plan, "authority": authority, "data": {}})).expect("a job")
}

impl Running {
    /// Hands the job over and waits until the load has begun.
    pub(crate) fn start(job: &LoadJob) -> Self {
        let (input_read, mut input) = pipe().expect("a pipe");
        let (mut output, output_write) = pipe().expect("a pipe");
        let serving = thread::spawn(move || gauntlet_load::serve(input_read, output_write));
        let mut line = serde_json::to_vec(job).expect("a job is JSON");
        line.push(b'\n');
        input.write_all(&line).expect("the load reads its job");
        let mut decoder = Decoder::default();
        let first = read_frame(&mut output, &mut decoder);
        assert_eq!(first, Some(Frame::Began), "the load did not begin");
        Self { input, output, decoder, serving }
    }

    /// Reads all frames to the last.
    pub(crate) fn finish(mut self) -> Report {
        let mut rows = Vec::new();
        loop {
            match read_frame(&mut self.output, &mut self.decoder) {
                Some(Frame::Rows(more)) => rows.extend(more),
                Some(Frame::Ended(counts)) => {
                    self.serving.join().expect("no panic").expect("the load ends well");
                    drop(self.input);
                    assert_eq!(
                        read_frame(&mut self.output, &mut self.decoder),
                        None,
                        "a frame behind the last"
                    );
                    return Report { rows, counts };
                }
                other => panic!("{other:?} instead of rows"),
            }
        }
    }
}

/// The value below which this share of the values lies.
pub(crate) fn quantile(values: impl Iterator<Item = u64>, share: f64) -> u64 {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    let place = (share * values.len() as f64).ceil() as usize;
    values.get(place.saturating_sub(1)).copied().unwrap_or(0)
}

fn read_frame(output: &mut impl Read, decoder: &mut Decoder) -> Option<Frame> {
    let mut bytes = vec![0; 1 << 16];
    loop {
        if let Some(frame) = decoder.next().expect("frames only") {
            return Some(frame);
        }
        let read = output.read(&mut bytes).expect("a pipe to read");
        if read == 0 {
            assert_eq!(decoder.pending(), 0, "a torn frame");
            return None;
        }
        decoder.push(&bytes[..read]);
    }
}
