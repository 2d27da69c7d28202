//! The end of a session.

use super::*;

#[tokio::test]
async fn logging_out_ends_the_session_and_no_token() {
    let tenant = tenant().await;
    let browser = Browser::new(&tenant);
    let tokens = browser.tokens(SUB, &[]).await;
    let stays = async || landed(&browser.authorize(&[("prompt", "none")]).await)["code"].is_string();
    let out = async |query: &str| browser.send(browser.client.get(tenant.url(&format!("/v2/logout{query}")))).await;
    for query in [
        "?client_id=demoSpaClient&returnTo=https%3A%2F%2Fexample.com%2F",
        "?client_id=demoLoginClient&returnTo=http%3A%2F%2Flocalhost%3A3000",
        "?returnTo=http%3A%2F%2Flocalhost%3A3000",
    ] {
        let refused = out(query).await;
        assert_eq!(refused.status(), 400, "{query}");
        assert!(refused.text().await.unwrap().contains("is not defined as a valid URL"));
        assert!(stays().await, "{query}");
    }
    let left = out("?client_id=demoSpaClient&returnTo=http%3A%2F%2Flocalhost%3A3000").await;
    assert_eq!(location(&left), "http://localhost:3000");
    assert!(!stays().await);
    assert_eq!(browser.refresh(&tokens["refresh_token"], json!({})).await.0, 200);
    browser.sign_in(SUB, &[]).await;
    assert_eq!(out("").await.text().await.unwrap(), "OK");
    assert!(!stays().await);
}

#[tokio::test]
async fn an_id_token_ends_its_own_session() {
    let tenant = tenant().await;
    let browser = Browser::new(&tenant);
    let landed_spa = [("client_id", SPA), ("redirect_uri", "http://localhost:3000")];
    let landed_code = browser.sign_in(SUB, &landed_spa).await;
    let replaced = json!({ "client_id": SPA, "redirect_uri": "http://localhost:3000" });
    let (_, tokens) = browser.exchange(&landed_code["code"], replaced).await;
    let hint = tokens["id_token"].as_str().unwrap().to_owned();
    let out = async |query: &str| tenant.get(&format!("/oidc/logout?{query}")).send().await.unwrap().status().as_u16();
    let back = "post_logout_redirect_uri=http%3A%2F%2Flocalhost%3A3000&state=s";
    for query in [
        back.to_owned(),
        format!("id_token_hint=x&{back}"),
        format!("id_token_hint={hint}&client_id=other"),
        format!("id_token_hint={hint}&post_logout_redirect_uri=https%3A%2F%2Fexample.com"),
    ] {
        assert_eq!(out(&query).await, 400, "{query}");
    }
    let request = browser.client.get(tenant.url(&format!("/oidc/logout?id_token_hint={hint}&{back}")));
    // Not by its cookie.
    assert_eq!(location(&request.send().await.unwrap()), "http://localhost:3000?state=s");
    assert_eq!(landed(&browser.authorize(&[("prompt", "none")]).await)["error"], "login_required");
}
