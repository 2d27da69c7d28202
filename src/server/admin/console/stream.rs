//! The live log: server-sent events (HTML Living Standard §9.2). A reader that cannot keep up skips lines and is told so;
//! nobody waits for it.

use std::time::Duration;

use hyper::body::Bytes;
use hyper::http::header::HeaderMap;
use hyper::http::request::Parts;
use hyper::http::{Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use super::{Console, page};
use crate::server::Phase;
use crate::server::admin::reply::Reply;
use crate::telemetry::feed::{Batch, Feed};

/// Between two batches: more often nobody can look.
const PAUSE: Duration = Duration::from_millis(200);
/// Without a word for that long, something on the way may take the connection for dead.
const SILENCE: Duration = Duration::from_secs(15);

/// Sends what is kept and then what comes, from where a reader that was cut off says that it was.
pub(super) fn answer(console: &Console, head: &Parts) -> Response<Reply> {
    let Ok(room) = std::sync::Arc::clone(&console.readers).try_acquire_owned() else {
        return page::text(StatusCode::SERVICE_UNAVAILABLE, "Too many pages read the log.\n");
    };
    let (sender, coming) = mpsc::channel(1);
    let from = last_seen(&head.headers).map_or(0, |last| last.saturating_add(1));
    tokio::spawn(send(console.feed.clone(), from, sender, console.phases.clone(), room));
    page::answer(StatusCode::OK, "text/event-stream", Reply::Coming(coming))
}

fn last_seen(headers: &HeaderMap) -> Option<u64> {
    headers.get("last-event-id")?.to_str().ok()?.parse().ok()
}

async fn send(
    feed: Feed,
    from: u64,
    sender: mpsc::Sender<Bytes>,
    mut phases: watch::Receiver<Phase>,
    _room: OwnedSemaphorePermit,
) {
    // Answers at once, so that the page knows that it is connected.
    let mut next = from;
    let mut words = ": the log of the requests\n\n".to_owned();
    loop {
        let batch = feed.since(next);
        next = batch.next;
        words += &events(&batch);
        let gone = sender.send(Bytes::from(std::mem::take(&mut words))).await.is_err();
        if gone {
            return;
        }
        tokio::time::sleep(PAUSE).await;
        tokio::select! {
            () = feed.grown(next) => {}
            () = tokio::time::sleep(SILENCE) => words.push_str(": nothing new\n\n"),
            () = sender.closed() => return,
            _ = phases.wait_for(|phase| *phase == Phase::End) => return,
        }
    }
}

/// Lines have no line ends, since JSON has none.
fn events(batch: &Batch) -> String {
    let mut text = String::new();
    if batch.missed > 0 {
        text += &format!("event: missed\ndata: {}\n\n", batch.missed);
    }
    let first = batch.next - batch.lines.len() as u64;
    for (number, line) in (first..).zip(&batch.lines) {
        text += &format!("id: {number}\ndata: {line}\n\n");
    }
    text
}
