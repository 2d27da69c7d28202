//! The tenant over HTTP, as the proxy meets it.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::*;
use crate::command::dev::fault::Fault;

mod browser;
mod callers;
mod clients;
mod devices;
mod management;
mod users;
mod vault;

/// A status and a JSON body.
type Said = (u16, Value);

async fn tenant() -> Tenant {
    tenant_with(|_| {}).await
}

async fn tenant_with(change: impl FnOnce(&mut TenantSettings)) -> Tenant {
    let mut settings = TenantSettings::default();
    change(&mut settings);
    let tenant = Tenant::start(Clock::system(), settings).await.unwrap();
    let github = Identity::new("github", 583_231).access_token("gho_x");
    let google = Identity::new("google-oauth2", "1111").access_token("ya29.x").refresh_token("1//0x").expires_in(3599);
    tenant.add_user(User::new("github|583231").named("Alice").with(github).with(google));
    tenant
}

async fn said(request: RequestBuilder) -> Said {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default())
}

impl Tenant {
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url())
    }

    fn get(&self, path: &str) -> RequestBuilder {
        Client::new().get(self.url(path))
    }

    /// `GET /api/v2/users/<rest>` with a management token of everything.
    fn users(&self, rest: &str) -> RequestBuilder {
        let token = self.management_token("read:users read:user_idp_tokens");
        self.get(&format!("/api/v2/users/{rest}")).bearer_auth(token)
    }

    fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        Client::new().post(self.url(path)).json(body)
    }

    fn form(&self, path: &str, body: &str) -> RequestBuilder {
        let form = "application/x-www-form-urlencoded";
        Client::new().post(self.url(path)).header("content-type", form).body(body.to_owned())
    }

    /// The proxy's request for a management token, with some members replaced; `null` takes one out.
    fn credentials(&self, replaced: Value) -> Value {
        let settings = self.settings();
        let mut body = json!({
            "grant_type": "client_credentials",
            "client_id": settings.client_id,
            "client_secret": settings.client_secret,
            "audience": self.management_audience(),
        });
        let members = body.as_object_mut().unwrap();
        members.extend(replaced.as_object().unwrap().clone());
        members.retain(|_, value| !value.is_null());
        body
    }

    async fn token_said(&self, replaced: Value) -> Said {
        said(self.post("/oauth/token", &self.credentials(replaced))).await
    }
}

#[tokio::test]
async fn the_metadata_name_an_issuer_that_ends_in_a_slash() {
    let tenant = tenant().await;
    for path in ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"] {
        let (status, metadata) = said(tenant.get(path)).await;
        assert_eq!((status, &metadata["issuer"]), (200, &json!(tenant.issuer())));
        assert_eq!(metadata["jwks_uri"], tenant.url("/.well-known/jwks.json"));
        assert_eq!(metadata["device_authorization_endpoint"], tenant.url("/oauth/device/code"));
    }
    assert_eq!(tenant.calls(Endpoint::Discovery), 2);
}

#[tokio::test]
async fn two_keys_are_published_and_may_be_cached_briefly() {
    let tenant = tenant().await;
    let response = tenant.get("/.well-known/jwks.json").send().await.unwrap();
    let cached = response.headers()["cache-control"].to_str().unwrap().to_owned();
    assert!(cached.starts_with("public, max-age=15"), "{cached}");
    let set: Value = response.json().await.unwrap();
    let keys = set["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 2);
    for key in keys {
        assert_eq!((&key["kty"], &key["use"], &key["alg"]), (&json!("RSA"), &json!("sig"), &json!("RS256")));
    }
    tenant.change(|settings| settings.key_set_alg = false);
    let (_, set) = said(tenant.get("/.well-known/jwks.json")).await;
    assert_eq!(set["keys"][0].get("alg"), None);
}

#[tokio::test]
async fn a_fault_meets_one_endpoint_until_it_is_healed() {
    let tenant = tenant().await;
    tenant.fail(Endpoint::Jwks, Fault::Garbage);
    assert_eq!(said(tenant.get("/.well-known/jwks.json")).await, (200, Value::Null));
    assert_eq!(tenant.token_said(json!({})).await.0, 200);
    tenant.fail(Endpoint::Users, Fault::Reset.times(1));
    assert!(tenant.users("github%7C583231").send().await.is_err());
    assert_eq!(said(tenant.users("github%7C583231")).await.0, 200);
    tenant.heal();
    assert!(said(tenant.get("/.well-known/jwks.json")).await.1["keys"].is_array());
    assert_eq!((tenant.calls(Endpoint::Jwks), tenant.calls(Endpoint::Users)), (2, 2));
}

#[tokio::test]
async fn a_tenant_that_was_down_comes_back_as_it_was() {
    let tenant = tenant().await;
    tenant.down().await;
    assert!(tenant.users("github%7C583231").send().await.unwrap_err().is_connect());
    tenant.up().await.unwrap();
    assert_eq!(said(tenant.users("github%7C583231")).await.0, 200);
}

#[tokio::test]
async fn what_no_endpoint_has_is_not_found() {
    let tenant = tenant().await;
    assert_eq!(said(tenant.get("/nothing")).await.0, 404);
    assert_eq!(said(tenant.get("/oauth/token")).await.0, 404);
    let response = tenant.post("/.well-known/jwks.json", &json!({})).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}
