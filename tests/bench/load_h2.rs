//! The load's HTTP/2 half: hyper's own client with prior knowledge. The two proxies share its cost alike.

use std::sync::Arc;
use std::time::Instant;

use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::http1::Expected;
use crate::load::{Plan, Tally};

/// Opens the connections; a sender for each stream.
pub async fn connect(plan: &Plan) -> Vec<SendRequest<Empty<Bytes>>> {
    let mut senders = Vec::new();
    for _ in 0..plan.spec.connections {
        let stream = TcpStream::connect(plan.spec.target).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        senders.extend(std::iter::repeat_n(sender, plan.spec.streams));
    }
    senders
}

/// One request after the other on a stream's worth of a connection.
pub async fn stream(plan: Arc<Plan>, mut sender: SendRequest<Empty<Bytes>>, start: Instant) -> Vec<Tally> {
    let mut tally = Tally::default();
    while let Some(token) = plan.next(start) {
        let begun = Instant::now();
        let outcome = exchange(&plan, &mut sender, token).await.map_err(|error| error.to_string());
        tally.note(begun, outcome);
    }
    vec![tally]
}

async fn exchange(plan: &Plan, sender: &mut SendRequest<Empty<Bytes>>, token: usize) -> hyper::Result<(u16, bool)> {
    let (method, path) = plan.spec.request.split_once(' ').unwrap();
    let request = Request::builder()
        .method(method)
        .uri(format!("http://{}{path}", plan.spec.target))
        .header("authorization", format!("Bearer {}", plan.tokens[token]))
        .header("accept", "application/json")
        .header("accept-encoding", "gzip, br")
        .header("user-agent", "bench/1.0")
        .body(Empty::new())
        .unwrap();
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    let matches = match &plan.spec.expected {
        Expected::Text(text) => text.as_bytes() == body,
        Expected::Length(length) => body.len() as u64 == *length,
        Expected::Any => true,
    };
    Ok((status, matches))
}
