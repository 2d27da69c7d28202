//! How a provider's answer comes back: as it is, but for what it would say to browsers about our origin.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use http::Response;
use hyper::body::Bytes;

use crate::support::exact::upstream_saying;
use crate::support::{Answer, Rig, Upstream, rig};

type Lines = Vec<(&'static str, &'static str)>;

/// A proxy in front of a provider whose answers have the header lines that the test wants next.
struct Answering {
    rig: Rig,
    lines: Arc<Mutex<Lines>>,
    _upstream: Upstream,
}

impl Answering {
    async fn start() -> Self {
        let lines = Arc::<Mutex<Lines>>::default();
        let next = Arc::clone(&lines);
        let upstream = Upstream::recording(move |_| {
            let lines = next.lock().unwrap();
            let response =
                lines.iter().fold(Response::builder(), |response, (name, value)| response.header(*name, *value));
            response.body(Bytes::from_static(b"hello")).unwrap()
        })
        .await;
        Self { rig: rig().provider("github", &upstream).start().await, lines, _upstream: upstream }
    }

    async fn with(&self, lines: &[(&'static str, &'static str)]) -> Answer {
        *self.lines.lock().unwrap() = lines.to_vec();
        self.rig.get("/proxy/github/user").await
    }

    /// The same for several lines of one name.
    async fn with_lines(&self, name: &'static str, values: &[&'static str]) -> Answer {
        self.with(&values.iter().map(|value| (name, *value)).collect::<Vec<_>>()).await
    }
}

#[tokio::test]
async fn what_an_answer_says_to_browsers_about_our_origin_is_removed() {
    let lines = [
        ("set-cookie", "session=planted; Path=/"),
        ("set-cookie", "second=1"),
        ("set-cookie2", "a=1"),
        ("strict-transport-security", "max-age=31536000; includeSubDomains"),
        ("public-key-pins", "max-age=1"),
        ("alt-svc", "h3=\"evil.example:443\""),
        ("clear-site-data", "\"*\""),
        ("nel", "{\"report_to\":\"theirs\",\"max_age\":86400,\"include_subdomains\":true}"),
        ("report-to", "{\"group\":\"theirs\",\"max_age\":86400,\"endpoints\":[{\"url\":\"https://evil.example/\"}]}"),
        ("reporting-endpoints", "default=\"https://evil.example/\""),
        ("access-control-allow-origin", "*"),
        ("access-control-allow-credentials", "true"),
        ("access-control-expose-headers", "x-secret"),
        ("access-control-allow-headers", "x-secret"),
        ("access-control-max-age", "1"),
        ("access-control-whatever", "1"),
    ];
    let answer = Answering::start().await.with(&lines).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
    for (name, _) in lines {
        assert_eq!(answer.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn everything_else_comes_back_as_it_came_and_lines_of_one_name_in_their_order() {
    let lines = [
        ("etag", "W/\"abc\""),
        ("link", "<https://elsewhere.example/?page=2>; rel=\"next\""),
        ("x-many", "1"),
        ("link", "<https://elsewhere.example/?page=9>; rel=\"last\""),
        ("x-many", "2, 3"),
        ("x-many", "0"),
        ("content-type", "application/json"),
        ("content-encoding", "x-none"),
        ("retry-after", "120"),
        ("ratelimit", "\"default\";r=50;t=30"),
        ("x-ratelimit-remaining", "0"),
        ("sunset", "Sat, 31 Dec 2050 23:59:59 GMT"),
        ("deprecation", "@1688169599"),
        ("date", "Tue, 15 Nov 1994 08:12:31 GMT"),
        ("server", "github.com"),
        ("via", "1.1 varnish"),
        ("x-empty", ""),
        ("content-security-policy", "default-src 'none'"),
        ("last-modified", "Tue, 15 Nov 1994 12:45:26 GMT"),
    ];
    let answer = Answering::start().await.with(&lines).await;
    for (name, _) in lines {
        let sent: Vec<&str> = lines.iter().filter(|(known, _)| *known == name).map(|(_, value)| *value).collect();
        let came: Vec<&str> =
            answer.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect();
        assert_eq!(came, sent, "{name}");
    }
}

#[tokio::test]
async fn a_providers_own_refusal_is_relayed_to_the_byte_and_marked_as_relayed() {
    let challenges = ["Basic realm=\"GitHub\"", "Bearer error=\"invalid_token\", DPoP algs=\"ES256\""];
    let github = Upstream::recording(move |request| {
        let status: u16 = request.target.trim_start_matches('/').parse().unwrap();
        let response =
            Response::builder().status(status).header("content-type", "application/problem+json; charset=utf-8");
        let response = challenges.iter().fold(response, |response, line| response.header("www-authenticate", *line));
        response.body(Bytes::from_static(b"{\"code\":\"theirs\"}  \n")).unwrap()
    })
    .await;
    let rig = rig().provider("github", &github).start().await;
    for status in
        [201, 203, 207, 400, 402, 403, 404, 405, 409, 410, 418, 421, 422, 429, 451, 500, 501, 502, 503, 504, 508, 401]
    {
        let answer = rig.get(&format!("/proxy/github/{status}")).await;
        assert_eq!((answer.status, answer.text().as_str()), (status, "{\"code\":\"theirs\"}  \n"));
        assert_eq!(answer.header("content-type"), Some("application/problem+json; charset=utf-8"));
        assert_eq!(answer.all("www-authenticate"), challenges.join(", "), "{status}");
        assert_eq!(answer.all("proxy-status"), format!("idp-proxy; received-status={status}"));
    }
}

#[tokio::test]
async fn a_redirect_is_handed_on_and_never_followed() {
    let elsewhere = Upstream::replying("followed").await;
    let location = elsewhere.base_url();
    let github = Upstream::recording(move |request| {
        let status: u16 = request.target.trim_start_matches('/').parse().unwrap();
        Response::builder().status(status).header("location", &location).body(Bytes::new()).unwrap()
    })
    .await;
    let rig = rig().provider("github", &github).start().await;
    for status in [301, 302, 303, 307, 308] {
        let answer = rig.get(&format!("/proxy/github/{status}")).await;
        assert_eq!((answer.status, answer.header("location")), (status, Some(&*elsewhere.base_url())));
    }
    elsewhere.saw_nothing();
}

#[tokio::test]
async fn no_browser_guesses_a_type_and_active_content_is_boxed_in() {
    let github = Answering::start().await;
    for (kinds, is_active) in [
        (&["text/html; charset=utf-8"][..], true),
        (&["TEXT/HTML"], true),
        (&["application/xhtml+xml"], true),
        (&["image/svg+xml"], true),
        (&["text/xml"], true),
        (&["application/xml;q=1"], true),
        (&["application/atom+xml"], true),
        (&["text/plain", "text/html"], true),
        (&["text/plain, text/html"], true),
        (&["text/plain"], false),
        (&["application/json"], false),
        (&["application/octet-stream"], false),
        (&["image/png"], false),
        (&["text/htmlx"], false),
        (&[], false),
    ] {
        let mut lines: Vec<_> = kinds.iter().map(|kind| ("content-type", *kind)).collect();
        lines.push(("x-content-type-options", "sniff"));
        lines.push(("content-security-policy", "default-src 'self'"));
        let answer = github.with(&lines).await;
        assert_eq!(answer.all("x-content-type-options"), "nosniff", "{kinds:?}");
        let policy = if is_active { "default-src 'self', sandbox" } else { "default-src 'self'" };
        assert_eq!(answer.all("content-security-policy"), policy, "{kinds:?}");
        assert_eq!(answer.all("content-type"), kinds.join(", "));
    }
}

#[tokio::test]
async fn what_a_provider_calls_public_is_private_here_and_other_cache_rules_stay() {
    let github = Answering::start().await;
    for (theirs, ours) in [
        (&["public, max-age=60"][..], "private, max-age=60"),
        (&["max-age=60, PUBLIC"], "private, max-age=60"),
        (&["private, max-age=60, s-maxage=60"], "private, max-age=60"),
        (&["s-maxage=10"], "private"),
        (&["max-age=5", "public"], "private, max-age=5"),
        (&["no-store"], "no-store"),
        (&["no-cache,  max-age=0"], "no-cache,  max-age=0"),
        (&["private, max-age=60", "no-transform"], "private, max-age=60, no-transform"),
        (&["max-age=60, ext=\"publicity\""], "max-age=60, ext=\"publicity\""),
        (&[], ""),
    ] {
        let answer = github.with_lines("cache-control", theirs).await;
        assert_eq!(answer.all("cache-control"), ours, "{theirs:?}");
    }
}

#[tokio::test]
async fn the_proxy_is_the_last_to_speak_in_proxy_status_and_nobody_speaks_in_its_name() {
    let github = Answering::start().await;
    for (theirs, others) in [
        (&["cdn; received-status=200"][..], "cdn; received-status=200, "),
        (&["a; details=\"x, y\"", "b"], "a; details=\"x, y\", b, "),
        (&["idp-proxy; error=http_request_denied; details=\"invalid_token\""], ""),
        (&["a, idp-proxy; error=proxy_internal_error", "b"], "a, b, "),
        (&[], ""),
    ] {
        let answer = github.with_lines("proxy-status", theirs).await;
        assert_eq!(answer.all("proxy-status"), format!("{others}idp-proxy; received-status=200"), "{theirs:?}");
    }
}

#[tokio::test]
async fn every_answer_has_one_request_id_the_providers_if_it_made_one() {
    let github = Answering::start().await;
    let mut ids = BTreeSet::new();
    for path in ["/proxy/github/user", "/proxy/github/user", "/proxy/none/", "/problems/internal", "/nothing"] {
        let answer = github.rig.get(path).await;
        let id = answer.all("x-request-id");
        assert!(id.len() >= 16 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{path}: {id}");
        assert!(ids.insert(id), "{path}: an id of its own");
    }
    // The caller's own goes to the provider; what comes back is what the provider or the proxy made.
    let answer = github.with(&[("x-request-id", "theirs:1")]).await;
    assert_eq!(answer.all("x-request-id"), "theirs:1");
}

#[tokio::test]
async fn server_timing_tells_what_the_proxys_own_steps_cost_beside_the_providers() {
    let names = |answer: &Answer| {
        let text = answer.all("server-timing");
        text.split(", ").map(|metric| metric.split(';').next().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    let github = Answering::start().await;
    let answer = github.with(&[("server-timing", "db;dur=5")]).await;
    assert_eq!(names(&answer), "db verify token upstream");
    for metric in answer.all("server-timing").split(", ") {
        let cost: f64 = metric.split("dur=").nth(1).unwrap().split(';').next().unwrap().parse().unwrap();
        assert!(cost >= 0.0, "{metric}");
    }
    assert_eq!(names(&github.rig.get("/proxy/unknown/").await), "verify");
    assert_eq!(names(&github.rig.send_as_is("GET", "/proxy/github/user", &[], b"").await), "verify");
}

#[tokio::test]
async fn a_folded_line_or_a_control_byte_in_an_answer_never_becomes_a_line_of_ours() {
    let heads = [
        "X-Odd: a\rSet-Cookie: planted=1\r\n",
        "X-Odd: a\r\n Set-Cookie: planted=1\r\n",
        "X-Odd: a\nSet-Cookie: planted=1\r\n",
    ];
    let (mut builder, mut upstreams) = (rig(), Vec::new());
    for (index, head) in heads.iter().enumerate() {
        let upstream = upstream_saying(&format!("HTTP/1.1 200 OK\r\n{head}Content-Length: 2\r\n\r\nok")).await;
        builder = builder.provider(&format!("p{index}"), &upstream);
        upstreams.push(upstream);
    }
    let rig = builder.start().await;
    for (index, head) in heads.iter().enumerate() {
        let answer = rig.get(&format!("/proxy/p{index}/user")).await;
        assert!(matches!(answer.status, 200 | 502), "{head:?}: {}", answer.status);
        assert_eq!(answer.header("set-cookie"), None, "{head:?}");
        assert_eq!(answer.code(), if answer.status == 502 { "upstream_protocol" } else { "" }, "{head:?}");
    }
}
