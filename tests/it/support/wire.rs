//! One connection, from either side: bytes go out exactly as the test says, and what comes is read piece by piece.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::client::PATIENCE;
use super::{Answer, Rig, Upstream, rig};

/// A connection and what was read of it ahead.
pub struct Wire<S = TcpStream> {
    stream: S,
    buffer: Vec<u8>,
}

/// The head of alice's request: `line` is method and path, `more` are further header lines, each with its end.
pub fn head(rig: &Rig, line: &str, more: &str) -> String {
    head_with(rig, rig.token(), line, more)
}

/// The head of a request with another token.
pub fn head_with(rig: &Rig, token: &str, line: &str, more: &str) -> String {
    format!("{line} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\n{more}\r\n", rig.address())
}

/// A provider that the test plays by hand: it is given each connection as it comes.
pub async fn by_hand() -> (Upstream, Connections) {
    let (hand, connections) = mpsc::unbounded_channel();
    let upstream = Upstream::raw(move |stream| {
        let _ = hand.send(Wire::new(stream));
        std::future::ready(())
    })
    .await;
    (upstream, Connections(connections))
}

/// The connections that a provider is given.
pub struct Connections(mpsc::UnboundedReceiver<Wire>);

impl Connections {
    /// The next one, which must come.
    pub async fn next(&mut self) -> Wire {
        soon("a connection", self.0.recv()).await.unwrap()
    }

    /// Whether there is none that was not taken yet.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A proxy whose provider, `github`, the test plays by hand.
pub struct Stage {
    pub rig: Rig,
    pub connections: Connections,
    _upstream: Upstream,
}

/// A stage on which nothing has happened yet.
pub async fn stage() -> Stage {
    let (upstream, connections) = by_hand().await;
    let rig = rig().provider("github", &upstream).start().await;
    Stage { rig, connections, _upstream: upstream }
}

impl Stage {
    /// A connection of alice's that has sent a request: method and path below the provider, further header lines, and what
    /// of the body goes with them.
    pub async fn caller(&self, line: &str, more: &str, body: &str) -> Wire {
        let mut caller = Wire::to(&self.rig.address()).await;
        caller.send(head(&self.rig, &line.replacen(" /", " /proxy/github/", 1), more) + body).await;
        caller
    }

    /// The same, and the provider's connection, on which the request's head has come.
    pub async fn exchange(&mut self, line: &str, more: &str, body: &str) -> (Wire, Wire, String) {
        let caller = self.caller(line, more, body).await;
        let mut provider = self.connections.next().await;
        let head = provider.head().await;
        (caller, provider, head)
    }
}

/// Waits for something that must happen, and fails the test if it does not.
pub async fn soon<T>(what: &str, happens: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, happens).await.unwrap_or_else(|_| panic!("{what}: waited in vain"))
}

/// Waits until `is_so`.
pub async fn until_so(what: &str, is_so: impl Fn() -> bool) {
    let met = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon(what, met).await;
}

impl Wire {
    /// A connection to `address`.
    pub async fn to(address: &str) -> Self {
        Self::new(TcpStream::connect(address).await.unwrap())
    }

    /// A connection that was accepted.
    pub fn new(stream: TcpStream) -> Self {
        Self::over(stream)
    }

    /// Breaks the connection off with a reset.
    pub fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// A connection of any kind.
    pub fn over(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// The connection itself, when all that was read has been looked at.
    pub fn into_inner(self) -> S {
        assert!(self.buffer.is_empty(), "read and not looked at: {}", String::from_utf8_lossy(&self.buffer));
        self.stream
    }

    /// Sends bytes; tells whether the other side still took them.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Sends nothing any more, but goes on reading.
    pub async fn half_close(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// Everything up to and including the empty line that ends a head; empty if the connection ends before.
    pub async fn head(&mut self) -> String {
        let head = soon("a head", self.until(b"\r\n\r\n")).await.unwrap_or_default();
        String::from_utf8(head).unwrap()
    }

    /// A head and the body of the length that it tells.
    pub async fn message(&mut self) -> (String, Vec<u8>) {
        let head = self.head().await;
        let length = head.to_ascii_lowercase().split("content-length: ").nth(1).map_or(0, |rest| {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().unwrap()
        });
        let body = soon("a body", self.exactly(length)).await.unwrap_or_default();
        (head, body)
    }

    /// That many bytes; nothing if the connection ends before.
    pub async fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < length {
            if !self.more().await {
                return None;
            }
        }
        Some(self.buffer.drain(..length).collect())
    }

    /// Everything up to and including `end`; nothing if the connection ends before.
    pub async fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.buffer.windows(end.len()).position(|window| window == end) {
                return Some(self.buffer.drain(..at + end.len()).collect());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// Everything up to the end of the connection, which must come.
    pub async fn rest(&mut self) -> Vec<u8> {
        let is_at_end = tokio::time::timeout(PATIENCE, async { while self.more().await {} }).await.is_ok();
        assert!(is_at_end, "the connection stays open after: {}", String::from_utf8_lossy(&self.buffer));
        std::mem::take(&mut self.buffer)
    }

    /// Whether nothing at all comes for that long, not even an end.
    pub async fn is_silent_for(&mut self, pause: Duration) -> bool {
        self.buffer.is_empty() && tokio::time::timeout(pause, self.more()).await.is_err()
    }

    /// The next answer on this connection, framed as it says; heads of 1xx are passed over.
    pub async fn answer(&mut self, method: &str) -> Answer {
        loop {
            let head = self.head().await;
            let mut lines = head.trim_end().split("\r\n");
            let status: u16 = lines.next().unwrap().split(' ').nth(1).expect("an answer").parse().unwrap();
            if status < 200 {
                continue;
            }
            let headers = lines.map(field).collect();
            let mut answer = Answer { status, headers, body: Vec::new(), trailers: Vec::new(), complete: true };
            if method != "HEAD" && !matches!(status, 204 | 304) {
                soon("the answer's body", self.body(&mut answer)).await;
            }
            return answer;
        }
    }

    async fn body(&mut self, answer: &mut Answer) {
        if answer.header("transfer-encoding") == Some("chunked") {
            answer.complete = self.chunks(answer).await.is_some();
        } else if let Some(length) = answer.header("content-length").map(|text| text.parse().unwrap()) {
            match self.exactly(length).await {
                Some(body) => answer.body = body,
                None => (answer.body, answer.complete) = (std::mem::take(&mut self.buffer), false),
            }
        } else {
            while self.more().await {}
            answer.body = std::mem::take(&mut self.buffer);
        }
    }

    async fn chunks(&mut self, answer: &mut Answer) -> Option<()> {
        loop {
            let chunk = self.chunk().await?;
            if chunk.is_empty() {
                break;
            }
            answer.body.extend_from_slice(&chunk);
        }
        loop {
            let line = String::from_utf8(self.until(b"\r\n").await?).unwrap();
            match line.trim_end() {
                "" => return Some(()),
                line => answer.trailers.push(field(line)),
            }
        }
    }

    /// The next chunk of a chunked body; the last one is empty, and what ends it is left.
    pub async fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = String::from_utf8(self.until(b"\r\n").await?).unwrap();
        let size = usize::from_str_radix(line.trim(), 16).unwrap();
        let chunk = self.exactly(size).await?;
        if size > 0 {
            self.exactly(2).await?;
        }
        Some(chunk)
    }

    /// Reads more; false at the end or after a reset.
    async fn more(&mut self) -> bool {
        matches!(self.stream.read_buf(&mut self.buffer).await, Ok(count) if count > 0)
    }
}

fn field(line: &str) -> (String, String) {
    let (name, value) = line.split_once(':').unwrap();
    (name.to_ascii_lowercase(), value.trim().to_owned())
}
