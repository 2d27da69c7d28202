//! Where one request ends and the next begins: refused if there can be two opinions, and never guessed.

use http::Response;
use hyper::body::Bytes;
use idp_proxy::command::dev::tenant::{Identity, User};

use crate::support::rig::provider_token;
use crate::support::wire::{Wire, head, head_with, until_so};
use crate::support::{Recorded, Rig, Upstream, rig};

mod made_up;

/// Behind every broken request: what the proxy must not take for the next one.
const SMUGGLED: &str = "GET /proxy/github/smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n";

async fn rig_with_upstream() -> (Rig, Upstream) {
    let github =
        Upstream::recording(|request| Response::new(Bytes::from(request.target.clone()))).await.allow(&["x", "expect"]);
    let rig = rig().provider("github", &github).start().await;
    (rig, github)
}

/// Sends bytes on a connection of their own and gives the statuses of all answers until the proxy closes it.
async fn statuses(rig: &Rig, bytes: &[u8]) -> Vec<u16> {
    let mut wire = Wire::to(&rig.address()).await;
    wire.send(bytes).await;
    let received = String::from_utf8_lossy(&wire.rest().await).into_owned();
    received.split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].parse().unwrap()).collect()
}

fn is_whole(request: &Recorded) -> bool {
    request.complete
}

#[tokio::test]
async fn a_head_with_broken_framing_is_answered_400_once_and_the_connection_closed() {
    let (rig, github) = rig_with_upstream().await;
    for lines in [
        "transfer-encoding: xchunked",
        "transfer-encoding: chunk",
        "transfer-encoding: ",
        "transfer-encoding: identity",
        "transfer-encoding: chunked, identity",
        "transfer-encoding: chunked, chunked",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: chunked;q=1",
        "transfer-encoding: \"chunked\"",
        "transfer-encoding : chunked",
        "transfer-encoding:\x0bchunked",
        "transfer-encoding: chunked\0",
        "transfer-encoding\0: chunked",
        "transfer-encoding:\r\n chunked",
        "x: y\r\n transfer-encoding: chunked",
        "x: y\rtransfer-encoding: chunked",
        "transfer-encoding: gzip\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ntransfer-encoding: x",
        "content-length: 1\r\ntransfer-encoding: x",
        "content-length: +5",
        "content-length: -5",
        "content-length: 5,5",
        "content-length: 5, 6",
        "content-length: 0x5",
        "content-length: ",
        "content-length: 5 5",
        "content-length: 5\x0b",
        "content-length: 5;",
        "content-length: 99999999999999999999",
        "content-length : 5",
        "content-length:\r\n 5",
        "content-length: 5\r\ncontent-length: 6",
        "no colon",
        "na me: value",
        ": value",
    ] {
        let bytes = head(&rig, "POST /proxy/github/x", &format!("{lines}\r\n")) + "5\r\nhello\r\n0\r\n\r\n" + SMUGGLED;
        assert_eq!(statuses(&rig, bytes.as_bytes()).await, [400], "{lines:?}");
    }
    github.saw_nothing();
}

#[tokio::test]
async fn a_request_line_that_is_not_one_of_http_1_is_refused() {
    let (rig, github) = rig_with_upstream().await;
    let token = rig.token();
    for (line, more) in [
        ("GET /proxy/github/x HTTP/1.2", ""),
        ("GET /proxy/github/x HTTP/2.0", ""),
        ("GET /proxy/github/x HTTP/0.9", ""),
        ("GET /proxy/github/x http/1.1", ""),
        ("GET /proxy/github/x", ""),
        ("GET /proxy/github/x y HTTP/1.1", ""),
        ("G@T /proxy/github/x HTTP/1.1", ""),
        ("GET  /proxy/github/x HTTP/1.1", ""),
        ("POST /proxy/github/x HTTP/1.0", "transfer-encoding: chunked\r\n"),
    ] {
        let bytes = format!("{line}\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n{more}\r\n{SMUGGLED}");
        assert_eq!(statuses(&rig, bytes.as_bytes()).await, [400], "{line:?}");
    }
    github.saw_nothing();
}

#[tokio::test]
async fn a_broken_chunk_is_never_completed_at_the_provider() {
    let (rig, github) = rig_with_upstream().await;
    let flood = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(40_000));
    for body in [
        "5\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "g\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "4\r\nhello\r\n0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "10000000000000000\r\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        flood.as_str(),
    ] {
        let seen = github.requests().len();
        let bytes = head(&rig, "POST /proxy/github/x", "transfer-encoding: chunked\r\n") + body + SMUGGLED;
        assert_eq!(statuses(&rig, bytes.as_bytes()).await, [400], "{body:?}");
        assert!(github.requests()[seen..].iter().all(|request| !is_whole(request)), "{body:?}");
    }
}

#[tokio::test]
async fn a_chunked_body_arrives_whole_without_its_extensions_and_trailers() {
    let (rig, github) = rig_with_upstream().await;
    let body = "5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nauthorization: Bearer x\r\nx: y\r\n\r\n";
    for coding in ["chunked", "Chunked", "\tchunked "] {
        let lines = format!("transfer-encoding: {coding}\r\ntrailer: x\r\nconnection: close\r\n");
        let bytes = head(&rig, "POST /proxy/github/x", &lines) + body;
        assert_eq!(statuses(&rig, bytes.as_bytes()).await, [200], "{coding:?}");
    }
    let requests = github.requests();
    assert_eq!(requests.len(), 3);
    for request in requests {
        assert!(is_whole(&request) && request.body == b"hello world", "{request:#?}");
        assert_eq!(request.all("authorization"), format!("Bearer {}", provider_token("github")));
        assert!(!request.headers.contains_key("x") && !request.headers.contains_key("trailer"), "{request:#?}");
    }
}

/// RFC 9112 §6.3 leaves it to the server; hyper drops the length and closes the connection after the answer.
#[tokio::test]
async fn of_a_length_and_chunks_only_the_chunks_count_and_nothing_follows_on_that_connection() {
    let (rig, github) = rig_with_upstream().await;
    for lines in [
        "content-length: 4\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
        "content-length: 4\r\ntransfer-encoding: chunked\r\ncontent-length: 100\r\nconnection: keep-alive\r\n",
    ] {
        let bytes = head(&rig, "POST /proxy/github/x", lines) + "5\r\nhello\r\n0\r\n\r\n" + SMUGGLED;
        assert_eq!(statuses(&rig, bytes.as_bytes()).await, [200], "{lines:?}");
    }
    let requests = github.requests();
    assert_eq!(requests.len(), 3);
    for request in requests {
        assert_eq!((request.target.as_str(), request.body.as_slice()), ("/x", b"hello".as_slice()));
        assert!(!request.headers.contains_key("content-length"), "{request:#?}");
    }
}

#[tokio::test]
async fn the_body_of_a_refused_request_is_not_read_as_the_next_request() {
    let (rig, github) = rig_with_upstream().await;
    let smuggled = head(&rig, "GET /proxy/github/smuggled", "");
    let length = smuggled.len();
    let chunked = format!("{length:x}\r\n{smuggled}\r\n0\r\n\r\n");
    for (token, path, status) in
        [("wrong", "/proxy/github/x", 401), (rig.token(), "/proxy/none/x", 404), (rig.token(), "/nowhere", 404)]
    {
        for (more, body) in [
            (format!("content-length: {length}\r\n"), &smuggled),
            ("transfer-encoding: chunked\r\n".to_owned(), &chunked),
            (format!("content-length: {length}\r\nexpect: 100-continue\r\n"), &smuggled),
        ] {
            let mut wire = Wire::to(&rig.address()).await;
            let head = head_with(&rig, token, &format!("POST {path}"), &more);
            // Together, and the body only once the refusal has come.
            if more.contains("expect") {
                wire.send(&head).await;
                assert_eq!(wire.answer("POST").await.status, status, "{path} {more}");
                wire.send(body).await;
            } else {
                wire.send(head + body).await;
                assert_eq!(wire.answer("POST").await.status, status, "{path} {more}");
            }
            wire.half_close().await;
            assert_eq!(wire.rest().await, b"", "{path} {more}");
        }
    }
    github.saw_nothing();
}

#[tokio::test]
async fn each_request_of_a_connection_is_judged_by_its_own_token() {
    let github = Upstream::recording(|request| {
        Response::new(Bytes::from(format!("{} as {}", request.target, request.all("authorization"))))
    })
    .await;
    // The provider tells whom it was called as, which the guard would mask.
    let rig = rig().provider_at("github", &github.base_url(), "allow = \"all\"\nguard = \"off\"").start().await;
    let bob = User::new("github|2").with(Identity::new("github", "2").access_token("tok-bob"));
    rig.tenant.add_user(bob);
    let (bob, alices) = (rig.tenant.token_for("github|2"), format!("Bearer {}", provider_token("github")));
    let mut wire = Wire::to(&rig.address()).await;
    let pipeline = [
        head(&rig, "GET /proxy/github/1", ""),
        head_with(&rig, &bob, "POST /proxy/github/2", "content-length: 2\r\n") + "hi",
        head_with(&rig, "nonsense", "GET /proxy/github/3", ""),
        format!("GET /proxy/github/4 HTTP/1.1\r\nhost: {}\r\n\r\n", rig.address()),
        head(&rig, "GET /proxy/github/5", ""),
    ];
    wire.send(pipeline.concat()).await;
    let mut answers = Vec::new();
    for _ in &pipeline {
        let answer = wire.answer("GET").await;
        answers.push((answer.status, if answer.status == 200 { answer.text() } else { answer.code() }));
    }
    let expected = [
        (200, format!("/1 as {alices}")),
        (200, "/2 as Bearer tok-bob".to_owned()),
        (401, "unreadable_token".to_owned()),
        (401, "missing_token".to_owned()),
        (200, format!("/5 as {alices}")),
    ];
    assert_eq!(answers, expected);
    assert_eq!(github.requests().len(), 3);
}

#[tokio::test]
async fn a_body_of_a_get_is_forwarded_as_a_body() {
    let (rig, github) = rig_with_upstream().await;
    for method in ["GET", "DELETE", "OPTIONS"] {
        let answer = rig.send(method, "/proxy/github/x", &[], SMUGGLED.as_bytes()).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "/x"), "{method}");
    }
    let requests = github.requests();
    assert_eq!(requests.iter().map(|request| request.target.as_str()).collect::<Vec<_>>(), ["/x"; 3]);
    assert!(requests.iter().all(|request| request.body == SMUGGLED.as_bytes()));
}

#[tokio::test]
async fn an_upload_that_breaks_off_is_never_completed_at_the_provider() {
    let (rig, github) = rig_with_upstream().await;
    for (more, body) in [
        ("content-length: 10\r\n", "hello"),
        ("transfer-encoding: chunked\r\n", "5\r\nhello\r\n"),
        ("transfer-encoding: chunked\r\n", "5\r\nhello\r\n0\r\n"),
        ("transfer-encoding: chunked\r\n", "a\r\nhello"),
    ] {
        for is_reset in [false, true] {
            let seen = github.requests().len();
            let mut wire = Wire::to(&rig.address()).await;
            wire.send(head(&rig, "POST /proxy/github/x", more) + body).await;
            // The provider must have seen the beginning, or there would be nothing to complete.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            if is_reset {
                wire.reset();
            } else {
                wire.half_close().await;
                let _ = wire.rest().await;
            }
            until_so("the broken upload at the provider", || github.requests().len() > seen).await;
            assert!(!is_whole(&github.requests()[seen]), "{more:?} {body:?} reset: {is_reset}");
        }
    }
}

#[tokio::test]
async fn what_looks_like_an_http_2_preface_and_is_none_is_refused() {
    let (rig, github) = rig_with_upstream().await;
    for bytes in ["PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "PRI * HTTP/1.1\r\nhost: localhost\r\n\r\n"] {
        let statuses = statuses(&rig, bytes.as_bytes()).await;
        assert!(statuses.is_empty() || statuses == [400], "{bytes:?}: {statuses:?}");
    }
    github.saw_nothing();
}
