//! A browser at the tenant: a person signs in for an application, which gets its tokens.

use std::sync::Mutex;

use aws_lc_rs::digest;
use reqwest::redirect::Policy;
use reqwest::{Response, Url};

use super::*;
use crate::command::dev::encoding::base64url;

mod authorize;
mod codes;
mod connections;
mod logout;
mod refresh;
mod scripts;

const SUB: &str = "github|583231";
const NATIVE: &str = "demoLoginClient";
const SPA: &str = "demoSpaClient";
const CALLBACK: &str = "http://127.0.0.1:4711/callback";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// A browser that holds one cookie, and says where it was sent instead of going there.
struct Browser<'tenant> {
    tenant: &'tenant Tenant,
    client: Client,
    cookie: Mutex<Option<String>>,
}

impl<'tenant> Browser<'tenant> {
    fn new(tenant: &'tenant Tenant) -> Self {
        let client = Client::builder().redirect(Policy::none()).build().unwrap();
        Self { tenant, client, cookie: Mutex::default() }
    }

    async fn send(&self, request: RequestBuilder) -> Response {
        let cookie = self.cookie.lock().unwrap().clone();
        let request = cookie.into_iter().fold(request, |request, cookie| request.header("cookie", cookie));
        let response = request.send().await.unwrap();
        if let Some(set) = response.headers().get("set-cookie") {
            let set = set.to_str().unwrap();
            assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax"), "{set}");
            let pair = set.split(';').next().unwrap().to_owned();
            *self.cookie.lock().unwrap() = Some(pair).filter(|pair| !pair.ends_with('='));
        }
        response
    }

    /// `GET /authorize` for the native application, with some parameters replaced; an empty one is left out.
    async fn authorize(&self, replaced: &[(&str, &str)]) -> Response {
        let challenge = base64url(digest::digest(&digest::SHA256, VERIFIER.as_bytes()).as_ref());
        let audience = self.tenant.settings().audience;
        let mut parameters = vec![
            ("response_type", "code"),
            ("client_id", NATIVE),
            ("redirect_uri", CALLBACK),
            ("scope", "openid profile offline_access"),
            ("audience", &audience),
            ("state", "the state"),
            ("nonce", "the-nonce"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        parameters.retain(|(name, _)| !replaced.iter().any(|(other, _)| other == name));
        parameters.extend(replaced.iter().filter(|(_, value)| !value.is_empty()));
        let mut url = Url::parse(&self.tenant.url("/authorize")).unwrap();
        url.query_pairs_mut().extend_pairs(parameters);
        self.send(self.client.get(url)).await
    }

    /// Signs in on the page that `shown` leads to.
    async fn choose(&self, shown: &Response, field: &str, value: &str) -> Response {
        let page = self.send(self.client.get(location(shown))).await;
        assert_eq!(page.status(), 200);
        let page = page.text().await.unwrap();
        let state = page.split("name=\"state\" value=\"").nth(1).unwrap().split('"').next().unwrap();
        let mut form = Url::parse("http://x/").unwrap();
        form.query_pairs_mut().append_pair("state", state).append_pair(field, value);
        let form = self.client.post(self.tenant.url("/u/login")).body(form.query().unwrap().to_owned());
        self.send(form.header("content-type", "application/x-www-form-urlencoded")).await
    }

    /// A whole sign-in of `sub`: what the callback gets.
    async fn sign_in(&self, sub: &str, replaced: &[(&str, &str)]) -> Value {
        let shown = self.authorize(replaced).await;
        assert!(location(&shown).starts_with(&self.tenant.url("/u/login?state=")), "{}", location(&shown));
        landed(&self.choose(&shown, "sub", sub).await)
    }

    /// A whole sign-in, and the tokens for it.
    async fn tokens(&self, sub: &str, replaced: &[(&str, &str)]) -> Value {
        let landed = self.sign_in(sub, replaced).await;
        let (status, tokens) = self.exchange(&landed["code"], json!({})).await;
        assert_eq!(status, 200, "{tokens}");
        tokens
    }

    /// Exchanges a code, with some members replaced; `null` takes one out.
    async fn exchange(&self, code: &Value, replaced: Value) -> Said {
        let mut body = json!({
            "grant_type": "authorization_code", "client_id": NATIVE, "code": code, "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
        });
        let members = body.as_object_mut().unwrap();
        members.extend(replaced.as_object().unwrap().clone());
        members.retain(|_, value| !value.is_null());
        said(self.tenant.post("/oauth/token", &body)).await
    }

    async fn refresh(&self, token: &Value, replaced: Value) -> Said {
        let mut body = json!({ "grant_type": "refresh_token", "client_id": NATIVE, "refresh_token": token });
        body.as_object_mut().unwrap().extend(replaced.as_object().unwrap().clone());
        said(self.tenant.post("/oauth/token", &body)).await
    }
}

/// Where an answer sends the browser.
fn location(response: &Response) -> String {
    assert_eq!(response.status(), 302);
    response.headers()["location"].to_str().unwrap().to_owned()
}

/// The query that the callback gets.
fn landed(response: &Response) -> Value {
    let url = Url::parse(&location(response)).unwrap();
    url.query_pairs().map(|(name, value)| (name.into_owned(), json!(value))).collect()
}

fn claims(token: &Value) -> Value {
    jsonwebtoken::dangerous::insecure_decode_claims(token.as_str().unwrap()).unwrap()
}

fn invalid_grant(description: &str) -> Said {
    (403, json!({ "error": "invalid_grant", "error_description": description }))
}
