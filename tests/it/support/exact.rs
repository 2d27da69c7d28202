//! Requests and answers to the byte, where a client or a server would put them in order first.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::{PATIENCE, read_answer};
use super::{Answer, Rig, Upstream};

impl Rig {
    /// The answer to a request of exactly this request line and these header lines, with alice's token unless the
    /// lines hold an `Authorization`.
    pub async fn exchange(&self, request_line: &str, lines: &[&str]) -> Answer {
        let mut head = format!("{request_line}\r\n");
        if !lines.iter().any(|line| line.to_ascii_lowercase().starts_with("authorization")) {
            head += &format!("authorization: Bearer {}\r\n", self.token());
        }
        for line in lines {
            head += &format!("{line}\r\n");
        }
        self.exchange_as_is(&format!("{head}\r\n")).await
    }

    /// The answer to exactly this text.
    pub async fn exchange_as_is(&self, text: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let answer = read_answer(&mut stream, text.starts_with("HEAD"));
        tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| panic!("no answer to {text:?}"))
    }
}

/// A provider that answers every request with exactly this text and closes the connection.
pub async fn upstream_saying(text: &str) -> Upstream {
    let text = text.to_owned();
    Upstream::raw(move |mut stream| {
        let text = text.clone();
        async move {
            let (mut head, mut buffer) = (Vec::new(), [0; 4096]);
            while !head.windows(4).any(|window| window == b"\r\n\r\n") {
                match stream.read(&mut buffer).await {
                    Ok(count) if count > 0 => head.extend_from_slice(&buffer[..count]),
                    _ => return,
                }
            }
            let _ = stream.write_all(text.as_bytes()).await;
        }
    })
    .await
}
