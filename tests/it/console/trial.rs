//! "Try a request" and what the page shows: all of it from the real proxy, and no token in any of it.

use http::Response;
use hyper::body::Bytes;
use serde_json::{Value, json};

use super::{Visit, rig_at};
use crate::support::rig::provider_token;
use crate::support::{Answer, Upstream, rig};

/// An order of the page's for alice, whose token is pasted.
fn order(token: &str, method: &str, path: &str) -> Value {
    json!({ "method": method, "path": path, "headers": [], "body": "", "token": token })
}

fn member<'told>(told: &'told Value, name: &str) -> Option<&'told str> {
    let headers = told["headers"].as_array().unwrap();
    headers.iter().find(|header| header[0] == name).and_then(|header| header[1].as_str())
}

#[tokio::test]
async fn a_request_to_try_goes_the_way_of_any_other() {
    let github = Upstream::recording(|request| {
        let answer = Response::builder().status(201).header("content-type", "text/plain");
        answer.body(Bytes::from(format!("{} {}", request.method, request.target))).unwrap()
    })
    .await
    .allow(&["x-more"]);
    let rig = rig_at(&github).await;
    let visit = Visit::begin(&rig).await;
    let mut order = order(rig.token(), "PUT", "/proxy/github/repos/a?b=c");
    order["headers"] = json!([["X-More", "1"], ["Content-Type", "text/x"]]);
    order["body"] = "hello".into();
    let told = visit.post("/admin/try", &order.to_string()).await.json();
    assert_eq!((told["status"].as_u64(), told["body"].as_str()), (Some(201), Some("PUT /repos/a?b=c")), "{told}");
    assert_eq!((told["is_whole"].as_bool(), told["is_broken"].as_bool()), (Some(true), Some(false)));
    assert_eq!(member(&told, "proxy-status"), Some("idp-proxy; received-status=201"));
    assert!(member(&told, "server-timing").unwrap().contains("upstream;dur="), "{told}");

    let seen = github.only();
    assert_eq!(seen.all("authorization"), format!("Bearer {}", provider_token("github")));
    assert_eq!((seen.all("x-more").as_str(), &seen.body[..]), ("1", &b"hello"[..]));
    let counted = rig.admin("/metrics").await.text();
    assert!(counted.contains(r#"idp_proxy_requests_total{provider="github",status="201",fault=""} 1"#), "{counted}");
}

#[tokio::test]
async fn a_refusal_is_shown_with_its_code_and_what_the_code_means() {
    let github = Upstream::replying("ok").await;
    let rig = rig().provider_at("github", &github.base_url(), "").start().await;
    let visit = Visit::begin(&rig).await;
    for (order, code) in [
        (order(rig.token(), "DELETE", "/proxy/github/user"), "not_allowed"),
        (order("nonsense", "GET", "/proxy/github/user"), "unreadable_token"),
        (order(rig.token(), "GET", "/proxy/nowhere/user"), "unknown_provider"),
        (json!({ "method": "GET", "path": "/proxy/github/user", "headers": [], "body": "" }), "missing_token"),
    ] {
        let told = visit.post("/admin/try", &order.to_string()).await.json();
        let problem: Value = serde_json::from_str(told["body"].as_str().unwrap()).unwrap();
        assert_eq!(problem["code"], code, "{told}");
        let state = visit.get("/admin/state.json").await.json();
        assert!(!state["codes"][code]["cure"].as_str().unwrap().is_empty(), "{state}");
    }
    github.saw_nothing();
}

#[tokio::test]
async fn what_is_no_request_is_refused_with_a_sentence() {
    let github = Upstream::replying("ok").await;
    let rig = rig_at(&github).await;
    let visit = Visit::begin(&rig).await;
    let with = |change: &dyn Fn(&mut Value)| {
        let mut order = order(rig.token(), "GET", "/proxy/github/user");
        change(&mut order);
        order.to_string()
    };
    for (body, status) in [
        ("{}".to_owned(), 400),
        (with(&|order| order["method"] = "A B".into()), 400),
        (with(&|order| order["path"] = "proxy/github/user".into()), 400),
        (with(&|order| order["path"] = "http://evil.example/proxy/github/user".into()), 400),
        (with(&|order| order["headers"] = json!([["Host", "evil.example"]])), 400),
        (with(&|order| order["headers"] = json!([["authorization", "Basic x"]])), 400),
        (with(&|order| order["headers"] = json!([["content-length", "7"]])), 400),
        (with(&|order| order["headers"] = json!([["a b", "c"]])), 400),
        (with(&|order| order["headers"] = json!([["a", "b\r\nc: d"]])), 400),
        (with(&|order| order["user"] = "alice".into()), 400),
        (with(&|order| order["token"] = "a\nb".into()), 400),
        (with(&|order| order["body"] = "x".repeat(1 << 20).into()), 413),
    ] {
        let answer = visit.post("/admin/try", &body).await;
        let shown = &body[..body.len().min(200)];
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (status, Some("text/plain; charset=utf-8")),
            "{shown}"
        );
        assert!(answer.text().ends_with(".\n") && !answer.text().contains("eyJ"), "{}", answer.text());
    }
    let origin = format!("http://{}", rig.server.admin());
    let form = [("origin", origin.as_str()), ("content-type", "text/plain")];
    let order = with(&|_| ());
    assert_eq!(visit.send("POST", "/admin/try", &form, &order).await.status, 415);
    github.saw_nothing();
}

#[tokio::test]
async fn an_answer_is_shown_as_text_up_to_a_limit() {
    let github = Upstream::recording(|request| {
        let body = match request.target.as_str() {
            "/long" => Bytes::from("é".repeat(40_000)),
            _ => Bytes::from_static(&[0x89, b'P', 0xff, 0]),
        };
        Response::new(body)
    })
    .await;
    let rig = rig_at(&github).await;
    let visit = Visit::begin(&rig).await;
    let long = visit.post("/admin/try", &order(rig.token(), "GET", "/proxy/github/long").to_string()).await.json();
    assert_eq!((long["bytes"].as_u64(), long["is_whole"].as_bool()), (Some(65_536), Some(false)));
    assert_eq!(long["body"].as_str().unwrap(), "é".repeat(32_768));
    let picture =
        visit.post("/admin/try", &order(rig.token(), "GET", "/proxy/github/picture").to_string()).await.json();
    assert_eq!((&picture["body"], picture["bytes"].as_u64()), (&Value::Null, Some(4)));
}

#[tokio::test]
async fn the_state_is_that_of_the_configuration_in_force() {
    let github = Upstream::replying("ok").await;
    let lines =
        "allow = [\"GET /user\"]\ndeny = [\"/admin/**\"]\nrequire = [\"use:github\"]\nhost = \"github.example\"";
    let rig = rig().provider_at("github", &github.base_url(), lines).start().await;
    let visit = Visit::begin(&rig).await;
    let state = visit.get("/admin/state.json").await.json();
    let expected = json!([{
        "name": "github", "connection": "github", "base_url": github.base_url(), "host": "github.example",
        "source": "identities, then Token Vault", "renewal": null, "audience": null,
        "allow": ["GET /user"], "deny": ["* /admin/**"], "require": ["use:github"],
    }]);
    assert_eq!(state["providers"], expected);
    assert_eq!((&state["lacks"], &state["users"]), (&Value::Null, &json!([])));
    assert_eq!(state["proxy"], rig.server.url());
}

/// A provider that hands everything back, and a token, a secret and query values that must not be seen.
#[tokio::test]
async fn no_token_is_in_any_of_the_consoles_answers() {
    let github = Upstream::recording(|request| {
        let token = request.all("authorization").replace("Bearer ", "");
        let answer = Response::builder().header("x-echo", &token).header("content-type", "application/json");
        answer.body(Bytes::from(format!(r#"{{"token":"{token}"}}"#))).unwrap()
    })
    .await;
    let rig = rig_at(&github).await;
    let visit = Visit::begin(&rig).await;
    let mut all = Vec::new();
    for path in ["/proxy/github/echo?q=hunter2", "/proxy/github/echo", "/connections"] {
        all.push(visit.post("/admin/try", &order(rig.token(), "GET", path).to_string()).await);
    }
    assert!(!github.requests().is_empty());
    let in_path = format!("/proxy/github/{}", rig.token());
    all.push(visit.post("/admin/try", &order(rig.token(), "GET", &in_path).to_string()).await);
    all.push(
        visit.post("/admin/try", &order(&format!("{}x", rig.token()), "GET", "/proxy/github/a").to_string()).await,
    );
    for path in ["/admin/", "/admin/state.json", "/admin/samples.json"] {
        all.push(visit.get(path).await);
    }
    let log = super::feed::Reader::begin(&visit, None).await.until("/connections").await;
    let secret = &rig.tenant.settings().client_secret;
    let texts = all.iter().map(whole).chain([log]);
    for text in texts {
        for mark in [rig.token(), &provider_token("github"), secret, "hunter2", "eyJ"] {
            assert!(!text.contains(mark), "{mark} is in {text}");
        }
    }
}

/// An answer's head and body.
fn whole(answer: &Answer) -> String {
    let heads: String = answer.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    heads + &answer.text()
}
