//! Programs of official clients: README.md's snippet for a client, as it stands there, and further calls behind it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{Child, readme};

/// The addresses that README.md writes, each for what a test has in its place.
const PROXY: &str = "https://proxy.example.com";
const GOOGLE: &str = "https://google.proxy.example.com";

/// README.md's block `kind` and the calls in the file `calls`, for a proxy that is seen at `proxy` and has Google's host
/// name at `google`.
pub fn text(kind: &str, calls: &Path, proxy: &str, google: &str) -> String {
    let snippet = readme::block(kind).text;
    let calls = std::fs::read_to_string(calls).unwrap_or_else(|error| panic!("{}: {error}", calls.display()));
    let host = proxy.trim_start_matches("https://").split(':').next().unwrap();
    format!("{snippet}\n{calls}")
        .replace(GOOGLE, google)
        .replace(PROXY, proxy)
        // What is left of it stands alone.
        .replace(PROXY.trim_start_matches("https://"), host)
}

/// Runs the program to its end in `place`, which must be a good one. What it printed last, which is JSON: some clients
/// have a greeting.
pub async fn run(command: Command, place: PathBuf, text: &str) -> Value {
    let mut child = Child::spawn_in(command, place);
    let status = child.exit().await;
    assert!(status.success(), "{}\n{}\nby\n{text}", child.out(), child.log());
    let out = child.out();
    let line = out.lines().last().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {out}\n{}", child.log()))
}
