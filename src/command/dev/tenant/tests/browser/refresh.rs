//! Auth0's own refresh tokens.

use super::*;

fn dead() -> Said {
    invalid_grant("Unknown or invalid refresh token.")
}

#[tokio::test]
async fn a_refresh_token_is_replaced_at_each_use_and_one_that_comes_again_ends_the_family() {
    let tenant = tenant().await;
    let browser = Browser::new(&tenant);
    let first = browser.tokens(SUB, &[]).await["refresh_token"].clone();
    let (status, second) = browser.refresh(&first, json!({})).await;
    assert_eq!((status, &second["scope"]), (200, &json!("openid profile offline_access")));
    assert_eq!(claims(&second["access_token"])["sub"], SUB);
    assert!(second["id_token"].is_string());
    let (status, third) = browser.refresh(&second["refresh_token"], json!({})).await;
    assert_eq!(status, 200);
    assert_eq!(browser.refresh(&first, json!({})).await, dead());
    assert_eq!(browser.refresh(&third["refresh_token"], json!({})).await, dead());
    assert_eq!(browser.refresh(&json!("unheard-of"), json!({})).await, dead());
}

#[tokio::test]
async fn within_the_overlap_the_token_before_the_newest_may_come_again() {
    let tenant = tenant_with(|settings| settings.refresh_leeway = 30).await;
    let browser = Browser::new(&tenant);
    for (pause, uses, expected) in [(29, 1, 200), (30, 1, 403), (0, 2, 403)] {
        let first = browser.tokens(SUB, &[("prompt", "login")]).await["refresh_token"].clone();
        let mut newest = first.clone();
        for _ in 0..uses {
            newest = browser.refresh(&newest, json!({})).await.1["refresh_token"].clone();
        }
        tenant.shared.clock.advance(Duration::from_secs(pause));
        assert_eq!(browser.refresh(&first, json!({})).await.0, expected, "{pause} s after the last of {uses}");
        assert_eq!(browser.refresh(&newest, json!({})).await.0, expected, "{pause} s after the last of {uses}");
    }
}

#[tokio::test]
async fn a_refresh_token_has_one_application_one_audience_and_its_scope() {
    let tenant = tenant().await;
    let browser = Browser::new(&tenant);
    let token = browser.tokens(SUB, &[]).await["refresh_token"].clone();
    assert_eq!(browser.refresh(&token, json!({ "client_id": SPA })).await, dead());
    let (status, body) = browser.refresh(&token, json!({ "audience": "https://other/" })).await;
    assert_eq!((status, &body["error"]), (403, &json!("access_denied")));
    let (status, less) = browser.refresh(&token, json!({ "scope": "openid" })).await;
    assert_eq!((status, &less["scope"]), (200, &json!("openid")));
    assert_eq!(claims(&less["access_token"])["scope"], "openid");
    let (status, body) = browser.refresh(&less["refresh_token"], json!({ "scope": "openid read:all" })).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_scope")));
}

#[tokio::test]
async fn disuse_revocation_and_a_block_end_it() {
    let tenant = tenant().await;
    let browser = Browser::new(&tenant);
    let idle = browser.tokens(SUB, &[]).await["refresh_token"].clone();
    tenant.shared.clock.advance(Duration::from_secs(2_592_000));
    assert_eq!(browser.refresh(&idle, json!({})).await, dead());
    let token = browser.tokens(SUB, &[]).await["refresh_token"].clone();
    let revoke = async |client_id: &str, token: &Value| {
        said(tenant.post("/oauth/revoke", &json!({ "client_id": client_id, "token": token }))).await.0
    };
    assert_eq!(revoke(SPA, &token).await, 401);
    assert_eq!(revoke("unknown", &token).await, 401);
    assert_eq!(revoke(NATIVE, &json!("")).await, 400);
    let (_, renewed) = browser.refresh(&token, json!({})).await;
    assert_eq!(revoke(NATIVE, &token).await, 200, "any token of the family will do");
    assert_eq!(revoke(NATIVE, &token).await, 200);
    assert_eq!(browser.refresh(&renewed["refresh_token"], json!({})).await, dead());

    let token = browser.tokens(SUB, &[("prompt", "login")]).await["refresh_token"].clone();
    tenant.with_user(SUB, |user| user.blocked = Some(true));
    let (status, body) = browser.refresh(&token, json!({})).await;
    assert_eq!((status, &body["error_description"]), (401, &json!("user is blocked")));
}

#[tokio::test]
async fn a_device_gets_one_too() {
    let tenant = tenant().await;
    let body = "client_id=demoLoginClient&scope=openid%20offline_access&audience=https%3A%2F%2Fidp-proxy.localhost%2F";
    let (_, flow) = said(tenant.form("/oauth/device/code", body)).await;
    assert!(tenant.approve_device(flow["user_code"].as_str().unwrap(), SUB));
    let body = json!({
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code", "client_id": NATIVE,
        "device_code": flow["device_code"],
    });
    let (status, tokens) = said(tenant.post("/oauth/token", &body)).await;
    assert_eq!(status, 200, "{tokens}");
    assert_eq!(Browser::new(&tenant).refresh(&tokens["refresh_token"], json!({})).await.0, 200);
    let (status, body) = said(tenant.form("/oauth/device/code", "client_id=demoSpaClient&scope=openid")).await;
    assert_eq!((status, &body["error"]), (403, &json!("unauthorized_client")), "a page is no device");
}
