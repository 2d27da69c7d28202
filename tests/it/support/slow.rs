//! An upstream whose answer takes as long as the test wants.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::Upstream;

/// Answers every request with `hello `, and with the rest, `world`, when it is told to.
pub struct Slow {
    pub upstream: Upstream,
    finish: Arc<Notify>,
}

impl Slow {
    pub async fn start() -> Self {
        let finish = Arc::new(Notify::new());
        let told = Arc::clone(&finish);
        let upstream = Upstream::raw(move |stream| answer(stream, Arc::clone(&told))).await;
        Self { upstream, finish }
    }

    /// Lets one answer finish.
    pub fn finish(&self) {
        self.finish.notify_one();
    }
}

async fn answer(mut stream: TcpStream, told: Arc<Notify>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if !matches!(stream.read_buf(&mut head).await, Ok(count) if count > 0) {
            return;
        }
    }
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello ").await;
    told.notified().await;
    let _ = stream.write_all(b"world").await;
}

/// A caller's connection that has sent a request and read the answer's beginning, up to and including `hello `.
pub struct Begun(TcpStream);

impl Begun {
    /// Sends `GET path` and waits for the beginning.
    pub async fn get(address: &str, token: &str, path: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut read = Vec::new();
        let beginning = async {
            while !read.ends_with(b"\r\n\r\nhello ") {
                assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0, "{}", String::from_utf8_lossy(&read));
            }
        };
        let waited = tokio::time::timeout(super::child::PATIENCE, beginning).await;
        waited.unwrap_or_else(|_| panic!("the answer did not begin"));
        Self(stream)
    }

    /// What follows until the connection ends or the answer is whole.
    pub async fn rest(mut self) -> String {
        let mut read = Vec::new();
        let whole =
            async { while matches!(self.0.read_buf(&mut read).await, Ok(count) if count > 0 && read.len() < 5) {} };
        // Not even a broken answer stays open for ever.
        let _ = tokio::time::timeout(super::child::PATIENCE, whole).await;
        String::from_utf8_lossy(&read).into_owned()
    }
}
