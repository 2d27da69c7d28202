//! A real browser: Debian's Chromium, driven by a script of `tests/browser` in Node. `tests/run` installs both.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use super::{Upstream, child, program};

const CHROMIUM: &str = "/usr/bin/chromium";

/// What Chromium sends of its own accord, and a provider may see.
pub const HEADERS: [&str; 7] = [
    "priority",
    "sec-ch-ua",
    "sec-ch-ua-mobile",
    "sec-ch-ua-platform",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
];

/// One browser at a time: it is the largest program that the tests start, and as busy as the machine lets it be.
static TURN: Mutex<()> = Mutex::const_new(());

/// Runs `tests/browser/NAME.js` to its end, which must be a good one, with `input`. What it printed last. Its pictures of
/// pages, and what a failure looked like, are in `target/tmp/browser`.
pub async fn run(name: &str, input: &Value) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let has_all = folder.join("node_modules/playwright-core").exists() && Path::new(CHROMIUM).exists();
    assert!(has_all, "Chromium or playwright-core is missing; tests/run installs them");
    let script = folder.join(name).with_extension("js");
    let mut command = Command::new("node");
    command.arg(&script).env("INPUT", input.to_string()).env("NAME", name).env("CHROMIUM", CHROMIUM);
    command.env("SHOTS", Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser"));
    let _turn = TURN.lock().await;
    program::run(command, child::folder(), &script.display().to_string()).await
}

/// An application's server: an empty page, whatever is asked for. A page that no server sent would be from nowhere, and may
/// not call this machine.
pub async fn page() -> Upstream {
    Upstream::raw(send_page).await
}

async fn send_page(mut stream: TcpStream) {
    let mut request = [0; 4096];
    // A browser opens connections that it may not need.
    if stream.read(&mut request).await.is_ok_and(|length| length > 0) {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 15\r\nconnection: close\r\n\r\n<!doctype html>";
        stream.write_all(answer).await.unwrap();
    }
}
