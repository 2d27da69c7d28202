//! Failures say who failed and what to do, in one form; and nobody takes them for a provider's answers.

use std::collections::{BTreeMap, BTreeSet};

use idp_proxy::command::dev::fault::Fault;
use idp_proxy::command::dev::tenant::{Endpoint, TenantSettings, User};
use idp_proxy::error::Code;
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use crate::support::exact::upstream_saying;
use crate::support::{Answer, Rig, Upstream, rig};

/// Every code, its status and whose doing it is.
const TABLE: [(&str, u16, &str); 29] = [
    ("bad_request", 400, "caller"),
    ("missing_token", 401, "caller"),
    ("invalid_token", 401, "caller"),
    ("expired_token", 401, "caller"),
    ("wrong_audience", 401, "caller"),
    ("unreadable_token", 401, "caller"),
    ("no_user", 403, "caller"),
    ("insufficient_scope", 403, "caller"),
    ("not_allowed", 403, "caller"),
    ("not_connected", 403, "caller"),
    ("reconnect_required", 403, "caller"),
    ("user_blocked", 403, "caller"),
    ("origin_not_allowed", 403, "caller"),
    ("unknown_provider", 404, "caller"),
    ("not_found", 404, "caller"),
    ("ambiguous_account", 409, "caller"),
    ("internal", 500, "proxy"),
    ("not_implemented", 501, "caller"),
    ("upstream_unreachable", 502, "provider"),
    ("upstream_tls", 502, "provider"),
    ("upstream_protocol", 502, "provider"),
    ("provider_misconfigured", 502, "proxy"),
    ("store_unavailable", 503, "proxy"),
    ("tenant_unavailable", 503, "tenant"),
    ("tenant_rate_limited", 503, "tenant"),
    ("tenant_misconfigured", 503, "tenant"),
    ("overloaded", 503, "proxy"),
    ("upstream_timeout", 504, "provider"),
    ("loop_detected", 508, "proxy"),
];

/// What stands in faulty answers of the tenant and of providers, and must not get any further.
const MARKER: &str = "marker-of-somebody-elses-text";

fn row(code: &str) -> (&'static str, u16, &'static str) {
    *TABLE.iter().find(|(known, ..)| *known == code).unwrap_or_else(|| panic!("{code} is not in the table"))
}

/// Asserts that the answer is a whole problem of that code, and gives its members.
fn problem(answer: &Answer, code: &str, public_url: &str) -> Value {
    let (_, status, fault) = row(code);
    let problem = answer.json();
    assert_eq!((answer.status, problem["code"].as_str()), (status, Some(code)), "{problem}");
    assert_eq!(answer.all("content-type"), "application/problem+json");
    assert_eq!(answer.all("cache-control"), "no-store");
    assert_eq!(problem["status"], status);
    assert_eq!(problem["fault"], fault, "{code}");
    assert_eq!(problem["type"], format!("{public_url}/problems/{code}"));
    assert_eq!(problem["request_id"], answer.all("x-request-id"));
    for text in ["title", "detail"] {
        assert!(problem[text].as_str().is_some_and(|text| !text.is_empty()), "{code} has a {text}");
    }
    let members: BTreeSet<&str> = problem.as_object().unwrap().keys().map(String::as_str).collect();
    let known = ["type", "title", "status", "code", "fault", "detail", "provider", "request_id", "connect", "choices"];
    assert!(members.iter().all(|member| known.contains(member)), "{members:?}");
    let own = answer.all("proxy-status");
    assert!(own.starts_with("idp-proxy; error=") && own.ends_with(&format!("; details=\"{code}\"")), "{own}");
    assert_eq!(answer.header("retry-after").is_some(), status == 503, "{code}");
    assert_eq!(answer.header("www-authenticate").is_some(), status == 401 || code == "insufficient_scope", "{code}");
    problem
}

#[test]
fn each_code_has_the_status_and_the_fault_of_the_contract() {
    let known: Vec<_> = Code::ALL
        .iter()
        .map(|code| {
            let row = code.row();
            (row.code, row.status.as_u16(), row.fault.name())
        })
        .collect();
    let sorted = |mut rows: Vec<(&'static str, u16, &'static str)>| {
        rows.sort_unstable();
        rows
    };
    assert_eq!(sorted(known), sorted(TABLE.to_vec()));
}

/// A proxy with a provider for each way to fail, and who they are.
async fn failing() -> (Rig, Vec<Upstream>) {
    let good = Upstream::replying("ok").await;
    let garbage = upstream_saying(&format!("{MARKER}\r\n\r\n")).await;
    let cut = upstream_saying("").await;
    let silent = Upstream::raw(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let no_tls = Upstream::raw(|mut stream| async move {
        let _ = stream.write_all(MARKER.as_bytes()).await;
    })
    .await;
    let tls = no_tls.base_url().replace("http://", "https://");
    let rig = rig()
        .with("server", "public_url = \"https://proxy.example.com\"\nname = \"edge-1\"")
        .with("limits", "first_byte_timeout = \"300ms\"")
        .provider_at("good", &good.base_url(), "")
        .provider_at("guarded", &good.base_url(), "require = [\"read:api\"]")
        .provider_at("down", "http://127.0.0.1:1", "")
        .provider_at("garbage", &garbage.base_url(), "")
        .provider_at("cut", &cut.base_url(), "")
        .provider_at("silent", &silent.base_url(), "")
        .provider_at("tls", &tls, "")
        .start()
        .await;
    (rig, vec![good, garbage, cut, silent, no_tls])
}

const PUBLIC_URL: &str = "https://proxy.example.com";

#[tokio::test]
async fn every_failure_is_one_problem_with_all_its_members() {
    let (rig, _upstreams) = failing().await;
    for (method, path, line, code, provider) in [
        ("GET", "/proxy/good/../x", ("x", "y"), "bad_request", None),
        ("GET", "/proxy/good/x", ("via", "1.1 edge-1"), "loop_detected", None),
        ("GET", "/proxy/good/x", ("origin", "null"), "origin_not_allowed", None),
        ("GET", "/proxy/unknown/x", ("x", "y"), "unknown_provider", None),
        ("GET", "/nothing", ("x", "y"), "not_found", None),
        ("GET", "/problems", ("x", "y"), "not_found", None),
        ("TRACE", "/proxy/good/x", ("x", "y"), "not_implemented", None),
        ("DELETE", "/proxy/good/x", ("x", "y"), "not_allowed", Some("good")),
        ("GET", "/proxy/guarded/x", ("x", "y"), "insufficient_scope", Some("guarded")),
        ("GET", "/proxy/good/x", ("idp-proxy-account", "9"), "not_connected", Some("good")),
        ("GET", "/proxy/down/x", ("x", "y"), "upstream_unreachable", Some("down")),
        ("GET", "/proxy/garbage/x", ("x", "y"), "upstream_protocol", Some("garbage")),
        ("GET", "/proxy/cut/x", ("x", "y"), "upstream_protocol", Some("cut")),
        ("GET", "/proxy/silent/x", ("x", "y"), "upstream_timeout", Some("silent")),
        ("GET", "/proxy/tls/x", ("x", "y"), "upstream_tls", Some("tls")),
    ] {
        let answer = rig.send(method, path, &[line], b"").await;
        let problem = problem(&answer, code, PUBLIC_URL);
        assert_eq!(problem.get("provider").and_then(Value::as_str), provider, "{code}");
        let text = answer.text();
        for secret in [MARKER, "127.0.0.1", "eyJ", "tok-alice", "os error", "hyper", "rustls", "src/"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_callers_token_is_a_challenge_that_says_where_to_get_one() {
    let (rig, upstreams) = failing().await;
    let tenant = &rig.tenant;
    let alice = || tenant.token("github|583231");
    let metadata =
        format!("Bearer realm=\"idp-proxy\", resource_metadata=\"{PUBLIC_URL}/.well-known/oauth-protected-resource\"");
    for (authorization, code) in [
        (None, "missing_token"),
        (Some("Basic YTpi".to_owned()), "missing_token"),
        (Some("Bearer".to_owned()), "missing_token"),
        (Some("Bearer a.b.c".to_owned()), "invalid_token"),
        (Some(format!("Bearer {}", alice().issuer("https://evil.example/").sign())), "invalid_token"),
        (Some(format!("Bearer {}", alice().expires_in(-600).sign())), "expired_token"),
        (Some(format!("Bearer {}", alice().audience("https://other.example/").sign())), "wrong_audience"),
        (Some(format!("Bearer {}", tenant.id_token("github|583231"))), "wrong_audience"),
        (Some(format!("Bearer {}", tenant.opaque_token())), "unreadable_token"),
        (Some(format!("Bearer {}", tenant.encrypted_token())), "unreadable_token"),
    ] {
        let lines: Vec<_> = authorization.iter().map(|value| ("authorization", value.as_str())).collect();
        let answer = rig.send_as_is("GET", "/proxy/good/x", &lines, b"").await;
        let problem = problem(&answer, code, PUBLIC_URL);
        let title = problem["title"].as_str().unwrap();
        let challenge = match code {
            "missing_token" => metadata.clone(),
            _ => format!("{metadata}, error=\"invalid_token\", error_description=\"{title}\""),
        };
        assert_eq!(answer.all("www-authenticate"), challenge, "{code}");
        assert!(!answer.text().contains("eyJ") && !answer.text().contains("evil.example"), "{}", answer.text());
        assert_eq!(problem.get("provider"), None, "a stranger learns of no provider");
    }
    let machine = format!("Bearer {}", tenant.machine_token());
    let answer = rig.send_as_is("GET", "/proxy/good/x", &[("authorization", &machine)], b"").await;
    problem(&answer, "no_user", PUBLIC_URL);
    upstreams[0].saw_nothing();
}

#[tokio::test]
async fn a_failure_of_the_tenant_is_told_in_our_own_words() {
    let body = || format!("{{\"error\":\"{MARKER}\",\"message\":\"{MARKER}\"}}");
    let throttled = || Fault::Answer { status: 429, headers: vec![("retry-after", "120".to_owned())], body: body() };
    for (endpoint, fault, code) in [
        (Endpoint::Users, Fault::Status(500, body()), "tenant_unavailable"),
        (Endpoint::Users, throttled(), "tenant_rate_limited"),
        (Endpoint::Users, Fault::Status(200, body()), "tenant_unavailable"),
        (Endpoint::Users, Fault::Status(400, body()), "tenant_unavailable"),
        (Endpoint::Users, Fault::Garbage, "tenant_unavailable"),
        (Endpoint::Users, Fault::Reset, "tenant_unavailable"),
        (Endpoint::Token, Fault::Status(403, body()), "tenant_misconfigured"),
        (Endpoint::Token, Fault::Status(500, body()), "tenant_unavailable"),
    ] {
        let github = Upstream::replying("ok").await;
        let rig = rig().with("limits", "token_wait = \"3s\"").provider("github", &github).start().await;
        rig.tenant.fail(endpoint, fault);
        let answer = rig.get("/proxy/github/user").await;
        problem(&answer, code, &format!("http://{}", rig.address()));
        let port = rig.tenant.base_url().rsplit(':').next().unwrap().to_owned();
        for secret in [MARKER, &port, "demo-proxy-client-secret", "/api/v2", "html"] {
            assert!(!answer.text().contains(secret), "{secret} in {}", answer.text());
        }
        github.saw_nothing();
    }
}

#[tokio::test]
async fn what_the_tenant_says_of_the_user_has_a_code_each() {
    let github = Upstream::replying("ok").await;
    let rig = rig().provider("github", &github).start().await;
    let mut users: BTreeMap<&str, User> = BTreeMap::new();
    let mut blocked = User::new("auth0|blocked");
    blocked.blocked = Some(true);
    users.insert("user_blocked", blocked);
    users.insert("not_connected", User::new("auth0|none"));
    for (code, user) in users {
        let bearer = format!("Bearer {}", rig.tenant.token_for(&user.user_id));
        rig.tenant.add_user(user);
        let answer = rig.send_as_is("GET", "/proxy/github/user", &[("authorization", &bearer)], b"").await;
        let problem = problem(&answer, code, &format!("http://{}", rig.address()));
        // Where signing in helps, it says through which connection.
        let connection = (code == "not_connected").then_some("github");
        assert_eq!(problem["connect"]["connection"].as_str(), connection, "{problem}");
    }
    let bearer = format!("Bearer {}", rig.tenant.token_for("auth0|deleted"));
    let answer = rig.send_as_is("GET", "/proxy/github/user", &[("authorization", &bearer)], b"").await;
    problem(&answer, "no_user", &format!("http://{}", rig.address()));
    github.saw_nothing();
}

#[tokio::test]
async fn only_an_answer_of_the_proxys_own_has_error_in_its_proxy_status() {
    let (rig, upstreams) = failing().await;
    let own = rig.get("/proxy/down/x").await;
    let relayed = rig.get("/proxy/good/x").await;
    assert!(own.all("proxy-status").contains("error=") && !own.all("proxy-status").contains("received-status"));
    assert_eq!(relayed.all("proxy-status"), "idp-proxy; received-status=200");
    for path in ["/problems/internal", "/.well-known/oauth-protected-resource"] {
        assert_eq!(rig.get(path).await.header("proxy-status"), None, "{path}");
    }
    assert_eq!(upstreams[0].requests().len(), 1);
}

#[tokio::test]
async fn the_type_of_every_problem_leads_to_a_page_that_says_what_to_do() {
    let github = Upstream::replying("ok").await;
    let rig = rig().provider("github", &github).start().await;
    for code in Code::ALL {
        let row = code.row();
        let page = rig.send_as_is("GET", &format!("/problems/{}", row.code), &[], b"").await;
        assert_eq!(
            (page.status, page.header("content-type")),
            (200, Some("text/plain; charset=utf-8")),
            "{}",
            row.code
        );
        for text in [row.code, row.title, row.cure, row.status.as_str(), row.fault.name()] {
            assert!(page.text().contains(text), "{} says {text}", row.code);
        }
        let head = rig.send_as_is("HEAD", &format!("/problems/{}", row.code), &[], b"").await;
        assert_eq!(head.header("content-length"), page.header("content-length"));
    }
    let html = [("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")];
    for code in Code::ALL {
        let row = code.row();
        let page = rig.send_as_is("GET", &format!("/problems/{}", row.code), &html, b"").await;
        assert_eq!((page.status, page.all("content-type").as_str()), (200, "text/html; charset=utf-8"));
        let text = page.text();
        let style = text.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, style.as_bytes());
        let digest = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, digest);
        let policy = page.all("content-security-policy");
        assert!(policy.starts_with(&format!("default-src 'none'; style-src 'sha256-{digest}';")), "{policy}");
        assert!(text.contains("<html lang=\"en\">") && text.contains(&format!("<h1>{}</h1>", row.title)), "{text}");
        // Whatever a cure has in it is text: the browser gets no element that is not ours.
        let cure = text.split_once("<dt>What to do</dt><dd>").unwrap().1.split_once("</dd>").unwrap().0;
        let plain = cure.replace("<code>", "`").replace("</code>", "`");
        assert!(!plain.contains('<'), "{cure}");
        let plain = plain.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
        assert_eq!(plain, row.cure);
        let links = Code::ALL.iter().filter(|other| text.contains(&format!("<a href=\"{}\">", other.row().code)));
        assert_eq!(links.count(), Code::ALL.len() - 1, "every other code");
    }
    for (accept, kind) in [("*/*", "text/plain"), ("text/html;q=0", "text/plain"), ("TEXT/HTML ; q=0.2", "text/html")] {
        let page = rig.send_as_is("GET", "/problems/internal", &[("accept", accept)], b"").await;
        assert!(page.all("content-type").starts_with(kind), "{accept}");
        assert!(
            page.all("vary").to_ascii_lowercase().split(", ").any(|field| field == "accept"),
            "{}",
            page.all("vary")
        );
    }
    for path in [
        "/problems/",
        "/problems/Internal",
        "/problems/internal/",
        "/problems/%69nternal",
        "/problems/nonsense",
        "/problems",
    ] {
        assert_eq!(rig.send_as_is("GET", path, &[], b"").await.code(), "not_found", "{path}");
    }
    assert_eq!(rig.send_as_is("POST", "/problems/internal", &[], b"").await.code(), "not_found");
}

#[tokio::test]
async fn the_proxy_says_what_it_is_and_who_issues_its_tokens() {
    let github = Upstream::replying("ok").await;
    let rig = rig().provider("github", &github).start().await;
    let answer = rig.send_as_is("GET", "/.well-known/oauth-protected-resource", &[], b"").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let metadata = answer.json();
    assert_eq!(metadata["resource"], TenantSettings::default().audience);
    assert_eq!(metadata["authorization_servers"], serde_json::json!([rig.tenant.issuer()]));
    assert_eq!(metadata["bearer_methods_supported"], serde_json::json!(["header"]));
    assert!(!answer.text().contains("github"), "strangers cannot list providers");
    assert_eq!(metadata.get("idp_proxy_login_client_id"), None);
    rig.reload_with("\n[providers", "\n[login]\nclient_id = \"native\"\n[providers").await;
    let metadata = rig.send_as_is("GET", "/.well-known/oauth-protected-resource", &[], b"").await.json();
    assert_eq!(metadata["idp_proxy_login_client_id"], "native");
    for path in
        ["/.well-known/oauth-protected-resource/", "/.well-known/", "/", "/metrics", "/healthz", "/readyz", "/admin/"]
    {
        assert_eq!(rig.get(path).await.code(), "not_found", "{path}");
    }
}
