//! Timers end what does not move. None of them is a total: what moves may take as long as it likes.

use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};

use crate::support::wire::{Wire, by_hand, head, soon, until_so};
use crate::support::{Upstream, rig};

/// Longer than any test lasts.
const LONG: &str = "1h";
/// What a timer is set to where it must fire.
const SHORT: &str = "300ms";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

async fn pause(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

#[tokio::test]
async fn a_provider_that_never_answers_is_a_504() {
    let (upstream, mut connections) = by_hand().await;
    let limits = format!("first_byte_timeout = \"{SHORT}\"");
    let rig = rig().provider("github", &upstream).with("limits", &limits).start().await;
    for body in ["", "hello"] {
        let answer = rig.send("POST", "/proxy/github/x", &[], body.as_bytes()).await;
        assert_eq!((answer.status, answer.code().as_str()), (504, "upstream_timeout"), "{body:?}");
        assert_eq!(answer.json()["fault"], "provider");
        let mut provider = connections.next().await;
        provider.message().await;
        assert_eq!(provider.rest().await, b"");
    }
}

#[tokio::test]
async fn the_first_byte_is_waited_for_from_the_end_of_the_upload() {
    let github = Upstream::replying("ok").await;
    let rig = rig().provider("github", &github).with("limits", "first_byte_timeout = \"700ms\"").start().await;
    for framing in ["content-length: 15\r\n", "transfer-encoding: chunked\r\n"] {
        let mut caller = Wire::to(&rig.address()).await;
        caller.send(head(&rig, "POST /proxy/github/x", framing)).await;
        for _ in 0..15 {
            pause(100).await;
            caller.send(if framing.starts_with('c') { "x" } else { "1\r\nx\r\n" }).await;
        }
        if framing.starts_with('t') {
            caller.send("0\r\n\r\n").await;
        }
        assert_eq!(caller.answer("POST").await.text(), "ok", "{framing}");
    }
}

#[tokio::test]
async fn a_slow_but_steady_answer_outlasts_every_timer() {
    let (upstream, mut connections) = by_hand().await;
    let mut builder = rig().provider("github", &upstream);
    for timer in ["request_head_timeout", "keep_alive", "token_wait", "connect_timeout", "first_byte_timeout"] {
        builder = builder.with("limits", &format!("{timer} = \"1s\""));
    }
    let rig = builder.with("limits", "idle_timeout = \"1s\"\ntenant_timeout = \"1s\"").start().await;
    let mut caller = Wire::to(&rig.address()).await;
    caller.send(head(&rig, "GET /proxy/github/x", "")).await;
    let mut provider = connections.next().await;
    provider.head().await;
    provider.send(CHUNKED).await;
    tokio::spawn(async move {
        for _ in 0..30 {
            pause(100).await;
            provider.send("1\r\nx\r\n").await;
        }
        provider.send("0\r\n\r\n").await;
    });
    let answer = caller.answer("GET").await;
    assert!(answer.complete && answer.text() == "x".repeat(30), "{answer:?}");
}

#[tokio::test]
async fn an_answer_that_falls_silent_is_broken_off_visibly() {
    let (upstream, mut connections) = by_hand().await;
    let limits = format!("idle_timeout = \"{SHORT}\"");
    let rig = rig().provider("github", &upstream).with("limits", &limits).start().await;
    for head_and_begin in ["transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", "content-length: 10\r\n\r\nhello"] {
        let mut caller = Wire::to(&rig.address()).await;
        caller.send(head(&rig, "GET /proxy/github/x", "")).await;
        let mut provider = connections.next().await;
        provider.head().await;
        provider.send(format!("HTTP/1.1 200 OK\r\n{head_and_begin}")).await;
        let answer = caller.answer("GET").await;
        assert!(!answer.complete && answer.text() == "hello", "{answer:?}");
        assert_eq!(provider.rest().await, b"");
    }
}

#[tokio::test]
async fn a_provider_that_does_not_let_a_connection_come_about_is_a_504() {
    // A port that takes the connection and says nothing to a TLS greeting, and one whose queue is full.
    let (silent, _connections) = by_hand().await;
    let full = TcpSocket::new_v4().unwrap();
    full.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = full.listen(1).unwrap();
    let address = full.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(stream) = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
        queue.push(stream.unwrap());
        assert!(queue.len() < 100, "the queue of {address} does not fill");
    }
    let rig = rig()
        .provider_at("silent", &silent.base_url().replace("http:", "https:"), "allow = \"all\"")
        .provider_at("full", &format!("http://{address}"), "allow = \"all\"")
        .with("limits", &format!("connect_timeout = \"{SHORT}\"\nfirst_byte_timeout = \"{LONG}\""))
        .start()
        .await;
    for provider in ["silent", "full"] {
        let answer = rig.get(&format!("/proxy/{provider}/x")).await;
        assert_eq!((answer.status, answer.code().as_str()), (504, "upstream_timeout"), "{provider}");
    }
}

#[tokio::test]
async fn a_head_that_does_not_end_in_time_ends_its_connection() {
    let github = Upstream::replying("ok").await;
    let limits = format!("request_head_timeout = \"{SHORT}\"\nkeep_alive = \"{LONG}\"\nidle_timeout = \"{LONG}\"");
    let rig = rig().provider("github", &github).with("limits", &limits).start().await;
    for begin in ["", "P", "PRI", "PRI * HTTP/2.0\r\n", "GET /proxy/github/x HTTP/1.1\r\nx: ", "\r\n", "\x16\x03\x01"] {
        for has_served in [false, true] {
            if has_served && begin.is_empty() {
                continue;
            }
            let mut caller = Wire::to(&rig.address()).await;
            if has_served {
                caller.send(head(&rig, "GET /proxy/github/first", "")).await;
                assert_eq!(caller.answer("GET").await.text(), "ok");
            }
            caller.send(begin).await;
            let answer = String::from_utf8(caller.rest().await).unwrap();
            assert!(!answer.contains("200 OK"), "{begin:?} after a request: {has_served}: {answer}");
        }
    }
    let mut trickling = Wire::to(&rig.address()).await;
    trickling.send("GET /proxy/github/x HTTP/1.1\r\n").await;
    let trickle = async {
        while trickling.send("x: y\r\n").await {
            pause(30).await;
        }
    };
    soon("the end of a head that trickles in", trickle).await;
    assert!(github.requests().iter().all(|request| request.target == "/first"));
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_keep_alive_and_not_before() {
    let github = Upstream::replying("ok").await;
    let patient = format!("request_head_timeout = \"{SHORT}\"\nidle_timeout = \"{SHORT}\"\nkeep_alive = \"{LONG}\"");
    let brief = format!("request_head_timeout = \"{LONG}\"\nkeep_alive = \"{SHORT}\"");
    for (limits, is_brief) in [(patient, false), (brief, true)] {
        let rig = rig().provider("github", &github).with("limits", &limits).start().await;
        let mut caller = Wire::to(&rig.address()).await;
        caller.send(head(&rig, "GET /proxy/github/x", "")).await;
        assert_eq!(caller.answer("GET").await.text(), "ok");
        if is_brief {
            assert_eq!(caller.rest().await, b"");
        } else {
            assert!(caller.is_silent_for(Duration::from_millis(1000)).await, "closed before its time");
            caller.send(head(&rig, "GET /proxy/github/x", "")).await;
            assert_eq!(caller.answer("GET").await.text(), "ok");
        }
    }
}

#[tokio::test]
async fn a_caller_that_stops_in_the_middle_of_its_upload_is_told_so() {
    let github = Upstream::replying("ok").await;
    let limits = format!("idle_timeout = \"{SHORT}\"\nfirst_byte_timeout = \"{LONG}\"");
    let rig = rig().provider("github", &github).with("limits", &limits).start().await;
    for begin in ["", "hello"] {
        let mut caller = Wire::to(&rig.address()).await;
        caller.send(head(&rig, "POST /proxy/github/x", "content-length: 10\r\n") + begin).await;
        let answer = caller.answer("POST").await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_request"), "{begin:?}");
        assert_eq!(answer.json()["fault"], "caller");
        assert_eq!(caller.rest().await, b"");
    }
    until_so("the broken uploads", || github.requests().len() == 2).await;
    assert!(github.requests().iter().all(|request| !request.complete));
}

#[tokio::test]
async fn a_provider_that_stops_taking_an_upload_is_a_504() {
    let (upstream, mut connections) = by_hand().await;
    let limits = format!("idle_timeout = \"{SHORT}\"\nfirst_byte_timeout = \"{LONG}\"");
    let rig = rig().provider("github", &upstream).with("limits", &limits).start().await;
    let mut caller = Wire::to(&rig.address()).await;
    caller.send(head(&rig, "POST /proxy/github/x", &format!("content-length: {}\r\n", 64 << 20))).await;
    let mut provider = connections.next().await;
    let metrics = || rig.metrics.render();
    for _ in 0..1 << 10 {
        assert!(caller.send(vec![b'x'; 1 << 16]).await, "the answer is lost to a reset");
    }
    // It waits until what is too late has been sent.
    assert_eq!(caller.answer("POST").await.status, 504);
    until_so("the 504 to be counted", || metrics().contains("status=\"504\",fault=\"provider\"")).await;
    let received = provider.rest().await;
    assert!(received.starts_with(b"POST /x ") && received.len() < 64 << 20);
}

#[tokio::test]
async fn a_caller_that_stops_reading_is_cut_off() {
    let (upstream, mut connections) = by_hand().await;
    let limits = format!("idle_timeout = \"{SHORT}\"");
    let rig = rig().provider("github", &upstream).with("limits", &limits).start().await;
    let mut caller = Wire::to(&rig.address()).await;
    caller.send(head(&rig, "GET /proxy/github/x", "")).await;
    let mut provider = connections.next().await;
    provider.head().await;
    provider.send(CHUNKED).await;
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(1 << 16));
    soon("the end at the provider", async { while provider.send(&chunk).await {} }).await;
    drop(caller);
}

#[tokio::test]
async fn a_caller_that_reads_slowly_but_steadily_gets_everything() {
    const SIZE: usize = 48 << 20;
    let (upstream, mut connections) = by_hand().await;
    let rig = rig().provider("github", &upstream).with("limits", "idle_timeout = \"1s\"").start().await;
    let mut caller = Wire::to(&rig.address()).await;
    caller.send(head(&rig, "GET /proxy/github/x", "")).await;
    let mut provider = connections.next().await;
    provider.head().await;
    tokio::spawn(async move {
        provider.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n")).await;
        for _ in 0..SIZE >> 16 {
            provider.send(vec![b'x'; 1 << 16]).await;
        }
        provider
    });
    caller.head().await;
    for piece in 0..24 {
        pause(100).await;
        assert!(caller.exactly(SIZE / 24).await.is_some(), "cut off after {piece} pieces");
    }
}

#[tokio::test]
async fn a_body_that_goes_on_after_its_answer_is_not_taken_for_a_slow_head() {
    let (upstream, mut connections) = by_hand().await;
    let limits = format!("request_head_timeout = \"{SHORT}\"\nkeep_alive = \"{LONG}\"");
    let rig = rig().provider("github", &upstream).with("limits", &limits).start().await;
    let mut caller = Wire::to(&rig.address()).await;
    caller.send(head(&rig, "POST /proxy/github/x", "content-length: 21\r\n") + "x").await;
    let mut provider = connections.next().await;
    provider.head().await;
    provider.send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nearly").await;
    assert_eq!(caller.answer("POST").await.text(), "early");
    for _ in 0..20 {
        pause(50).await;
        assert!(caller.send("x").await, "the connection was closed");
    }
    assert_eq!(soon("the whole body", provider.exactly(21)).await.unwrap(), "x".repeat(21).as_bytes());
    caller.send(head(&rig, "GET /proxy/github/y", "")).await;
    let mut provider = connections.next().await;
    assert!(provider.head().await.starts_with("GET /y "));
}
