//! The provider's place: a server written by hand over raw sockets, so that it is never the slowest of the three.
//!
//! `GET /json` answers 1 KiB, `GET /bytes/N` and `GET /text/N` stream N bytes, `GET /prose/N`, `/gzip/N`, `/zstd/N` and
//! `/links/N` N bytes of what APIs answer, in the first two cases compressed, `POST /sink` swallows a body and says how long it was, `POST /token` renews. A request that carries anything but a provider's token is refused with 401, and the load counts
//! that as a failure: whoever forwards the caller's own token cannot pass a row.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, OnceLock};

use compression_codecs::core::Level;
use compression_codecs::core::util::{PartialBuffer, WriteBuffer};
use compression_codecs::flate::params::FlateEncoderParams;
use compression_codecs::{EncodeV2, GzipEncoder, ZstdEncoder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::child::say_listening;

/// Every token that the tenant hands out, and the floor's, begins with this.
pub const TOKEN_PREFIX: &str = "gho_bench";

const PIECE: usize = 64 * 1024;

/// The body of `/json`: 1 KiB of what APIs answer.
pub static JSON: LazyLock<String> = LazyLock::new(|| {
    let mut body = String::from(r#"{"login":"octocat","items":["#);
    while body.len() < 900 {
        body.push_str(r#"{"id":583231,"name":"Hello-World","private":false,"fork":true},"#);
    }
    body.push_str(r#"null],"pad":""#);
    while body.len() < 1022 {
        body.push('g');
    }
    body.push_str("\"}");
    body
});

/// `role-upstream`
pub fn run() {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        HERE.set(format!("http://{address}")).unwrap();
        say_listening(address);
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            // The proxy closing its connection, at once or in the middle, is no fault of this side.
            tokio::spawn(async move { drop(converse(stream).await) });
        }
    });
}

async fn converse(mut stream: TcpStream) -> std::io::Result<()> {
    let json = render("200 OK", "application/json; charset=utf-8", &JSON);
    let mut buffer = vec![0_u8; PIECE];
    let mut filled = 0;
    loop {
        let head_end = loop {
            if let Some(at) = buffer[..filled].windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(filled < buffer.len(), "a request head of 64 KiB");
            match stream.read(&mut buffer[filled..]).await? {
                0 => return Ok(()),
                more => filled += more,
            }
        };
        let head = Head::parse(&buffer[..head_end]);
        let here = (filled - head_end).min(head.length);
        let mut missing = head.length - here;
        buffer.copy_within(head_end + here..filled, 0);
        filled -= head_end + here;
        // What follows a body that is still arriving can only be the body: the buffer is free to swallow it.
        while missing > 0 {
            let room = missing.min(buffer.len());
            match stream.read(&mut buffer[..room]).await? {
                0 => return Ok(()),
                more => missing -= more,
            }
        }
        match head.answer {
            Answer::Json => stream.write_all(&json).await?,
            Answer::Stream(kind, length) => pour(&mut stream, kind, length).await?,
            Answer::Pieces(pieces, count) => pieces.pour(&mut stream, count).await?,
            Answer::Short(status, body) => stream.write_all(&render(status, "text/plain", &body)).await?,
        }
    }
}

fn render(status: &str, content_type: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\ncontent-type: {content_type}\r\n\
         content-length: {}\r\ncache-control: private, max-age=60\r\netag: \"6d8f\"\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

async fn pour(stream: &mut TcpStream, content_type: &str, length: usize) -> std::io::Result<()> {
    let piece: Vec<u8> = b"The quick brown gopher ghosts over.\n".iter().copied().cycle().take(PIECE).collect();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut left = length;
    while left > 0 {
        let now = left.min(PIECE);
        stream.write_all(&piece[..now]).await?;
        left -= now;
    }
    Ok(())
}

/// What is sent again and again: 64 KiB of text, as it is or compressed.
struct Pieces {
    lines: &'static str,
    piece: Vec<u8>,
}

/// Where this provider is.
static HERE: OnceLock<String> = OnceLock::new();

static PROSE: LazyLock<Pieces> =
    LazyLock::new(|| Pieces { lines: "content-type: application/json\r\n", piece: text("") });
static LINKS: LazyLock<Pieces> =
    LazyLock::new(|| Pieces { lines: "content-type: application/json\r\n", piece: text(HERE.get().unwrap()) });
static GZIP: LazyLock<Pieces> = LazyLock::new(|| {
    let encoder = GzipEncoder::new(FlateEncoderParams::from(Level::Default));
    Pieces { lines: "content-type: application/json\r\ncontent-encoding: gzip\r\n", piece: compressed(encoder) }
});
static ZSTD: LazyLock<Pieces> = LazyLock::new(|| Pieces {
    lines: "content-type: application/json\r\ncontent-encoding: zstd\r\n",
    piece: compressed(ZstdEncoder::new(3)),
});

/// Records like those of an API, each with two URLs, under `base` or without a host. Numbers differ, so that it is packed
/// some five times.
fn text(base: &str) -> Vec<u8> {
    let (mut text, mut number) = (Vec::with_capacity(PIECE), 1_u64);
    while text.len() < PIECE {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (id, name) = (number >> 40, number >> 20);
        text.extend(format!(
            "{{\"id\":{id},\"name\":\"n{name:x}\",\"url\":\"{base}/items/{id}\",\"next\":\"{base}/items?page={id}\",\"fork\":false}}\n"
        ).into_bytes());
    }
    // JSON may end in spaces, and not in the middle of a record.
    let end = text[..PIECE].iter().rposition(|byte| *byte == b'\n').unwrap();
    text.truncate(end);
    text.resize(PIECE, b' ');
    text
}

/// A gzip member or a zstd frame; more of them may follow.
fn compressed(mut encoder: impl EncodeV2) -> Vec<u8> {
    let (text, mut room) = (text(""), vec![0; 2 * PIECE]);
    let mut input = PartialBuffer::new(text.as_slice());
    let mut output = WriteBuffer::new_initialized(&mut room);
    while !input.unwritten().is_empty() {
        encoder.encode(&mut input, &mut output).unwrap();
    }
    assert!(encoder.finish(&mut output).unwrap());
    let packed = output.written().to_vec();
    assert!((PIECE / 10..PIECE / 2).contains(&packed.len()), "{} bytes", packed.len());
    packed
}

impl Pieces {
    async fn pour(&self, stream: &mut TcpStream, count: usize) -> std::io::Result<()> {
        let (lines, length) = (self.lines, self.piece.len() * count);
        stream.write_all(format!("HTTP/1.1 200 OK\r\n{lines}content-length: {length}\r\n\r\n").as_bytes()).await?;
        for _ in 0..count {
            stream.write_all(&self.piece).await?;
        }
        Ok(())
    }
}

/// A renewal: both tokens are new, and the access token lives for a second.
fn renewed() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let (number, fill) = (COUNT.fetch_add(1, Ordering::Relaxed), "0123456789abcdef".repeat(10));
    format!(
        r#"{{"access_token":"{TOKEN_PREFIX}_{number:0>10}_{fill}","token_type":"bearer","expires_in":1,"refresh_token":"next_{number:0>10}_{fill}"}}"#
    )
}

enum Answer {
    Json,
    Stream(&'static str, usize),
    Pieces(&'static Pieces, usize),
    Short(&'static str, String),
}

struct Head {
    answer: Answer,
    length: usize,
}

impl Head {
    fn parse(bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes).unwrap();
        let mut lines = text.split("\r\n");
        let mut words = lines.next().unwrap().split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let (mut length, mut trusted) = (0, false);
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().unwrap();
            } else if name.eq_ignore_ascii_case("authorization") {
                trusted = value.strip_prefix("Bearer ").is_some_and(|token| token.starts_with(TOKEN_PREFIX));
            }
        }
        let number = || path.rsplit('/').next().and_then(|digits| digits.parse().ok()).unwrap_or(0);
        let answer = match (method, path) {
            ("POST", "/token") => Answer::Short("200 OK", renewed()),
            _ if !trusted => Answer::Short("401 Unauthorized", "not a provider's token".to_owned()),
            ("GET", "/json") => Answer::Json,
            ("GET", path) if path.starts_with("/bytes/") => Answer::Stream("application/octet-stream", number()),
            ("GET", path) if path.starts_with("/text/") => Answer::Stream("text/plain; charset=utf-8", number()),
            ("GET", path) if path.starts_with("/prose/") => Answer::Pieces(&PROSE, number() / PIECE),
            ("GET", path) if path.starts_with("/links/") => Answer::Pieces(&LINKS, number() / PIECE),
            ("GET", path) if path.starts_with("/gzip/") => Answer::Pieces(&GZIP, number() / PIECE),
            ("GET", path) if path.starts_with("/zstd/") => Answer::Pieces(&ZSTD, number() / PIECE),
            ("POST", "/sink") => Answer::Short("200 OK", format!("received {length}")),
            _ => Answer::Short("404 Not Found", String::new()),
        };
        Self { answer, length }
    }
}
