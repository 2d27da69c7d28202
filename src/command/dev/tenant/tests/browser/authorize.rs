//! `/authorize`, the page behind it, and the session.

use super::*;

#[tokio::test]
async fn a_person_signs_in_and_the_application_gets_tokens() {
    let tenant = tenant().await;
    let browser = Browser::new(&tenant);
    let landed = browser.sign_in(SUB, &[]).await;
    assert_eq!(landed["state"], "the state");
    assert_eq!(landed.as_object().unwrap().len(), 2, "{landed}");
    let (status, tokens) = browser.exchange(&landed["code"], json!({})).await;
    assert_eq!((status, &tokens["token_type"], &tokens["expires_in"]), (200, &json!("Bearer"), &json!(86_400)));
    assert_eq!(tokens["scope"], "openid profile offline_access");
    let access = claims(&tokens["access_token"]);
    assert_eq!((&access["sub"], &access["azp"]), (&json!(SUB), &json!(NATIVE)));
    assert_eq!(access["aud"][0], tenant.settings().audience);
    let id = claims(&tokens["id_token"]);
    assert_eq!((&id["aud"], &id["nonce"], &id["iss"]), (&json!(NATIVE), &json!("the-nonce"), &json!(tenant.issuer())));
    assert_eq!((&id["name"], id.get("email"), id.get("auth_time")), (&json!("Alice"), None, None));
    assert!(tokens["refresh_token"].is_string());
    assert_eq!(tenant.user(SUB).unwrap().logins_count, 1);
}

#[tokio::test]
async fn a_session_makes_the_next_sign_in_silent() {
    let tenant = tenant().await;
    let browser = Browser::new(&tenant);
    let none = [("prompt", "none")];
    let refused = landed(&browser.authorize(&none).await);
    assert_eq!(
        (&refused["error"], &refused["error_description"]),
        (&json!("login_required"), &json!("Login required"))
    );
    browser.sign_in(SUB, &[]).await;
    for replaced in [&none[..], &[], &[("client_id", SPA)], &[("max_age", "60")]] {
        let landed = landed(&browser.authorize(replaced).await);
        assert!(landed["code"].is_string(), "{replaced:?}: {landed}");
    }
    assert_eq!(tenant.user(SUB).unwrap().logins_count, 1, "nobody visited the provider");
    for replaced in [[("prompt", "login")], [("prompt", "consent")], [("prompt", "select_account login")]] {
        assert!(location(&browser.authorize(&replaced).await).contains("/u/login"), "{replaced:?}");
    }
    tenant.shared.clock.advance(Duration::from_secs(61));
    assert!(location(&browser.authorize(&[("max_age", "60")]).await).contains("/u/login"));
    tenant.shared.clock.advance(Duration::from_secs(7 * 24 * 3600));
    assert_eq!(landed(&browser.authorize(&none).await)["error"], "login_required");
}

#[tokio::test]
async fn a_session_of_somebody_blocked_or_gone_is_none() {
    for change in [
        |tenant: &Tenant| tenant.remove_user(SUB),
        |tenant: &Tenant| {
            tenant.with_user(SUB, |user| user.blocked = Some(true));
        },
    ] {
        let tenant = tenant().await;
        let browser = Browser::new(&tenant);
        browser.sign_in(SUB, &[]).await;
        change(&tenant);
        assert_eq!(landed(&browser.authorize(&[("prompt", "none")]).await)["error"], "login_required");
    }
}

#[tokio::test]
async fn what_cannot_be_trusted_is_not_redirected_to() {
    let tenant = tenant().await;
    let browser = Browser::new(&tenant);
    let cases = [
        (("client_id", "unknown"), "invalid_request: Unknown client: unknown"),
        (("client_id", "demoProxyClient"), "Unknown client"),
        (("client_id", ""), "Missing required parameter: client_id"),
        (("redirect_uri", ""), "Missing required parameter: redirect_uri"),
        (("redirect_uri", "http://127.0.0.1:1/other"), "Callback URL mismatch. http://127.0.0.1:1/other is not"),
        (("redirect_uri", "https://example.com/callback"), "unauthorized_client: Callback URL mismatch"),
        (("redirect_uri", "http://127.0.0.1:1/\"><b>"), "http://127.0.0.1:1/&quot;&gt;&lt;b&gt; is not"),
        (("response_mode", "fragment"), "Unsupported response mode: fragment"),
    ];
    for (replaced, words) in cases {
        let response = browser.authorize(&[replaced]).await;
        assert_eq!(response.status(), 400, "{replaced:?}");
        let page = response.text().await.unwrap();
        assert!(page.contains(words), "{replaced:?}: {page}");
    }
    assert_eq!(browser.send(tenant.get("/authorize?client_id=a&client_id=b")).await.status(), 400);
}

#[tokio::test]
async fn what_is_wrong_otherwise_is_told_to_the_application() {
    let tenant = tenant().await;
    let browser = Browser::new(&tenant);
    let cases = [
        (("response_type", ""), "invalid_request", "Missing required parameter: response_type"),
        (("response_type", "token"), "unsupported_response_type", "Unsupported response type: token"),
        (("audience", "https://other/"), "access_denied", "Service not found: https://other/"),
        (("code_challenge", ""), "invalid_request", "Parameter 'code_challenge' is required for this client"),
        (("code_challenge_method", ""), "invalid_request", "Parameter 'code_challenge_method' must be 'S256'"),
        (("code_challenge_method", "plain"), "invalid_request", "Parameter 'code_challenge_method' must be 'S256'"),
        (
            ("code_challenge", "short"),
            "invalid_request",
            "Parameter 'code_challenge' must be a SHA-256 digest in base64url",
        ),
        (("prompt", "none login"), "invalid_request", "Invalid value for parameter: prompt"),
        (("max_age", "soon"), "invalid_request", "Invalid value for parameter: max_age"),
        (("connection", "unheard-of"), "invalid_request", "the connection was not found"),
    ];
    for (replaced, error, description) in cases {
        let landed = landed(&browser.authorize(&[replaced]).await);
        let expected = json!({ "error": error, "error_description": description, "state": "the state" });
        assert_eq!(landed, expected, "{replaced:?}");
    }
}

#[tokio::test]
async fn the_page_shows_everybody_and_is_sent_once() {
    let tenant = tenant().await;
    tenant.add_user(User::new("auth0|<b>"));
    let browser = Browser::new(&tenant);
    let shown = browser.authorize(&[]).await;
    let response = browser.send(browser.client.get(location(&shown))).await;
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(policy.contains("form-action 'self' http://127.0.0.1:4711;"), "{policy}");
    let page = response.text().await.unwrap();
    assert!(page.contains("Alice") && page.contains("auth0|&lt;b&gt;") && !page.contains("<script"), "{page}");
    assert!(landed(&browser.choose(&shown, "sub", SUB).await)["code"].is_string());
    let again = browser.send(browser.client.get(location(&shown))).await;
    assert_eq!(again.status(), 400);
    assert!(again.text().await.unwrap().contains("You may have pressed the back button"));
}

#[tokio::test]
async fn a_page_of_another_origin_signs_nobody_in() {
    let tenant = tenant().await;
    let browser = Browser::new(&tenant);
    let shown = browser.authorize(&[]).await;
    let state = location(&shown).split("state=").nth(1).unwrap().to_owned();
    let form = format!("state={state}&sub=github%7C583231");
    for origin in ["http://127.0.0.1:1", "null"] {
        let response = browser.send(tenant.form("/u/login", &form).header("origin", origin)).await;
        assert_eq!(response.status(), 400, "{origin}");
    }
    assert!(browser.cookie.lock().unwrap().is_none());
    let request = browser.client.post(tenant.url("/u/login")).body(form).header("origin", tenant.base_url());
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    assert!(landed(&browser.send(request).await)["code"].is_string());
}

#[tokio::test]
async fn who_declines_and_who_is_blocked_does_not_get_in() {
    let tenant = tenant().await;
    let browser = Browser::new(&tenant);
    let shown = browser.authorize(&[]).await;
    let refused = landed(&browser.choose(&shown, "deny", "1").await);
    assert_eq!(refused["error_description"], "User did not authorize the request");
    tenant.with_user(SUB, |user| user.blocked = Some(true));
    let refused = browser.sign_in(SUB, &[]).await;
    assert_eq!((&refused["error"], &refused["error_description"]), (&json!("unauthorized"), &json!("user is blocked")));
    assert!(browser.cookie.lock().unwrap().is_none());
    assert_eq!(tenant.user(SUB).unwrap().logins_count, 0);
}
