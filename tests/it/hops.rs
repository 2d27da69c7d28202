//! One hop of many: what is for this connection alone, who passed the message on, and requests that go in circles.

use std::collections::BTreeMap;
use std::path::Path;

use idp_proxy::config::Config;

use crate::support::exact::upstream_saying;
use crate::support::rig::provider_token;
use crate::support::{Rig, Upstream, rig};

/// A proxy that is called `edge-1` in `Via`.
async fn edge() -> (Rig, Upstream) {
    let github = Upstream::replying("ok").await.allow(&["x-kept", "x-nominated", "max-forwards"]);
    (rig().with("server", "name = \"edge-1\"").provider("github", &github).start().await, github)
}

#[tokio::test]
async fn what_any_connection_line_names_goes_no_further_and_the_rest_does() {
    let (rig, github) = edge().await;
    for lines in [
        &["x-nominated"][..],
        &["X-NOMINATED"],
        &["keep-alive, x-nominated"],
        &["keep-alive", "x-nominated"],
        &["keep-alive,,\tx-Nominated ,"],
        &["x-absent", "keep-alive, x-other", ", x-nominated"],
        &["close, x-nominated"],
    ] {
        let mut sent = vec![("x-kept", "1"), ("X-Nominated", "1"), ("x-nominated", "2")];
        sent.extend(lines.iter().map(|line| ("connection", *line)));
        assert_eq!(rig.get_with("/proxy/github/user", &sent).await.status, 200, "{lines:?}");
        let request = github.requests().pop().unwrap();
        assert_eq!((&*request.all("x-kept"), &*request.all("x-nominated")), ("1", ""), "{lines:?}");
    }
}

#[tokio::test]
async fn no_connection_line_takes_away_what_the_proxy_sets() {
    let (rig, github) = edge().await;
    for name in ["authorization", "Authorization", "host", "content-length", "via", "transfer-encoding", "connection"] {
        let line = format!("{name}, close, {}", name.to_ascii_uppercase());
        let sent = [("connection", &*line), ("connection", name), ("via", "1.1 other")];
        let answer = rig.send("POST", "/proxy/github/user", &sent, b"body").await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        let request = github.requests().pop().unwrap();
        assert_eq!(request.all("authorization"), format!("Bearer {}", provider_token("github")), "{name}");
        assert_eq!(request.all("host"), github.base_url().trim_start_matches("http://"), "{name}");
        assert_eq!((request.body.as_slice(), request.complete), (&b"body"[..], true), "{name}");
        assert!(request.all("via").ends_with("1.1 edge-1"), "{name}");
    }
}

#[tokio::test]
async fn via_is_continued_with_the_version_that_came_and_a_name_that_is_no_host() {
    let (rig, github) = edge().await;
    let host = format!("Host: {}", rig.address());
    for (request_line, lines, via) in [
        ("GET /proxy/github/ HTTP/1.1", &[][..], "1.1 edge-1"),
        ("GET /proxy/github/ HTTP/1.0", &[], "1.0 edge-1"),
        (
            "GET /proxy/github/ HTTP/1.1",
            &["Via: 1.0 fred, 1.1 p.example (Apache/1.1)", "Via: HTTP/2 edge-10"],
            "1.0 fred, 1.1 p.example (Apache/1.1), HTTP/2 edge-10, 1.1 edge-1",
        ),
    ] {
        let lines = [lines, &[&*host]].concat();
        assert_eq!(rig.exchange(request_line, &lines).await.status, 200, "{request_line}");
        assert_eq!(github.requests().pop().unwrap().all("via"), via);
    }
}

#[tokio::test]
async fn without_a_configured_name_each_deployment_has_one_of_its_own() {
    let github = Upstream::replying("ok").await;
    let mut names = Vec::new();
    for _ in 0..2 {
        let rig = rig().provider("github", &github).start().await;
        assert_eq!(rig.get("/proxy/github/").await.status, 200);
        let via = github.requests().pop().unwrap().all("via");
        let address = rig.address();
        assert!(via.starts_with("1.1 ") && !via.contains(&address) && !via.contains("localhost"), "{via}");
        names.push(via);
    }
    assert_ne!(names[0], names[1]);
}

#[tokio::test]
async fn a_request_that_has_been_here_before_is_a_loop_whoever_sends_it() {
    let (rig, github) = edge().await;
    for lines in [
        &[("via", "1.1 edge-1")][..],
        &[("via", "HTTP/2.0 edge-1 (a, comment)")],
        &[("via", "1.0 fred, 1.1 edge-1, 1.1 other")],
        &[("via", "1.0 fred"), ("via", "1.1\tedge-1")],
    ] {
        let answer = rig.get_with("/proxy/github/user", lines).await;
        assert_eq!((answer.status, answer.code().as_str()), (508, "loop_detected"), "{lines:?}");
        assert_eq!(
            answer.header("proxy-status"),
            Some("idp-proxy; error=proxy_loop_detected; details=\"loop_detected\"")
        );
        // It carries the token of a provider by then, or none, if the provider's header is another.
        let answer = rig.send_as_is("GET", "/proxy/github/user", lines, b"").await;
        assert_eq!((answer.status, answer.code().as_str()), (508, "loop_detected"), "{lines:?}");
    }
    github.saw_nothing();
    for innocent in ["1.1 edge-10", "1.1 edge", "edge-1 other", "1.1 other (edge-1)", "1.1 x-edge-1"] {
        assert_eq!(rig.get_with("/proxy/github/user", &[("via", innocent)]).await.status, 200, "{innocent}");
    }
}

#[tokio::test]
async fn a_provider_that_turns_out_to_be_this_proxy_is_told_apart_at_the_first_round() {
    let github = Upstream::replying("never called").await;
    let rig = rig().provider("github", &github).provider("mirror", &github).start().await;
    // Configuration refuses the proxy's own address; another name for it is only found out by calling it.
    let port = rig.server.proxy().port();
    let toml = rig.toml.replace(&github.base_url(), &format!("http://localhost:{port}/proxy/mirror"));
    assert_ne!(toml, rig.toml);
    let config = Config::parse(&toml, Path::new("test.toml"), &BTreeMap::new()).unwrap();
    rig.server.reload(config).await.unwrap();
    let answer = rig.get("/proxy/github/user").await;
    assert_eq!((answer.status, answer.code().as_str()), (508, "loop_detected"), "{}", answer.text());
    assert_eq!(answer.json()["fault"], "proxy");
    assert_eq!(answer.json()["provider"], "github");
    assert_eq!(answer.header("proxy-status"), Some("idp-proxy; error=proxy_loop_detected; details=\"loop_detected\""));
    github.saw_nothing();
}

#[tokio::test]
async fn max_forwards_counts_options_down_and_ends_here_at_zero() {
    let (rig, github) = edge().await;
    for (method, sent, arrived) in
        [("OPTIONS", "2", "1"), ("OPTIONS", "1", "0"), ("OPTIONS", "nonsense", "nonsense"), ("GET", "0", "0")]
    {
        let answer = rig.send(method, "/proxy/github/user", &[("max-forwards", sent)], b"").await;
        assert_eq!(answer.status, 200, "{method} {sent}");
        assert_eq!(github.requests().pop().unwrap().all("max-forwards"), arrived, "{method} {sent}");
    }
    let before = github.requests().len();
    let answer = rig.send("OPTIONS", "/proxy/github/user", &[("max-forwards", "0")], b"").await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    assert_eq!(github.requests().len(), before, "it ends here");
    let stranger = rig.send_as_is("OPTIONS", "/proxy/github/user", &[("max-forwards", "0")], b"").await;
    assert_eq!(stranger.code(), "missing_token");
    assert_eq!(rig.get("/proxy/github/user").await.status, 200);
    assert_eq!(github.requests().pop().unwrap().all("max-forwards"), "", "it is not made up");
}

#[tokio::test]
async fn an_upgrade_is_an_offer_that_is_not_taken_except_that_a_websocket_hears_why() {
    let (rig, github) = edge().await;
    for (upgrade, status) in [("h2c", 200), ("TLS/1.0, IRC/6.9", 200), ("websocket", 501), ("h2c, WebSocket", 501)] {
        let sent = [
            ("connection", "Upgrade, HTTP2-Settings"),
            ("upgrade", upgrade),
            ("http2-settings", "AAMAAABkAAQAoAAAAAIAAAAA"),
        ];
        let answer = rig.get_with("/proxy/github/user", &sent).await;
        assert_eq!(answer.status, status, "{upgrade}");
        assert_eq!(answer.code(), if status == 501 { "not_implemented" } else { "" });
    }
    assert_eq!(github.requests().len(), 2);
}

#[tokio::test]
async fn an_answer_too_loses_what_is_for_one_connection() {
    let github = upstream_saying(
        "HTTP/1.1 200 OK\r\nConnection: close, X-Named\r\nX-Named: 1\r\nX-Named: 2\r\nconnection: ,x-ALSO\r\nX-Also: 1\r\n\
         Keep-Alive: timeout=5\r\nProxy-Connection: close\r\nTE: trailers\r\nTrailer: x-sum\r\nUpgrade: h2c\r\n\
         Proxy-Authenticate: Basic\r\nProxy-Authentication-Info: a=1\r\nContent-Length: 2\r\nX-Kept: 1\r\n\r\nok",
    )
    .await;
    let rig = rig().provider("github", &github).start().await;
    let answer = rig.get("/proxy/github/user").await;
    assert_eq!((answer.status, answer.text().as_str(), answer.header("x-kept")), (200, "ok", Some("1")));
    for name in [
        "connection",
        "x-named",
        "x-also",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "upgrade",
        "proxy-authenticate",
        "proxy-authentication-info",
    ] {
        assert_eq!(answer.header(name), None, "{name}");
    }
}
