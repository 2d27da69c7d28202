//! The device flow.

use super::*;

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

async fn started(tenant: &Tenant, audience: &str) -> Value {
    let body = format!("client_id=demoLoginClient&scope=openid%20profile&audience={audience}");
    let (status, body) = said(tenant.form("/oauth/device/code", &body)).await;
    assert_eq!(status, 200, "{body}");
    body
}

async fn started_for_the_proxy(tenant: &Tenant) -> Value {
    started(tenant, "https%3A%2F%2Fidp-proxy.localhost%2F").await
}

async fn polled(tenant: &Tenant, flow: &Value) -> Said {
    // Long enough since the last poll.
    tenant.shared.clock.advance(Duration::from_secs(5));
    polled_at_once(tenant, flow).await
}

async fn polled_at_once(tenant: &Tenant, flow: &Value) -> Said {
    let body = json!({
        "grant_type": DEVICE_CODE, "client_id": "demoLoginClient", "device_code": flow["device_code"],
    });
    let (status, body) = said(tenant.post("/oauth/token", &body)).await;
    (status, if status == 200 { body } else { body["error"].clone() })
}

#[tokio::test]
async fn a_device_waits_until_somebody_approves_it() {
    let tenant = tenant().await;
    let flow = started_for_the_proxy(&tenant).await;
    let user_code = flow["user_code"].as_str().unwrap();
    assert_eq!((&flow["expires_in"], &flow["interval"]), (&json!(900), &json!(5)));
    assert_eq!(flow["verification_uri_complete"], tenant.url(&format!("/activate?user_code={user_code}")));
    assert_eq!(polled(&tenant, &flow).await, (403, json!("authorization_pending")));
    assert_eq!(polled_at_once(&tenant, &flow).await, (429, json!("slow_down")));
    assert!(!tenant.approve_device(user_code, "github|nobody"));
    assert!(!tenant.approve_device("XXXX-XXXX", "github|583231"));
    assert!(tenant.approve_device(user_code, "github|583231"));
    let (status, body) = polled(&tenant, &flow).await;
    assert_eq!((status, &body["token_type"], &body["expires_in"]), (200, &json!("Bearer"), &json!(86_400)));
    let claims: Value =
        jsonwebtoken::dangerous::insecure_decode_claims(body["access_token"].as_str().unwrap()).unwrap();
    assert_eq!((&claims["sub"], &claims["scope"]), (&json!("github|583231"), &json!("openid profile")));
    assert!(claims["aud"].as_array().unwrap().contains(&json!(tenant.settings().audience)));
    assert!(body["id_token"].is_string());
    assert_eq!(polled(&tenant, &flow).await, (403, json!("invalid_grant")), "a code works once");
}

#[tokio::test]
async fn a_login_without_an_audience_gets_a_token_that_no_api_can_read() {
    let tenant = tenant().await;
    let (_, flow) = said(tenant.form("/oauth/device/code", "client_id=demoLoginClient&scope=openid")).await;
    assert!(tenant.approve_device(flow["user_code"].as_str().unwrap(), "github|583231"));
    let (_, body) = polled(&tenant, &flow).await;
    assert_eq!(body["access_token"].as_str().unwrap().split('.').count(), 5);
}

#[tokio::test]
async fn a_refusal_and_an_expiry_are_told_once() {
    let tenant = tenant().await;
    let flow = started_for_the_proxy(&tenant).await;
    assert!(tenant.deny_device(flow["user_code"].as_str().unwrap()));
    assert_eq!(polled(&tenant, &flow).await, (403, json!("access_denied")));
    let flow = started_for_the_proxy(&tenant).await;
    tenant.shared.clock.advance(Duration::from_secs(900));
    assert_eq!(polled(&tenant, &flow).await, (403, json!("expired_token")));
    assert_eq!(polled(&tenant, &flow).await, (403, json!("invalid_grant")));
}

#[tokio::test]
async fn unknown_applications_and_services_cannot_start() {
    let tenant = tenant().await;
    let (status, body) = said(tenant.form("/oauth/device/code", "client_id=unknown")).await;
    assert_eq!((status, &body["error"]), (403, &json!("unauthorized_client")));
    let (status, body) = said(tenant.form("/oauth/device/code", "client_id=demoLoginClient&audience=x")).await;
    assert_eq!((status, &body["error"]), (403, &json!("access_denied")));
}

#[tokio::test]
async fn the_page_lets_a_person_choose_who_to_be() {
    let tenant = tenant().await;
    tenant.add_user(User::new("auth0|<b>"));
    let flow = started_for_the_proxy(&tenant).await;
    let user_code = flow["user_code"].as_str().unwrap();
    let page = reqwest::get(flow["verification_uri_complete"].as_str().unwrap()).await.unwrap().text().await.unwrap();
    assert!(page.contains(user_code) && page.contains("Alice") && page.contains("auth0|&lt;b&gt;"), "{page}");
    let submit = async |form: String| tenant.form("/activate", &form).send().await.unwrap().status().as_u16();
    assert_eq!(submit("user_code=nope&sub=github%7C583231".to_owned()).await, 400);
    assert_eq!(submit(format!("user_code={user_code}")).await, 400);
    assert_eq!(submit(format!("user_code={}&sub=github%7C583231", user_code.to_lowercase())).await, 200);
    assert_eq!(polled(&tenant, &flow).await.0, 200);
}
