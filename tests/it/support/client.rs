//! A caller that sends exactly what it is told to, over a socket of its own.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a test waits for anything before it fails.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// An answer that was read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case, in the order in which they came.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Trailers of a chunked answer.
    pub trailers: Vec<(String, String)>,
    /// Whether the body ended as its framing promised.
    pub complete: bool,
}

impl Answer {
    /// The first line of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All lines of that name, joined.
    pub fn all(&self, name: &str) -> String {
        let lines: Vec<_> =
            self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect();
        lines.join(", ")
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    /// The code of a problem of the proxy's own; the empty text for a provider's answer.
    pub fn code(&self) -> String {
        if self.header("content-type") != Some("application/problem+json") {
            return String::new();
        }
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// Sends one request on a connection of its own and reads the answer.
pub async fn send(address: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut head = format!("{method} {path} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        head += &format!("host: {address}\r\n");
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        head += &format!("content-length: {}\r\n", body.len());
    }
    head += "\r\n";
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    // A refusal may come, and the connection close, before the body is through.
    let _ = stream.write_all(body).await;
    let answer = read_answer(&mut stream, method == "HEAD");
    tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| panic!("no answer to {method} {path}"))
}

/// Sends bytes and reads until the other side closes or two seconds have passed without a byte.
pub async fn raw(address: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let _ = stream.write_all(bytes).await;
    let mut received = Vec::new();
    let mut buffer = [0; 65536];
    while let Ok(Ok(count)) = tokio::time::timeout(Duration::from_secs(2), stream.read(&mut buffer)).await {
        if count == 0 {
            break;
        }
        received.extend_from_slice(&buffer[..count]);
    }
    received
}

/// Reads one answer, as its framing says.
pub async fn read_answer(stream: &mut TcpStream, is_head: bool) -> Answer {
    let mut reader = Reader { stream, buffer: Vec::new() };
    loop {
        let head = String::from_utf8(reader.until(b"\r\n\r\n").await.expect("an answer")).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status: u16 = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        if status == 100 {
            continue;
        }
        let headers: Vec<_> = lines.map(field).collect();
        let mut answer = Answer { status, headers, body: Vec::new(), trailers: Vec::new(), complete: true };
        if is_head || status == 204 || status == 304 {
            return answer;
        }
        if answer.header("transfer-encoding") == Some("chunked") {
            reader.chunked(&mut answer).await;
        } else if let Some(length) = answer.header("content-length").map(|text| text.parse().unwrap()) {
            answer.body = reader.up_to(length).await;
            answer.complete = answer.body.len() == length;
        } else {
            answer.body = reader.up_to(usize::MAX).await;
        }
        return answer;
    }
}

fn field(line: &str) -> (String, String) {
    let (name, value) = line.split_once(':').unwrap();
    (name.to_ascii_lowercase(), value.trim().to_owned())
}

struct Reader<'stream> {
    stream: &'stream mut TcpStream,
    buffer: Vec<u8>,
}

impl Reader<'_> {
    /// Reads more; false at the end or after an error.
    async fn more(&mut self) -> bool {
        matches!(self.stream.read_buf(&mut self.buffer).await, Ok(count) if count > 0)
    }

    /// Everything up to and including `end`.
    async fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.buffer.windows(end.len()).position(|window| window == end) {
                return Some(self.buffer.drain(..at + end.len()).collect());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    async fn up_to(&mut self, length: usize) -> Vec<u8> {
        while self.buffer.len() < length && self.more().await {}
        let length = length.min(self.buffer.len());
        self.buffer.drain(..length).collect()
    }

    async fn chunked(&mut self, answer: &mut Answer) {
        answer.complete = false;
        while let Some(line) = self.until(b"\r\n").await {
            let text = String::from_utf8(line).unwrap();
            let size = usize::from_str_radix(text.trim(), 16).unwrap();
            if size == 0 {
                while let Some(line) = self.until(b"\r\n").await {
                    let text = String::from_utf8(line).unwrap();
                    if text.trim().is_empty() {
                        answer.complete = true;
                        return;
                    }
                    answer.trailers.push(field(text.trim_end()));
                }
                return;
            }
            let chunk = self.up_to(size + 2).await;
            if chunk.len() < size + 2 {
                answer.body.extend_from_slice(&chunk);
                return;
            }
            answer.body.extend_from_slice(&chunk[..size]);
        }
    }
}
