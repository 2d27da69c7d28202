//! What of a caller's headers reaches the provider, and what is added to them.

use idp_proxy::command::dev::tenant::Identity;

use crate::support::rig::{ALICE, provider_token};
use crate::support::{Rig, Upstream, rig};

/// What a request says about the caller, about the way it came, or to us alone.
const FOR_US: [&str; 31] = [
    "Cookie: session=1",
    "Cookie2: $Version=1",
    "Forwarded: for=192.0.2.1;host=evil.example",
    "X-Forwarded-For: 192.0.2.1",
    "X-Forwarded-Host: evil.example",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Port: 443",
    "X-Forwarded-Prefix: /x",
    "X-Forwarded-Whatever: 1",
    "X-Real-IP: 192.0.2.1",
    "Client-IP: 192.0.2.1",
    "Referer: https://app.example.com/secret",
    "Proxy-Authorization: Basic YTpi",
    "Proxy-Authenticate: Basic",
    "Proxy-Connection: keep-alive",
    "Proxy-Whatever: 1",
    "Idp-Proxy-Min-Validity: 60",
    "Idp-Proxy-Account: 1",
    "Idp-Proxy-Whatever: 1",
    "Keep-Alive: timeout=5",
    "TE: gzip",
    "Trailer: x-sum",
    "Upgrade: h2c",
    "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
    "Expect: 100-continue",
    "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "Tracestate: a=1",
    "Baggage: user=alice",
    "cOOKIE: session=2",
    "X-FORWARDED-FOR: 192.0.2.2",
    "Connection: keep-alive",
];

/// Where bodies are not read, the caller's wish to have them compressed is handed on as it is.
const PLAIN: &str = "allow = \"all\"\nrewrite = \"headers\"";

async fn github() -> (Rig, Upstream) {
    let github = Upstream::replying("ok").await;
    (rig().provider_at("github", &github.base_url(), PLAIN).start().await, github)
}

/// Names of everything that arrived (the preset brings a `User-Agent`), in the order of the alphabet.
fn arrived(upstream: &Upstream) -> Vec<String> {
    let request = upstream.only();
    let mut names: Vec<_> = request.headers.keys().map(ToString::to_string).collect();
    names.sort();
    names
}

#[tokio::test]
async fn what_a_request_says_about_its_sender_and_its_way_stays_here() {
    let (rig, github) = github().await;
    let own_origin = format!("Origin: http://{}", rig.address());
    let host = format!("Host: {}", rig.address());
    let lines = [&FOR_US[..], &[&*own_origin, &*host]].concat();
    let answer = rig.exchange("GET /proxy/github/user HTTP/1.1", &lines).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(arrived(&github), ["authorization", "host", "user-agent", "via"]);
}

#[tokio::test]
async fn an_underscore_is_a_dash_to_servers_that_make_variables_of_headers() {
    let (rig, github) = github().await;
    let spelled = FOR_US.map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        format!("{}: {value}", name.replace('-', "_"))
    });
    let spelled = spelled.iter().map(String::as_str).filter(|line| line.split(':').next().unwrap().contains('_'));
    let host = format!("Host: {}", rig.address());
    let mixed = ["X-Forwarded_For: 192.0.2.1", "x_forwarded-host: evil.example", &*host];
    let lines: Vec<&str> = spelled.chain(mixed).collect();
    let answer = rig.exchange("GET /proxy/github/user HTTP/1.1", &lines).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(arrived(&github), ["authorization", "host", "user-agent", "via"]);
}

#[tokio::test]
async fn everything_else_arrives_as_it_came_and_lines_of_one_name_in_their_order() {
    let github = Upstream::replying("ok").await.allow(&["x-many", "x-empty", "x_custom", "x-utf8", "x-request-id"]);
    let github = github.allow(&["sec-fetch-mode", "cache-control", "x-authorization", "originator"]);
    let rig = rig().provider_at("github", &github.base_url(), PLAIN).start().await;
    let sent = [
        ("accept", "application/vnd.github+json;q=0.5 , */*"),
        ("accept-encoding", "gzip, br;q=0.1"),
        ("x-many", "1"),
        ("x-empty", ""),
        ("x-many", "2, 3"),
        ("if-none-match", "W/\"abc\", \"d,e\""),
        ("range", "bytes=0-1"),
        ("x-many", "0"),
        ("x_custom", "kept"),
        ("x-utf8", "naïve"),
        ("x-request-id", "the caller's own"),
        ("sec-fetch-mode", "cors"),
        ("cache-control", "no-cache"),
        ("x-authorization", "not one of ours"),
        ("originator", "kept"),
    ];
    assert_eq!(rig.get_with("/proxy/github/user", &sent).await.status, 200);
    let request = github.only();
    for (name, _) in sent {
        let lines: Vec<&str> = sent.iter().filter(|(known, _)| *known == name).map(|(_, value)| *value).collect();
        let came: Vec<_> = request.headers.get_all(name).iter().map(|value| value.as_bytes()).collect();
        assert_eq!(came, lines.iter().map(|line| line.as_bytes()).collect::<Vec<_>>(), "{name}");
    }
    assert_eq!(request.all("host"), github.base_url().trim_start_matches("http://"));
}

#[tokio::test]
async fn a_provider_with_a_header_of_its_own_gets_the_token_there_and_no_authorization() {
    let shop = Upstream::replying("ok").await.allow(&["x-shop-token", "no authorization"]);
    let lines = "allow = \"all\"\nauth_header = \"X-Shop-Token\"\nauth_prefix = \"\"";
    let rig = rig().provider_at("shop", &shop.base_url(), lines).start().await;
    let sent = [("x-shop-token", "mine"), ("X-Shop-Token", "and mine"), ("connection", "x-shop-token, authorization")];
    assert_eq!(rig.get_with("/proxy/shop/orders", &sent).await.status, 200);
    let request = shop.only();
    assert_eq!(request.all("x-shop-token"), provider_token("shop"));
    assert!(!request.headers.contains_key("authorization"));
}

#[tokio::test]
async fn a_provider_with_a_prefix_of_its_own_gets_the_token_behind_it() {
    let old = Upstream::replying("ok").await;
    let rig = rig().provider_at("old", &old.base_url(), "auth_prefix = \"OAuth oauth_token=\"").start().await;
    assert_eq!(rig.get("/proxy/old/").await.status, 200);
    assert_eq!(old.only().all("authorization"), format!("OAuth oauth_token={}", provider_token("old")));
}

#[tokio::test]
async fn a_providers_own_headers_are_set_where_the_caller_sent_none() {
    let github = Upstream::replying("ok").await.allow(&["x-api-version"]);
    let lines = "headers = { User-Agent = \"idp-proxy\", X-Api-Version = \"2\" }";
    let rig = rig().provider_at("github", &github.base_url(), lines).start().await;
    for (sent, agent, version) in [
        (&[][..], "idp-proxy", "2"),
        (&[("user-agent", "curl/8")][..], "curl/8", "2"),
        (&[("x-api-version", "1"), ("X-Api-Version", "0")], "idp-proxy", "1, 0"),
        (&[("user-agent", "curl/8"), ("connection", "user-agent")], "idp-proxy", "2"),
    ] {
        assert_eq!(rig.get_with("/proxy/github/user", sent).await.status, 200);
        let request = github.requests().pop().unwrap();
        assert_eq!((&*request.all("user-agent"), &*request.all("x-api-version")), (agent, version), "{sent:?}");
    }
}

#[tokio::test]
async fn the_trace_context_of_a_caller_is_handed_on_only_where_that_is_configured() {
    let github = Upstream::replying("ok").await.allow(&["traceparent", "tracestate", "baggage"]);
    let quiet = rig().provider("github", &github).start().await;
    let open = rig().provider("github", &github).with("telemetry", "propagate = true").start().await;
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let sent = [("traceparent", traceparent), ("tracestate", "a=1"), ("tracestate", "b=2"), ("baggage", "c=3")];
    for rig in [&quiet, &open] {
        assert_eq!(rig.get_with("/proxy/github/user", &sent).await.status, 200);
    }
    let traces = github
        .requests()
        .into_iter()
        .map(|request| ["traceparent", "tracestate", "baggage"].map(|name| request.all(name)).join(" "));
    assert_eq!(traces.collect::<Vec<_>>(), ["  ".to_owned(), format!("{traceparent} a=1, b=2 c=3")]);
}

/// A provider at which alice has two accounts, 1 and 2.
async fn two_accounts(lines: &str) -> (Rig, Upstream) {
    let github = Upstream::replying("ok").await;
    let rig = rig().provider_at("github", &github.base_url(), lines).start().await;
    let second = Identity::new("github", "2").access_token("tok-second-0123456789abcdef");
    rig.tenant.with_user(ALICE, |user| user.identities.push(second)).unwrap();
    (rig, github)
}

#[tokio::test]
async fn of_several_accounts_the_caller_names_one_and_the_provider_never_hears_the_name() {
    let (rig, github) = two_accounts("").await;
    let (first, second) = (provider_token("github"), "tok-second-0123456789abcdef".to_owned());
    for (name, token) in [("1", &first), ("2", &second), ("github|1", &first), ("github|2", &second)] {
        let answer = rig.get_with("/proxy/github/user", &[("Idp-Proxy-Account", name)]).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        assert_eq!(github.requests().pop().unwrap().all("authorization"), format!("Bearer {token}"), "{name}");
    }
}

#[tokio::test]
async fn without_a_name_several_accounts_are_a_conflict_that_lists_the_choices() {
    let (rig, github) = two_accounts("").await;
    let answer = rig.get("/proxy/github/user").await;
    assert_eq!((answer.status, answer.code().as_str()), (409, "ambiguous_account"));
    assert_eq!(answer.json()["choices"], serde_json::json!(["1", "2"]));
    for (lines, status, code) in [
        (&[("idp-proxy-account", "3")][..], 403, "not_connected"),
        (&[("idp-proxy-account", "google|1")], 403, "not_connected"),
        (&[("idp-proxy-account", "")], 400, "bad_request"),
        (&[("idp-proxy-account", "é")], 400, "bad_request"),
        (&[("idp-proxy-account", "1"), ("idp-proxy-account", "1")], 400, "bad_request"),
    ] {
        let answer = rig.get_with("/proxy/github/user", lines).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{lines:?}");
    }
    github.saw_nothing();
}

#[tokio::test]
async fn the_configured_account_is_meant_unless_the_caller_names_another() {
    let (rig, github) = two_accounts("account = \"github|2\"").await;
    assert_eq!(rig.get("/proxy/github/user").await.status, 200);
    assert_eq!(rig.get_with("/proxy/github/user", &[("idp-proxy-account", "1")]).await.status, 200);
    let credentials: Vec<_> = github.requests().iter().map(|request| request.all("authorization")).collect();
    assert_eq!(
        credentials,
        ["Bearer tok-second-0123456789abcdef".to_owned(), format!("Bearer {}", provider_token("github"))]
    );
}
