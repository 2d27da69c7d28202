//! What a proxy and its issuer tell about themselves.

use serde::Deserialize;

use super::Failure;
use super::tenant::{Http, legible};
use crate::config::is_protected_url;

/// What a proxy says of itself (RFC 9728 §2).
#[derive(Deserialize)]
pub(in crate::command) struct Proxy {
    /// The audience of tokens for it.
    pub(in crate::command) resource: String,
    authorization_servers: Vec<String>,
    /// The application by which people log in at a shell, if it names one.
    #[serde(rename = "idp_proxy_login_client_id")]
    pub(in crate::command) login_client_id: Option<String>,
}

/// What an issuer says of itself (RFC 8414 §2).
#[derive(Deserialize)]
pub(in crate::command) struct Issuer {
    pub(in crate::command) issuer: String,
    pub(in crate::command) token_endpoint: String,
    pub(in crate::command) authorization_endpoint: Option<String>,
    pub(in crate::command) device_authorization_endpoint: Option<String>,
    pub(in crate::command) revocation_endpoint: Option<String>,
    /// Whether it names itself where it sends people back (RFC 9207).
    #[serde(default, rename = "authorization_response_iss_parameter_supported")]
    pub(in crate::command) names_itself: bool,
}

impl Proxy {
    /// Asks the proxy at `origin`.
    pub(in crate::command) async fn ask(http: &Http, origin: &str) -> Result<Self, Failure> {
        let document = http.document(&format!("{origin}/.well-known/oauth-protected-resource")).await;
        document.map_err(|trouble| {
            trouble.failure(&format!("the proxy at {origin}")).hint("is it running? --proxy names another")
        })
    }

    /// Asks the issuer of its tokens.
    pub(in crate::command) async fn issuer(&self, http: &Http) -> Result<Issuer, Failure> {
        let none = || Failure::failed("the proxy names no issuer");
        let expected = self.authorization_servers.first().ok_or_else(none)?;
        let shown = legible(expected);
        if !is_protected_url(expected) {
            return Err(Failure::failed(format!("the proxy's issuer {shown} is not https")));
        }
        let url = format!("{}/.well-known/openid-configuration", expected.trim_end_matches('/'));
        let issuer: Issuer =
            http.document(&url).await.map_err(|trouble| trouble.failure(&format!("the tenant {shown}")))?;
        // RFC 8414 §3.3: what calls itself otherwise may be somebody else's.
        if issuer.issuer != *expected {
            return Err(Failure::failed(format!("the tenant {shown} calls itself {}", legible(&issuer.issuer))));
        }
        let endpoints = [
            Some(&issuer.token_endpoint),
            issuer.authorization_endpoint.as_ref(),
            issuer.device_authorization_endpoint.as_ref(),
            issuer.revocation_endpoint.as_ref(),
        ];
        if let Some(endpoint) = endpoints.into_iter().flatten().find(|endpoint| !is_protected_url(endpoint)) {
            return Err(Failure::failed(format!("the tenant's {} is not https", legible(endpoint))));
        }
        Ok(issuer)
    }
}
