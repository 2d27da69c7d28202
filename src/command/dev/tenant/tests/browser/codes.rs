//! The exchange of a code.

use super::*;

#[tokio::test]
async fn a_code_is_good_for_what_it_was_made_for_alone() {
    let tenant = tenant().await;
    let browser = Browser::new(&tenant);
    let other = "http://127.0.0.1:4711/other";
    let wrong_uri = format!("The redirect URI is wrong. You sent {other}, and we expected {CALLBACK}");
    let missing = |name: &str| {
        let description = format!("Missing required parameter: {name}");
        (400, json!({ "error": "invalid_request", "error_description": description }))
    };
    let cases = [
        (json!({ "code_verifier": "wrong" }), invalid_grant("Failed to verify code verifier")),
        (json!({ "code_verifier": null }), missing("code_verifier")),
        (json!({ "client_id": SPA }), invalid_grant("Invalid authorization code")),
        (
            json!({ "client_id": "unknown" }),
            (401, json!({ "error": "access_denied", "error_description": "Unauthorized" })),
        ),
        (json!({ "redirect_uri": null }), missing("redirect_uri")),
        (json!({ "code": "unknown" }), invalid_grant("Invalid authorization code")),
        (json!({ "code": null }), missing("code")),
    ];
    browser.sign_in(SUB, &[]).await;
    let code = async || landed(&browser.authorize(&[]).await)["code"].clone();
    for (replaced, expected) in cases {
        assert_eq!(browser.exchange(&code().await, replaced.clone()).await, expected, "{replaced}");
    }
    let (status, body) = browser.exchange(&code().await, json!({ "redirect_uri": other })).await;
    assert_eq!(
        (status, &body["error"], &body["error_description"]),
        (403, &json!("unauthorized_client"), &json!(wrong_uri))
    );
    let late = code().await;
    tenant.shared.clock.advance(Duration::from_secs(600));
    assert_eq!(browser.exchange(&late, json!({})).await, invalid_grant("Invalid authorization code"));
}

#[tokio::test]
async fn a_code_that_failed_is_spent() {
    let tenant = tenant().await;
    let browser = Browser::new(&tenant);
    let landed = browser.sign_in(SUB, &[]).await;
    assert_eq!(browser.exchange(&landed["code"], json!({ "code_verifier": "guess" })).await.0, 403);
    assert_eq!(browser.exchange(&landed["code"], json!({})).await, invalid_grant("Invalid authorization code"));
}

#[tokio::test]
async fn a_code_that_comes_twice_ends_what_came_of_it() {
    let tenant = tenant().await;
    let browser = Browser::new(&tenant);
    let landed = browser.sign_in(SUB, &[]).await;
    let (_, tokens) = browser.exchange(&landed["code"], json!({})).await;
    let (status, renewed) = browser.refresh(&tokens["refresh_token"], json!({})).await;
    assert_eq!(status, 200);
    assert_eq!(browser.exchange(&landed["code"], json!({})).await, invalid_grant("Invalid authorization code"));
    assert_eq!(browser.refresh(&renewed["refresh_token"], json!({})).await.0, 403);
}

#[tokio::test]
async fn what_was_not_asked_for_is_not_given() {
    let tenant = tenant().await;
    let browser = Browser::new(&tenant);
    let tokens = browser.tokens(SUB, &[("scope", "read:things"), ("nonce", "")]).await;
    assert_eq!((tokens.get("id_token"), tokens.get("refresh_token")), (None, None));
    let access = claims(&tokens["access_token"]);
    assert_eq!((&access["aud"], &access["scope"]), (&json!(tenant.settings().audience), &json!("read:things")));
    *browser.cookie.lock().unwrap() = None;
    let tokens = browser.tokens(SUB, &[("nonce", ""), ("max_age", "0"), ("audience", "")]).await;
    let id = claims(&tokens["id_token"]);
    assert_eq!((id.get("nonce"), id["auth_time"].is_u64()), (None, true));
    assert_eq!(tokens["access_token"].as_str().unwrap().split('.').count(), 5, "no API can read it");
}
