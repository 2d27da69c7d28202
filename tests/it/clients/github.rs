//! Octokit: pages by `Link`, redirects with and without a body, paths that are parts of names, and uploads elsewhere.

use super::*;
use crate::support::node::Node;
use crate::support::{Rig, rig};

const ALLOW: &str = "allow = [\"GET /**\", \"PATCH /repos/*/*\", \"PATCH /repositories/*\", \"POST /graphql\"]";
const UPLOADS: &str = "connection = \"github\"\nallow = [\"POST /repos/*/*/releases/*/assets\"]";

/// GitHub, which sends its assets to `uploads`.
fn github(request: &Recorded, uploads: &str) -> Option<Response<Bytes>> {
    let own = own(request);
    // GitHub refuses who does not say what it is.
    if request.all("user-agent").is_empty() {
        return Some(answer(403, &json!({})));
    }
    let page =
        |body: &Value, next: &str| Some(with(answer(200, body), "link", &format!("<{own}{next}>; rel=\"next\"")));
    let numbers = |numbers: &[u64]| Value::from_iter(numbers.iter().map(|number| json!({ "number": number })));
    let moved = |status| Some(with(answer(status, &json!({})), "location", &format!("{own}/repositories/1000")));
    let found = |numbers: Value| json!({ "total_count": 3, "incomplete_results": false, "items": numbers });
    match (request.method.as_str(), request.target.as_str()) {
        ("GET", "/user/repos?per_page=2") => {
            page(&json!([{ "name": "a" }, { "name": "b" }]), "/user/repos?per_page=2&page=2")
        }
        ("GET", "/user/repos?per_page=2&page=2") => ok(&json!([{ "name": "c" }])),
        ("GET", "/repos/acme/tools/issues?per_page=2") => page(&numbers(&[1, 2]), "/repositories/1000/issues?page=2"),
        ("GET", "/repositories/1000/issues?page=2") => page(&numbers(&[3, 4]), "/repositories/1000/issues?page=3"),
        ("GET", "/repositories/1000/issues?page=3") => ok(&numbers(&[5])),
        ("GET", "/search/issues?q=repo%3Aacme%2Ftools%20is%3Aopen&per_page=2") => {
            page(&found(numbers(&[1, 2])), "/search/issues?q=repo%3Aacme%2Ftools+is%3Aopen&page=2")
        }
        ("GET", "/search/issues?q=repo%3Aacme%2Ftools+is%3Aopen&page=2") => ok(&found(numbers(&[3]))),
        ("GET", "/repos/acme/old") => moved(301),
        ("PATCH", "/repos/acme/old") => moved(307),
        ("GET", "/repositories/1000") => ok(&json!({ "full_name": "acme/new" })),
        ("PATCH", "/repositories/1000") => Some(answer(200, &serde_json::from_slice(&request.body).ok()?)),
        ("GET", "/repos/acme/tools/contents/dir%20one%2Ffile%231.md?ref=feature%2Fx") => {
            ok(&json!({ "path": "dir one/file#1.md" }))
        }
        ("POST", "/graphql") => ok(&json!({ "data": { "viewer": { "login": "alice" } } })),
        ("GET", "/repos/acme/tools") => {
            let is_known = request.all("if-none-match") == "\"v1\"";
            Some(with(answer(if is_known { 304 } else { 200 }, &json!({})), "etag", "\"v1\""))
        }
        ("GET", "/repos/acme/tools/releases/tags/v1") => {
            ok(&json!({ "upload_url": format!("{uploads}/repos/acme/tools/releases/7/assets{{?name,label}}") }))
        }
        // No API says what it was asked with, but for those that are being debugged.
        ("GET", "/user") => ok(&json!({ "login": "alice", "with": request.all("authorization") })),
        _ => None,
    }
}

async fn stage() -> (Rig, Upstream, Upstream) {
    let uploads = provider("github", |request| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        (request.method == "POST").then(|| answer(201, &json!({ "target": request.target, "body": body })))
    });
    let uploads = uploads.await;
    let there = uploads.base_url();
    let github = provider("github", move |request| github(request, &there)).await;
    let rig = rig().provider_at("github", &github.base_url(), ALLOW);
    let rig = rig.provider_at("github-uploads", &uploads.base_url(), UPLOADS).start().await;
    (rig, github, uploads)
}

#[tokio::test]
async fn octokit_pages_follows_and_uploads_through_the_proxy() {
    let (rig, github, uploads) = stage().await;
    let told = Node::snippet("octokit", &rig).run().await;
    let expected = json!({
        "repositories": ["a", "b", "c"],
        "issues": [1, 2, 3, 4, 5],
        "found": [1, 2, 3],
        "moved": "acme/new",
        "changed": { "description": "ünïcode" },
        "content": "dir one/file#1.md",
        "viewer": "alice",
        "again": 304,
        "asset": { "target": "/repos/acme/tools/releases/7/assets?name=a%20b.txt&label=text", "body": "hello, asset" },
        "user": { "login": "alice", "with": format!("Bearer {}", "*".repeat(provider_token("github").len())) },
    });
    assert_eq!(told, expected);
    let expected = [
        "GET /user/repos?per_page=2",
        "GET /user/repos?per_page=2&page=2",
        "GET /repos/acme/tools/issues?per_page=2",
        "GET /repositories/1000/issues?page=2",
        "GET /repositories/1000/issues?page=3",
        "GET /search/issues?q=repo%3Aacme%2Ftools%20is%3Aopen&per_page=2",
        "GET /search/issues?q=repo%3Aacme%2Ftools+is%3Aopen&page=2",
        "GET /repos/acme/old",
        "GET /repositories/1000",
        "PATCH /repos/acme/old",
        "PATCH /repositories/1000",
        "GET /repos/acme/tools/contents/dir%20one%2Ffile%231.md?ref=feature%2Fx",
        "POST /graphql",
        "GET /repos/acme/tools",
        "GET /repos/acme/tools",
        "GET /repos/acme/tools/releases/tags/v1",
        "GET /user",
    ];
    assert_eq!(asked(&github), expected);
    assert_eq!(asked(&uploads), ["POST /repos/acme/tools/releases/7/assets?name=a%20b.txt&label=text"]);
}
