//! What a page's script meets: CORS, the silent sign-in in a frame, `/userinfo`.

use reqwest::Method;

use super::*;

const ORIGIN: &str = "http://127.0.0.1:3000";

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_script_of_an_allowed_origin_may_call_and_no_other() {
    let tenant = tenant().await;
    let preflight = async |path: &str, origin: &str| {
        let request = Client::new().request(Method::OPTIONS, tenant.url(path)).header("origin", origin);
        let request = request.header("access-control-request-method", "POST");
        request.header("access-control-request-headers", "auth0-client,content-type").send().await.unwrap()
    };
    for path in ["/oauth/token", "/userinfo", "/oauth/revoke", "/.well-known/jwks.json"] {
        let allowed = preflight(path, ORIGIN).await;
        assert_eq!(
            (allowed.status(), header(&allowed, "access-control-allow-origin")),
            (StatusCode::NO_CONTENT, Some(ORIGIN))
        );
        let headers = header(&allowed, "access-control-allow-headers").unwrap();
        assert!(
            ["authorization", "auth0-client", "content-type"].iter().all(|name| headers.contains(name)),
            "{headers}"
        );
        let refused = preflight(path, "https://example.com").await;
        assert_eq!(header(&refused, "access-control-allow-origin"), None, "{path}");
    }
    assert_eq!(header(&preflight("/api/v2/users/x", ORIGIN).await, "access-control-allow-origin"), None);
    for (origin, told) in
        [(ORIGIN, Some(ORIGIN)), ("http://localhost:5173", Some("http://localhost:5173")), ("null", None)]
    {
        let request = tenant.form("/oauth/token", "grant_type=refresh_token&client_id=demoSpaClient");
        let response = request.header("origin", origin).send().await.unwrap();
        assert_eq!((response.status().as_u16(), header(&response, "access-control-allow-origin")), (400, told));
        assert_eq!(header(&response, "vary"), Some("origin"));
    }
}

#[tokio::test]
async fn a_frame_posts_its_answer_to_the_pages_origin_alone() {
    let tenant = tenant().await;
    let browser = Browser::new(&tenant);
    let silent = [
        ("client_id", SPA),
        ("redirect_uri", ORIGIN),
        ("prompt", "none"),
        ("response_mode", "web_message"),
        ("state", "</script><script>alert(1)"),
    ];
    let page = async || {
        let response = browser.authorize(&silent).await;
        let policy = header(&response, "content-security-policy").unwrap().to_owned();
        (response.status().as_u16(), policy, response.text().await.unwrap())
    };
    let (status, policy, text) = page().await;
    assert_eq!(status, 200);
    assert!(policy.ends_with(&format!("frame-ancestors {ORIGIN}")), "{policy}");
    let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap();
    assert!(text.contains(&format!("<script nonce=\"{nonce}\">")) && text.matches("<script").count() == 1, "{text}");
    assert!(text.contains("login_required") && text.contains(&format!("}}, \"{ORIGIN}\")")), "{text}");
    browser.sign_in(SUB, &[]).await;
    let (_, _, text) = page().await;
    assert!(text.contains("\"type\":\"authorization_response\"") && text.contains("\"code\":\""), "{text}");
    let elsewhere = [("client_id", NATIVE), ("redirect_uri", ORIGIN), ("response_mode", "web_message")];
    let refused = browser.authorize(&elsewhere).await;
    assert_eq!(refused.status(), 400);
    assert!(refused.text().await.unwrap().contains("does not have a registered origin."));
}

#[tokio::test]
async fn userinfo_tells_what_the_scope_allows() {
    let tenant = tenant().await;
    let browser = Browser::new(&tenant);
    let ask = async |token: &str| said(tenant.get("/userinfo").bearer_auth(token)).await;
    let profile = json!({ "sub": SUB, "name": "Alice", "nickname": "alice" });
    let email = json!({ "sub": SUB, "email": "alice@example.com", "email_verified": true });
    for (scope, audience, expected) in [
        ("openid profile", tenant.settings().audience, profile.clone()),
        ("openid profile", String::new(), profile),
        ("openid email", String::new(), email),
    ] {
        let tokens = browser.tokens(SUB, &[("scope", scope), ("audience", &audience), ("prompt", "login")]).await;
        assert_eq!(ask(tokens["access_token"].as_str().unwrap()).await, (200, expected));
    }
    let tokens = browser.tokens(SUB, &[("scope", "read:things"), ("prompt", "login")]).await;
    let unfit = tokens["access_token"].as_str().unwrap().to_owned();
    let expired = tenant.token(SUB).expires_in(-1).sign();
    let gone = tenant.token_for("github|nobody");
    for token in [unfit, expired, gone, tenant.id_token(SUB), tenant.encrypted_token(), tenant.machine_token()] {
        let response = tenant.get("/userinfo").bearer_auth(&token).send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), header(&response, "www-authenticate").is_some()),
            (401, true),
            "{token}"
        );
    }
}
