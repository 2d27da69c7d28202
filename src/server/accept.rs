//! Accepting connections: no more than the limit, and on through a lack of descriptors.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use super::Phase;
use super::connection::{self, Serving};

/// How long to wait after a failed accept. Out of descriptors, accepting again at once would only burn the processor;
/// a connection that ends meanwhile frees one.
const REST: Duration = Duration::from_millis(50);

/// The listener that callers reach.
pub(super) struct Listener {
    free: Arc<Semaphore>,
    connections: u32,
}

impl Listener {
    /// Waits until the last connection is closed.
    pub(super) async fn all_closed(&self) {
        let _ = self.free.acquire_many(self.connections).await;
    }
}

/// Starts accepting callers on `listener`.
pub(super) fn proxy(
    listener: TcpListener,
    serving: Arc<Serving>,
    connections: usize,
    mut phases: watch::Receiver<Phase>,
) -> Listener {
    let connections = u32::try_from(connections.min(Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
    let free = Arc::new(Semaphore::new(usize::try_from(connections).unwrap_or(usize::MAX)));
    let accepting = Arc::clone(&free);
    tokio::spawn(async move {
        loop {
            // Before accepting: who has no room yet waits in the kernel's queue.
            let room = tokio::select! {
                biased;
                _ = phases.changed() => return,
                room = Arc::clone(&accepting).acquire_owned() => room,
            };
            let Ok(room) = room else { return };
            let accepted = tokio::select! {
                biased;
                _ = phases.changed() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let (serving, phases) = (Arc::clone(&serving), phases.clone());
                    tokio::spawn(async move {
                        connection::serve(stream, &serving, phases).await;
                        drop(room);
                    });
                }
                // That one left before it was accepted; the next need not wait for it.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(REST).await;
                }
            }
        }
    });
    Listener { free, connections }
}
