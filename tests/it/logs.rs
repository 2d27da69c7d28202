//! One line for every request, well-formed whatever the caller sends, and serving never waits for the log.

use std::os::fd::OwnedFd;
use std::process::Stdio;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::child::{Signal, eventually, folder, idp_proxy};
use crate::support::rig::ALICE;
use crate::support::slow::{Begun, Slow};
use crate::support::{Child, Upstream, client, rig};

mod canary;

/// Ends the proxy and gives its requests' lines, in their order.
async fn lines(child: &mut Child) -> Vec<Value> {
    assert_eq!(child.stop().await, Some(0), "{}", child.log());
    let log = child.log();
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    log.lines().map(parse).filter(|line: &Value| line["message"] == "request").collect()
}

#[tokio::test]
async fn every_request_is_one_json_line_that_says_what_happened() {
    let github = Upstream::replying("hello").await;
    let rig = rig().provider_at("github", &github.base_url(), "").start().await;
    let mut child = Child::serve(&rig.toml, &[]).await.ready().await;
    let relayed = child.get(rig.token(), "/proxy/github/user?page=2&q=x").await;
    let refused = child.send(rig.token(), "DELETE", "/proxy/github/user", &[]).await;
    let anonymous = client::send(&child.proxy, "GET", "/proxy/github/user", &[], b"").await;

    let lines = lines(&mut child).await;
    assert_eq!(lines.len(), 3, "{lines:#?}");
    let (first, second, third) = (&lines[0], &lines[1], &lines[2]);
    assert_eq!(first["method"], "GET");
    assert_eq!(first["path"], "/proxy/github/user?page=…&q=…");
    assert_eq!(first["provider"], "github");
    assert_eq!(first["status"], 200);
    assert_eq!(first["token_outcome"], "miss");
    assert_eq!(first["bytes_out"], 5);
    assert_eq!(first["complete"], true);
    assert_eq!(first.get("code"), None, "an answer of the provider has no code of ours: {first}");
    assert_eq!(
        (&second["status"], &second["code"], &second["fault"]),
        (&403.into(), &"not_allowed".into(), &"caller".into())
    );
    assert_eq!((&third["status"], &third["code"]), (&401.into(), &"missing_token".into()));
    assert_eq!(third.get("sub_hash"), None, "nobody has no subject: {third}");
    assert_eq!(first["sub_hash"], second["sub_hash"], "one user, one hash");
    for (line, answer) in lines.iter().zip([relayed, refused, anonymous]) {
        assert_eq!(line["request_id"].as_str(), answer.header("x-request-id"));
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z') && line["level"].is_string(), "{line}");
        for field in ["total_ms", "verify_ms", "token_ms", "upstream_ms", "bytes_out"] {
            assert!(line[field].is_number(), "no {field} in {line}");
        }
    }
    assert!(first["upstream_ms"].as_f64().unwrap() > 0.0 && second["upstream_ms"] == 0.0, "{lines:#?}");
}

#[tokio::test]
async fn a_failure_that_is_no_callers_says_why_in_its_one_line() {
    let rig = rig().provider_at("github", "http://127.0.0.1:9", "").start().await;
    for access_log in [true, false] {
        let config = format!("{}\n[telemetry]\naccess_log = {access_log}\n", rig.toml);
        let mut child = Child::serve(&config, &[]).await.ready().await;
        let failed = child.get(rig.token(), "/proxy/github/user").await;
        child.get(rig.token(), "/proxy/unknown/user").await;
        assert_eq!(child.stop().await, Some(0));
        let log = child.log();
        let id = failed.header("x-request-id").unwrap();
        let about: Vec<&str> = log.lines().filter(|line| line.contains(id)).collect();
        assert_eq!(about.len(), 1, "{log}");
        let line: Value = serde_json::from_str(about[0]).unwrap();
        assert_eq!((&line["level"], &line["code"]), (&"WARN".into(), &"upstream_unreachable".into()));
        assert!(line["cause"].as_str().unwrap().contains("refused"), "{line}");
        assert_eq!(log.matches("\"cause\"").count(), 1, "a caller's mistake needs no cause: {log}");
    }
}

#[tokio::test]
async fn the_subjects_hash_does_not_outlive_the_process() {
    let github = Upstream::replying("hello").await;
    let rig = rig().provider("github", &github).start().await;
    let mut hashes = Vec::new();
    for _ in 0..2 {
        let mut child = Child::serve(&rig.toml, &[]).await.ready().await;
        child.get(rig.token(), "/proxy/github/user").await;
        hashes.push(lines(&mut child).await[0]["sub_hash"].clone());
        assert!(!child.log().contains(ALICE), "{}", child.log());
    }
    assert_ne!(hashes[0], hashes[1], "the salt is the same in two processes");
}

/// Heads that try to end the line, to forge another, or to paint the terminal.
const NASTY: [&[u8]; 9] = [
    b"GET /proxy/github/a\"},{\"event\":\"forged HTTP/1.1",
    b"GET /proxy/github/a\\\",\\u0022 HTTP/1.1",
    b"GET /proxy/github/%0a%0d{\"event\":\"forged\"} HTTP/1.1",
    b"GET /proxy/github/\x7f\xc2\x9b31mred HTTP/1.1",
    b"GET /proxy/github/\xc2\x85\xe2\x80\xa8\xe2\x80\xae HTTP/1.1",
    b"GET /proxy/github/a?\"forged\"=1&\xc2\x9b2J HTTP/1.1",
    b"F'O|R`G~E^D /proxy/github/a HTTP/1.1",
    b"GET /proxy/\"forged\"/a HTTP/1.1",
    b"GET /proxy/github/\xff\xfe HTTP/1.1",
];

async fn send_nasty(child: &Child, token: &str) {
    for head in NASTY {
        for nasty in ["plain", "\"forged\"\t\\", "\u{9b}31m"] {
            let mut bytes = head.to_vec();
            let rest = format!(
                "\r\nhost: localhost\r\nauthorization: Bearer {token}\r\nuser-agent: {nasty}\r\nx-a: {nasty}\r\nidp-proxy-account: {nasty}\r\nconnection: close\r\n\r\n"
            );
            bytes.extend_from_slice(rest.as_bytes());
            client::raw(&child.proxy, &bytes).await;
        }
    }
}

#[tokio::test]
async fn nothing_in_a_request_can_break_or_forge_a_json_line() {
    let github = Upstream::replying("hello").await.allow(&["x-a"]);
    let rig = rig().provider("github", &github).start().await;
    let mut child = Child::serve(&rig.toml, &[("IDP_PROXY_LOG", "trace")]).await.ready().await;
    send_nasty(&child, rig.token()).await;
    let lines = lines(&mut child).await;
    assert!(lines.len() >= NASTY.len(), "{lines:#?}");
    for line in child.log().lines() {
        assert!(!line.contains(|character: char| character.is_control()), "a control character in {line:?}");
    }
}

#[tokio::test]
async fn nothing_in_a_request_can_paint_the_terminal_or_forge_a_text_line() {
    let github = Upstream::replying("hello").await.allow(&["x-a"]);
    let rig = rig().provider("github", &github).with("telemetry", "log_format = \"text\"").start().await;
    let mut child = Child::serve(&rig.toml, &[("IDP_PROXY_LOG", "trace")]).await.ready().await;
    send_nasty(&child, rig.token()).await;
    assert_eq!(child.stop().await, Some(0));
    let log = child.log();
    let is_wild = |character: char| character.is_control() || matches!(character, '\u{2028}'..='\u{202e}');
    for line in log.lines() {
        assert!(!line.contains(is_wild), "a control character in {line:?}");
    }
    assert!(log.matches("  id=").count() >= NASTY.len(), "{log}");
}

#[tokio::test]
async fn a_caller_that_leaves_early_is_one_line_as_well() {
    let slow = Slow::start().await;
    let silent = Upstream::raw(|stream| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let rig = rig().provider("github", &slow.upstream).provider("google", &silent).start().await;
    let mut child = Child::serve(&rig.toml, &[]).await.ready().await;
    // In the middle of the answer.
    drop(Begun::get(&child.proxy, rig.token(), "/proxy/github/user").await);
    child.logged("/proxy/github/user").await;
    // Before there is one.
    let mut stream = TcpStream::connect(&child.proxy).await.unwrap();
    let head =
        format!("GET /proxy/google/user HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\r\n", rig.token());
    stream.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    drop(stream);
    child.logged("/proxy/google/user").await;

    let lines = lines(&mut child).await;
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert_eq!((&lines[0]["status"], &lines[0]["complete"]), (&200.into(), &false.into()));
    assert_eq!((&lines[1]["status"], &lines[1]["complete"]), (&0.into(), &false.into()));
}

#[tokio::test]
async fn no_line_is_written_when_the_configuration_says_so_and_text_when_it_says_text() {
    let github = Upstream::replying("hello").await;
    for (lines, expected) in [("access_log = false", 0), ("log_format = \"text\"", 1), ("log_format = \"json\"", 1)] {
        let rig = rig().provider("github", &github).with("telemetry", lines).start().await;
        let mut child = Child::serve(&rig.toml, &[]).await.ready().await;
        child.get(rig.token(), "/proxy/github/user").await;
        assert_eq!(child.stop().await, Some(0));
        assert_eq!(child.log().matches("/proxy/github/user").count(), expected, "{lines}: {}", child.log());
        assert_eq!(child.log().contains("{\""), !lines.contains("text"), "{lines}: {}", child.log());
    }
}

#[tokio::test]
async fn a_log_that_nobody_reads_does_not_stop_serving() {
    let github = Upstream::replying("hello").await;
    let rig = rig().provider("github", &github).start().await;
    // A pipe whose other end is open and never read.
    let (unread, pipe) = std::os::unix::net::UnixStream::pair().unwrap();
    let folder = folder();
    std::fs::write(folder.join("proxy.toml"), &rig.toml).unwrap();
    let mut command = idp_proxy(&["serve"]);
    command.current_dir(&folder).stdout(Stdio::piped()).stderr(Stdio::from(OwnedFd::from(pipe)));
    let mut process = command.spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(process.stdout.take().unwrap()), &mut line).unwrap();
    let proxy = line.split(['/', ' ']).nth(3).unwrap().to_owned();
    // More than the pipe takes: every path is written.
    let authorization = format!("Bearer {}", rig.token());
    let path = format!("/proxy/github/{}", "word/".repeat(1000));
    for _ in 0..200 {
        let answer = client::send(&proxy, "GET", &path, &[("authorization", &authorization)], b"").await;
        // The keys may be on their way at first.
        assert!(matches!(answer.status, 200 | 503), "{}", answer.text());
    }
    let pid = rustix::process::Pid::from_child(&process);
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    let ended = eventually(|| process.try_wait().unwrap()).await;
    let _ = process.kill();
    let _ = std::fs::remove_dir_all(folder);
    drop(unread);
    assert_eq!(ended.expect("it ends although nobody reads its log").code(), Some(0));
}
