//! An HTTP/1.1 client over a raw socket: heads rendered beforehand, answers read by their framing and compared byte
//! for byte. A general client would cost more than the proxies that it is to measure.

use std::io::{Error, Result};
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// Enough for any head and for reading large bodies at speed.
const BUFFER: usize = 64 * 1024;

/// What a body has to be.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub enum Expected {
    /// This.
    Text(String),
    /// So many bytes of anything.
    Length(u64),
    /// Whatever comes, as long as it comes whole.
    Any,
}

/// An answer, its body read to the end.
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// The body was what it had to be.
    pub matches: bool,
    /// The connection may carry another request.
    pub reusable: bool,
}

/// A connection.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

enum Framing {
    Length(u64),
    Chunked,
}

impl Client {
    /// Connects from an address of loopback's own: a row that makes a connection per request would run out of ports
    /// at a single one.
    pub async fn connect(target: SocketAddr, source: usize, buffer: Vec<u8>) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 1, u8::try_from(source % 250 + 1).unwrap()], 0)))?;
        let stream = socket.connect(target).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer, start: 0, end: 0 })
    }

    /// Gives the buffer back for the next connection.
    pub fn close(self) -> Vec<u8> {
        self.buffer
    }

    /// Sends a head and, after it, `upload` bytes.
    pub async fn send(&mut self, head: &[u8], mut upload: u64) -> Result<()> {
        self.buffer.resize(BUFFER, 0);
        self.stream.write_all(head).await?;
        let piece = if upload > 0 { vec![b'u'; BUFFER] } else { Vec::new() };
        while upload > 0 {
            let now = usize::try_from(upload).unwrap().min(BUFFER);
            self.stream.write_all(&piece[..now]).await?;
            upload -= now as u64;
        }
        Ok(())
    }

    /// Reads the answer to the end.
    pub async fn answer(&mut self, expected: &Expected) -> Result<Answer> {
        let head_end = loop {
            if let Some(at) = self.buffer[self.start..self.end].windows(4).position(|four| four == b"\r\n\r\n") {
                break self.start + at + 4;
            }
            self.fill().await?;
        };
        let head = std::str::from_utf8(&self.buffer[self.start..head_end]).map_err(Error::other)?;
        let (status, framing, reusable) = parse(head).ok_or_else(|| Error::other(format!("head {head:?}")))?;
        self.start = head_end;
        let mut check = Check { expected, seen: 0, same: true };
        match framing {
            Framing::Length(length) => self.body(length, &mut check).await?,
            Framing::Chunked => loop {
                let line = self.line().await?;
                let size = line.split(';').next().unwrap_or_default().trim();
                let size = u64::from_str_radix(size, 16).map_err(Error::other)?;
                self.body(size, &mut check).await?;
                if size == 0 {
                    // Trailers, of which there may be none, and the empty line that ends them.
                    while !self.line().await?.is_empty() {}
                    break;
                }
                self.line().await?;
            },
        }
        Ok(Answer { status, matches: check.passed(), reusable })
    }

    async fn fill(&mut self) -> Result<()> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start.., 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        match self.stream.read(&mut self.buffer[self.end..]).await? {
            0 => Err(Error::other("the connection ended in the middle, or the head is over 64 KiB")),
            more => {
                self.end += more;
                Ok(())
            }
        }
    }

    async fn body(&mut self, mut left: u64, check: &mut Check<'_>) -> Result<()> {
        while left > 0 {
            if self.start == self.end {
                self.fill().await?;
            }
            let now = usize::try_from(left).unwrap().min(self.end - self.start);
            check.feed(&self.buffer[self.start..self.start + now]);
            self.start += now;
            left -= now as u64;
        }
        Ok(())
    }

    async fn line(&mut self) -> Result<String> {
        loop {
            if let Some(at) = self.buffer[self.start..self.end].windows(2).position(|two| two == b"\r\n") {
                let line = String::from_utf8_lossy(&self.buffer[self.start..self.start + at]).into_owned();
                self.start += at + 2;
                return Ok(line);
            }
            self.fill().await?;
        }
    }
}

fn parse(head: &str) -> Option<(u16, Framing, bool)> {
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let (mut framing, mut reusable) = (None, true);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            framing = Some(Framing::Length(value.parse().ok()?));
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            framing = value.eq_ignore_ascii_case("chunked").then_some(Framing::Chunked);
        } else if name.eq_ignore_ascii_case("connection") {
            reusable = !value.eq_ignore_ascii_case("close");
        }
    }
    Some((status, framing?, reusable))
}

struct Check<'a> {
    expected: &'a Expected,
    seen: u64,
    same: bool,
}

impl Check<'_> {
    fn feed(&mut self, piece: &[u8]) {
        if let Expected::Text(text) = self.expected {
            let from = usize::try_from(self.seen).unwrap();
            self.same &= text.as_bytes().get(from..from + piece.len()) == Some(piece);
        }
        self.seen += piece.len() as u64;
    }

    fn passed(&self) -> bool {
        match self.expected {
            Expected::Text(text) => self.same && self.seen == text.len() as u64,
            Expected::Length(length) => self.seen == *length,
            Expected::Any => true,
        }
    }
}
