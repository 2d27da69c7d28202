//! The simulated Auth0 tenant. It refuses what the real one refuses, in the same words.

use std::collections::{BTreeMap, HashMap};
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
mod client;
mod connection;
mod device;
mod handle;
mod keys;
mod limit;
mod management;
mod mint;
mod pair;
mod settings;
mod token;
mod user;
mod vault;
mod wire;

pub use connection::Purpose;
pub use handle::Tenant;
pub use keys::{Key, Signing};
pub use mint::TokenBuilder;
pub use settings::{RateLimit, TenantSettings, VaultClient};
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
struct Kept<K, U> {
    keys: K,
    users: U,
}

/// What the handle and the server see together.
struct Shared {
    clock: Clock,
    base_url: String,
    settings: Mutex<TenantSettings>,
    keys: Mutex<keys::Ring>,
    users: Mutex<BTreeMap<String, User>>,
    connections: Mutex<HashMap<String, connection::Connection>>,
    bucket: Mutex<limit::Bucket>,
    devices: Mutex<device::Devices>,
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
        let Kept { keys, users } = kept.unwrap_or_else(|| Kept { keys: keys::Ring::new(), users: BTreeMap::new() });
        let tenant = Self {
            clock,
            base_url,
            settings: Mutex::new(settings),
            keys: Mutex::new(keys),
            users: Mutex::new(users),
            connections: Mutex::default(),
            bucket: Mutex::default(),
            devices: Mutex::default(),
            assertions: Mutex::default(),
            asked: Mutex::default(),
            faults: Faults::default(),
            kept: kept_in,
        };
        tenant.keep();
        Ok(tenant)
    }

    /// Keeps what has changed. Whoever changes keys or users calls this, their locks released.
    fn keep(&self) {
        let (keys, users) = (lock(&self.keys), lock(&self.users));
        self.kept.save(&Kept { keys: &*keys, users: &*users });
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

async fn handle(tenant: Arc<Shared>, request: Request<Incoming>) -> Answer {
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
        "/activate" if get => Some(activate::page(&tenant, request.uri().query().unwrap_or_default())),
        "/activate" if post => Some(activate::submit(&tenant, request).await),
        path if path.starts_with("/api/v2/") => {
            faults.run(Endpoint::Users, async { management::answer(&tenant, &request) }).await
        }
        _ => Some(text(StatusCode::NOT_FOUND, "Not found.")),
    }
}

#[cfg(test)]
mod tests;
