//! Bodies pass as they are made: streamed both ways, whole or visibly broken, none where there is none.

use std::time::Duration;

use http::Response;
use hyper::body::Bytes;
use tokio::sync::mpsc;

use crate::support::wire::{Wire, head, soon, stage};
use crate::support::{Upstream, rig};

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

#[tokio::test]
async fn an_upload_reaches_the_provider_while_it_is_still_being_sent() {
    let mut stage = stage().await;
    let mut caller = stage.caller("POST /x", "transfer-encoding: chunked\r\n", "5\r\nfirst\r\n").await;
    let mut provider = stage.connections.next().await;
    assert!(provider.head().await.starts_with("POST /x HTTP/1.1\r\n"));
    assert_eq!(soon("the first chunk", provider.chunk()).await.unwrap(), b"first");
    caller.send("4\r\nlast\r\n0\r\n\r\n").await;
    assert_eq!(soon("the last chunk", provider.chunk()).await.unwrap(), b"last");
    assert_eq!(soon("the end", provider.chunk()).await.unwrap(), b"");
    provider.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(caller.answer("POST").await.status, 204);
}

#[tokio::test]
async fn a_length_that_the_caller_told_is_told_to_the_provider() {
    let github = Upstream::replying("ok").await;
    let rig = rig().provider("github", &github).start().await;
    let mut caller = Wire::to(&rig.address()).await;
    let request = head(&rig, "PUT /proxy/github/x", "content-length: 11\r\n") + "hello world";
    for byte in request.as_bytes() {
        caller.send([*byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(caller.answer("PUT").await.status, 200);
    let request = github.only();
    assert_eq!((request.body.as_slice(), request.all("content-length")), (b"hello world".as_slice(), "11".to_owned()));
    assert!(!request.headers.contains_key("transfer-encoding"));
}

#[tokio::test]
async fn an_answer_reaches_the_caller_while_it_is_still_being_made() {
    let mut stage = stage().await;
    let (mut caller, mut provider, _) = stage.exchange("GET /events", "accept: text/event-stream\r\n", "").await;
    provider.send(CHUNKED.replace("\r\n\r\n", "\r\ncontent-type: text/event-stream\r\n\r\n")).await;
    let head = caller.head().await;
    assert!(head.contains("content-type: text/event-stream"), "{head}");
    for event in ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"] {
        provider.send(format!("{:x}\r\n{event}\r\n", event.len())).await;
        assert_eq!(soon("an event", caller.chunk()).await.unwrap(), event.as_bytes());
    }
    provider.send("0\r\n\r\n").await;
    assert_eq!(soon("the end", caller.chunk()).await.unwrap(), b"");
}

/// 64 MiB, of which nobody holds more than what the sockets and a few buffers take.
const BIG: usize = 64 << 20;
const SOME: usize = 32 << 20;

#[tokio::test]
async fn a_caller_that_does_not_read_stops_the_provider_from_sending() {
    let mut stage = stage().await;
    let (mut caller, mut provider, _) = stage.exchange("GET /big", "", "").await;
    provider.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {BIG}\r\n\r\n")).await;
    let (sent, rest) = send_until_stuck(provider).await;
    assert!(sent < SOME, "{sent} bytes went out although nobody reads");
    let answer = caller.answer("GET").await;
    assert!(answer.complete && answer.body.len() == BIG);
    assert!(answer.body == pattern(BIG), "other bytes arrived than were sent");
    rest.await.unwrap();
}

#[tokio::test]
async fn a_provider_that_does_not_read_stops_the_caller_from_sending() {
    let mut stage = stage().await;
    let caller = stage.caller("POST /big", &format!("content-length: {BIG}\r\n"), "").await;
    let mut provider = stage.connections.next().await;
    let (sent, rest) = send_until_stuck(caller).await;
    assert!(sent < SOME, "{sent} bytes went out although nobody reads");
    let (_, body) = provider.message().await;
    assert!(body == pattern(BIG), "other bytes arrived than were sent");
    provider.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let mut caller = rest.await.unwrap();
    assert_eq!(caller.answer("POST").await.text(), "ok");
}

fn pattern(length: usize) -> Vec<u8> {
    (0..=250).collect::<Vec<u8>>().repeat(length / 251 + 1)[..length].to_vec()
}

/// Sends [`BIG`] bytes; tells how many had gone when nothing moved for a while, and goes on in a task.
async fn send_until_stuck(mut wire: Wire) -> (usize, tokio::task::JoinHandle<Wire>) {
    let (progress, mut progressed) = mpsc::unbounded_channel();
    let rest = tokio::spawn(async move {
        for piece in pattern(BIG).chunks(1 << 16) {
            assert!(wire.send(piece).await, "the connection broke");
            let _ = progress.send(piece.len());
        }
        wire
    });
    let mut sent = 0;
    while let Ok(Some(more)) = tokio::time::timeout(Duration::from_millis(500), progressed.recv()).await {
        sent += more;
    }
    (sent, rest)
}

#[tokio::test]
async fn trailers_of_an_answer_reach_a_caller_that_takes_trailers() {
    let mut stage = stage().await;
    for (te, trailers) in [("te: trailers\r\nconnection: te\r\n", "yes"), ("", "")] {
        let (mut caller, mut provider, request) = stage.exchange("GET /x", te, "").await;
        assert_eq!(request.contains("te: trailers"), !te.is_empty(), "{request}");
        provider.send(CHUNKED.replace("\r\n\r\n", "\r\ntrailer: x-sum\r\nconnection: close\r\n\r\n")).await;
        provider.send("5\r\nhello\r\n0\r\nx-sum: yes\r\n\r\n").await;
        let answer = caller.answer("GET").await;
        assert!(answer.complete && answer.text() == "hello", "{answer:?}");
        let came: Vec<_> = answer.trailers.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(came.join(" "), if trailers.is_empty() { "" } else { "x-sum=yes" });
        assert_eq!(answer.header("trailer"), (!te.is_empty()).then_some("x-sum"));
        assert_eq!(answer.header("x-sum"), None);
    }
}

#[tokio::test]
async fn a_token_in_a_trailer_is_masked_whatever_it_comes_behind() {
    let mut stage = stage().await;
    for kind in ["application/octet-stream", "text/plain"] {
        let takes = "te: trailers\r\nconnection: te\r\n";
        let (mut caller, mut provider, request) = stage.exchange("GET /x", takes, "").await;
        let token = request.split("authorization: Bearer ").nth(1).and_then(|rest| rest.split("\r\n").next()).unwrap();
        let lines = format!("\r\ncontent-type: {kind}\r\ntrailer: x-echo\r\nconnection: close\r\n\r\n");
        provider.send(CHUNKED.replace("\r\n\r\n", &lines)).await;
        provider.send(format!("5\r\nhello\r\n0\r\nx-echo: a {token} b\r\n\r\n")).await;
        let answer = caller.answer("GET").await;
        assert!(answer.complete && answer.text() == "hello", "{answer:?}");
        let masked = format!("a {} b", "*".repeat(token.len()));
        assert_eq!(answer.trailers.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>(), [masked], "{kind}");
    }
    let metrics = stage.rig.admin("/metrics").await.text();
    assert!(metrics.contains("idp_proxy_leaks_total{provider=\"github\",place=\"header\"} 2\n"), "{metrics}");
}

#[tokio::test]
async fn the_caller_is_told_to_continue_once_nothing_stands_against_the_request() {
    let github = Upstream::recording(|request| Response::new(Bytes::from(request.body.clone()))).await;
    let rig = rig().provider("github", &github).start().await;
    let mut caller = Wire::to(&rig.address()).await;
    caller.send(head(&rig, "POST /proxy/github/x", "expect: 100-continue\r\ncontent-length: 5\r\n")).await;
    assert_eq!(caller.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    caller.send("hello").await;
    assert_eq!(caller.answer("POST").await.text(), "hello");
    assert!(!github.only().headers.contains_key("expect"));
}

#[tokio::test]
async fn a_refusal_comes_without_asking_for_the_body() {
    let github = Upstream::replying("ok").await;
    let rig = rig().provider_at("github", &github.base_url(), "allow = \"read\"").start().await;
    for (path, status) in [("/proxy/github/x", 403), ("/proxy/none/x", 404), ("/proxy/github/../x", 400)] {
        let mut caller = Wire::to(&rig.address()).await;
        let more = "expect: 100-continue\r\ncontent-length: 5\r\n";
        caller.send(head(&rig, &format!("POST {path}"), more)).await;
        let head = caller.head().await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
    }
    github.saw_nothing();
}

#[tokio::test]
async fn an_answer_that_comes_before_the_upload_ends_is_relayed_at_once() {
    let mut stage = stage().await;
    for ends in ["", "connection: close\r\n"] {
        let (mut caller, mut provider, _) =
            stage.exchange("POST /x", "content-length: 1000000\r\n", "the beginning").await;
        let early = format!("HTTP/1.1 413 Payload Too Large\r\n{ends}content-length: 8\r\n\r\ntoo much");
        provider.send(early).await;
        if !ends.is_empty() {
            drop(provider);
        }
        let answer = caller.answer("POST").await;
        assert_eq!((answer.status, answer.text().as_str()), (413, "too much"), "{ends:?}");
        assert_eq!(answer.header("proxy-status"), Some("idp-proxy; received-status=413"));
    }
}

#[tokio::test]
async fn answers_without_a_body_keep_their_fields_and_the_connection_goes_on() {
    let mut stage = stage().await;
    let mut caller = Wire::to(&stage.rig.address()).await;
    for (method, answer, length) in [
        ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n", Some("1234")),
        ("HEAD", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n", None),
        ("HEAD", "HTTP/1.1 404 Not Found\r\n", None),
        ("GET", "HTTP/1.1 204 No Content\r\n", None),
        // The length is the provider's to tell, and hyper's to leave out.
        ("GET", "HTTP/1.1 304 Not Modified\r\ncontent-length: 77\r\n", None),
        ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n", Some("0")),
    ] {
        caller.send(head(&stage.rig, &format!("{method} /proxy/github/x"), "")).await;
        let mut provider = stage.connections.next().await;
        assert!(provider.head().await.starts_with(&format!("{method} /x ")));
        provider.send(format!("{answer}etag: \"e\"\r\nconnection: close\r\n\r\n")).await;
        drop(provider);
        let relayed = caller.answer(method).await;
        assert!(answer.contains(&format!(" {} ", relayed.status)), "{answer} {relayed:?}");
        assert_eq!((relayed.header("etag"), relayed.header("content-length")), (Some("\"e\""), length), "{answer}");
        assert_eq!(relayed.header("transfer-encoding"), None, "{answer}");
    }
    assert!(caller.is_silent_for(Duration::from_millis(50)).await);
}

#[tokio::test]
async fn a_caller_of_http_1_0_gets_a_body_that_ends_with_the_connection() {
    let mut stage = stage().await;
    let mut caller = Wire::to(&stage.rig.address()).await;
    caller.send(head(&stage.rig, "GET /proxy/github/x", "").replace("HTTP/1.1", "HTTP/1.0")).await;
    let mut provider = stage.connections.next().await;
    let request = provider.head().await;
    assert!(request.starts_with("GET /x HTTP/1.1\r\n") && request.contains("via: 1.0 "), "{request}");
    provider.send(CHUNKED).await;
    provider.send("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n").await;
    let head = caller.head().await;
    assert!(head.starts_with("HTTP/1.0 200 OK\r\n") && !head.contains("transfer-encoding"), "{head}");
    assert_eq!(caller.rest().await, b"hello world");
}

#[tokio::test]
async fn an_informational_answer_is_not_taken_for_the_answer() {
    let mut stage = stage().await;
    let (mut caller, mut provider, _) = stage.exchange("GET /x", "", "").await;
    provider.send("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n").await;
    provider.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let answer = caller.answer("GET").await;
    assert_eq!((answer.status, answer.text().as_str(), answer.header("link")), (200, "ok", None));
}

#[tokio::test]
async fn a_caller_that_leaves_ends_the_work_at_the_provider() {
    let mut stage = stage().await;
    for answer in ["", CHUNKED, "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nbeginning"] {
        for is_reset in [false, true] {
            let (mut caller, mut provider, _) = stage.exchange("GET /x", "", "").await;
            provider.send(answer).await;
            if !answer.is_empty() {
                caller.head().await;
            }
            if is_reset {
                caller.reset()
            } else {
                drop(caller)
            }
            assert_eq!(provider.rest().await, b"", "{answer:?} reset: {is_reset}");
        }
    }
}

/// A caller that closes its half is one that has left: the two look the same.
#[tokio::test]
async fn a_caller_that_closes_its_half_before_the_answer_has_left() {
    let mut stage = stage().await;
    let (mut caller, mut provider, _) = stage.exchange("GET /x", "", "").await;
    caller.half_close().await;
    assert_eq!(provider.rest().await, b"");
    assert_eq!(caller.rest().await, b"");
}

#[tokio::test]
async fn a_caller_that_leaves_during_its_upload_ends_the_work_at_the_provider() {
    let mut stage = stage().await;
    let (caller, mut provider, _) = stage.exchange("POST /x", "transfer-encoding: chunked\r\n", "5\r\nhello\r\n").await;
    drop(caller);
    let received = String::from_utf8(provider.rest().await).unwrap();
    assert!(!received.contains("0\r\n\r\n"), "the upload was completed: {received:?}");
}

#[tokio::test]
async fn a_refusal_is_read_by_whoever_sends_on_before_looking() {
    let github = Upstream::replying("ok").await;
    let rig = rig().provider("github", &github).start().await;
    for framing in ["transfer-encoding: chunked\r\n", "content-length: 9000000\r\n"] {
        let mut caller = Wire::to(&rig.address()).await;
        let head = format!("POST /proxy/github/x HTTP/1.1\r\nhost: {}\r\n{framing}\r\n", rig.address());
        assert!(caller.send(head).await);
        for _ in 0..20 {
            let piece = [b"1000\r\n".as_slice(), &[b'x'; 0x1000], b"\r\n"].concat();
            assert!(caller.send(piece).await, "reset under {framing}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let answer = caller.answer("POST").await;
        assert_eq!((answer.status, answer.complete), (401, true), "{framing}");
        assert_eq!(answer.json()["code"], "missing_token", "{framing}");
    }
}
