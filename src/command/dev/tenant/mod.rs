//! The simulated Auth0 tenant. It refuses what the real one refuses, in the same words.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::body::Incoming;
use hyper::http::{Method, Request, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answer::{json, set, text};
use super::fault::Faults;
use super::http::{Answer, Body};
use super::state::StateFile;
use crate::clock::Clock;

mod activate;
mod application;
mod authorize;
mod client;
mod code;
mod connection;
mod cors;
mod device;
mod grant;
mod handle;
mod keys;
mod limit;
mod logout;
mod machine;
mod management;
mod mint;
mod page;
mod pair;
mod refresh;
mod session;
mod settings;
mod token;
mod user;
mod userinfo;
mod vault;
mod wire;

pub use application::Application;
pub use connection::{ConnectionOptions, Purpose};
pub use handle::Tenant;
pub use keys::{Key, Signing};
pub use mint::TokenBuilder;
pub use settings::{Machine, RateLimit, TenantSettings, VaultClient};
pub use user::{Identity, IdentityId, User};
pub use vault::Vaulted;

/// The tenant's endpoints, as faults and counters tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `/.well-known/openid-configuration` and its alias.
    Discovery,
    /// `/.well-known/jwks.json`.
    Jwks,
    /// `/oauth/token`, but for the vault's exchange.
    Token,
    /// `/oauth/token`, the vault's exchange.
    Vault,
    /// `/oauth/device/code`.
    Device,
    /// `/api/v2/users/{id}`, and whatever else is asked below `/api/v2/`.
    Users,
}

/// What outlives the process of a tenant that has a file for it.
#[derive(Serialize, Deserialize)]
struct Kept<K, U, R> {
    keys: K,
    users: U,
    /// Auth0's own refresh tokens.
    #[serde(default)]
    refresh: R,
}

/// What the handle and the server see together.
struct Shared {
    clock: Clock,
    base_url: String,
    settings: Mutex<TenantSettings>,
    keys: Mutex<keys::Ring>,
    users: Mutex<BTreeMap<String, User>>,
    connections: Mutex<BTreeMap<String, connection::Connection>>,
    bucket: Mutex<limit::Bucket>,
    devices: Mutex<device::Devices>,
    sessions: Mutex<session::Sessions>,
    transactions: Mutex<authorize::Transactions>,
    codes: Mutex<code::Codes>,
    refresh: Mutex<refresh::RefreshTokens>,
    unreadable: Mutex<userinfo::Unreadable>,
    /// `jti`s of client assertions that have been used.
    assertions: Mutex<client::Assertions>,
    /// User ids asked for, in their order.
    asked: Mutex<Vec<String>>,
    faults: Faults<Endpoint>,
    kept: StateFile,
}

/// A poisoned lock means that a test has failed already.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn new(clock: Clock, base_url: String, settings: TenantSettings) -> io::Result<Self> {
        let kept_in = StateFile::at(settings.kept_in.clone());
        let kept = kept_in.load()?;
        let new =
            || Kept { keys: keys::Ring::new(), users: BTreeMap::new(), refresh: refresh::RefreshTokens::default() };
        let Kept { keys, users, refresh } = kept.unwrap_or_else(new);
        let tenant = Self {
            clock,
            base_url,
            settings: Mutex::new(settings),
            keys: Mutex::new(keys),
            users: Mutex::new(users),
            connections: Mutex::default(),
            bucket: Mutex::default(),
            devices: Mutex::default(),
            sessions: Mutex::default(),
            transactions: Mutex::default(),
            codes: Mutex::default(),
            refresh: Mutex::new(refresh),
            unreadable: Mutex::default(),
            assertions: Mutex::default(),
            asked: Mutex::default(),
            faults: Faults::default(),
            kept: kept_in,
        };
        tenant.keep();
        Ok(tenant)
    }

    /// Keeps what has changed. Whoever changes keys, users or refresh tokens calls this, their locks released.
    fn keep(&self) {
        let (keys, users, refresh) = (lock(&self.keys), lock(&self.users), lock(&self.refresh));
        self.kept.save(&Kept { keys: &*keys, users: &*users, refresh: &*refresh });
    }

    fn issuer(&self) -> String {
        format!("{}/", self.base_url)
    }

    fn management_audience(&self) -> String {
        format!("https://{}/api/v2/", lock(&self.settings).domain)
    }

    fn approve_device(&self, user_code: &str, sub: &str) -> bool {
        lock(&self.users).contains_key(sub) && lock(&self.devices).approve(user_code, sub)
    }

    /// The published keys, cacheable for as short as at the real tenant.
    fn key_set(&self) -> Response<Body> {
        let with_alg = lock(&self.settings).key_set_alg;
        cacheable(&lock(&self.keys).key_set(with_alg))
    }
}

fn cacheable(body: &Value) -> Response<Body> {
    let mut response = json(StatusCode::OK, body);
    set(&mut response, "cache-control", "public, max-age=15, stale-while-revalidate=15, stale-if-error=86400");
    response
}

fn query<B>(request: &Request<B>) -> &str {
    request.uri().query().unwrap_or_default()
}

async fn handle(tenant: Arc<Shared>, request: Request<Incoming>) -> Answer {
    let caller = cors::caller(&tenant, &request);
    if let Some(mut response) = cors::preflight(&request) {
        cors::allow(&mut response, caller.as_deref(), true);
        return Some(response);
    }
    let mut response = answer(tenant, request).await?;
    cors::allow(&mut response, caller.as_deref(), false);
    Some(response)
}

async fn answer(tenant: Arc<Shared>, request: Request<Incoming>) -> Answer {
    let faults = &tenant.faults;
    let (get, post) = (request.method() == Method::GET, request.method() == Method::POST);
    match request.uri().path() {
        "/.well-known/jwks.json" if get => faults.run(Endpoint::Jwks, async { tenant.key_set() }).await,
        "/.well-known/openid-configuration" | "/.well-known/oauth-authorization-server" if get => {
            let body = wire::discovery(&tenant.base_url);
            faults.run(Endpoint::Discovery, async { cacheable(&body) }).await
        }
        "/oauth/token" if post => token::answer(&tenant, request).await,
        "/oauth/device/code" if post => faults.run(Endpoint::Device, token::device_code(&tenant, request)).await,
        "/authorize" if get => Some(authorize::answer(&tenant, request.headers(), query(&request))),
        "/u/login" if get => Some(authorize::show(&tenant, query(&request))),
        "/u/login" if post => Some(authorize::submit(&tenant, request).await),
        "/v2/logout" if get => Some(logout::own(&tenant, request.headers(), query(&request))),
        "/oidc/logout" if get => Some(logout::oidc(&tenant, request.headers(), query(&request))),
        "/oauth/revoke" if post => Some(token::revoke(&tenant, request).await),
        "/userinfo" if get || post => Some(userinfo::answer(&tenant, request.headers())),
        "/activate" if get => Some(activate::page(&tenant, query(&request))),
        "/activate" if post => Some(activate::submit(&tenant, request).await),
        path if path.starts_with("/api/v2/") => faults.run(Endpoint::Users, management::answer(&tenant, request)).await,
        _ => Some(text(StatusCode::NOT_FOUND, "Not found.")),
    }
}

#[cfg(test)]
mod tests;
