//! The tokens in callers' hands.

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};

use super::*;

/// The claims, if a library not ours accepts the token for the proxy's API with the published keys.
async fn accepted(tenant: &Tenant, token: &str) -> Option<Value> {
    let set: JwkSet = tenant.get("/.well-known/jwks.json").send().await.unwrap().json().await.unwrap();
    let mut validation = Validation::new(Algorithm::RS256);
    validation.algorithms.push(Algorithm::PS256);
    validation.set_audience(&[tenant.settings().audience]);
    validation.set_issuer(&[tenant.issuer()]);
    let header = decode_header(token).ok()?;
    // The library wants one algorithm per key here.
    validation.algorithms.retain(|algorithm| *algorithm == header.alg);
    let key = DecodingKey::from_jwk(set.find(&header.kid?)?).ok()?;
    Some(decode::<Value>(token, &key, &validation).ok()?.claims)
}

#[tokio::test]
async fn a_token_is_what_a_login_with_openid_gets() {
    let tenant = tenant().await;
    let claims = accepted(&tenant, &tenant.token_for("github|583231")).await.unwrap();
    let settings = tenant.settings();
    assert_eq!(claims["aud"], json!([settings.audience, format!("{}userinfo", tenant.issuer())]));
    assert_eq!(claims["sub"], "github|583231");
    assert_eq!(claims["azp"], json!(settings.native.client_id));
    assert_eq!(claims["scope"], "openid profile");
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 86_400);
    assert_eq!(claims.get("permissions"), None);
}

#[tokio::test]
async fn what_a_test_changes_is_changed() {
    let tenant = tenant().await;
    let token = tenant.token("a|b").scope("read:github").permissions(&["p"]).claim("cnf", json!({ "jkt": "x" }));
    let token = token.claim("azp", Value::Null).header("typ", "at+jwt").algorithm(Signing::Ps256).sign();
    let claims = accepted(&tenant, &token).await.unwrap();
    assert_eq!((&claims["scope"], &claims["permissions"]), (&json!("read:github"), &json!(["p"])));
    assert_eq!((&claims["cnf"]["jkt"], claims.get("azp")), (&json!("x"), None));
    assert_eq!(decode_header(&token).unwrap().typ.as_deref(), Some("at+jwt"));
}

#[tokio::test]
async fn wrong_tokens_are_wrong() {
    let tenant = tenant().await;
    let token = || tenant.token("a|b");
    let wrong = [
        ("expired", token().expires_in(-61).sign()),
        ("audience", token().audience("https://other.example").sign()),
        ("issuer", token().issuer("https://other.example/").sign()),
        ("issuer without its slash", token().issuer(tenant.base_url()).sign()),
        ("foreign key", token().key(Key::Foreign).sign()),
        ("unknown key", token().header("kid", "unknown").sign()),
        ("no key id", token().header("kid", Value::Null).sign()),
        ("confused algorithm", token().algorithm(Signing::Hs256).sign()),
        ("no signature", token().algorithm(Signing::None).sign()),
        ("ID token", tenant.id_token("a|b")),
        ("management token", tenant.management_token("read:users")),
        ("opaque", tenant.opaque_token()),
        ("encrypted", tenant.encrypted_token()),
    ];
    for (what, token) in wrong {
        assert_eq!(accepted(&tenant, &token).await, None, "{what}");
    }
    assert!(accepted(&tenant, &token().key(Key::Next).sign()).await.is_some());
}

#[tokio::test]
async fn a_machines_token_is_good_and_nobodys() {
    let tenant = tenant().await;
    let claims = accepted(&tenant, &tenant.machine_token()).await.unwrap();
    assert_eq!(claims["sub"], format!("{}@clients", tenant.settings().client_id));
    assert_eq!(claims["gty"], "client-credentials");
}

#[tokio::test]
async fn an_encrypted_token_has_five_parts_and_no_key() {
    let tenant = tenant().await;
    let token = tenant.encrypted_token();
    let parts: Vec<_> = token.split('.').collect();
    assert_eq!((parts.len(), parts[1]), (5, ""));
    assert_eq!(tenant.opaque_token().len(), 32);
}

#[tokio::test]
async fn a_rotation_leaves_old_tokens_good_and_a_revocation_ends_them() {
    let tenant = tenant().await;
    let (old, management) = (tenant.token_for("a|b"), tenant.management_token("read:users"));
    tenant.rotate_keys();
    let new = tenant.token_for("a|b");
    assert_ne!(decode_header(&old).unwrap().kid, decode_header(&new).unwrap().kid);
    assert!(accepted(&tenant, &old).await.is_some() && accepted(&tenant, &new).await.is_some());
    tenant.revoke_previous_key();
    assert!(accepted(&tenant, &old).await.is_none() && accepted(&tenant, &new).await.is_some());
    assert!(accepted(&tenant, &tenant.token("a|b").key(Key::Previous).sign()).await.is_none());
    let (status, _) = said(tenant.get("/api/v2/users/github%7C583231").bearer_auth(management)).await;
    assert_eq!(status, 401);
}
