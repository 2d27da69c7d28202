//! What can be set at a simulated tenant.

use std::net::SocketAddr;
use std::path::PathBuf;

use jsonwebtoken::DecodingKey;

use super::application::Application;
use crate::command::dev::http::ANY_PORT;

/// A tenant's settings. Every secret in them is made up and meant to be printed.
#[derive(Clone, Debug)]
pub struct TenantSettings {
    /// Where it listens; port 0 picks one.
    pub listen: SocketAddr,
    /// The file in which its keys and users are kept; in memory alone if there is none.
    pub kept_in: Option<PathBuf>,
    /// The canonical domain: it names the Management API, `https://<domain>/api/v2/`.
    pub domain: String,
    /// The proxy's API identifier.
    pub audience: String,
    /// The proxy's machine-to-machine application.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// Its public keys. With any, it authenticates by `private_key_jwt` and its secret is refused, as with Auth0, where
    /// an application has one method.
    pub client_keys: Vec<DecodingKey>,
    /// Whether it may use the client-credentials grant.
    pub client_credentials: bool,
    /// What it was granted at the Management API. Empty: it has no grant there at all.
    pub scopes: Vec<String>,
    /// The Custom API Client for Token Vault, where it is another application than the proxy's own.
    pub vault_client: Option<VaultClient>,
    /// The backend of whoever makes an application: it links accounts.
    pub backend: Machine,
    /// The API that the Custom API Client is linked to: callers' tokens for it may be exchanged. `None`: no application
    /// may use the grant.
    pub vault_audience: Option<String>,
    /// The application on people's machines: `azp` of callers' tokens.
    pub native: Application,
    /// The application in people's browsers.
    pub spa: Application,
    /// How long a refresh token of Auth0's own that was replaced may come again, in seconds: the rotation overlap.
    pub refresh_leeway: u64,
    /// How long one that nobody uses is good, in seconds.
    pub refresh_idle_life: u64,
    /// The Management API's limit; `None` is so much that nobody meets it.
    pub rate_limit: Option<RateLimit>,
    /// Whether published keys carry `alg`; a tenant can switch it off.
    pub key_set_alg: bool,
    /// Life of a management token, in seconds.
    pub management_token_life: u64,
    /// Seconds between two polls of the device flow.
    pub device_interval: u64,
}

impl Default for TenantSettings {
    fn default() -> Self {
        Self {
            listen: ANY_PORT,
            kept_in: None,
            domain: "dev.localhost".to_owned(),
            audience: "https://idp-proxy.localhost/".to_owned(),
            client_id: "demoProxyClient".to_owned(),
            client_secret: "demo-proxy-client-secret".to_owned(),
            client_keys: Vec::new(),
            client_credentials: true,
            scopes: vec!["read:users".to_owned(), "read:user_idp_tokens".to_owned()],
            vault_client: None,
            backend: Machine {
                client_id: "demoBackendClient".to_owned(),
                client_secret: "demo-backend-client-secret".to_owned(),
                scopes: ["read:users", "update:users", "read:connections"].map(str::to_owned).to_vec(),
            },
            vault_audience: Some("https://idp-proxy.localhost/".to_owned()),
            native: Application::native(),
            spa: Application::single_page(),
            refresh_leeway: 0,
            refresh_idle_life: 2_592_000,
            rate_limit: None,
            key_set_alg: true,
            management_token_life: 86_400,
            device_interval: 5,
        }
    }
}

/// An application with a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultClient {
    /// Its id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
}

/// A machine-to-machine application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Its id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// What it was granted at the Management API.
    pub scopes: Vec<String>,
}

impl TenantSettings {
    /// The proxy's own application.
    pub(super) fn proxy(&self) -> Machine {
        let Self { client_id, client_secret, scopes, .. } = self.clone();
        Machine { client_id, client_secret, scopes }
    }
}

/// The Management API's limit, for the whole tenant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateLimit {
    /// How many calls are added a second.
    pub per_second: f64,
    /// How many calls can be saved up.
    pub burst: u32,
    /// Whether a refusal says `retry-after`; the real one does so only sometimes.
    pub retry_after: bool,
}
