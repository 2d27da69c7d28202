//! PyGithub: what it asks for next stands in the answers, and it goes nowhere but where it was told.

use super::*;
use crate::support::python::Python;
use crate::support::rig;

const ALLOW: &str = "allow = [\"GET /**\", \"POST /repos/*/*/issues/*/comments\"]";

fn github(request: &Recorded) -> Option<Response<Bytes>> {
    let own = own(request);
    let tools = format!("{own}/repos/acme/tools");
    let issue = |number: u64| json!({ "number": number, "url": format!("{tools}/issues/{number}") });
    let page = |issues: &[u64], links: &[(&str, u64)]| {
        let line = |(rel, page): &(&str, u64)| {
            format!("<{own}/repositories/1000/issues?page={page}&per_page=2>; rel=\"{rel}\"")
        };
        let links: Vec<_> = links.iter().map(line).collect();
        let issues = Value::from_iter(issues.iter().map(|number| issue(*number)));
        Some(with(answer(200, &issues), "link", &links.join(", ")))
    };
    let commit = json!({ "sha": "6dcb09b", "url": format!("{tools}/commits/6dcb09b?page=1&per_page=2") });
    match (request.method.as_str(), request.target.as_str()) {
        ("GET", "/repos/acme/tools") => ok(&json!({ "full_name": "acme/tools", "url": tools })),
        ("GET", "/repos/acme/tools/branches/feature/x") => ok(&json!({ "name": "feature/x", "commit": commit })),
        ("GET", "/repos/acme/tools/commits/6dcb09b?page=1&per_page=2") => {
            ok(&json!({ "sha": "6dcb09b", "url": commit["url"], "commit": { "message": "mend" } }))
        }
        ("GET", "/repos/acme/tools/issues?per_page=2") => page(&[1, 2], &[("next", 2), ("last", 3)]),
        ("GET", "/repositories/1000/issues?page=2&per_page=2") => {
            page(&[3, 4], &[("prev", 1), ("next", 3), ("last", 3), ("first", 1)])
        }
        ("GET", "/repositories/1000/issues?page=3&per_page=2") => page(&[5], &[("prev", 2), ("first", 1)]),
        ("GET", "/repos/acme/tools/issues/5") => {
            ok(&json!({ "number": 5, "url": issue(5)["url"], "closed_by": { "login": "bob" } }))
        }
        ("GET", "/repos/acme/tools/contents/dir%20one/file%231.md?ref=feature%2Fx") => {
            ok(&json!({ "type": "file", "encoding": "base64", "content": "IyBvbmUK" }))
        }
        ("GET", "/repos/acme/old") => {
            Some(with(answer(301, &json!({})), "location", &format!("{own}/repositories/1000")))
        }
        ("GET", "/repositories/1000") => {
            ok(&json!({ "full_name": "acme/new", "url": format!("{own}/repos/acme/new") }))
        }
        ("POST", "/repos/acme/tools/issues/1/comments") => {
            Some(answer(201, &serde_json::from_slice(&request.body).ok()?))
        }
        _ => None,
    }
}

#[tokio::test]
async fn pygithub_follows_what_bodies_and_headers_say_through_the_proxy() {
    let github = provider("github", github).await;
    let rig = rig().provider_at("github", &github.base_url(), ALLOW).start().await;
    let told = Python::snippet("pygithub", &rig).run().await;
    let expected = json!({
        "branch": "feature/x",
        "commit": "mend",
        "issues": [1, 2, 3, 4, 5],
        "closed_by": "bob",
        "content": "# one\n",
        "moved": "acme/new",
        "comment": "ünïcode",
    });
    assert_eq!(told, expected);
    let expected = [
        "GET /repos/acme/tools",
        "GET /repos/acme/tools/branches/feature/x",
        "GET /repos/acme/tools",
        "GET /repos/acme/tools/issues?per_page=2",
        "GET /repositories/1000/issues?page=2&per_page=2",
        "GET /repositories/1000/issues?page=3&per_page=2",
        "GET /repos/acme/tools/contents/dir%20one/file%231.md?ref=feature%2Fx",
        "GET /repos/acme/old",
        "GET /repositories/1000",
        "POST /repos/acme/tools/issues/1/comments",
        "GET /repos/acme/tools/commits/6dcb09b?page=1&per_page=2",
        "GET /repos/acme/tools/issues/5",
    ];
    assert_eq!(asked(&github), expected);
}
