//! Which pages may use the proxy from a browser: listed origins, exactly, on every answer; nobody else, for anything.

use http::Response;
use hyper::body::Bytes;
use idp_proxy::command::dev::tenant::Endpoint;

use crate::support::{Answer, Rig, Upstream, rig};

const APP: &str = "https://app.example.com";

async fn for_the_app() -> (Rig, Upstream) {
    let github = Upstream::replying("ok").await;
    let cors = format!("origins = [\"{APP}\", \"http://localhost:5173\"]");
    let rig = rig().with("cors", &cors).with("server", "public_url = \"https://proxy.example.com\"");
    (rig.provider("github", &github).start().await, github)
}

/// What tells browsers who may read an answer.
fn sharing(answer: &Answer) -> (Option<&str>, bool) {
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    (answer.header("access-control-allow-origin"), answer.header("access-control-expose-headers").is_some())
}

fn varies_by_origin(answer: &Answer) -> bool {
    answer.all("vary").split(',').any(|field| field.trim().eq_ignore_ascii_case("origin"))
}

#[tokio::test]
async fn a_listed_origin_reads_every_answer_and_so_does_the_proxys_own() {
    let (rig, github) = for_the_app().await;
    for origin in [APP, "http://localhost:5173", "https://proxy.example.com"] {
        let answer = rig.get_with("/proxy/github/user", &[("origin", origin)]).await;
        assert_eq!((answer.status, sharing(&answer)), (200, (Some(origin), true)));
        assert!(varies_by_origin(&answer));
        let exposed = answer.all("access-control-expose-headers");
        let exposed: Vec<&str> = exposed.split(',').map(str::trim).collect();
        for name in ["etag", "link", "proxy-status", "retry-after", "server-timing", "www-authenticate", "x-request-id"]
        {
            assert!(exposed.contains(&name), "{name}");
        }
        assert!(!exposed.contains(&"*"));
    }
    assert!(github.requests().iter().all(|request| !request.headers.contains_key("origin")));
}

#[tokio::test]
async fn without_a_public_url_the_address_itself_is_the_proxys_own_origin() {
    let github = Upstream::replying("ok").await;
    let rig = rig().provider("github", &github).start().await;
    let origin = format!("http://{}", rig.address());
    let answer = rig.get_with("/proxy/github/user", &[("origin", &origin)]).await;
    assert_eq!((answer.status, sharing(&answer)), (200, (Some(&*origin), true)));
    let answer = rig.get_with("/proxy/github/user", &[("origin", APP)]).await;
    assert_eq!(answer.code(), "origin_not_allowed");
}

#[tokio::test]
async fn any_other_origin_is_refused_before_anything_else_whatever_it_asks_for() {
    let (rig, github) = for_the_app().await;
    for origin in [
        "null",
        "",
        "*",
        "https://app.example.com.evil.example",
        "https://evil-app.example.com",
        "https://evilapp.example.com",
        "https://app.example.co",
        "https://example.com",
        "http://app.example.com",
        "https://app.example.com:443",
        "https://app.example.com:8443",
        "https://app.example.com/",
        "https://APP.example.com",
        "https://app.example.com, https://app.example.com",
        "https://app.example.com https://evil.example",
        "https://app_example.com",
        "http://proxy.example.com",
        "é",
    ] {
        let asked = [("origin", origin), ("access-control-request-method", "GET")];
        for (method, path) in [
            ("OPTIONS", "/proxy/github/user"),
            ("GET", "/proxy/github/user"),
            ("GET", "/proxy/unknown/../user"),
            ("GET", "/problems/internal"),
            ("GET", "/nothing"),
            ("TRACE", "/proxy/github/user"),
        ] {
            for answer in [rig.send(method, path, &asked, b"").await, rig.send_as_is(method, path, &asked, b"").await] {
                let seen = (answer.status, answer.code());
                assert_eq!(seen, (403, "origin_not_allowed".to_owned()), "{origin} {method} {path}");
                assert_eq!(sharing(&answer), (None, false), "{origin} {method} {path}");
                assert!(varies_by_origin(&answer));
            }
        }
    }
    github.saw_nothing();
    assert_eq!(rig.tenant.calls(Endpoint::Users), 0);
}

#[tokio::test]
async fn two_origins_are_none_even_if_both_are_listed() {
    let (rig, github) = for_the_app().await;
    for second in [APP, "http://localhost:5173", "https://evil.example"] {
        let answer = rig.get_with("/proxy/github/user", &[("origin", APP), ("origin", second)]).await;
        assert_eq!((answer.code().as_str(), sharing(&answer)), ("origin_not_allowed", (None, false)), "{second}");
    }
    let host = format!("Host: {}", rig.address());
    let answer = rig.exchange("GET /proxy/github/user HTTP/1.1", &[&host, &host, "Origin: https://evil.example"]).await;
    assert_eq!(answer.code(), "origin_not_allowed", "before the request is looked at in any other way");
    github.saw_nothing();
}

#[tokio::test]
async fn a_preflight_is_answered_here_without_a_token_and_without_a_body() {
    let (rig, github) = for_the_app().await;
    for path in ["/proxy/github/user", "/proxy/unknown/x", "/problems/internal", "/nothing"] {
        let asked = [
            ("origin", APP),
            ("access-control-request-method", "PATCH"),
            ("access-control-request-headers", "authorization,content-type"),
            ("access-control-request-headers", "x-github-api-version"),
        ];
        let answer = rig.send_as_is("OPTIONS", path, &asked, b"").await;
        assert_eq!((answer.status, answer.body.len()), (204, 0), "{path}");
        assert_eq!(sharing(&answer).0, Some(APP));
        let methods = answer.all("access-control-allow-methods");
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] {
            assert!(methods.split(", ").any(|allowed| allowed == method), "{method}");
        }
        // A wildcard would not cover Authorization.
        assert_eq!(answer.all("access-control-allow-headers"), "authorization,content-type, x-github-api-version");
        assert!(answer.header("access-control-max-age").unwrap().parse::<u32>().unwrap() > 0);
        let vary = answer.all("vary").to_ascii_lowercase();
        assert!(vary.contains("origin") && vary.contains("access-control-request-headers"), "{vary}");
        assert_eq!(answer.header("access-control-allow-private-network"), None);
        assert!(answer.header("x-request-id").is_some());
    }
    github.saw_nothing();
}

#[tokio::test]
async fn a_page_on_the_public_web_may_ask_for_a_proxy_in_a_private_network() {
    let (rig, _github) = for_the_app().await;
    let asked =
        [("origin", APP), ("access-control-request-method", "GET"), ("access-control-request-private-network", "true")];
    let answer = rig.send_as_is("OPTIONS", "/proxy/github/user", &asked, b"").await;
    assert_eq!((answer.status, answer.header("access-control-allow-private-network")), (204, Some("true")));
}

#[tokio::test]
async fn an_options_request_that_is_no_preflight_is_a_request_like_any_other() {
    let (rig, github) = for_the_app().await;
    let (origin, method) = (("origin", APP), ("access-control-request-method", "GET"));
    for lines in [&[][..], &[origin], &[method]] {
        let stranger = rig.send_as_is("OPTIONS", "/proxy/github/user", lines, b"").await;
        assert_eq!(stranger.code(), "missing_token", "{lines:?}");
    }
    let answer = rig.send("OPTIONS", "/proxy/github/user", &[origin], b"").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    assert_eq!(github.only().method, "OPTIONS");
    // And a request for a resource is none because it says so.
    let answer = rig.send_as_is("GET", "/proxy/github/user", &[origin, method], b"").await;
    assert_eq!(answer.code(), "missing_token");
}

#[tokio::test]
async fn a_listed_page_can_read_every_failure_as_well() {
    let unreachable = "http://127.0.0.1:1";
    let github = Upstream::replying("ok").await;
    let rig = rig()
        .with("cors", &format!("origins = [\"{APP}\"]"))
        .with("server", "name = \"edge-1\"")
        .provider_at("github", &github.base_url(), "")
        .provider_at("down", unreachable, "")
        .start()
        .await;
    let bearer = format!("authorization: Bearer {}", rig.token());
    let (origin, host) = (format!("origin: {APP}"), format!("host: {}", rig.address()));
    for (request_line, line, code) in [
        ("GET /proxy/github/user HTTP/1.1", "x: y", "missing_token"),
        ("GET /proxy/github/user HTTP/1.1", "authorization: Bearer a.b.c", "invalid_token"),
        ("GET /proxy/unknown/user HTTP/1.1", &*bearer, "unknown_provider"),
        ("GET /nothing HTTP/1.1", "x: y", "not_found"),
        ("GET /proxy/github/../user HTTP/1.1", &bearer, "bad_request"),
        ("GET /proxy/github/user HTTP/1.1", &host, "bad_request"),
        ("GET http://evil.example/proxy/github/user HTTP/1.1", &bearer, "bad_request"),
        ("TRACE /proxy/github/user HTTP/1.1", &bearer, "not_implemented"),
        ("DELETE /proxy/github/user HTTP/1.1", &bearer, "not_allowed"),
        ("GET /proxy/down/user HTTP/1.1", &bearer, "upstream_unreachable"),
        ("GET /proxy/github/user HTTP/1.1", "via: 1.1 edge-1", "loop_detected"),
    ] {
        let text = format!("{request_line}\r\n{host}\r\n{origin}\r\n{line}\r\n\r\n");
        let answer = rig.exchange_as_is(&text).await;
        assert_eq!(answer.code(), code, "{text}");
        assert_eq!(sharing(&answer), (Some(APP), true), "{code}");
        assert!(varies_by_origin(&answer), "{code}");
    }
    github.saw_nothing();
}

#[tokio::test]
async fn a_providers_own_sharing_is_replaced_and_its_vary_is_continued() {
    let github = Upstream::recording(|_| {
        let response = Response::builder()
            .header("access-control-allow-origin", "*")
            .header("access-control-allow-credentials", "true")
            .header("access-control-expose-headers", "x-secret")
            .header("vary", "Accept, Authorization")
            .header("vary", "X-Requested-With");
        response.body(Bytes::new()).unwrap()
    })
    .await;
    let cors = format!("origins = [\"{APP}\"]");
    let rig = rig().with("cors", &cors).provider("github", &github).start().await;
    let answer = rig.get_with("/proxy/github/user", &[("origin", APP)]).await;
    assert_eq!(sharing(&answer), (Some(APP), true));
    assert!(!answer.all("access-control-expose-headers").contains("x-secret"));
    assert_eq!(answer.all("vary"), "Accept, Authorization, X-Requested-With, origin");
    let answer = rig.get("/proxy/github/user").await;
    assert_eq!(sharing(&answer), (None, false), "no page asked");
    assert!(varies_by_origin(&answer), "a cache would otherwise hand this answer to a page");
}
