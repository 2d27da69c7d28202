//! `/oauth/token` for the proxy's own application.

use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{DecodingKey, dangerous};

use super::*;

fn oauth_error(status: u16, error: &str, description: &str) -> Said {
    (status, json!({ "error": error, "error_description": description }))
}

#[tokio::test]
async fn the_right_credentials_get_a_management_token() {
    let tenant = tenant().await;
    let (status, body) = tenant.token_said(json!({})).await;
    let token = body["access_token"].as_str().unwrap().to_owned();
    let fields = json!({
        "access_token": token, "expires_in": 86_400, "scope": "read:users read:user_idp_tokens", "token_type": "Bearer",
    });
    assert_eq!((status, body), (200, fields));
    let claims: Value = dangerous::insecure_decode_claims(&token).unwrap();
    assert_eq!(claims["aud"], "https://dev.localhost/api/v2/");
    assert_eq!(claims["sub"], format!("{}@clients", tenant.settings().client_id));
    assert_eq!(claims["gty"], "client-credentials");
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 86_400);
    let user = said(tenant.get("/api/v2/users/github%7C583231").bearer_auth(&token)).await;
    assert_eq!(user.1["identities"][0]["access_token"], "gho_x");
    tenant.shared.clock.advance(Duration::from_secs(86_400));
    assert_eq!(said(tenant.get("/api/v2/users/github%7C583231").bearer_auth(&token)).await.0, 401);
}

#[tokio::test]
async fn a_form_and_http_basic_are_as_good() {
    let tenant = tenant().await;
    let TenantSettings { client_id, client_secret, .. } = tenant.settings();
    let common = "grant_type=client_credentials&audience=https%3A%2F%2Fdev.localhost%2Fapi%2Fv2%2F";
    let posted = format!("{common}&client_id={client_id}&client_secret={client_secret}");
    let response = tenant.form("/oauth/token", &posted).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["cache-control"], "no-store");
    let basic = tenant.form("/oauth/token", common).basic_auth(&client_id, Some(&client_secret));
    assert_eq!(said(basic).await.0, 200);
    let wrong = tenant.form("/oauth/token", common).basic_auth(&client_id, Some("wrong"));
    assert_eq!(said(wrong).await, oauth_error(401, "access_denied", "Unauthorized"));
    let both = tenant.form("/oauth/token", &posted).basic_auth(&client_id, Some(&client_secret));
    assert_eq!(said(both).await.0, 400);
}

#[tokio::test]
async fn an_unknown_application_and_a_wrong_secret_cannot_be_told_apart() {
    let tenant = tenant().await;
    let unauthorized = oauth_error(401, "access_denied", "Unauthorized");
    assert_eq!(tenant.token_said(json!({ "client_id": "unknown" })).await, unauthorized);
    assert_eq!(tenant.token_said(json!({ "client_secret": "wrong" })).await, unauthorized);
    assert_eq!(tenant.token_said(json!({ "client_secret": null })).await, unauthorized);
}

#[tokio::test]
async fn an_audience_that_is_wrong_by_a_slash_is_no_service() {
    let tenant = tenant().await;
    let wrong = "https://dev.localhost/api/v2";
    let description = format!("Service not enabled within domain: {wrong}");
    let answer = tenant.token_said(json!({ "audience": wrong })).await;
    assert_eq!(answer, oauth_error(403, "access_denied", &description));
    assert_eq!(tenant.token_said(json!({ "audience": null })).await.0, 403);
}

#[tokio::test]
async fn an_application_without_a_grant_is_not_authorized() {
    let tenant = tenant().await;
    let own = tenant.settings().audience;
    let (status, body) = tenant.token_said(json!({ "audience": own })).await;
    assert_eq!((status, &body["error"]), (403, &json!("access_denied")));
    tenant.change(|settings| settings.scopes.clear());
    let (status, body) = tenant.token_said(json!({})).await;
    assert_eq!(status, 403);
    assert!(body["error_description"].as_str().unwrap().starts_with("Client is not authorized to access"), "{body}");
}

#[tokio::test]
async fn a_scope_that_was_not_granted_is_refused_and_one_not_asked_for_is_missing() {
    let tenant = tenant().await;
    tenant.change(|settings| settings.scopes = vec!["read:users".to_owned()]);
    let answer = tenant.token_said(json!({ "scope": "read:users read:user_idp_tokens" })).await;
    let description = "Client has not been granted scopes: read:user_idp_tokens";
    assert_eq!(answer, oauth_error(403, "access_denied", description));
    assert_eq!(tenant.token_said(json!({})).await.1["scope"], "read:users");
    assert_eq!(tenant.token_said(json!({ "scope": "openid" })).await.0, 403);
}

#[tokio::test]
async fn grants_that_are_off_and_grants_that_do_not_exist_are_refused() {
    let tenant = tenant().await;
    let (status, body) = tenant.token_said(json!({ "grant_type": "authorization_code", "code": "x" })).await;
    assert_eq!((status, &body["error"]), (403, &json!("unauthorized_client")));
    let (status, body) = tenant.token_said(json!({ "grant_type": "magic" })).await;
    assert_eq!((status, &body["error"]), (400, &json!("unsupported_grant_type")));
    assert_eq!(tenant.token_said(json!({ "grant_type": null })).await.0, 400);
    tenant.change(|settings| settings.client_credentials = false);
    let (status, body) = tenant.token_said(json!({})).await;
    assert_eq!(status, 403);
    assert_eq!(body["error_description"], "Grant type 'client_credentials' not allowed for the client.");
    assert!(body["error_uri"].is_string());
}

#[tokio::test]
async fn a_backend_has_a_grant_of_its_own_which_shows_no_tokens() {
    let tenant = tenant().await;
    let backend = tenant.settings().backend;
    let own = json!({ "client_id": backend.client_id, "client_secret": backend.client_secret });
    let (status, body) = tenant.token_said(own.clone()).await;
    assert_eq!((status, &body["scope"]), (200, &json!("read:users update:users read:connections")));
    let token = body["access_token"].as_str().unwrap();
    let claims: Value = dangerous::insecure_decode_claims(token).unwrap();
    assert_eq!((&claims["azp"], &claims["sub"]), (&json!("demoBackendClient"), &json!("demoBackendClient@clients")));
    let (status, user) = said(tenant.get("/api/v2/users/github%7C583231").bearer_auth(token)).await;
    assert_eq!((status, user["identities"][0].get("access_token")), (200, None));
    let mut more = own;
    more["scope"] = json!("read:user_idp_tokens");
    assert_eq!(tenant.token_said(more).await.0, 403);
    let swapped = json!({ "client_secret": "demo-backend-client-secret", "client_id": "demoProxyClient" });
    assert_eq!(tenant.token_said(swapped).await.0, 401, "each has its own secret");
}

#[tokio::test]
async fn a_body_that_is_neither_form_nor_json_is_refused() {
    let tenant = tenant().await;
    let request = Client::new().post(tenant.url("/oauth/token")).body("grant_type=client_credentials");
    assert_eq!(said(request).await.0, 400);
    assert_eq!(said(tenant.form("/oauth/token", "grant_type=a&grant_type=a")).await.0, 400);
}

/// A tenant whose proxy application authenticates with a key: the first published one of another tenant, which is thus
/// able to sign its assertions.
async fn with_key() -> (Tenant, Tenant) {
    let signer = Tenant::start(Clock::system(), TenantSettings::default()).await.unwrap();
    let set: JwkSet = signer.get("/.well-known/jwks.json").send().await.unwrap().json().await.unwrap();
    let key: &Jwk = &set.keys[0];
    let key = DecodingKey::from_jwk(key).unwrap();
    (tenant_with(|settings| settings.client_keys = vec![key]).await, signer)
}

/// A good assertion, before it is spoilt.
fn assertion(tenant: &Tenant, signer: &Tenant) -> TokenBuilder {
    let client_id = tenant.settings().client_id;
    let jti = crate::command::dev::encoding::random_alphanumeric(12);
    let assertion = signer.token(&client_id).issuer(&client_id).audience(tenant.issuer()).expires_in(60);
    assertion.claim("jti", jti).claim("scope", Value::Null).claim("azp", Value::Null)
}

async fn asserted(tenant: &Tenant, assertion: &str) -> u16 {
    let replaced = json!({
        "client_secret": null,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": assertion,
    });
    tenant.token_said(replaced).await.0
}

#[tokio::test]
async fn a_signed_assertion_works_once() {
    let (tenant, signer) = with_key().await;
    let good = assertion(&tenant, &signer).sign();
    assert_eq!(asserted(&tenant, &good).await, 200);
    assert_eq!(asserted(&tenant, &good).await, 401, "its jti is used up");
    assert_eq!(asserted(&tenant, &assertion(&tenant, &signer).algorithm(Signing::Ps256).sign()).await, 200);
    let canonical = assertion(&tenant, &signer).audience("https://dev.localhost/").sign();
    assert_eq!(asserted(&tenant, &canonical).await, 200);
    assert_eq!(tenant.token_said(json!({})).await.0, 401, "the secret is no method any more");
}

#[tokio::test]
async fn an_assertion_with_anything_wrong_is_refused() {
    let (tenant, signer) = with_key().await;
    let good = || assertion(&tenant, &signer);
    let wrong = [
        ("key", good().key(Key::Foreign).sign()),
        ("algorithm", good().algorithm(Signing::Rs512).sign()),
        ("confused algorithm", good().algorithm(Signing::Hs256).sign()),
        ("iss", good().issuer("someone").sign()),
        ("sub", good().claim("sub", "someone").sign()),
        ("aud", good().audience(tenant.url("/oauth/token")).sign()),
        ("expired", good().expires_in(0).sign()),
        ("exp too far", good().expires_in(330).sign()),
        ("no exp", good().claim("exp", Value::Null).sign()),
        ("iat in the future", good().claim("iat", tenant.shared.clock.now().unix_seconds() + 60).sign()),
        ("no jti", good().claim("jti", Value::Null).sign()),
        ("no JWT", "nonsense".to_owned()),
    ];
    for (what, assertion) in wrong {
        assert_eq!(asserted(&tenant, &assertion).await, 401, "{what}");
    }
}
