//! The provider's place: a server written by hand over raw sockets, so that it is never the slowest of the three.
//!
//! `GET /json` answers 1 KiB, `GET /bytes/N` and `GET /text/N` stream N bytes, `POST /sink` swallows a body and says
//! how long it was, `POST /token` renews. A request that carries anything but a provider's token is refused with 401, and the load counts
//! that as a failure: whoever forwards the caller's own token cannot pass a row.

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

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
        say_listening(listener.local_addr().unwrap());
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
            ("POST", "/sink") => Answer::Short("200 OK", format!("received {length}")),
            _ => Answer::Short("404 Not Found", String::new()),
        };
        Self { answer, length }
    }
}
