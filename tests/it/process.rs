//! `serve` as a process: the line by which it is found, its exit codes, how it ends and what it survives.

use std::process::Command;
use std::time::Duration;

use http::Response;
use hyper::body::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::child::{BINARY, PATIENCE, Signal, folder, idp_proxy};
use crate::support::slow::{Begun, Slow};
use crate::support::wire::{Wire, head};
use crate::support::{Child, Rig, Upstream, client, rig};

/// A provider that nobody calls.
const NOWHERE: &str = "http://127.0.0.1:9";

/// For tests about the process alone.
async fn idle_rig() -> Rig {
    rig().provider_at("github", NOWHERE, "").start().await
}

#[tokio::test]
async fn serve_prints_one_line_and_ends_with_zero_after_sigterm_and_sigint() {
    let rig = idle_rig().await;
    for signal in [Signal::TERM, Signal::INT] {
        let mut child = Child::serve(&rig.toml, &[]).await.ready().await;
        child.signal(signal);
        assert_eq!(child.exit().await.code(), Some(0), "{signal:?}: {}", child.log());
        let line = format!("listening proxy=http://{} admin=http://{}\n", child.proxy, child.admin);
        assert_eq!(child.out(), line);
    }
}

#[tokio::test]
async fn bad_usage_ends_with_2_and_says_why_on_stderr() {
    for arguments in [&["serve", "--no-such-flag"][..], &["serve", "--config"], &["swim"], &[]] {
        let mut child = Child::spawn(idp_proxy(arguments));
        assert_eq!(child.exit().await.code(), Some(2), "{arguments:?}");
        assert!(!child.log().is_empty(), "{arguments:?}");
        assert_eq!(child.out(), "", "{arguments:?}");
    }
}

#[tokio::test]
async fn a_bad_configuration_ends_with_2_and_tells_every_fault_before_anything_listens() {
    let rig = idle_rig().await;
    let faulty = rig.toml.replace("[server]", "[server]\nworkerz = 3").replace("client_id", "klient_id");
    let folder = folder();
    std::fs::write(folder.join("proxy.toml"), faulty).unwrap();
    let mut child = Child::spawn_in(idp_proxy(&["serve"]), folder);
    assert_eq!(child.exit().await.code(), Some(2));
    assert_eq!(child.out(), "", "it announced an address");
    for piece in ["proxy.toml:2:1: error:", "workerz", "workers", "klient_id", "client_id"] {
        assert!(child.log().contains(piece), "no {piece} in {}", child.log());
    }
}

#[tokio::test]
async fn a_missing_configuration_ends_with_2_and_names_the_file() {
    let mut child = Child::spawn(idp_proxy(&["serve", "--config", "elsewhere.toml"]));
    assert_eq!(child.exit().await.code(), Some(2));
    assert!(child.log().contains("elsewhere.toml"), "{}", child.log());
}

#[tokio::test]
async fn a_busy_port_ends_with_1_and_names_the_address() {
    let rig = idle_rig().await;
    for key in ["listen", "admin_listen"] {
        let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = busy.local_addr().unwrap().to_string();
        let folder = folder();
        let config = rig.toml.replacen(&format!("\n{key} = \"127.0.0.1:0\""), &format!("\n{key} = \"{address}\""), 1);
        assert!(config.contains(&address));
        std::fs::write(folder.join("proxy.toml"), config).unwrap();
        let mut child = Child::spawn_in(idp_proxy(&["serve"]), folder);
        assert_eq!(child.exit().await.code(), Some(1), "{key}: {}", child.log());
        assert!(child.log().contains(&address), "{key}: {}", child.log());
        assert_eq!(child.out(), "", "{key}");
    }
}

#[tokio::test]
async fn sigterm_lets_a_running_answer_finish_and_takes_nothing_new() {
    let slow = Slow::start().await;
    let rig = rig().provider("github", &slow.upstream).start().await;
    let mut child = Child::serve(&rig.toml, &[]).await.ready().await;
    let begun = Begun::get(&child.proxy, rig.token(), "/proxy/github/user").await;
    child.signal(Signal::TERM);
    child.logged("draining").await;

    assert_eq!(child.admin("/readyz").await.status, 503);
    assert_eq!(child.admin("/healthz").await.status, 200);
    wait_until_refused(&child.proxy).await;
    slow.finish();
    assert_eq!(begun.rest().await, "world");
    assert_eq!(child.exit().await.code(), Some(0));
    assert!(!child.log().contains("cut off"), "{}", child.log());
}

/// The listener closes a moment after the drain was announced.
async fn wait_until_refused(address: &str) {
    let refused = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, refused).await;
    assert!(waited.is_ok(), "new connections are still accepted");
}

#[tokio::test]
async fn a_drain_that_is_cut_ends_with_0_and_says_so() {
    let slow = Slow::start().await;
    let rig = rig().provider("github", &slow.upstream).with("limits", "drain = \"300ms\"").start().await;
    let mut child = Child::serve(&rig.toml, &[]).await.ready().await;
    let begun = Begun::get(&child.proxy, rig.token(), "/proxy/github/user").await;
    assert_eq!(child.stop().await, Some(0));
    assert_eq!(begun.rest().await, "", "the caller must see that the answer broke off");
    assert!(child.log().contains("cut off"), "{}", child.log());
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_the_drain_up() {
    let rig = rig().provider_at("github", NOWHERE, "").with("limits", "drain = \"10m\"").start().await;
    let mut child = Child::serve(&rig.toml, &[]).await.ready().await;
    let _silent = TcpStream::connect(&child.proxy).await.unwrap();
    let mut used = TcpStream::connect(&child.proxy).await.unwrap();
    used.write_all(b"GET /nothing HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(client::read_answer(&mut used, false).await.status, 404);
    assert_eq!(child.stop().await, Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let slow = Slow::start().await;
    let rig = rig().provider("github", &slow.upstream).with("limits", "drain = \"10m\"").start().await;
    for second in [Signal::TERM, Signal::INT] {
        let mut child = Child::serve(&rig.toml, &[]).await.ready().await;
        let _begun = Begun::get(&child.proxy, rig.token(), "/proxy/github/user").await;
        child.signal(Signal::TERM);
        child.logged("draining").await;
        child.signal(second);
        assert_eq!(child.exit().await.code(), Some(0), "{}", child.log());
    }
}

#[tokio::test]
async fn after_kill_9_it_starts_again_on_the_same_port() {
    let github = Upstream::replying("hello").await;
    let rig = rig().provider("github", &github).start().await;
    let mut child = Child::serve(&rig.toml, &[]).await.ready().await;
    // Connections that were open leave the port in TIME_WAIT.
    let _open = TcpStream::connect(&child.proxy).await.unwrap();
    assert_eq!(child.get(rig.token(), "/proxy/github/user").await.status, 200);
    child.signal(Signal::KILL);
    assert_eq!(child.exit().await.code(), None);

    let config = rig.toml.replacen("\nlisten = \"127.0.0.1:0\"", &format!("\nlisten = \"{}\"", child.proxy), 1);
    let again = Child::serve(&config, &[]).await.ready().await;
    assert_eq!(again.proxy, child.proxy);
    assert_eq!(again.get(rig.token(), "/proxy/github/user").await.text(), "hello");
}

#[tokio::test]
async fn it_starts_while_the_tenant_is_down_and_becomes_ready_when_it_is_back() {
    let github = Upstream::replying("hello").await;
    let rig = rig().provider("github", &github).with_tenant_down().start().await;
    let child = Child::serve(&rig.toml, &[]).await;
    assert_eq!(child.admin("/healthz").await.status, 200);
    assert_eq!(child.admin("/readyz").await.status, 503);
    let refused = child.get(rig.token(), "/proxy/github/user").await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "tenant_unavailable"));
    assert!(refused.header("retry-after").is_some());

    rig.tenant.up().await.unwrap();
    let child = child.ready().await;
    assert_eq!(child.get(rig.token(), "/proxy/github/user").await.text(), "hello");
}

#[tokio::test]
async fn out_of_descriptors_it_waits_and_serves_again_afterwards() {
    let github = Upstream::replying("hello").await;
    let rig = rig().provider("github", &github).start().await;
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -n 64; exec '{BINARY}' serve")]);
    let mut child = Child::serve_by(command, &rig.toml).await.ready().await;
    // The kernel's queue may be shorter than the crowd; who does not get in tries again, much later.
    let mut crowd = JoinSet::new();
    for _ in 0..300 {
        crowd.spawn(tokio::time::timeout(Duration::from_millis(500), TcpStream::connect(child.proxy.clone())));
    }
    let crowd = crowd.join_all().await;
    let inside = crowd.iter().filter(|attempt| matches!(attempt, Ok(Ok(_)))).count();
    assert!(inside > 64, "only {inside} of the crowd got in");
    child.logged("cannot accept a connection").await;
    drop(crowd);
    for _ in 0..3 {
        assert_eq!(child.get(rig.token(), "/proxy/github/user").await.text(), "hello");
    }
    assert_eq!(child.stop().await, Some(0));
}

#[tokio::test]
async fn out_of_descriptors_it_does_not_blame_the_provider() {
    // Nothing is left to be used again, so each request needs a connection of its own.
    let github = Upstream::recording(|_| {
        Response::builder().header("connection", "close").body(Bytes::from_static(b"hello")).unwrap()
    })
    .await;
    let rig = rig().provider("github", &github).start().await;
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -n 64; exec '{BINARY}' serve")]);
    let child = Child::serve_by(command, &rig.toml).await.ready().await;
    assert_eq!(child.get(rig.token(), "/proxy/github/user").await.text(), "hello");
    let mut crowd = Vec::new();
    for _ in 0..80 {
        crowd.push(Wire::to(&child.proxy).await);
    }
    child.logged("cannot accept a connection").await;
    // A descriptor that comes free is soon taken by one more of the crowd.
    let mut answer = None;
    for caller in &mut crowd[..20] {
        caller.send(head(&rig, "GET /proxy/github/user", "")).await;
        answer = Some(caller.answer("GET").await).filter(|answer| answer.status != 200);
        if answer.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let answer = answer.expect("somebody is told that there is no room");
    assert_eq!((answer.status, answer.code().as_str()), (503, "overloaded"), "{}", child.log());
    assert_eq!(answer.json()["fault"], "proxy");
    assert!(answer.header("retry-after").is_some());
}

#[tokio::test]
async fn it_raises_its_own_limit_of_descriptors_to_what_the_system_allows() {
    let rig = idle_rig().await;
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -Sn 64; ulimit -Hn 512; exec '{BINARY}' serve")]);
    let child = Child::serve_by(command, &rig.toml).await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(line.split_whitespace().skip(3).take(2).collect::<Vec<_>>(), ["512", "512"], "{line}");
}

#[tokio::test]
async fn more_callers_than_the_limit_wait_until_one_leaves() {
    let rig = rig().provider_at("github", NOWHERE, "").with("limits", "connections = 2").start().await;
    let first = TcpStream::connect(rig.address()).await.unwrap();
    let _second = TcpStream::connect(rig.address()).await.unwrap();
    // Both are taken before the third asks; the queue keeps its order.
    let address = rig.address();
    let third = tokio::spawn(async move { client::send(&address, "GET", "/", &[], b"").await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!third.is_finished(), "the third was served beside two others");
    drop(first);
    assert_eq!(third.await.unwrap().status, 404);
}

#[tokio::test]
async fn a_crash_leaves_no_core_file_with_tokens_in_it() {
    use std::os::unix::process::ExitStatusExt;
    let rig = idle_rig().await;
    let crash = |script: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -c unlimited; {script}")]);
        command
    };
    let mut child = Child::serve_by(crash(&format!("exec '{BINARY}' serve")), &rig.toml).await;
    child.signal(Signal::ABORT);
    let status = child.exit().await;
    assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()));
    assert!(!status.core_dumped(), "it dumped core");
    assert_eq!(std::fs::read_dir(&child.folder).unwrap().count(), 1, "something was left beside proxy.toml");
}
