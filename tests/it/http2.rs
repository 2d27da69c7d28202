//! HTTP/2 with prior knowledge on the same port: many streams, each one request, none that leans on another.

use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use idp_proxy::command::dev::tenant::{Identity, User};
use tokio::net::TcpStream;

use crate::support::frames::{Frames, Outcome};
use crate::support::rig::provider_token;
use crate::support::wire::{by_hand, soon, until_so};
use crate::support::{Rig, Upstream, rig};

async fn client(rig: &Rig) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(rig.address()).await.unwrap();
    let (client, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    client
}

fn request(rig: &Rig, token: &str, path: &str) -> Request<Full<Bytes>> {
    let request = Request::get(format!("http://{}{path}", rig.address()));
    request.header("authorization", format!("Bearer {token}")).body(Full::default()).unwrap()
}

/// The fields of alice's request.
fn fields<'a>(method: &'a str, path: &'a str, authority: &'a str, bearer: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        (":method", method),
        (":scheme", "http"),
        (":authority", authority),
        (":path", path),
        ("authorization", bearer),
    ]
}

#[tokio::test]
async fn each_stream_of_a_connection_is_judged_by_its_own_token() {
    let github = Upstream::recording(|request| {
        Response::new(Bytes::from(format!("{} as {}", request.target, request.all("authorization"))))
    })
    .await;
    // The provider tells whom it was called as, which the guard would mask.
    let rig = rig().provider_at("github", &github.base_url(), "allow = \"all\"\nguard = \"off\"").start().await;
    rig.tenant.add_user(User::new("github|2").with(Identity::new("github", "2").access_token("tok-bob")));
    let (bob, alices) = (rig.tenant.token_for("github|2"), provider_token("github"));
    let client = client(&rig).await;
    let mut streams = Vec::new();
    for number in 0..120 {
        let (token, expected) = match number % 3 {
            0 => (rig.token(), format!("/{number} as Bearer {alices}")),
            1 => (bob.as_str(), format!("/{number} as Bearer tok-bob")),
            _ => ("nonsense", "unreadable_token".to_owned()),
        };
        let sent = client.clone().send_request(request(&rig, token, &format!("/proxy/github/{number}")));
        streams.push(tokio::spawn(async move {
            let body = sent.await.unwrap().into_body().collect().await.unwrap().to_bytes();
            let text = String::from_utf8(body.to_vec()).unwrap();
            assert!(text.contains(&expected), "{number}: {text}");
        }));
    }
    for stream in streams {
        soon("an answer", stream).await.unwrap();
    }
    let requests = github.requests();
    assert_eq!(requests.len(), 80);
    assert!(requests.iter().all(|request| request.all("via").starts_with("2 ")));
}

/// What becomes of each of these requests, of which the provider must see nothing.
async fn refused<'a>(rig: &Rig, github: &Upstream, requests: &[Vec<(&'a str, &'a str)>]) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for fields in requests {
        let mut frames = Frames::to(&rig.address()).await;
        frames.headers(1, fields, true).await;
        outcomes.push(frames.outcome(1).await);
        assert_eq!(github.requests().len(), 0, "{:?}", &fields[..4]);
    }
    outcomes
}

#[tokio::test]
async fn a_request_to_no_place_of_ours_is_refused_with_a_reason() {
    let github = Upstream::replying("forwarded").await;
    let rig = rig().provider("github", &github).start().await;
    let (address, bearer) = (rig.address(), format!("Bearer {}", rig.token()));
    let base = |method, path, authority| fields(method, path, authority, &bearer);
    let plain = "/proxy/github/x";
    let mut with_host = base("GET", plain, &address);
    with_host.push(("host", "other.example"));
    let mut without_authority = base("GET", plain, &address);
    without_authority.remove(2);
    let mut of_ftp = base("GET", plain, &address);
    of_ftp[1].1 = "ftp";
    let connect = vec![(":method", "CONNECT"), (":authority", &address), ("authorization", &bearer), ("x", "y")];
    let requests = [
        (base("GET", "/proxy/github/../x", &address), "bad_request"),
        (base("GET", "/proxy/github/%2e%2e/x", &address), "bad_request"),
        (base("OPTIONS", "*", &address), "bad_request"),
        (base("GET", plain, "user@localhost"), "bad_request"),
        (with_host, "bad_request"),
        (without_authority, "bad_request"),
        (of_ftp, "bad_request"),
        (base("TRACE", plain, &address), "not_implemented"),
        (connect, "not_implemented"),
    ];
    let (requests, codes): (Vec<_>, Vec<_>) = requests.into_iter().unzip();
    for (outcome, code) in refused(&rig, &github, &requests).await.into_iter().zip(codes) {
        let Outcome::Answered(body) = outcome else { panic!("{outcome:?} for {code}") };
        assert!(body.contains(&format!("\"code\":\"{code}\"")), "{code}: {body}");
    }
    assert_eq!(rig.get(plain).await.text(), "forwarded");
}

#[tokio::test]
async fn a_malformed_request_is_refused_and_nothing_of_it_forwarded() {
    let github = Upstream::replying("forwarded").await;
    let rig = rig().provider("github", &github).start().await;
    let (address, bearer) = (rig.address(), format!("Bearer {}", rig.token()));
    let base = || fields("GET", "/proxy/github/x", &address, &bearer);
    let more = [
        ("connection", "close"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "close"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("te", "gzip"),
        ("X-Upper", "x"),
        ("x y", "z"),
        ("x:y", "z"),
        ("x", "a\r\nb: c"),
        ("x", "a\nb"),
        ("x", "a\0b"),
        (":path", "/proxy/github/second"),
        (":method", "POST"),
        (":unknown", "x"),
        (":status", "200"),
        (":protocol", "websocket"),
        ("content-length", "5"),
        ("content-length", "x"),
        ("content-length", "+0"),
    ];
    let instead = [
        (0, "GE T"),
        (3, ""),
        (3, "proxy/github/x"),
        (3, "/proxy/github/x y"),
        (3, "/proxy/github/x\r\nb: c"),
        (1, "http://localhost/"),
        (2, "a b"),
    ];
    let mut requests: Vec<_> = more.into_iter().map(|field| [base(), vec![field]].concat()).collect();
    requests.extend(instead.into_iter().map(|(at, value)| {
        let mut fields = base();
        fields[at].1 = value;
        fields
    }));
    requests.extend([0, 1, 3].into_iter().map(|at| {
        let mut fields = base();
        fields.remove(at);
        fields
    }));
    refused(&rig, &github, &requests).await;
    let mut frames = Frames::to(&address).await;
    frames.headers(1, &base(), true).await;
    assert_eq!(frames.outcome(1).await, Outcome::Answered("forwarded".to_owned()));
}

#[tokio::test]
async fn a_stream_that_is_cancelled_ends_its_work_at_the_provider_and_no_other() {
    let (upstream, mut connections) = by_hand().await;
    let rig = rig().provider("github", &upstream).start().await;
    let (address, bearer) = (rig.address(), format!("Bearer {}", rig.token()));
    let mut frames = Frames::to(&address).await;
    frames.headers(1, &fields("GET", "/proxy/github/1", &address, &bearer), true).await;
    let mut first = connections.next().await;
    assert!(first.head().await.starts_with("GET /1 "));
    frames.headers(3, &fields("GET", "/proxy/github/3", &address, &bearer), true).await;
    let mut second = connections.next().await;
    assert!(second.head().await.starts_with("GET /3 "));
    frames.reset(1).await;
    assert_eq!(first.rest().await, b"");
    second.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    assert_eq!(frames.outcome(3).await, Outcome::Answered("ok".to_owned()));
}

#[tokio::test]
async fn an_answer_that_breaks_off_resets_its_stream_and_no_other() {
    let (upstream, mut connections) = by_hand().await;
    let rig = rig().provider("github", &upstream).start().await;
    let (address, bearer) = (rig.address(), format!("Bearer {}", rig.token()));
    let mut frames = Frames::to(&address).await;
    let mut stream = 1;
    for framing in ["content-length: 10", "transfer-encoding: chunked"] {
        frames.headers(stream, &fields("GET", "/proxy/github/x", &address, &bearer), true).await;
        let mut provider = connections.next().await;
        provider.head().await;
        provider.send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n")).await;
        provider.send(if framing.starts_with('c') { "hello" } else { "5\r\nhello\r\n" }).await;
        assert_eq!(frames.piece(stream).await, b"hello");
        drop(provider);
        assert_eq!(frames.outcome(stream).await, Outcome::Reset(String::new()), "{framing}");
        stream += 2;
    }
    frames.headers(stream, &fields("GET", "/proxy/github/x", &address, &bearer), true).await;
    let mut provider = connections.next().await;
    provider.head().await;
    provider.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    assert_eq!(frames.outcome(stream).await, Outcome::Answered("ok".to_owned()));
}

#[tokio::test]
async fn bodies_are_streamed_both_ways_and_trailers_of_requests_end_here() {
    let (upstream, mut connections) = by_hand().await;
    let rig = rig().provider("github", &upstream).start().await;
    let (address, bearer) = (rig.address(), format!("Bearer {}", rig.token()));
    let mut frames = Frames::to(&address).await;
    frames.headers(1, &fields("POST", "/proxy/github/x", &address, &bearer), false).await;
    frames.data(1, b"first", false).await;
    let mut provider = connections.next().await;
    let head = provider.head().await;
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
    assert_eq!(soon("the first piece", provider.chunk()).await.unwrap(), b"first");
    frames.data(1, b"last", false).await;
    frames.headers(1, &[("authorization", "Bearer x"), ("x", "y")], true).await;
    assert_eq!(soon("the last piece", provider.chunk()).await.unwrap(), b"last");
    assert_eq!(soon("the end", provider.until(b"\r\n\r\n")).await.unwrap(), b"0\r\n\r\n");
    provider.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
    for piece in ["one", "two"] {
        provider.send(format!("3\r\n{piece}\r\n")).await;
        assert_eq!(frames.piece(1).await, piece.as_bytes());
    }
    provider.send("0\r\n\r\n").await;
    assert_eq!(frames.outcome(1).await, Outcome::Answered(String::new()));
}

#[tokio::test]
async fn trailers_of_an_answer_reach_the_caller_but_those_that_only_a_head_may_bring() {
    let (upstream, mut connections) = by_hand().await;
    let rig = rig().provider("github", &upstream).start().await;
    let sent = client(&rig).await.send_request(request(&rig, rig.token(), "/proxy/github/x"));
    let answer = tokio::spawn(async move { sent.await.unwrap().into_body().collect().await.unwrap() });
    let mut provider = connections.next().await;
    provider.head().await;
    let refused = [
        "set-cookie: a=1",
        "access-control-allow-origin: *",
        "alt-svc: h3=\":443\"",
        "cache-control: public",
        "content-length: 9",
        "content-type: text/html",
        "keep-alive: timeout=9",
        "location: https://evil.example/",
        "proxy-status: idp-proxy; error=http_request_denied",
        "strict-transport-security: max-age=1",
        "www-authenticate: Basic",
        "x-content-type-options: sniff",
    ];
    provider.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n").await;
    provider.send(format!("5\r\nhello\r\n0\r\n{}\r\nx-sum: yes\r\n\r\n", refused.join("\r\n"))).await;
    let answer = soon("the answer", answer).await.unwrap();
    let came: Vec<_> =
        answer.trailers().unwrap().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    assert_eq!(came, [("x-sum", b"yes".as_slice())]);
    assert_eq!(answer.to_bytes(), "hello");
}

#[tokio::test]
async fn an_upload_that_breaks_off_is_never_completed_at_the_provider() {
    let github = Upstream::replying("ok").await;
    let rig = rig().provider("github", &github).start().await;
    let (address, bearer) = (rig.address(), format!("Bearer {}", rig.token()));
    for (number, is_reset) in [true, false].into_iter().enumerate() {
        let mut frames = Frames::to(&address).await;
        frames.headers(1, &fields("POST", "/proxy/github/x", &address, &bearer), false).await;
        frames.data(1, b"hello", false).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        if is_reset {
            frames.reset(1).await;
        } else {
            drop(frames);
        }
        until_so("the broken upload", || github.requests().len() > number).await;
        assert!(!github.requests()[number].complete, "reset: {is_reset}");
    }
}

#[tokio::test]
async fn streams_that_are_opened_and_cancelled_in_a_flood_end_the_connection() {
    let github = Upstream::replying("ok").await;
    let rig = rig().provider("github", &github).start().await;
    let (address, bearer) = (rig.address(), format!("Bearer {}", rig.token()));
    let mut frames = Frames::to(&address).await;
    let mut stream = 1;
    let flood = async {
        while frames.headers(stream, &fields("GET", "/proxy/github/x", &address, &bearer), true).await
            && frames.reset(stream).await
        {
            stream += 2;
        }
    };
    soon("the end of the flood", flood).await;
    assert_eq!(rig.get("/proxy/github/x").await.text(), "ok");
}

#[tokio::test]
async fn an_idle_connection_is_kept_for_keep_alive_also_when_the_caller_pings() {
    let github = Upstream::replying("ok").await;
    let limits = "request_head_timeout = \"300ms\"\nkeep_alive = \"1h\"";
    let rig = rig().provider("github", &github).with("limits", limits).start().await;
    let (address, bearer) = (rig.address(), format!("Bearer {}", rig.token()));
    let mut frames = Frames::to(&address).await;
    for stream in [1, 3] {
        frames.headers(stream, &fields("GET", "/proxy/github/x", &address, &bearer), true).await;
        assert_eq!(frames.outcome(stream).await, Outcome::Answered("ok".to_owned()));
        frames.ping().await;
        tokio::time::sleep(Duration::from_millis(1000)).await;
    }
    frames.half_headers(5).await;
    assert_eq!(frames.outcome(5).await, Outcome::Closed, "a head may take as long as it likes");
}
