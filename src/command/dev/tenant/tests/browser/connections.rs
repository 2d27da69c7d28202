//! Sign-ins through one connection, and what its provider gives at them.

use super::*;
use crate::command::dev::provider::{Behaviour, Provider, ProviderSettings, RefreshToken};

const GOOGLE: &str = "google-oauth2";

/// A tenant with a Google behind its connection.
async fn with_google(refresh_token: RefreshToken) -> (Tenant, Provider) {
    let tenant = tenant().await;
    let mut settings = ProviderSettings::google(Duration::from_secs(60));
    settings.behaviour = Behaviour::Expires { life: Duration::from_secs(60), refresh_token };
    let google = Provider::start(tenant.shared.clock.clone(), settings).await.unwrap();
    tenant.put_behind(GOOGLE, &google);
    assert!(tenant.sign_in(SUB, GOOGLE));
    (tenant, google)
}

fn held(tenant: &Tenant, sub: &str) -> Identity {
    tenant.user(sub).unwrap().identity(GOOGLE).unwrap().clone()
}

#[tokio::test]
async fn signing_in_again_revives_a_grant_that_was_revoked() {
    let (tenant, google) = with_google(RefreshToken::Once).await;
    let before = held(&tenant, SUB);
    google.revoke_account("1111");
    assert!(!google.is_live(before.access_token.as_ref().unwrap()));
    let browser = Browser::new(&tenant);
    let tokens = browser.tokens(SUB, &[("connection", GOOGLE)]).await;
    assert_eq!(claims(&tokens["access_token"])["sub"], SUB, "the same user, by a linked identity");
    let after = held(&tenant, SUB);
    assert!(google.is_live(after.access_token.as_ref().unwrap()));
    assert!(after.refresh_token.is_some() && after.refresh_token != before.refresh_token);
}

#[tokio::test]
async fn scopes_for_the_provider_are_asked_for_at_the_provider() {
    let (tenant, google) = with_google(RefreshToken::Once).await;
    let browser = Browser::new(&tenant);
    let asked = [("connection", GOOGLE), ("connection_scope", "https://a/calendar,https://a/drive")];
    browser.sign_in(SUB, &asked).await;
    let token = held(&tenant, SUB).access_token.unwrap();
    assert_eq!(google.scopes(&token).unwrap(), ["https://a/calendar", "https://a/drive"]);
    // A session of the same connection is silent, whatever else is asked for.
    let more = [("connection", GOOGLE), ("connection_scope", "https://a/mail")];
    assert!(landed(&browser.authorize(&more).await)["code"].is_string());
    assert_eq!(held(&tenant, SUB).access_token, Some(token));
    let more = [more[0], more[1], ("prompt", "consent")];
    browser.sign_in(SUB, &more).await;
    assert_eq!(google.scopes(&held(&tenant, SUB).access_token.unwrap()).unwrap(), ["https://a/mail"]);
}

#[tokio::test]
async fn a_refresh_token_comes_with_consent_and_where_it_must_with_offline_access() {
    let cases = [
        (RefreshToken::Once, &[("prompt", "login")][..], false),
        (RefreshToken::Once, &[("prompt", "consent")], true),
        (RefreshToken::Once, &[("approval_prompt", "force"), ("prompt", "login")], true),
        (RefreshToken::OnceIfAsked, &[("prompt", "consent")], false),
        (RefreshToken::OnceIfAsked, &[("prompt", "consent"), ("access_type", "offline")], true),
        (RefreshToken::OnceIfAsked, &[("prompt", "consent"), ("access_type", "online")], false),
        (RefreshToken::Never, &[("prompt", "consent"), ("access_type", "offline")], false),
    ];
    for (behaviour, replaced, given) in cases {
        let (tenant, _google) = with_google(behaviour).await;
        let replaced: Vec<_> = replaced.iter().copied().chain([("connection", GOOGLE)]).collect();
        Browser::new(&tenant).sign_in(SUB, &replaced).await;
        assert_eq!(held(&tenant, SUB).refresh_token.is_some(), given, "{behaviour:?} {replaced:?}");
    }
}

#[tokio::test]
async fn a_session_through_another_connection_does_not_do() {
    let (tenant, _google) = with_google(RefreshToken::Always).await;
    let browser = Browser::new(&tenant);
    browser.sign_in(SUB, &[]).await;
    let silent = landed(&browser.authorize(&[("connection", GOOGLE), ("prompt", "none")]).await);
    assert_eq!(silent["error"], "login_required", "it was through github");
    browser.sign_in(SUB, &[("connection", GOOGLE)]).await;
    assert!(landed(&browser.authorize(&[("connection", GOOGLE), ("prompt", "none")]).await)["code"].is_string());
}

#[tokio::test]
async fn a_new_account_is_another_user() {
    let (tenant, google) = with_google(RefreshToken::Always).await;
    tenant.add_user(User::new("github|7").named("Bob").with(Identity::new("github", 7)));
    let browser = Browser::new(&tenant);
    let shown = browser.authorize(&[("connection", GOOGLE)]).await;
    let page = browser.send(browser.client.get(location(&shown))).await.text().await.unwrap();
    let remark = "github|7 has no account of google-oauth2 yet: signing in makes another user";
    assert!(page.contains(remark) && page.matches("makes another user").count() == 1, "{page}");
    let tokens = browser.tokens("github|7", &[("connection", GOOGLE)]).await;
    let sub = claims(&tokens["access_token"])["sub"].as_str().unwrap().to_owned();
    assert!(sub.starts_with("google-oauth2|"), "{sub}");
    assert!(google.is_live(held(&tenant, &sub).access_token.as_ref().unwrap()));
    assert_eq!(tenant.user(&sub).unwrap().name, "Bob");
    assert_eq!(tenant.user("github|7").unwrap().identities.len(), 1, "nothing is linked by itself");
}

#[tokio::test]
async fn nobody_signs_in_through_a_connection_that_is_for_connected_accounts() {
    let (tenant, _google) = with_google(RefreshToken::Always).await;
    tenant.set_purpose(GOOGLE, Purpose::ConnectedAccounts);
    let refused = landed(&Browser::new(&tenant).authorize(&[("connection", GOOGLE)]).await);
    assert_eq!(refused["error_description"], "the connection is not enabled");
}
