//! What the vault refuses, and what the proxy's client makes of it.

use super::*;

/// Whether an error is the one expected.
type Expected = fn(&TenantError) -> bool;

#[tokio::test]
async fn a_callers_token_that_is_not_the_tenants_own_live_and_for_the_api_is_refused() {
    let vault = Vault::connected().await;
    let good = || vault.tenant.token(SUB);
    let wrong = [
        good().key(Key::Foreign).sign(),
        good().expires_in(-1).sign(),
        good().audience("https://elsewhere.example/").sign(),
        good().issuer("https://elsewhere.example/").sign(),
        vault.tenant.id_token(SUB),
        vault.tenant.opaque_token(),
    ];
    for token in wrong {
        assert!(matches!(vault.ask(&token, GOOGLE, None).await, Err(VaultError::SubjectRefused)), "{token}");
    }
    vault.tenant.change(|settings| settings.vault_audience = Some("https://elsewhere.example/".to_owned()));
    assert!(matches!(vault.exchange().await, Err(VaultError::SubjectRefused)), "the client is linked to another API");
}

#[track_caller]
fn misconfigured(asked: &Result<VaultToken, VaultError>, cure: &str) {
    match asked {
        Err(VaultError::Tenant(TenantError::Misconfigured(text))) => assert!(text.contains(cure), "{text}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_client_that_may_not_use_the_grant_or_is_the_wrong_one_is_a_misconfiguration() {
    let vault = Vault::connected().await;
    vault.tenant.change(|settings| settings.vault_audience = None);
    misconfigured(&vault.exchange().await, "Custom API Client");

    let vault =
        Vault::new(ProviderSettings::google(LIFE), "vault = { client_id = \"v\", client_secret = \"wrong\" }").await;
    let own = VaultClient { client_id: "v".to_owned(), client_secret: "right".to_owned() };
    vault.tenant.change(|settings| settings.vault_client = Some(own));
    misconfigured(&vault.exchange().await, "`vault` in [auth0]");
}

#[tokio::test]
async fn a_custom_api_client_of_its_own_is_used_if_there_is_one_and_the_main_client_may_not_do_its_work() {
    let line = "vault = { client_id = \"v\", client_secret = \"right\" }";
    let vault = Vault::new(ProviderSettings::google(LIFE), line).await;
    let own = VaultClient { client_id: "v".to_owned(), client_secret: "right".to_owned() };
    vault.tenant.change(|settings| settings.vault_client = Some(own));
    assert!(vault.tenant.connect(SUB, GOOGLE, "1111"));
    assert!(vault.exchange().await.is_ok());
    let (main, deadline) = (client(&vault.tenant, "", &vault.metrics), vault.clock.instant() + LIFE);
    misconfigured(
        &main.exchange(&Secret::new(vault.tenant.token_for(SUB)), GOOGLE, None, deadline).await,
        "Custom API Client",
    );
    let credentials = json!({ "client_id": "v", "client_secret": "right" });
    assert_eq!(vault.tenant.token_said(credentials).await.1["error"], "unauthorized_client");
}

#[tokio::test]
async fn the_tenants_outages_are_those_of_every_other_call() {
    let vault = Vault::connected().await;
    let faults: [(Fault, Expected); 5] = [
        (Fault::Status(503, "{}".to_owned()), |error| matches!(error, TenantError::Failing(503))),
        (Fault::Garbage, |error| matches!(error, TenantError::Nonsense(..))),
        (Fault::Status(200, r#"{"access_token":""}"#.to_owned()), |error| matches!(error, TenantError::Nonsense(..))),
        (Fault::Status(401, r#"{"error":"a_new_one"}"#.to_owned()), |error| matches!(error, TenantError::Nonsense(..))),
        (Fault::Reset, |error| matches!(error, TenantError::Unreachable(_))),
    ];
    for (fault, expected) in faults {
        vault.tenant.fail(Endpoint::Vault, fault.clone().times(1));
        match vault.exchange().await {
            Err(VaultError::Tenant(error)) if expected(&error) => {}
            other => panic!("{fault:?}: {other:?}"),
        }
    }
    assert!(vault.exchange().await.is_ok());
    let shown = vault.metrics.render();
    for (outcome, count) in [("ok", 1), ("failing", 1), ("nonsense", 3), ("unreachable", 1)] {
        let line = format!("idp_proxy_tenant_calls_total{{endpoint=\"vault\",outcome=\"{outcome}\"}} {count}\n");
        assert!(shown.contains(&line), "no {line} in\n{shown}");
    }
}

#[tokio::test]
async fn the_tenants_words_decide_whatever_the_status() {
    let vault = Vault::connected().await;
    let said = [
        ("tokenset_not_found", "not_connected"),
        ("federated_connection_refresh_token_not_found", "not_connected"),
        ("user_not_found", "not_connected"),
        ("federated_connection_refresh_token_flow_failed", "renewal_failed"),
        ("invalid_request", "not_enabled"),
        ("invalid_grant", "subject_refused"),
        ("unauthorized_client", "misconfigured"),
    ];
    for (error, outcome) in said {
        for status in [400, 401, 403] {
            vault.tenant.fail(Endpoint::Vault, Fault::Status(status, json!({ "error": error }).to_string()).times(1));
            assert_eq!(vault.exchange().await.unwrap_err().outcome(), outcome, "{status} {error}");
        }
    }
    // But for one word, which is that for a wrong secret and for a policy that denies.
    for (status, outcome) in [(401, "misconfigured"), (403, "denied")] {
        vault.tenant.fail(Endpoint::Vault, Fault::Status(status, r#"{"error":"access_denied"}"#.to_owned()).times(1));
        assert_eq!(vault.exchange().await.unwrap_err().outcome(), outcome, "{status}");
    }
}

#[tokio::test]
async fn no_token_shows_when_an_answer_is_printed() {
    let vault = Vault::connected().await;
    let token = vault.exchange().await.unwrap();
    assert!(!format!("{token:?}").contains(token.access_token.expose()));
    let misfit = r#"{"access_token":{"ya29":"hunter2"},"scope":"s"}"#;
    vault.tenant.fail(Endpoint::Vault, Fault::Status(200, misfit.to_owned()).times(1));
    let error = vault.exchange().await.unwrap_err();
    assert!(!format!("{error:?} {}", crate::telemetry::chain(&error)).contains("hunter2"));
}

#[tokio::test]
async fn the_refusals_have_the_tenants_own_bodies() {
    let vault = Vault::connected().await;
    let TenantSettings { client_id, client_secret, .. } = vault.tenant.settings();
    let asked = async |replaced: Value| {
        let mut body = json!({
            "grant_type": crate::command::dev::tenant::vault::GRANT, "client_id": client_id, "client_secret": client_secret,
            "subject_token": vault.tenant.token_for(SUB), "connection": GOOGLE,
            "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "requested_token_type": "http://auth0.com/oauth/token-type/federated-connection-access-token",
        });
        body.as_object_mut().unwrap().extend(replaced.as_object().unwrap().clone());
        body.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        said(vault.tenant.post("/oauth/token", &body)).await
    };
    let (status, body) = asked(json!({})).await;
    assert_eq!((status, &body["token_type"]), (200, &json!("Bearer")));
    assert_eq!(body["issued_token_type"], "http://auth0.com/oauth/token-type/federated-connection-access-token");
    assert!(body.get("refresh_token").is_none());
    let no_identity = json!({ "error": "user_not_found", "description": "Identity User not found." });
    assert_eq!(asked(json!({ "login_hint": "3333" })).await, (401, no_identity));
    for wrong in [
        json!({ "requested_token_type": null }),
        json!({ "requested_token_type": "urn:ietf:params:oauth:token-type:access_token" }),
        json!({ "subject_token_type": "urn:ietf:params:oauth:token-type:refresh_token" }),
        json!({ "connection": null }),
        json!({ "audience": "https://x.example/" }),
    ] {
        let (status, body) = asked(wrong.clone()).await;
        assert_eq!((status, &body["error"]), (400, &json!("invalid_request")), "{wrong}");
    }
    vault.tenant.with_user(SUB, |user| user.vault.clear());
    let nothing = json!({
        "error": "federated_connection_refresh_token_not_found",
        "error_description": "Federated connection Refresh Token not found.",
    });
    assert_eq!(asked(json!({})).await, (401, nothing));
}
