//! `GET /api/v2/users/{id}`.

use super::*;
use crate::command::dev::provider::Issued;

fn refused(status: u16, message: &str, code: &str) -> Said {
    let error = StatusCode::from_u16(status).unwrap();
    let error = error.canonical_reason().unwrap();
    (status, json!({ "statusCode": status, "error": error, "message": message, "errorCode": code }))
}

fn unauthorized(message: &str) -> Said {
    let body = json!({
        "statusCode": 401, "error": "Unauthorized", "message": message, "attributes": { "error": message },
    });
    (401, body)
}

#[tokio::test]
async fn a_user_is_shown_with_the_tokens_of_every_identity() {
    let tenant = tenant().await;
    let (status, user) = said(tenant.users("github%7C583231")).await;
    assert_eq!(status, 200);
    let github = json!({
        "provider": "github", "connection": "github", "user_id": 583_231, "isSocial": true, "access_token": "gho_x",
    });
    let google = json!({
        "provider": "google-oauth2", "connection": "google-oauth2", "user_id": "1111", "isSocial": true,
        "access_token": "ya29.x", "refresh_token": "1//0x", "expires_in": 3599,
    });
    assert_eq!(user["identities"], json!([github, google]));
    assert_eq!(tenant.users_asked(), ["github|583231"]);
}

#[tokio::test]
async fn a_user_changes_as_the_test_wants() {
    let tenant = tenant().await;
    tenant.with_user("github|583231", |user| {
        user.blocked = Some(true);
        user.identity_mut("github").unwrap().access_token = None;
        user.identity_mut("google-oauth2").unwrap().access_token = Some(String::new());
    });
    let (_, user) = said(tenant.users("github%7C583231")).await;
    assert_eq!(user["blocked"], true);
    assert_eq!(user["identities"][0].get("access_token"), None);
    assert_eq!(user["identities"][1]["access_token"], "");
    tenant.remove_user("github|583231");
    assert_eq!(said(tenant.users("github%7C583231")).await.0, 404);
}

#[tokio::test]
async fn a_sign_in_brings_new_tokens_and_a_new_last_login() {
    let tenant = tenant().await;
    tenant.register("github", |account| Issued {
        access_token: format!("gho_for_{account}"),
        refresh_token: None,
        expires_in: Some(60),
    });
    assert!(tenant.sign_in("github|583231", "github"));
    let (_, user) = said(tenant.users("github%7C583231")).await;
    assert_eq!(user["identities"][0]["access_token"], "gho_for_583231");
    assert_eq!(user["identities"][0]["expires_in"], 60);
    let last_login = user["last_login"].as_str().unwrap();
    assert!(last_login.ends_with('Z') && last_login.len() == "2026-01-02T03:04:05.678Z".len(), "{last_login}");
    assert!(!tenant.sign_in("github|583231", "bitbucket"));
    assert!(!tenant.sign_in("github|nobody", "github"));
}

#[tokio::test]
async fn without_the_scope_for_tokens_the_answer_is_the_same_less_the_tokens() {
    let tenant = tenant().await;
    let token = tenant.management_token("read:users");
    let (status, user) = said(tenant.get("/api/v2/users/github%7C583231").bearer_auth(token)).await;
    assert_eq!(status, 200);
    assert_eq!(user["identities"][1]["connection"], "google-oauth2");
    for field in ["access_token", "refresh_token", "expires_in"] {
        assert_eq!(user["identities"][1].get(field), None, "{field}");
    }
}

#[tokio::test]
async fn without_any_of_the_scopes_nothing_is_shown() {
    let tenant = tenant().await;
    let token = tenant.management_token("read:connections");
    let message = "Insufficient scope, expected any of: read:users,read:user_idp_tokens,read:current_user";
    let answer = said(tenant.get("/api/v2/users/github%7C583231").bearer_auth(token)).await;
    assert_eq!(answer, refused(403, message, "insufficient_scope"));
}

#[tokio::test]
async fn a_user_that_does_not_exist_is_not_found() {
    let answer = said(tenant().await.users("github%7C1")).await;
    assert_eq!(answer, refused(404, "The user does not exist.", "inexistent_user"));
}

#[tokio::test]
async fn the_id_has_to_arrive_encoded_and_as_one_segment() {
    let tenant = tenant().await;
    let (status, body) = said(tenant.users("github|583231")).await;
    assert_eq!((status, &body["errorCode"]), (400, &json!("invalid_uri")));
    for raw in ["github%7C583231@x", "github%7C583231%ff", ""] {
        assert_eq!(said(tenant.users(raw)).await.0, 400, "{raw:?}");
    }
    let (status, body) = said(tenant.users("github%7C583231/identities")).await;
    assert_eq!((status, &body["message"]), (404, &json!("Not Found")));
    tenant.add_user(User::new("oauth2|own|a/b+c{d}"));
    let (status, user) = said(tenant.users("oauth2%7Cown%7Ca%2Fb%2Bc%7Bd%7D")).await;
    assert_eq!((status, &user["user_id"]), (200, &json!("oauth2|own|a/b+c{d}")));
}

#[tokio::test]
async fn fields_are_shown_or_left_out_as_asked() {
    let tenant = tenant().await;
    let names = async |query: &str| {
        let (status, user) = said(tenant.users(&format!("github%7C583231?{query}"))).await;
        assert_eq!(status, 200, "{query}");
        user.as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(names("fields=user_id,identities,blocked&include_fields=true").await, ["identities", "user_id"]);
    assert_eq!(names("fields=user_id%2Cidentities").await, ["identities", "user_id"]);
    let others = names("fields=identities,user_id&include_fields=false").await;
    assert!(others.contains(&"name".to_owned()) && !others.contains(&"identities".to_owned()), "{others:?}");
    assert_eq!(names("").await, names("fields=").await);
}

#[tokio::test]
async fn a_query_that_is_not_understood_is_refused() {
    let tenant = tenant().await;
    for query in ["include_totals=true", "field=identities", "include_fields=yes", "fields=a&fields=b"] {
        let (status, body) = said(tenant.users(&format!("github%7C583231?{query}"))).await;
        assert_eq!((status, &body["errorCode"]), (400, &json!("invalid_query_string")), "{query}");
    }
}

#[tokio::test]
async fn only_a_management_token_of_this_tenant_opens_it() {
    let tenant = tenant().await;
    let ask = async |token: &str| said(tenant.get("/api/v2/users/github%7C583231").bearer_auth(token)).await;
    let header = refused(400, "Bad HTTP authentication header format", "Bearer");
    assert_eq!(ask("opaque").await, header);
    assert_eq!(ask(&tenant.encrypted_token()).await, header);
    let forged =
        Tenant::start(Clock::system(), TenantSettings::default()).await.unwrap().management_token("read:users");
    assert_eq!(ask(&forged).await, unauthorized("Invalid signature received for JSON Web Token validation"));
    let callers = ask(&tenant.token("github|583231").audience("https://idp-proxy.localhost/").sign()).await;
    assert_eq!(callers, unauthorized("Bad audience: \"https://idp-proxy.localhost/\""));
    let elsewhere = tenant.token("x@clients").audience(tenant.management_audience()).issuer("https://custom.example/");
    assert_eq!(ask(&elsewhere.sign()).await, unauthorized("Invalid token"));
    let expired = tenant.token("x@clients").audience(tenant.management_audience()).expires_in(0).sign();
    assert_eq!(ask(&expired).await, unauthorized("Expired token received for JSON Web Token validation"));
    assert_eq!(tenant.users_asked(), [""; 0]);
}

#[tokio::test]
async fn a_request_without_exactly_one_bearer_is_refused() {
    let tenant = tenant().await;
    let path = "/api/v2/users/github%7C583231";
    assert_eq!(said(tenant.get(path)).await, unauthorized("Missing authentication"));
    let twice = tenant.users("github%7C583231").header("authorization", "Bearer x");
    assert_eq!(said(twice).await.0, 400);
    assert_eq!(said(tenant.get(path).basic_auth("a", Some("b"))).await.0, 400);
}

#[tokio::test]
async fn over_the_limit_it_is_429_until_time_has_passed() {
    let tenant = tenant().await;
    tenant.change(|s| s.rate_limit = Some(RateLimit { per_second: 0.01, burst: 2, retry_after: false }));
    let ask = async || tenant.users("github%7C583231").send().await.unwrap();
    let first = ask().await;
    assert_eq!((first.status().as_u16(), &first.headers()["x-ratelimit-remaining"]), (200, &"1".parse().unwrap()));
    assert_eq!(first.headers()["x-ratelimit-limit"], "2");
    assert_eq!(ask().await.status(), 200);
    let third = ask().await;
    let reset: u64 = third.headers()["x-ratelimit-reset"].to_str().unwrap().parse().unwrap();
    assert!(reset > tenant.shared.clock.now().unix_seconds());
    assert_eq!(third.headers().get("retry-after"), None);
    let answer = (third.status().as_u16(), third.json().await.unwrap());
    assert_eq!(answer, refused(429, "Global limit has been reached", "too_many_requests"));
    tenant.change(|s| s.rate_limit = Some(RateLimit { per_second: 0.01, burst: 2, retry_after: true }));
    let wait: u64 = ask().await.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((90..=100).contains(&wait), "{wait}");
    tenant.shared.clock.advance(Duration::from_secs(wait));
    assert_eq!(ask().await.status(), 200);
}

#[tokio::test]
async fn every_answer_tells_what_is_left() {
    let tenant = tenant().await;
    for rest in ["github%7C583231", "nobody", "a/b"] {
        let response = tenant.users(rest).send().await.unwrap();
        assert!(response.headers().contains_key("x-ratelimit-remaining"), "{rest}");
    }
}

#[tokio::test]
async fn simultaneous_calls_are_counted() {
    let tenant = tenant().await;
    tenant.delay(Endpoint::Users, Duration::from_millis(200));
    let ask = || said(tenant.users("github%7C583231"));
    let answers = tokio::join!(ask(), ask(), ask());
    assert_eq!((answers.0.0, answers.1.0, answers.2.0), (200, 200, 200));
    assert_eq!((tenant.calls(Endpoint::Users), tenant.calls_at_once_max(Endpoint::Users)), (3, 3));
}
