//! HTTP/2 by hand: frames go out exactly as the test says (RFC 9113 §4, RFC 7541).

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::client::PATIENCE;
use super::wire::Wire;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// What became of a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered, with this body.
    Answered(String),
    /// It was reset, after this much of a body.
    Reset(String),
    /// The connection was ended.
    Closed,
}

/// A connection that speaks HTTP/2.
pub struct Frames<S = TcpStream> {
    wire: Wire<S>,
}

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Frames {
    /// A connection to `address`, with the preface and no settings.
    pub async fn to(address: &str) -> Self {
        Self::over(Wire::to(address).await).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Frames<S> {
    /// The same on a connection that is there.
    pub async fn over(wire: Wire<S>) -> Self {
        let mut frames = Self { wire };
        frames.wire.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        frames.send(SETTINGS, 0, 0, b"").await;
        frames
    }

    /// Sends the head of a request, or its trailers.
    pub async fn headers(&mut self, stream: u32, fields: &[(&str, &str)], is_end: bool) -> bool {
        let mut block = Vec::new();
        for (name, value) in fields {
            block.push(0);
            for text in [name, value] {
                push_length(text.len(), &mut block);
                block.extend_from_slice(text.as_bytes());
            }
        }
        self.send(HEADERS, END_HEADERS | u8::from(is_end), stream, &block).await
    }

    /// Sends the beginning of a request's head and leaves it at that.
    pub async fn half_headers(&mut self, stream: u32) -> bool {
        let frame = [&[0, 0, 100, HEADERS, END_HEADERS | END_STREAM][..], &stream.to_be_bytes(), b"\x82"].concat();
        self.wire.send(frame).await
    }

    /// Sends a piece of a body.
    pub async fn data(&mut self, stream: u32, bytes: &[u8], is_end: bool) -> bool {
        self.send(DATA, u8::from(is_end), stream, bytes).await
    }

    /// Cancels a stream.
    pub async fn reset(&mut self, stream: u32) -> bool {
        self.send(RST_STREAM, 0, stream, &8_u32.to_be_bytes()).await
    }

    /// Asks whether the other side is there.
    pub async fn ping(&mut self) -> bool {
        self.send(PING, 0, 0, b"01234567").await
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags];
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        self.wire.send(frame).await
    }

    async fn next(&mut self) -> Option<Frame> {
        let head = self.wire.exactly(9).await?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let stream = u32::from_be_bytes(head[5..9].try_into().unwrap());
        let payload = self.wire.exactly(length).await?;
        let frame = Frame { kind: head[3], flags: head[4], stream, payload };
        if frame.kind == SETTINGS && frame.flags & ACK == 0 {
            self.send(SETTINGS, ACK, 0, b"").await;
        }
        Some(frame)
    }

    /// The next piece of the body of `stream`.
    pub async fn piece(&mut self, stream: u32) -> Vec<u8> {
        let piece = async {
            loop {
                let frame = self.next().await.expect("a piece of a body");
                if (frame.kind, frame.stream) == (DATA, stream) {
                    return frame.payload;
                }
            }
        };
        tokio::time::timeout(PATIENCE, piece).await.expect("a piece of a body in time")
    }

    /// What becomes of `stream`.
    pub async fn outcome(&mut self, stream: u32) -> Outcome {
        let mut body = Vec::new();
        let outcome = async {
            while let Some(frame) = self.next().await {
                match (frame.kind, frame.stream) {
                    (GOAWAY, _) => return Outcome::Closed,
                    (RST_STREAM, number) if number == stream => return Outcome::Reset(text(&body)),
                    (DATA, number) if number == stream => body.extend_from_slice(&frame.payload),
                    _ => {}
                }
                if frame.stream == stream && frame.kind <= HEADERS && frame.flags & END_STREAM != 0 {
                    return Outcome::Answered(text(&body));
                }
            }
            Outcome::Closed
        };
        tokio::time::timeout(PATIENCE, outcome).await.unwrap_or_else(|_| panic!("nothing becomes of stream {stream}"))
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// RFC 7541 §5.1, with a prefix of seven bits and no Huffman code.
fn push_length(length: usize, block: &mut Vec<u8>) {
    if length < 127 {
        block.push(length as u8);
        return;
    }
    block.push(127);
    let mut rest = length - 127;
    while rest >= 128 {
        block.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    block.push(rest as u8);
}
