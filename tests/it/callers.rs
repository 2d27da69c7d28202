//! Who calls: how a token is presented, and what becomes of one that is no login here. Whatever is wrong with it, nothing
//! is forwarded and the tenant is not asked about a user.

mod claimed;
mod signed;

use crate::support::{Answer, Rig, Upstream, refused, rig};

/// A proxy with one provider, and that provider.
async fn github() -> (Rig, Upstream) {
    let github = Upstream::replying("hello").await;
    let rig = rig().provider("github", &github).start().await;
    (rig, github)
}

/// Asserts for each token that it is refused with its code and leaves no trace.
async fn all_refused(rig: &Rig, github: &Upstream, cases: &[(&str, String, &str)]) {
    for (name, token, code) in cases {
        let answer = rig.get_bearing(token, "/proxy/github/user").await;
        assert_eq!(answer.code(), *code, "{name}: {} {}", answer.status, answer.text());
        let status = if *code == "no_user" { 403 } else { 401 };
        refused(&answer, status, code);
        assert_eq!(answer.json()["fault"], "caller", "{name}");
        if status == 401 {
            assert!(challenge(&answer).contains(r#"error="invalid_token""#), "{name}: {}", challenge(&answer));
        }
        assert!(!answer.text().contains("eyJ"), "{name}: the answer repeats the token");
    }
    github.saw_nothing();
    assert_eq!(rig.reads(), 0, "the tenant was asked about a user");
}

/// Asserts for each token that it is a login.
async fn all_accepted(rig: &Rig, github: &Upstream, cases: &[(&str, String)]) {
    for (name, token) in cases {
        let answer = rig.get_bearing(token, "/proxy/github/user").await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
    }
    assert_eq!(github.requests().len(), cases.len());
}

fn challenge(answer: &Answer) -> &str {
    answer.header("www-authenticate").unwrap_or_default()
}

#[tokio::test]
async fn a_token_is_taken_under_any_spelling_of_bearer_and_of_token() {
    let (rig, github) = github().await;
    for scheme in ["Bearer", "bearer", "BEARER", "token", "Token", "bearer  "] {
        let line = format!("{scheme} {}", rig.token());
        let answer = rig.send_as_is("GET", "/proxy/github/user", &[("Authorization", &line)], b"").await;
        assert_eq!(answer.status, 200, "{scheme}: {}", answer.text());
    }
    assert_eq!(github.requests().len(), 6);
}

#[tokio::test]
async fn without_a_token_there_is_a_challenge_that_names_no_error() {
    let (rig, github) = github().await;
    let basic = format!("Basic {}", rig.token());
    for line in [None, Some("Bearer"), Some("Bearer "), Some("Basic YTpi"), Some(basic.as_str()), Some("Negotiate x")] {
        let headers: Vec<_> = line.map(|line| ("authorization", line)).into_iter().collect();
        let answer = rig.send_as_is("GET", "/proxy/github/user", &headers, b"").await;
        refused(&answer, 401, "missing_token");
        assert!(challenge(&answer).starts_with("Bearer realm="), "{line:?}: {}", challenge(&answer));
        assert!(!challenge(&answer).contains("error"), "{line:?}: {}", challenge(&answer));
        assert!(challenge(&answer).contains("resource_metadata="), "{line:?}: {}", challenge(&answer));
    }
    github.saw_nothing();
}

#[tokio::test]
async fn two_authorization_lines_are_a_bad_request_whatever_is_in_them() {
    let (rig, github) = github().await;
    let good = format!("Bearer {}", rig.token());
    for (first, second) in [(&good, &good), (&good, &"Basic YTpi".to_owned()), (&"Basic YTpi".to_owned(), &good)] {
        let headers = [("authorization", first.as_str()), ("authorization", second.as_str())];
        refused(&rig.send_as_is("GET", "/proxy/github/user", &headers, b"").await, 400, "bad_request");
    }
    github.saw_nothing();
}

#[tokio::test]
async fn a_token_in_the_query_in_a_form_or_in_a_cookie_is_no_login() {
    let (rig, github) = github().await;
    let (in_query, in_form) =
        (format!("/proxy/github/user?access_token={}", rig.token()), format!("access_token={}", rig.token()));
    let cookie = format!("access_token={}", rig.token());
    let form = ("content-type", "application/x-www-form-urlencoded");
    for answer in [
        rig.send_as_is("GET", &in_query, &[], b"").await,
        rig.send_as_is("POST", "/proxy/github/user", &[form], in_form.as_bytes()).await,
        rig.send_as_is("GET", "/proxy/github/user", &[("cookie", &cookie)], b"").await,
        rig.send_as_is("GET", "/proxy/github/user", &[("x-access-token", rig.token())], b"").await,
    ] {
        refused(&answer, 401, "missing_token");
    }
    github.saw_nothing();
}

#[tokio::test]
async fn a_token_that_stands_in_the_request_a_second_time_is_refused_not_forwarded() {
    let (rig, github) = github().await;
    let in_query = format!("/proxy/github/user?access_token={}", rig.token());
    let in_path = format!("/proxy/github/{}", rig.token());
    for answer in [
        rig.get(&in_query).await,
        rig.get(&in_path).await,
        rig.get_with("/proxy/github/user", &[("x-token", rig.token())]).await,
        rig.get_with("/proxy/github/user", &[("x-mixed", &format!("a{}b", rig.token()))]).await,
    ] {
        refused(&answer, 400, "bad_request");
        assert!(!answer.text().contains(rig.token()));
    }
    github.saw_nothing();
    // Cookies are never forwarded, so there it does no harm.
    assert_eq!(rig.get_with("/proxy/github/user", &[("cookie", &format!("t={}", rig.token()))]).await.status, 200);
}

#[tokio::test]
async fn a_token_that_only_the_tenant_can_read_is_told_apart_and_the_cure_named() {
    let (rig, github) = github().await;
    let cases = [
        ("encrypted", rig.tenant.encrypted_token(), "unreadable_token"),
        ("opaque", rig.tenant.opaque_token(), "unreadable_token"),
    ];
    all_refused(&rig, &github, &cases).await;
    let answer = rig.get_bearing(&cases[0].1, "/proxy/github/user").await;
    let detail = answer.json()["detail"].to_string();
    assert!(detail.contains(&rig.tenant.settings().audience), "{detail}");
}

#[tokio::test]
async fn a_token_in_another_form_is_not_valid() {
    let (rig, github) = github().await;
    let good = rig.token().to_owned();
    let parts: Vec<&str> = good.split('.').collect();
    let json = format!(r#"{{"protected":"{}","payload":"{}","signature":"{}"}}"#, parts[0], parts[1], parts[2]);
    let cases = [
        ("JSON form", json, "invalid_token"),
        ("two parts", format!("{}.{}", parts[0], parts[1]), "invalid_token"),
        ("four parts", format!("{good}.{}", parts[2]), "invalid_token"),
        ("empty header", format!(".{}.{}", parts[1], parts[2]), "invalid_token"),
        ("empty payload", format!("{}..{}", parts[0], parts[2]), "invalid_token"),
        ("only dots", "..".to_owned(), "invalid_token"),
        ("padded", format!("{good}=="), "invalid_token"),
        ("padded header", format!("{}=.{}.{}", parts[0], parts[1], parts[2]), "invalid_token"),
        ("padded payload", format!("{}.{}=.{}", parts[0], parts[1], parts[2]), "invalid_token"),
        ("trailing junk", format!("{good}~"), "invalid_token"),
        ("a letter more", format!("{good}A"), "invalid_token"),
        ("two tokens", format!("{good}, Bearer {good}"), "invalid_token"),
        ("two tokens in one", format!("{good} {good}"), "invalid_token"),
        ("quoted", format!("\"{good}\""), "invalid_token"),
        ("huge", format!("{}.{}.{}", parts[0], "A".repeat(40_000), parts[2]), "invalid_token"),
    ];
    all_refused(&rig, &github, &cases).await;
}

#[tokio::test]
async fn base64_of_the_other_alphabet_is_not_read() {
    let (rig, github) = github().await;
    // A signature with a character that differs between the alphabets, and the token with that one exchanged.
    let mut tokens = (0..64).map(|number| rig.tenant.token("github|583231").claim("number", number).sign());
    let token = tokens.find(|token| token.rsplit('.').next().unwrap().contains(['-', '_'])).unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let cases =
        [("standard base64", format!("{message}.{}", signature.replace('-', "+").replace('_', "/")), "invalid_token")];
    all_refused(&rig, &github, &cases).await;
    all_accepted(&rig, &github, &[("the same in base64url", token)]).await;
}

#[tokio::test]
async fn proofs_of_possession_are_not_accepted_and_a_bound_token_is_worth_nothing_without() {
    let (rig, github) = github().await;
    let bound = |confirmation| rig.tenant.token("github|583231").claim("cnf", confirmation).sign();
    let cases = [
        ("DPoP", bound(serde_json::json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"})), "invalid_token"),
        (
            "mTLS",
            bound(serde_json::json!({"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"})),
            "invalid_token",
        ),
        ("unknown binding", bound(serde_json::json!({"osc": {}})), "invalid_token"),
        ("binding that is none", bound(serde_json::json!("x")), "invalid_token"),
    ];
    all_refused(&rig, &github, &cases).await;
    let line = format!("DPoP {}", rig.token());
    refused(&rig.send_as_is("GET", "/proxy/github/user", &[("authorization", &line)], b"").await, 401, "invalid_token");
    github.saw_nothing();
}

#[tokio::test]
async fn strangers_cannot_find_out_which_providers_there_are() {
    let (rig, github) = github().await;
    for path in ["/proxy/github/user", "/proxy/nobody/user", "/proxy/"] {
        refused(&rig.send_as_is("GET", path, &[], b"").await, 401, "missing_token");
        refused(&rig.get_bearing("a.b.c", path).await, 401, "invalid_token");
    }
    refused(&rig.get("/proxy/nobody/user").await, 404, "unknown_provider");
    github.saw_nothing();
}
