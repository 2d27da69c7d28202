//! TLS with callers: with the files that `[server] tls` names, in the HTTP version that the handshake settles, and under
//! the same limits as without it.

use std::time::Duration;

use http::{Response, Version};
use hyper::body::Bytes;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::{HandshakeKind, NamedGroup};

use crate::support::child::{Signal, eventually, folder, idp_proxy};
use crate::support::frames::{Frames, Outcome};
use crate::support::https::{Authority, Shown};
use crate::support::rig::provider_token;
use crate::support::slow::Slow;
use crate::support::wire::{Wire, head_with, soon};
use crate::support::{Child, Rig, Upstream, rig};

const TLS: &str = "tls = { cert = \"cert.pem\", key = \"key.pem\" }";
const BOTH: &[&str] = &["h2", "http/1.1"];
const DONE: &str = "\"configuration reloaded\"";
const REFUSED: &str = "the old one stays in force";

/// The configuration of `rig`, with TLS.
fn with_tls(rig: &Rig) -> String {
    rig.toml.replacen("[server]\n", &format!("[server]\n{TLS}\n"), 1)
}

/// A proxy process that shows `shown`, with the surroundings of `rig`.
async fn serve(rig: &Rig, shown: &Shown) -> Child {
    let folder = folder();
    std::fs::write(folder.join("proxy.toml"), with_tls(rig)).unwrap();
    shown.put(&folder);
    let mut command = idp_proxy(&["serve"]);
    command.env("IDP_PROXY_LOG", "debug");
    Child::spawn_in(command, folder).listening().await.ready().await
}

/// The same with an authority of its own.
async fn served(rig: &Rig) -> (Child, Authority) {
    let authority = Authority::new();
    let child = serve(rig, &authority.certificate("127.0.0.1")).await;
    (child, authority)
}

fn get(rig: &Rig, path: &str) -> String {
    head_with(rig, rig.token(), &format!("GET {path}"), "")
}

/// Waits until the log holds `piece` more often than `count` times.
async fn said_again(child: &Child, piece: &str, count: usize) {
    let said = eventually(|| (child.log().matches(piece).count() > count).then_some(())).await;
    assert!(said.is_some(), "no further `{piece}` in\n{}", child.log());
}

#[tokio::test]
async fn the_version_is_the_one_that_the_handshake_settles_and_the_token_is_replaced() {
    let github = Upstream::replying("hello").await;
    let rig = rig().provider("github", &github).start().await;
    let (child, authority) = served(&rig).await;
    assert!(
        child.out().starts_with(&format!("listening proxy=https://{} admin=http://", child.proxy)),
        "{}",
        child.out()
    );
    let url = format!("https://{}/proxy/github/user", child.proxy);
    for (client, version) in
        [(authority.client(), Version::HTTP_2), (authority.client().http1_only(), Version::HTTP_11)]
    {
        let answer = client.build().unwrap().get(&url).bearer_auth(rig.token()).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, version), "{}", child.log());
        assert_eq!(answer.text().await.unwrap(), "hello");
    }
    let expected = format!("Bearer {}", provider_token("github"));
    assert!(
        github.requests().iter().all(|request| request.all("authorization") == expected),
        "{:?}",
        github.requests()
    );
    assert_eq!(github.requests().len(), 2);

    for (protocols, settled) in
        [(BOTH, Some("h2")), (&["http/1.1", "h2"], Some("h2")), (&["http/1.1"], Some("http/1.1")), (&[], None)]
    {
        let stream = authority.connect(&child.proxy, protocols).await.unwrap();
        let alpn = stream.get_ref().1.alpn_protocol().map(|protocol| String::from_utf8_lossy(protocol).into_owned());
        assert_eq!(alpn.as_deref(), settled, "{protocols:?}");
    }
    // Who names no protocol speaks HTTP/1.1, and who names none of ours is told so (RFC 7301 §3.2).
    let mut caller = Wire::over(authority.connect(&child.proxy, &[]).await.unwrap());
    caller.send(get(&rig, "/proxy/github/user")).await;
    assert_eq!(caller.answer("GET").await.text(), "hello");
    assert!(authority.connect(&child.proxy, &["spdy/3"]).await.is_err());
}

#[tokio::test]
async fn links_lead_back_to_https() {
    let github = Upstream::recording(|request| {
        let link = format!("<http://{}/user?page=2>; rel=\"next\"", request.all("host"));
        Response::builder().header("link", link).body(Bytes::new()).unwrap()
    })
    .await;
    let rig = rig().provider("github", &github).start().await;
    let (child, authority) = served(&rig).await;
    let mut caller = Wire::over(authority.connect(&child.proxy, BOTH[1..].as_ref()).await.unwrap());
    caller.send(get(&rig, "/proxy/github/user")).await;
    let next = format!("<https://{}/proxy/github/user?page=2>; rel=\"next\"", child.proxy);
    assert_eq!(caller.answer("GET").await.header("link"), Some(next.as_str()));
}

#[tokio::test]
async fn the_key_exchange_with_a_caller_can_be_hybrid() {
    let rig = rig().provider_at("github", "http://127.0.0.1:9", "").start().await;
    let (child, authority) = served(&rig).await;
    let stream = authority.connect(&child.proxy, BOTH).await.unwrap();
    let session = stream.get_ref().1;
    let group = session.negotiated_key_exchange_group().map(|group| group.name());
    assert_eq!((group, session.handshake_kind()), (Some(NamedGroup::X25519MLKEM768), Some(HandshakeKind::Full)));
}

#[tokio::test]
async fn a_new_pair_is_shown_to_new_connections_while_old_ones_go_on() {
    let github = Upstream::replying("hello").await;
    let rig = rig().provider("github", &github).start().await;
    let (child, before) = served(&rig).await;
    let mut old = Wire::over(before.connect(&child.proxy, &["http/1.1"]).await.unwrap());
    old.send(get(&rig, "/proxy/github/one")).await;
    assert_eq!(old.answer("GET").await.text(), "hello");

    let after = Authority::new();
    let shown = after.certificate("127.0.0.1");
    shown.put(&child.folder);
    child.logged(DONE).await;
    old.send(get(&rig, "/proxy/github/two")).await;
    assert_eq!(old.answer("GET").await.text(), "hello", "the open connection goes on");
    assert!(before.connect(&child.proxy, BOTH).await.is_err(), "the old certificate is still shown");
    let mut new = Wire::over(after.connect(&child.proxy, &["http/1.1"]).await.unwrap());
    new.send(get(&rig, "/proxy/github/three")).await;
    assert_eq!(new.answer("GET").await.text(), "hello");

    // A key that is another's changes nothing, and is not in the log; the right one mends it without a word from anyone.
    let refusals = child.log().matches(REFUSED).count();
    before.certificate("127.0.0.1").put_key(&child.folder);
    said_again(&child, REFUSED, refusals).await;
    assert!(child.log().contains("the private key of the first certificate"), "{}", child.log());
    assert!(after.connect(&child.proxy, BOTH).await.is_ok(), "the last good pair is not shown any more");
    let key = std::fs::read_to_string(child.folder.join("key.pem")).unwrap();
    assert!(!child.log().contains(key.lines().nth(1).unwrap()), "the key is in the log");
    let reloads = child.log().matches(DONE).count();
    shown.put_key(&child.folder);
    said_again(&child, DONE, reloads).await;
    assert!(after.connect(&child.proxy, BOTH).await.is_ok());
}

#[tokio::test]
async fn tls_begins_and_ends_with_a_restart_alone() {
    let github = Upstream::replying("hello").await;
    let rig = rig().provider("github", &github).start().await;
    let child = Child::serve(&rig.toml, &[]).await.ready().await;
    Authority::new().certificate("127.0.0.1").put(&child.folder);
    std::fs::write(child.folder.join("proxy.toml"), with_tls(&rig)).unwrap();
    child.signal(Signal::HUP);
    let line: serde_json::Value = serde_json::from_str(&child.logged(DONE).await).unwrap();
    assert_eq!(line["needs_restart"], "server.tls");
    assert_eq!(child.get(rig.token(), "/proxy/github/x").await.text(), "hello");
}

#[tokio::test]
async fn a_pair_that_does_not_belong_together_is_told_at_the_start() {
    let rig = rig().provider_at("github", "http://127.0.0.1:9", "").start().await;
    let authority = Authority::new();
    for command in ["serve", "check"] {
        let folder = folder();
        std::fs::write(folder.join("proxy.toml"), with_tls(&rig)).unwrap();
        authority.certificate("127.0.0.1").put(&folder);
        authority.certificate("127.0.0.1").put_key(&folder);
        let key = std::fs::read_to_string(folder.join("key.pem")).unwrap();
        let mut child = Child::spawn_in(idp_proxy(&[command]), folder);
        assert_eq!(child.exit().await.code(), Some(2), "{command}");
        let said = child.out() + &child.log();
        assert!(said.contains("proxy.toml:2:") && said.contains("the first certificate in `cert`"), "{said}");
        assert!(said.contains("help: "), "{said}");
        assert!(!key.lines().any(|line| said.contains(line)), "{said}");
    }
}

#[tokio::test]
async fn a_handshake_that_fails_costs_one_line_for_who_looks_and_nothing_else() {
    let github = Upstream::replying("hello").await;
    let rig = rig().provider("github", &github).start().await;
    let (child, authority) = served(&rig).await;
    let before = child.log().lines().count();
    let mut plain = Wire::to(&child.proxy).await;
    plain.send(get(&rig, "/proxy/github/x")).await;
    let answer = plain.rest().await;
    assert!(!answer.starts_with(b"HTTP/"), "{}", String::from_utf8_lossy(&answer));
    let line = child.logged("handshake").await;
    assert!(line.contains("\"DEBUG\"") && !line.contains(rig.token()), "{line}");
    // One that does not trust us, and one that leaves.
    assert!(Authority::new().connect(&child.proxy, BOTH).await.is_err());
    drop(Wire::to(&child.proxy).await);
    said_again(&child, "handshake", 2).await;
    let log = child.log();
    let lines: Vec<_> = log.lines().skip(before).collect();
    assert!(lines.len() == 3 && lines.iter().all(|line| line.contains("handshake")), "{lines:#?}");
    github.saw_nothing();
    let mut caller = Wire::over(authority.connect(&child.proxy, &[]).await.unwrap());
    caller.send(get(&rig, "/proxy/github/x")).await;
    assert_eq!(caller.answer("GET").await.text(), "hello");
}

#[tokio::test]
async fn a_slow_handshake_is_cut_and_what_follows_one_has_no_time_of_its_own() {
    let rig = rig()
        .provider_at("github", "http://127.0.0.1:9", "")
        .with("limits", "request_head_timeout = \"300ms\"\nkeep_alive = \"1h\"\nidle_timeout = \"1h\"")
        .start()
        .await;
    let (child, authority) = served(&rig).await;
    for begin in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01\x00"] {
        let mut caller = Wire::to(&child.proxy).await;
        caller.send(begin).await;
        caller.rest().await;
    }
    for protocols in [&["h2"][..], &["http/1.1"]] {
        Wire::over(authority.connect(&child.proxy, protocols).await.unwrap()).rest().await;
    }
}

#[tokio::test]
async fn a_handshake_is_one_of_the_connections_that_are_allowed() {
    let rig = rig().provider_at("github", "http://127.0.0.1:9", "").with("limits", "connections = 1").start().await;
    let (child, authority) = served(&rig).await;
    let first = Wire::to(&child.proxy).await;
    let second = authority.connect(&child.proxy, BOTH);
    tokio::pin!(second);
    let early = tokio::time::timeout(Duration::from_millis(300), &mut second).await;
    assert!(early.is_err(), "a second connection is served beside one");
    drop(first);
    assert!(soon("the second connection", second).await.is_ok());
}

/// The connection ends, and by close_notify: a caller could otherwise not tell this end from one that somebody on the way
/// has made (RFC 8446 §6.1).
async fn ends_well(wire: Wire<TlsStream<TcpStream>>) {
    let ended = soon("the end", wire.into_inner().read(&mut [0])).await;
    assert_eq!(ended.map_err(|error| error.to_string()), Ok(0));
}

#[tokio::test]
async fn a_drain_lets_answers_finish_and_ends_connections_in_the_words_of_tls() {
    let slow = Slow::start().await;
    let rig = rig().provider("github", &slow.upstream).with("limits", "drain = \"10m\"").start().await;
    let (mut child, authority) = served(&rig).await;
    let mut idle = Wire::over(authority.connect(&child.proxy, &["http/1.1"]).await.unwrap());
    idle.send(get(&rig, "/problems/internal")).await;
    assert_eq!(idle.answer("GET").await.status, 200);
    let mut running = Wire::over(authority.connect(&child.proxy, &["http/1.1"]).await.unwrap());
    let mut frames = Frames::over(Wire::over(authority.connect(&child.proxy, &["h2"]).await.unwrap())).await;
    let bearer = format!("Bearer {}", rig.token());
    let fields = [
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/proxy/github/x"),
        (":authority", &child.proxy),
        ("authorization", &bearer),
    ];
    frames.headers(1, &fields, true).await;
    assert_eq!(frames.piece(1).await, b"hello ");
    running.send(get(&rig, "/proxy/github/x")).await;
    running.until(b"hello ").await.unwrap();
    child.signal(Signal::TERM);
    child.logged("draining").await;
    ends_well(idle).await;
    assert_eq!(frames.outcome(3).await, Outcome::Closed, "HTTP/2 callers are told to go");
    slow.finish();
    slow.finish();
    assert_eq!(frames.piece(1).await, b"world");
    drop(frames);
    assert_eq!(running.exactly(5).await.as_deref(), Some(&b"world"[..]));
    ends_well(running).await;
    assert_eq!(child.exit().await.code(), Some(0), "{}", child.log());
}
