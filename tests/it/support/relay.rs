//! A way to a server that can keep its answers back: what was asked is done, and nobody hears of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// A running relay, which lets everything pass at first.
pub struct Relay {
    pub address: SocketAddr,
    withholds: Arc<AtomicBool>,
    task: AbortHandle,
}

impl Relay {
    /// A way to `server`.
    pub async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, withholds) = (listener.local_addr().unwrap(), Arc::<AtomicBool>::default());
        let flag = Arc::clone(&withholds);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((caller, _)) = listener.accept().await {
                connections.spawn(carry(caller, server, Arc::clone(&flag)));
            }
        });
        Self { address, withholds, task: task.abort_handle() }
    }

    /// Keeps answers back from now on.
    pub fn withhold(&self) {
        self.withholds.store(true, Ordering::Relaxed);
    }

    /// Lets answers pass again. Those that were kept back are lost.
    pub fn pass(&self) {
        self.withholds.store(false, Ordering::Relaxed);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(caller: TcpStream, server: SocketAddr, withholds: Arc<AtomicBool>) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let ((mut from_caller, mut to_caller), (mut from_server, mut to_server)) =
        (caller.into_split(), server.into_split());
    let asks = async move {
        // The end of what is asked is passed on as well.
        let _ = tokio::io::copy(&mut from_caller, &mut to_server).await;
    };
    let answers = async move {
        let mut buffer = vec![0; 65536];
        while let Ok(count @ 1..) = from_server.read(&mut buffer).await {
            if !withholds.load(Ordering::Relaxed) && to_caller.write_all(&buffer[..count]).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(asks, answers);
}
