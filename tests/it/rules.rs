//! What a provider's `allow`, `deny` and `require` permit: the method and the decoded path, whatever spelling came.

use idp_proxy::command::dev::tenant::Endpoint;

use crate::support::{Answer, Rig, Upstream, rig};

/// A proxy whose provider `api` is at `/v1` of its server and has these lines.
async fn ruled(lines: &str) -> (Rig, Upstream) {
    let api = Upstream::replying("ok")
        .await
        .allow(&OVERRIDES.map(|name| name.to_ascii_lowercase()).each_ref().map(|name| &**name));
    let rig = rig().provider_at("api", &format!("{}/v1", api.base_url()), lines).start().await;
    (rig, api)
}

const OVERRIDES: [&str; 5] = [
    "X-HTTP-Method-Override",
    "X-HTTP-Method",
    "X-Method-Override",
    "X_HTTP_Method_Override",
    "x-http_method-override",
];

async fn judge(rig: &Rig, api: &Upstream, table: &[(&str, &str, &str)]) {
    for (method, path, verdict) in table {
        let before = api.requests().len();
        let answer = rig.send(method, &format!("/proxy/api{path}"), &[], b"").await;
        let arrived = api.requests().len() > before;
        let seen = if *method == "HEAD" { head_verdict(&answer) } else { answer.code() };
        assert_eq!((seen.as_str(), arrived), (*verdict, verdict.is_empty()), "{method} {path}");
        if arrived {
            assert_eq!(api.requests().pop().unwrap().target, format!("/v1{path}"), "the original bytes");
        }
    }
}

/// An answer to HEAD has no body to read a code from.
fn head_verdict(answer: &Answer) -> String {
    let status = answer.all("proxy-status");
    status.split_once("details=\"").map_or("", |(_, rest)| rest.trim_end_matches('"')).to_owned()
}

#[tokio::test]
async fn without_rules_a_provider_may_be_read_and_no_more() {
    let (rig, api) = ruled("").await;
    let table = [
        ("GET", "/user", ""),
        ("HEAD", "/user", ""),
        ("GET", "/a%2Fb", ""),
        ("POST", "/user", "not_allowed"),
        ("PUT", "/user", "not_allowed"),
        ("PATCH", "/user", "not_allowed"),
        ("DELETE", "/user", "not_allowed"),
        ("OPTIONS", "/user", "not_allowed"),
        ("get", "/user", "not_allowed"),
        ("PROPFIND", "/user", "not_allowed"),
    ];
    judge(&rig, &api, &table).await;
}

#[tokio::test]
async fn allow_all_permits_every_method_also_one_nobody_has_heard_of() {
    let (rig, api) = ruled("allow = \"all\"").await;
    let table = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "M-SEARCH", "purge"];
    judge(&rig, &api, &table.map(|method| (method, "/x%2Fy?a", ""))).await;
}

#[tokio::test]
async fn a_list_permits_what_it_names_on_the_path_behind_the_base_url() {
    let lines = "allow = [\"GET /repos/**\", \"POST /repos/*/*/issues\", \"* /any/*\", \"DELETE,PUT /two\"]";
    let (rig, api) = ruled(lines).await;
    let table = [
        ("GET", "/repos/o/r", ""),
        ("HEAD", "/repos/o/r?x=1", ""),
        ("GET", "/%72epos/o/r", ""),
        ("GET", "/repos", ""),
        ("POST", "/repos/o/r/issues", ""),
        ("POST", "/repos/o/r/%69ssues/", ""),
        ("DELETE", "/any/x", ""),
        ("PUT", "/two", ""),
        ("GET", "/v1/repos/o/r", "not_allowed"),
        ("GET", "/user?x=/repos/o/r", "not_allowed"),
        ("GET", "/Repos/o/r", "not_allowed"),
        ("POST", "/repos/o/r/issues/1", "not_allowed"),
        ("POST", "/repos/o/issues", "not_allowed"),
        ("DELETE", "/repos/o/r", "not_allowed"),
        ("DELETE", "/any/x/y", "not_allowed"),
        ("GET", "/two", "not_allowed"),
        ("GET", "", "not_allowed"),
        ("GET", "/repos%2Fo/r", "bad_request"),
        ("POST", "/repos/o/r%2Fissues", "bad_request"),
        ("GET", "/user%2f", "not_allowed"),
        ("GET", "/repos/group%2Fproject/x%2fy", ""),
        ("POST", "/repos/group%2Fproject/r/issues", "bad_request"),
    ];
    judge(&rig, &api, &table).await;
}

#[tokio::test]
async fn what_is_denied_is_denied_in_every_spelling_whatever_is_allowed() {
    let (rig, api) = ruled("allow = \"all\"\ndeny = [\"/admin/**\", \"DELETE /repos/**\"]").await;
    let table = [
        ("GET", "/admins", ""),
        ("GET", "/x/admin", ""),
        ("POST", "/repos/o/r", ""),
        ("GET", "/admin", "not_allowed"),
        ("GET", "/admin/", "not_allowed"),
        ("GET", "/admin?x", "not_allowed"),
        ("PATCH", "/admin/users", "not_allowed"),
        ("GET", "//admin/users", "not_allowed"),
        ("GET", "/admin//users", "not_allowed"),
        ("GET", "/%61dmin/users", "not_allowed"),
        ("GET", "/%61%64%6D%69%6e", "not_allowed"),
        ("DELETE", "/repos/o/r", "not_allowed"),
        ("DELETE", "/r%65pos/o/r", "not_allowed"),
        ("GET", "/admin%2Fusers", "bad_request"),
        ("GET", "/admin/a%2Fb", "not_allowed"),
        ("GET", "/x%2Fadmin%2Fusers", ""),
        ("GET", "/x%2f..%2fadmin", "bad_request"),
        ("GET", "/x/../admin", "bad_request"),
    ];
    judge(&rig, &api, &table).await;
}

#[tokio::test]
async fn no_header_asks_for_a_method_that_was_not_judged() {
    for (lines, refuses) in [
        ("", true),
        ("allow = [\"POST /**\"]", true),
        ("allow = \"all\"\ndeny = [\"DELETE /**\"]", true),
        ("allow = \"all\"", false),
        ("allow = \"all\"\ndeny = [\"/admin/**\"]", false),
    ] {
        let (rig, api) = ruled(lines).await;
        let method = if lines.is_empty() { "GET" } else { "POST" };
        for name in OVERRIDES {
            let answer = rig.send(method, "/proxy/api/user", &[(name, "DELETE")], b"").await;
            let (status, code) = if refuses { (403, "not_allowed") } else { (200, "") };
            assert_eq!((answer.status, answer.code().as_str()), (status, code), "{name} under {lines:?}");
        }
        let arrived = api.requests();
        assert_eq!(arrived.len(), if refuses { 0 } else { OVERRIDES.len() }, "{lines:?}");
        assert!(arrived.iter().all(|request| request.method == "POST"), "the method itself is never changed");
    }
}

#[tokio::test]
async fn what_is_not_permitted_costs_the_tenant_nothing() {
    let (rig, api) = ruled("require = [\"read:api\"]\nallow = [\"GET /**\"]").await;
    assert_eq!(rig.get("/proxy/api/user").await.code(), "insufficient_scope");
    let token = rig.tenant.token("github|583231").scope("openid read:api").sign();
    let bearer = format!("Bearer {token}");
    for (method, path) in [("DELETE", "/user"), ("DELETE", "/a%2Fb"), ("GET", "/../user")] {
        let answer = rig.send_as_is(method, &format!("/proxy/api{path}"), &[("authorization", &bearer)], b"").await;
        assert!(matches!(answer.code().as_str(), "not_allowed" | "bad_request"), "{method} {path}");
    }
    api.saw_nothing();
    assert_eq!(rig.tenant.calls(Endpoint::Users), 0);
}

#[tokio::test]
async fn a_required_scope_is_held_as_a_scope_or_as_a_permission_and_all_are_required() {
    let (rig, api) = ruled("require = [\"read:api\", \"use:proxy\"]").await;
    let token = |scope: &str, permissions: &[&str]| {
        rig.tenant.token("github|583231").scope(scope).permissions(permissions).sign()
    };
    for (scope, permissions, missing) in [
        ("openid read:api use:proxy", &[][..], ""),
        ("read:api", &["use:proxy"], ""),
        ("", &["read:api", "use:proxy", "more"], ""),
        ("openid", &[], "read:api"),
        ("read:api", &[], "use:proxy"),
        ("use:proxy", &[], "read:api"),
        ("read:api2 use:proxy", &[], "read:api"),
        ("READ:API use:proxy", &[], "read:api"),
    ] {
        let bearer = format!("Bearer {}", token(scope, permissions));
        let answer = rig.send_as_is("GET", "/proxy/api/user", &[("authorization", &bearer)], b"").await;
        if missing.is_empty() {
            assert_eq!(answer.status, 200, "{scope} {permissions:?}: {}", answer.text());
            continue;
        }
        assert_eq!((answer.status, answer.code().as_str()), (403, "insufficient_scope"), "{scope} {permissions:?}");
        let challenge = answer.all("www-authenticate");
        assert!(challenge.starts_with("Bearer ") && challenge.contains("error=\"insufficient_scope\""), "{challenge}");
        assert!(challenge.contains(&format!("scope=\"{missing}\"")), "{challenge}");
        assert!(answer.json()["detail"].as_str().unwrap().contains(missing));
    }
    assert_eq!(api.requests().len(), 3);
}
