//! What `/metrics` counts, that no stranger can add to its series, and which listener has which pages.

use std::collections::BTreeMap;

use idp_proxy::command::dev::fault::Fault;
use idp_proxy::command::dev::tenant::Endpoint;

use crate::support::{Rig, Upstream, client, rig};

/// Every sample by its name and labels.
async fn samples(rig: &Rig) -> BTreeMap<String, f64> {
    let text = rig.admin("/metrics").await.text();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        (series.to_owned(), value.parse().unwrap())
    };
    lines.map(sample).collect()
}

#[tokio::test]
async fn a_scripted_day_is_counted_under_the_names_of_the_contract() {
    let github = Upstream::recording(|request| {
        let status = if request.target == "/missing" { 404 } else { 200 };
        http::Response::builder().status(status).body(hyper::body::Bytes::from_static(b"hello")).unwrap()
    })
    .await;
    let rig = rig().provider_at("github", &github.base_url(), "").start().await;
    for path in ["/proxy/github/a", "/proxy/github/b", "/proxy/github/missing", "/proxy/nobody/a"] {
        rig.get(path).await;
    }
    rig.send("DELETE", "/proxy/github/a", &[], b"").await;
    rig.send_as_is("GET", "/proxy/github/a", &[], b"").await;
    let stranger = rig.tenant.token_for("auth0|stranger");
    rig.tenant.fail(Endpoint::Users, Fault::Status(500, "{}".into()));
    let authorization = format!("Bearer {stranger}");
    rig.send_as_is("GET", "/proxy/github/a", &[("authorization", &authorization)], b"").await;

    let samples = samples(&rig).await;
    for (series, value) in [
        (r#"idp_proxy_requests_total{provider="github",status="200",fault=""}"#, 2.0),
        (r#"idp_proxy_requests_total{provider="github",status="404",fault=""}"#, 1.0),
        (r#"idp_proxy_requests_total{provider="github",status="403",fault="caller"}"#, 1.0),
        (r#"idp_proxy_requests_total{provider="github",status="503",fault="tenant"}"#, 1.0),
        (r#"idp_proxy_requests_total{provider="-",status="404",fault="caller"}"#, 1.0),
        (r#"idp_proxy_requests_total{provider="-",status="401",fault="caller"}"#, 1.0),
        (r#"idp_proxy_tenant_calls_total{endpoint="jwks",outcome="ok"}"#, 1.0),
        (r#"idp_proxy_tenant_calls_total{endpoint="token",outcome="ok"}"#, 1.0),
        (r#"idp_proxy_tenant_calls_total{endpoint="users",outcome="ok"}"#, 1.0),
        (r#"idp_proxy_tenant_calls_total{endpoint="users",outcome="failing"}"#, 1.0),
        (r#"idp_proxy_token_lookups_total{outcome="hit"}"#, 2.0),
        ("idp_proxy_tokens_held", 1.0),
    ] {
        assert_eq!(samples.get(series), Some(&value), "{series} in {samples:#?}");
    }
    let lookups = samples.iter().filter(|(series, _)| series.starts_with("idp_proxy_token_lookups_total"));
    assert_eq!(lookups.map(|(_, value)| value).sum::<f64>(), 4.0, "{samples:#?}");
    // A step that a request did not take is not timed.
    assert_eq!(samples[r#"idp_proxy_step_seconds_count{step="verify"}"#], 6.0, "{samples:#?}");
    assert_eq!(samples[r#"idp_proxy_step_seconds_count{step="token"}"#], 4.0, "{samples:#?}");
    assert_eq!(samples[r#"idp_proxy_step_seconds_count{step="upstream"}"#], 3.0, "{samples:#?}");
}

#[tokio::test]
async fn nobody_can_make_series_by_asking_for_odd_things() {
    let odd = Upstream::recording(|request| {
        let status = request.target.trim_start_matches('/').parse::<u16>().unwrap_or(200);
        http::Response::builder().status(status).body(hyper::body::Bytes::new()).unwrap()
    })
    .await;
    let rig = rig().provider("github", &odd).start().await;
    rig.get("/proxy/github/200").await;
    rig.get("/proxy/nobody/a").await;
    let before = samples(&rig).await.len();
    for number in 0..50 {
        rig.get(&format!("/proxy/nobody-{number}/a")).await;
        rig.send(&format!("ODD{number}"), &format!("/proxy/github/{}", 200), &[], b"").await;
        rig.send_as_is("GET", "/", &[("host", &format!("h{number}.example"))], b"").await;
        let token = rig.tenant.token_for(&format!("auth0|stranger-{number}"));
        rig.send_as_is("GET", "/proxy/github/200", &[("authorization", &format!("Bearer {token}"))], b"").await;
    }
    let after = samples(&rig).await;
    // Tokens that are held, users unknown to the tenant and their refusals are new, however many there are.
    assert!(after.len() <= before + 4, "{before} became {}: {after:#?}", after.len());
    // A provider of the operator's choice may answer with any status; those outside HTTP's own cannot add up.
    for status in 600..700 {
        rig.get(&format!("/proxy/github/{status}")).await;
    }
    let later = samples(&rig).await;
    assert!(later.len() <= after.len() + 1, "{} became {}", after.len(), later.len());
}

#[tokio::test]
async fn admin_pages_are_on_the_admin_listener_alone() {
    let github = Upstream::replying("hello").await;
    let rig = rig().provider("github", &github).start().await;
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(rig.admin(path).await.status, 200, "{path}");
        let public = rig.get(path).await;
        assert_eq!((public.status, public.code().as_str()), (404, "not_found"), "{path}");
        assert_eq!(rig.send_as_is("GET", path, &[("host", "127.0.0.1")], b"").await.status, 404, "{path}");
    }
    let kind = rig.admin("/metrics").await;
    assert!(kind.header("content-type").unwrap().starts_with("application/openmetrics-text; version=1.0.0"));
    assert!(kind.text().ends_with("# EOF\n"), "OpenMetrics ends with # EOF");
    let public = ["/proxy/github/a", "/problems/not_found", "/.well-known/oauth-protected-resource", "/", "/admin/x"];
    let authorization = format!("Bearer {}", rig.token());
    for path in public {
        let headers = [("authorization", authorization.as_str())];
        let answer = client::send(&rig.server.admin().to_string(), "GET", path, &headers, b"").await;
        assert_eq!(answer.status, 404, "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let answer = client::send(&rig.server.admin().to_string(), method, "/metrics", &[], b"").await;
        assert_eq!(answer.status, 404, "{method}");
    }
    github.saw_nothing();
}
