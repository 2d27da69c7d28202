//! The token as a configuration for `curl -K -`, and on no screen.

use std::process::{Command, Output};

use super::logged_in;
use crate::support::Upstream;
use crate::support::child::BINARY;
use crate::support::shell::Shell;

/// What a line of a shell came to.
async fn sh(shell: &Shell, line: &str) -> Output {
    let mut command = shell.with_environment(Command::new("sh"));
    command.args(["-c", line]);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test]
async fn curl_reads_it_from_a_pipe() {
    let github = Upstream::replying("hello").await;
    let (_rig, shell) = logged_in(&github).await;
    let ran = shell.run(&["curlrc"]).await;
    let token = shell.session()["access_token"].as_str().unwrap().to_owned();
    assert_eq!((ran.code, &*ran.err), (Some(0), ""));
    assert_eq!(ran.out, format!("header = \"Authorization: Bearer {token}\"\n"));
    let output = sh(&shell, &format!("'{BINARY}' curlrc | curl -s -K - '{}/proxy/github/user'", shell.proxy)).await;
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "hello");
}

#[tokio::test]
async fn a_terminal_is_shown_it_only_when_that_is_asked_for() {
    let github = Upstream::replying("hello").await;
    let (_rig, shell) = logged_in(&github).await;
    let token = shell.session()["access_token"].as_str().unwrap().to_owned();
    let on_terminal = async |command: &str| {
        let output = sh(&shell, &format!("script -qec \"'{BINARY}' {command}\" /dev/null </dev/null")).await;
        (output.status.code(), String::from_utf8(output.stdout).unwrap().replace("\r\n", "\n"))
    };
    let expected = "error: this would show your token on the screen; use it as `idp-proxy curlrc | curl -K - URL`, or add \
                    --force\n";
    assert_eq!(on_terminal("curlrc").await, (Some(2), expected.to_owned()));
    let (code, shown) = on_terminal("curlrc --force").await;
    assert!(code == Some(0) && shown.contains(&token), "{shown}");
}
