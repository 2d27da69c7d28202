//! Facebook's client: the token in the URL or in a header, and pages whose links come with a token of their own.

use idp_proxy::clock::Clock;

use super::*;
use crate::facebook::{CLIENT, judged};
use crate::support::python::Python;
use crate::support::{Rig, rig};

const ALLOW: &str = "allow = [\"GET /**\", \"POST /v*/me/feed\"]\nproof = \"appsecret\"\n";

/// What a call asks for, without the proof, which is judged.
fn unproven(target: &str) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let kept: Vec<_> = query.split('&').filter(|field| !field.starts_with("appsecret_")).collect();
    if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
}

/// Facebook, for an app that requires its secret.
fn graph(request: &Recorded) -> Option<Response<Bytes>> {
    if let Err(error) = judged(request, &Clock::system()) {
        return Some(answer(400, &json!({ "error": { "code": 100, "message": error } })));
    }
    let page = |ids: &[&str], after: Option<&str>| {
        let token = provider_token("facebook");
        let proof = "appsecret_proof=0123456789abcdef&appsecret_time=1700000000";
        let next = |after| {
            format!("{}/v3.1/me/posts?access_token={token}&{proof}&pretty=0&limit=2&after={after}", own(request))
        };
        let posts = Value::from_iter(ids.iter().map(|id| json!({ "id": id })));
        let mut paging = json!({ "cursors": { "before": "QQ", "after": after } });
        if let Some(after) = after {
            paging["next"] = json!(next(after));
        }
        ok(&json!({ "data": posts, "paging": paging }))
    };
    match (request.method.as_str(), unproven(&request.target).as_str()) {
        ("GET", "/v3.1/me/posts?limit=2") => page(&["1", "2"], Some("QUJD")),
        ("GET", "/v3.1/me/posts?pretty=0&limit=2&after=QUJD") => page(&["3", "4"], Some("REVG")),
        ("GET", "/v3.1/me/posts?pretty=0&limit=2&after=REVG") => page(&["5"], None),
        ("GET", "/v3.1/me?fields=id%2Cname") => ok(&json!({ "id": "1", "name": "Alice" })),
        ("POST", "/v3.1/me/feed") if request.body == b"message=hello+%26+%3Cb%3E" => ok(&json!({ "id": "1_6" })),
        _ => None,
    }
}

const PAGES: [&str; 3] = [
    "GET /v3.1/me/posts?limit=2",
    "GET /v3.1/me/posts?pretty=0&limit=2&after=QUJD",
    "GET /v3.1/me/posts?pretty=0&limit=2&after=REVG",
];

async fn stage(lines: &str) -> (Rig, Upstream) {
    let graph = provider("facebook", graph).await;
    let client = CLIENT.replace("allow = \"all\"\n", ALLOW);
    let rig = rig().provider_at("facebook", &graph.base_url(), &format!("{client}{lines}")).start().await;
    (rig, graph)
}

#[tokio::test]
async fn facebooks_client_with_the_token_in_the_url_pages_by_what_the_links_ask_for() {
    let (rig, graph) = stage("token_param = \"access_token\"").await;
    let told = Python::snippet("facebook", &rig).run().await;
    assert_eq!(told, json!({ "posts": ["1", "2", "3", "4", "5"], "me": "Alice", "refused": "missing_token" }));
    let expected = [&PAGES[..], &["GET /v3.1/me?fields=id%2Cname"]].concat();
    let asked: Vec<_> = asked(&graph).iter().map(|line| unproven(line)).collect();
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn facebooks_client_with_the_token_in_a_header_follows_the_links() {
    let (rig, graph) = stage("").await;
    let told = Python::snippet("facebook-by-header", &rig).run().await;
    assert_eq!(told, json!({ "posts": ["1", "2", "3", "4", "5"], "published": "1_6" }));
    let expected = [&PAGES[..], &["POST /v3.1/me/feed"]].concat();
    let asked: Vec<_> = asked(&graph).iter().map(|line| unproven(line)).collect();
    assert_eq!(asked, expected);
}
