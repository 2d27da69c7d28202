//! The real curl, as who one is: the token is handed over where nobody sees it, and everything else is curl's own.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use http::Response;
use hyper::body::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{logged_in, said};
use crate::support::child::{eventually, folder};
use crate::support::shell::Shell;
use crate::support::slow::Slow;
use crate::support::{Child, Upstream};

#[tokio::test]
async fn what_the_provider_answers_is_printed_and_curls_own_arguments_count() {
    let github = Upstream::replying("hello").await;
    let (_rig, shell) = logged_in(&github).await;
    let ran = shell.run(&["curl", "github", "/user", "--", "-s", "-i", "-H", "Accept: text/plain"]).await;
    assert_eq!((ran.code, &*ran.err), (Some(0), ""));
    assert!(ran.out.starts_with("HTTP/1.1 200 OK\r\n") && ran.out.ends_with("\r\n\r\nhello"), "{}", ran.out);
    let request = github.only();
    assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/user"));
    assert_eq!(request.all("accept"), "text/plain");
    assert!(!ran.out.contains(shell.session()["access_token"].as_str().unwrap()));
}

#[tokio::test]
async fn the_path_arrives_byte_for_byte() {
    let github = Upstream::replying("ok").await;
    let (_rig, shell) = logged_in(&github).await;
    let paths = ["/search?q=[1-3]{a,b}&x=%2F", "user?per_page=2", "/a//b/./c", "?q=1", "/a?to=https://example.com/"];
    for path in paths {
        let ran = shell.run(&["curl", "github", path, "--", "-s"]).await;
        assert_eq!(ran.code, Some(0), "{path}: {}", ran.err);
        let target = github.requests().last().map(|request| request.target.clone()).unwrap_or_default();
        let expected = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        // The proxy answers what it does not send on.
        if ran.out == "ok" {
            assert_eq!(target, expected);
        } else {
            assert!(path.contains("/./") && ran.out.contains("bad_request"), "{path}: {}", ran.out);
        }
    }
}

#[tokio::test]
async fn what_is_no_path_at_the_provider_is_told() {
    let shell = Shell::at("http://127.0.0.1:9");
    for (provider, path, expected) in [
        ("github", "https://api.github.com/user", "PATH is a path at the provider, such as /user, not a URL"),
        ("github", "/user#top", "PATH has a fragment, which is never sent; `#` in a name is written %23"),
        ("github", "/a b", "PATH has characters that no URL has; percent-encode them"),
        ("../admin", "/user", "PROVIDER is the name in /proxy/NAME/…, such as github"),
    ] {
        assert_eq!(shell.run(&["curl", provider, path]).await, said(2, &format!("error: {expected}")), "{path}");
    }
}

#[tokio::test]
async fn stdin_is_free_for_what_is_sent() {
    let github = Upstream::recording(|request| Response::new(request.body.clone().into())).await;
    let (_rig, shell) = logged_in(&github).await;
    let mut command = shell.command(&["curl", "github", "/notes", "--", "-s", "--data-binary", "@-"]);
    let mut curl = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let text = "line one\nline two\n".repeat(10_000);
    let mut stdin = curl.stdin.take().unwrap();
    let sent = text.clone();
    let writer = tokio::task::spawn_blocking(move || stdin.write_all(sent.as_bytes()).unwrap());
    let output = tokio::task::spawn_blocking(move || curl.wait_with_output().unwrap()).await.unwrap();
    writer.await.unwrap();
    assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]));
    assert!(output.stdout == text.as_bytes(), "{} bytes came back", output.stdout.len());
    assert_eq!(github.only().method, "POST");
}

#[tokio::test]
async fn no_process_can_see_the_token_while_curl_runs() {
    let slow = Slow::start().await;
    let (_rig, shell) = logged_in(&slow.upstream).await;
    let token = shell.session()["access_token"].as_str().unwrap().to_owned();
    let curl = shell.begin(&["curl", "github", "/user", "--", "-s", "-N"]);
    let of_curl = |file: &str| std::fs::read(format!("/proc/{}/{file}", curl.id())).unwrap_or_default();
    let arguments = eventually(|| Some(of_curl("cmdline")).filter(|arguments| arguments.starts_with(b"curl\0"))).await;
    let arguments = String::from_utf8(arguments.expect("curl runs in the same process")).unwrap();
    assert!(arguments.contains("/proxy/github/user"), "{arguments:?}");
    let environment = String::from_utf8_lossy(&of_curl("environ")).into_owned();
    assert!(environment.contains("IDP_PROXY_URL"), "{environment:?}");
    for (place, text) in [("arguments", &arguments), ("environment", &environment)] {
        assert!(!text.contains(&token) && !text.contains("Bearer"), "the token is among the {place}");
    }
    slow.finish();
    let ran = shell.end(curl).await;
    assert_eq!((ran.code, &*ran.out), (Some(0), "hello world"));
}

#[tokio::test]
async fn curls_exit_code_is_passed_on() {
    let github = Upstream::recording(|_| {
        let mut answer = Response::new(Bytes::from_static(b"no"));
        *answer.status_mut() = http::StatusCode::NOT_FOUND;
        answer
    });
    let github = github.await;
    let (rig, shell) = logged_in(&github).await;
    assert_eq!(shell.run(&["curl", "github", "/user", "--", "-s", "-f"]).await.code, Some(22));
    let ran = shell.run(&["curl", "gitlab", "/user", "--", "-s"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains("unknown_provider"), "{}", ran.out);
    drop(rig);
    assert_eq!(shell.run(&["curl", "github", "/user", "--", "-s", "--connect-timeout", "5"]).await.code, Some(7));
}

#[tokio::test]
async fn a_redirect_elsewhere_is_followed_without_the_token() {
    let elsewhere = Upstream::raw(tell_the_head).await;
    let there = elsewhere.base_url().replace("127.0.0.1", "localhost");
    let github = Upstream::recording(move |_| {
        let answer = Response::builder().status(302).header("location", format!("{there}/landing"));
        answer.body(Bytes::new()).unwrap()
    });
    let github = github.await;
    let (_rig, shell) = logged_in(&github).await;
    let ran = shell.run(&["curl", "github", "/download", "--", "-s", "-L"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.starts_with("GET /landing HTTP/1.1\r\n"), "{}", ran.out);
    assert!(!ran.out.to_ascii_lowercase().contains("authorization"), "{}", ran.out);
}

/// Answers with the request's own head.
async fn tell_the_head(mut stream: TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if !matches!(stream.read_buf(&mut head).await, Ok(count) if count > 0) {
            return;
        }
    }
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", head.len());
    let _ = stream.write_all(&[answer.as_bytes(), &head].concat()).await;
}

#[tokio::test]
async fn a_proxy_of_the_environments_does_not_read_what_goes_to_this_machine() {
    let github = Upstream::replying("hello").await;
    let (_rig, shell) = logged_in(&github).await;
    let mut command = shell.command(&["curl", "github", "/user", "--", "-s"]);
    command.env("http_proxy", "http://127.0.0.1:9").env("all_proxy", "http://127.0.0.1:9").env_remove("no_proxy");
    let ran = shell.end(Child::spawn(command)).await;
    assert_eq!((ran.code, &*ran.out), (Some(0), "hello"), "{}", ran.err);
}

#[tokio::test]
async fn without_curl_the_cure_is_told() {
    let github = Upstream::replying("hello").await;
    let (_rig, shell) = logged_in(&github).await;
    let empty = folder();
    let mut command = shell.command(&["curl", "github", "/user"]);
    command.env("PATH", &empty);
    let expected = "error: curl is not there; install it, or use `idp-proxy token` with another client";
    assert_eq!(shell.end(Child::spawn(command)).await, said(2, expected));
    // One that cannot be run is another matter.
    std::fs::write(empty.join("curl"), "no program").unwrap();
    std::fs::set_permissions(empty.join("curl"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut command = shell.command(&["curl", "github", "/user"]);
    command.env("PATH", &empty);
    assert_eq!(shell.end(Child::spawn(command)).await.code, Some(1));
    let _ = std::fs::remove_dir_all(empty);
}
