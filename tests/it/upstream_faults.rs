//! Providers that fail: the caller hears who failed and how, and a broken answer is never taken for a whole one.

use http::Response;
use hyper::body::Bytes;

use crate::support::wire::{Stage, Wire, by_hand, head, stage};
use crate::support::{Answer, Upstream, rig};

/// What the caller gets for a provider that answers with these bytes and then closes the connection.
async fn answer_to(stage: &mut Stage, bytes: &[u8]) -> Answer {
    let (mut caller, mut provider, _) = stage.exchange("GET /x", "", "").await;
    provider.send(bytes).await;
    drop(provider);
    caller.answer("GET").await
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_is_named_as_the_cause() {
    let closed = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let rig = rig()
        .provider_at("refuses", &format!("http://{closed}"), "allow = \"all\"")
        .provider_at("unknown", "https://nothing.invalid", "allow = \"all\"")
        .with("limits", "connect_timeout = \"9s\"")
        .start()
        .await;
    for provider in ["refuses", "unknown"] {
        let answer = rig.get(&format!("/proxy/{provider}/x")).await;
        assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_unreachable"), "{provider}");
        let problem = answer.json();
        assert_eq!((&problem["fault"], &problem["provider"]), (&"provider".into(), &provider.into()));
        let status = answer.header("proxy-status").unwrap();
        assert!(status.starts_with("idp-proxy; error=destination_unavailable"), "{status}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_proper_http_is_a_502() {
    let mut stage = stage().await;
    let huge = format!("HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 0\r\n\r\n", "x".repeat(1 << 20));
    let endless = format!("HTTP/1.1 200 OK\r\n{}", "x: yyyyyyyyyyyyyyyy\r\n".repeat(20_000));
    for answer in [
        "",
        "HTTP/1.1 200 O",
        "HTTP/1.1 200 OK\r\ncontent-le",
        "nonsense\r\n\r\n",
        "SSH-2.0-OpenSSH_9.6\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/3.7 200 OK\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nbytes",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        "HTTP/1.1 200 OK\r\ncontent-length: 5, 6\r\n\r\nhello!",
        "HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: five\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\nhello",
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: a\rb\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx : a\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 0\r\n\r\n",
        huge.as_str(),
        endless.as_str(),
    ] {
        let relayed = answer_to(&mut stage, answer.as_bytes()).await;
        let shown = &answer[..answer.len().min(120)];
        assert_eq!((relayed.status, relayed.code().as_str()), (502, "upstream_protocol"), "{shown:?}");
        let status = relayed.header("proxy-status").unwrap();
        assert!(status.starts_with("idp-proxy; error="), "{status}");
    }
}

#[tokio::test]
async fn a_reset_before_the_answer_is_a_502_and_a_post_is_not_sent_again() {
    let mut stage = stage().await;
    for method in ["POST", "GET"] {
        let mut caller = stage.caller(&format!("{method} /x"), "content-length: 2\r\n", "hi").await;
        let mut provider = stage.connections.next().await;
        provider.message().await;
        provider.reset();
        let answer = caller.answer(method).await;
        assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_protocol"), "{method}");
        assert!(stage.connections.is_empty(), "the {method} was repeated");
    }
}

#[tokio::test]
async fn an_answer_cut_in_its_body_is_visibly_broken() {
    let mut stage = stage().await;
    for (answer, body) in [
        ("content-length: 10\r\n\r\nhello", "hello"),
        ("content-length: 10\r\n\r\n", ""),
        ("transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", "hello"),
        ("transfer-encoding: chunked\r\n\r\n5\r\nhello\r\na\r\nwor", "hellowor"),
        ("transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", "hello"),
        ("transfer-encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n", "hello"),
        ("transfer-encoding: chunked\r\n\r\n5\r\nhello!!5\r\nworld\r\n0\r\n\r\n", "hello"),
        ("transfer-encoding: chunked\r\n\r\n10000000000000000\r\nhello\r\n0\r\n\r\n", ""),
    ] {
        let bytes = format!("HTTP/1.1 200 OK\r\n{answer}");
        let relayed = answer_to(&mut stage, bytes.as_bytes()).await;
        assert!(!relayed.complete, "{answer:?} came as a whole one: {relayed:?}");
        assert!(body.starts_with(&relayed.text()), "{answer:?} {relayed:?}");
    }
    let whole = answer_to(&mut stage, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await;
    assert!(whole.complete && whole.text() == "hello");
    // The status had been sent, so it is in the metrics that the provider's fault shows.
    let counted = |fault: &str, count: u32| {
        format!("idp_proxy_requests_total{{provider=\"github\",status=\"200\",fault=\"{fault}\"}} {count}\n")
    };
    let counts = stage.rig.metrics.render();
    assert!(counts.contains(&counted("provider", 8)) && counts.contains(&counted("", 1)), "{counts}");
}

#[tokio::test]
async fn an_answer_that_ends_with_its_connection_is_whole() {
    let mut stage = stage().await;
    let relayed = answer_to(&mut stage, b"HTTP/1.0 200 OK\r\nx: y\r\n\r\nhello").await;
    assert!(relayed.complete && relayed.text() == "hello", "{relayed:?}");
}

#[tokio::test]
async fn bytes_behind_an_answer_are_never_served_to_the_next_caller() {
    const POISON: &str = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison";
    let mut stage = stage().await;
    let mut callers = 0;
    for (method, answer) in [
        ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood"),
        ("GET", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 51\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\ncontent-length: 51\r\n\r\n"),
    ] {
        for at_once in [true, false] {
            let mut caller = Wire::to(&stage.rig.address()).await;
            caller.send(head(&stage.rig, &format!("{method} /proxy/github/{callers}"), "")).await;
            let mut provider = stage.connections.next().await;
            assert!(provider.head().await.starts_with(&format!("{method} /{callers} ")));
            provider.send(if at_once { format!("{answer}{POISON}") } else { answer.to_owned() }).await;
            caller.answer(method).await;
            if !at_once {
                provider.send(POISON).await;
            }
            // The proxy hangs up on it, so that no request can meet the poison.
            assert_eq!(provider.rest().await, b"", "{answer:?} at once: {at_once}");
            callers += 1;
        }
    }
}

#[tokio::test]
async fn a_request_that_meets_a_dead_pooled_connection_is_sent_on_a_new_one() {
    let mut stage = stage().await;
    let mut caller = Wire::to(&stage.rig.address()).await;
    let request = head(&stage.rig, "POST /proxy/github/x", "content-length: 2\r\n") + "hi";
    for is_reset in [false, true, false] {
        caller.send(&request).await;
        let mut provider = stage.connections.next().await;
        assert_eq!(provider.message().await.1, b"hi");
        provider.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        assert_eq!(caller.answer("POST").await.text(), "ok");
        if is_reset { provider.reset() } else { drop(provider) }
    }
}

#[tokio::test]
async fn connections_to_a_provider_are_used_again() {
    let mut stage = stage().await;
    let mut caller = stage.caller("GET /0", "", "").await;
    let mut provider = stage.connections.next().await;
    for number in 0..6 {
        assert!(provider.head().await.starts_with(&format!("GET /{number} ")));
        // With a length, in chunks, and with nothing in it.
        let (answer, text) = match number % 3 {
            0 => ("content-length: 2\r\n\r\nok", "ok"),
            1 => ("transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "ok"),
            _ => ("content-length: 0\r\n\r\n", ""),
        };
        provider.send(format!("HTTP/1.1 200 OK\r\n{answer}")).await;
        assert_eq!(caller.answer("GET").await.text(), text);
        caller.send(head(&stage.rig, &format!("GET /proxy/github/{}", number + 1), "")).await;
    }
    assert!(stage.connections.is_empty());
}

#[tokio::test]
async fn a_redirect_is_the_callers_to_follow() {
    let github = Upstream::recording(|_| {
        Response::builder().status(307).header("location", "https://example.com/else").body(Bytes::new()).unwrap()
    })
    .await;
    let rig = rig().provider("github", &github).start().await;
    let answer = rig.get("/proxy/github/x").await;
    assert_eq!((answer.status, answer.header("location")), (307, Some("https://example.com/else")));
    github.only();
}

#[tokio::test]
async fn a_provider_that_is_stuck_does_not_hold_up_another() {
    let (stuck, mut connections) = by_hand().await;
    let google = Upstream::replying("google").await;
    let rig = rig().provider("github", &stuck).provider("google", &google).start().await;
    let mut callers = Vec::new();
    for _ in 0..50 {
        let mut caller = Wire::to(&rig.address()).await;
        caller.send(head(&rig, "GET /proxy/github/x", "")).await;
        callers.push((caller, connections.next().await));
    }
    assert_eq!(rig.get("/proxy/google/x").await.text(), "google");
}
