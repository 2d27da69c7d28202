//! Callers' connections: kept as long as HTTP says, never more than the limit, none of them in another's way.

use std::time::Duration;

use crate::support::wire::{Wire, by_hand, head, soon};
use crate::support::{Upstream, rig};

#[tokio::test]
async fn a_connection_serves_one_request_after_another_until_the_caller_says_close() {
    let github = Upstream::replying("ok").await;
    let rig = rig().provider("github", &github).start().await;
    let mut caller = Wire::to(&rig.address()).await;
    for _ in 0..3 {
        caller.send(head(&rig, "GET /proxy/github/x", "")).await;
        assert_eq!(caller.answer("GET").await.text(), "ok");
    }
    caller.send(head(&rig, "GET /proxy/github/x", "connection: close\r\n")).await;
    let answer = caller.answer("GET").await;
    assert_eq!((answer.text().as_str(), answer.header("connection")), ("ok", Some("close")));
    assert_eq!(caller.rest().await, b"");
}

#[tokio::test]
async fn a_head_may_come_byte_by_byte() {
    let github = Upstream::replying("ok").await;
    let rig = rig().provider("github", &github).start().await;
    for method in ["POST", "PRIOR", "PRI", "P"] {
        let mut caller = Wire::to(&rig.address()).await;
        let request = head(&rig, &format!("{method} /proxy/github/x"), "content-length: 0\r\n");
        let (begin, rest) = request.split_at(40);
        for byte in begin.bytes() {
            caller.send([byte]).await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        caller.send(rest).await;
        assert_eq!(caller.answer(method).await.text(), "ok", "{method}");
    }
}

#[tokio::test]
async fn a_provider_that_closes_its_connection_does_not_close_the_callers() {
    let (upstream, mut connections) = by_hand().await;
    let rig = rig().provider("github", &upstream).start().await;
    let mut caller = Wire::to(&rig.address()).await;
    for _ in 0..3 {
        caller.send(head(&rig, "GET /proxy/github/x", "")).await;
        let mut provider = connections.next().await;
        provider.head().await;
        provider.send("HTTP/1.1 200 OK\r\nconnection: close, x-hop\r\nx-hop: 1\r\ncontent-length: 2\r\n\r\nok").await;
        let answer = caller.answer("GET").await;
        assert_eq!((answer.text().as_str(), answer.header("connection"), answer.header("x-hop")), ("ok", None, None));
    }
}

#[tokio::test]
async fn a_connection_beyond_the_limit_waits_until_one_closes() {
    let github = Upstream::replying("ok").await;
    let rig = rig().provider("github", &github).with("limits", "connections = 2").start().await;
    let request = head(&rig, "GET /proxy/github/x", "");
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut caller = Wire::to(&rig.address()).await;
        caller.send(&request).await;
        assert_eq!(caller.answer("GET").await.text(), "ok");
        open.push(caller);
    }
    let mut third = Wire::to(&rig.address()).await;
    third.send(&request).await;
    assert!(third.is_silent_for(Duration::from_millis(200)).await, "a third caller was served beside two");
    open.pop();
    assert_eq!(third.answer("GET").await.text(), "ok");
}

#[tokio::test]
async fn callers_that_leave_give_their_places_back() {
    let (upstream, mut connections) = by_hand().await;
    let rig = rig().provider("github", &upstream).with("limits", "connections = 2").start().await;
    for number in 0..20 {
        let mut caller = Wire::to(&rig.address()).await;
        match number % 4 {
            0 => {}
            1 => assert!(caller.send("GET /proxy/gith").await),
            2 => assert!(caller.send("PRI * HTT").await),
            _ => {
                caller.send(head(&rig, "GET /proxy/github/x", "")).await;
                connections.next().await.head().await;
            }
        }
        if number % 3 == 0 {
            caller.reset();
        }
    }
    let mut caller = Wire::to(&rig.address()).await;
    caller.send(head(&rig, "GET /proxy/github/last", "")).await;
    let mut provider = connections.next().await;
    provider.head().await;
    provider.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(caller.answer("GET").await.status, 204);
}

#[tokio::test]
async fn idle_and_slow_callers_are_in_nobodys_way() {
    let github = Upstream::replying("ok").await;
    let rig = rig().provider("github", &github).start().await;
    let mut others = Vec::new();
    for number in 0..150 {
        let mut caller = Wire::to(&rig.address()).await;
        let begun = head(&rig, "POST /proxy/github/slow", "content-length: 1000\r\n");
        let bytes = match number % 3 {
            0 => "",
            1 => &begun[..begun.len() / 2],
            _ => &begun,
        };
        caller.send(bytes).await;
        others.push(caller);
    }
    let mut caller = Wire::to(&rig.address()).await;
    caller.send(head(&rig, "GET /proxy/github/x", "")).await;
    assert_eq!(soon("an answer beside the others", caller.answer("GET")).await.text(), "ok");
    drop(others);
}

#[tokio::test]
async fn a_head_larger_than_the_limit_is_refused_and_one_of_many_kilobytes_is_not() {
    let github = Upstream::replying("ok").await.allow(&["x"]);
    let rig = rig().provider("github", &github).start().await;
    for (length, status) in [(8_000, 200), (48_000, 200), (80_000, 431), (1_000_000, 431)] {
        let mut caller = Wire::to(&rig.address()).await;
        let request = head(&rig, "GET /proxy/github/x", &format!("x: {}\r\n", "y".repeat(length)));
        caller.send(request).await;
        assert_eq!(caller.answer("GET").await.status, status, "{length}");
    }
    assert_eq!(github.requests().len(), 2);
}
