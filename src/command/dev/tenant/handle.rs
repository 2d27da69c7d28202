//! The handle by which a test, or the command `dev`, rules a tenant.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::mint::{self, TokenBuilder};
use super::settings::TenantSettings;
use super::user::User;
use super::{Endpoint, Shared, handle, lock};
use crate::clock::Clock;
use crate::command::dev::fault::Fault;
use crate::command::dev::http::{self, Server};

/// A running tenant. Dropped, it is gone.
pub struct Tenant {
    pub(super) shared: Arc<Shared>,
    server: Server,
}

impl Tenant {
    /// Starts a tenant without users.
    ///
    /// # Errors
    ///
    /// When its address cannot be listened on.
    pub async fn start(clock: Clock, settings: TenantSettings) -> io::Result<Self> {
        let listener = http::listen(settings.listen).await?;
        let base_url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared::new(clock, base_url, settings)?);
        let tenant = Arc::clone(&shared);
        let server = Server::start(listener, move |request| Box::pin(handle(Arc::clone(&tenant), request)))?;
        Ok(Self { shared, server })
    }

    /// Where it answers, `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.shared.base_url
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// `iss` of its tokens: the base URL and a slash.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.shared.issuer()
    }

    /// The canonical domain.
    #[must_use]
    pub fn domain(&self) -> String {
        lock(&self.shared.settings).domain.clone()
    }

    /// The identifier of its Management API.
    #[must_use]
    pub fn management_audience(&self) -> String {
        self.shared.management_audience()
    }

    /// The settings as they are.
    #[must_use]
    pub fn settings(&self) -> TenantSettings {
        lock(&self.shared.settings).clone()
    }

    /// Changes settings of the running tenant; `listen` has no effect any more.
    pub fn change(&self, change: impl FnOnce(&mut TenantSettings)) {
        change(&mut lock(&self.shared.settings));
    }

    /// Next key becomes current, current becomes previous and stays published.
    pub fn rotate_keys(&self) {
        lock(&self.shared.keys).rotate();
        self.shared.keep();
    }

    /// Takes the previous key out of the published set.
    pub fn revoke_previous_key(&self) {
        lock(&self.shared.keys).revoke_previous();
        self.shared.keep();
    }

    /// Adds a user, or replaces the one of that id.
    pub fn add_user(&self, user: User) {
        lock(&self.shared.users).insert(user.user_id.clone(), user);
        self.shared.keep();
    }

    /// Deletes a user. Tokens go on verifying.
    pub fn remove_user(&self, sub: &str) {
        lock(&self.shared.users).remove(sub);
        self.shared.keep();
    }

    /// The user of that id.
    #[must_use]
    pub fn user(&self, sub: &str) -> Option<User> {
        lock(&self.shared.users).get(sub).cloned()
    }

    /// All users' ids.
    #[must_use]
    pub fn subjects(&self) -> Vec<String> {
        lock(&self.shared.users).keys().cloned().collect()
    }

    /// Changes a user; `None` when there is no such user.
    pub fn with_user<T>(&self, sub: &str, change: impl FnOnce(&mut User) -> T) -> Option<T> {
        let changed = lock(&self.shared.users).get_mut(sub).map(change);
        self.shared.keep();
        changed
    }

    /// An access token for the proxy's API.
    #[must_use]
    pub fn token_for(&self, sub: &str) -> String {
        self.token(sub).sign()
    }

    /// The same, to be changed before it is signed.
    pub fn token(&self, sub: &str) -> TokenBuilder {
        TokenBuilder::access_token(&self.shared, sub)
    }

    /// An access token for the proxy's API that is no person's.
    #[must_use]
    pub fn machine_token(&self) -> String {
        TokenBuilder::machine(&self.shared, &self.settings().client_id).sign()
    }

    /// A token for the Management API with that scope, whatever was granted.
    #[must_use]
    pub fn management_token(&self, scope: &str) -> String {
        TokenBuilder::management(&self.shared, &self.settings().client_id, scope).sign()
    }

    /// An ID token.
    #[must_use]
    pub fn id_token(&self, sub: &str) -> String {
        TokenBuilder::id_token(&self.shared, sub).sign()
    }

    /// The token of a login that asked for no audience.
    #[must_use]
    pub fn encrypted_token(&self) -> String {
        mint::encrypted(&self.issuer())
    }

    /// An access token of the old kind: no dots, nothing to read.
    #[must_use]
    pub fn opaque_token(&self) -> String {
        mint::opaque()
    }

    /// The user behind `sub` allows the device that shows `user_code`. False when either is unknown.
    pub fn approve_device(&self, user_code: &str, sub: &str) -> bool {
        self.shared.approve_device(user_code, sub)
    }

    /// Somebody refuses the device that shows `user_code`.
    pub fn deny_device(&self, user_code: &str) -> bool {
        lock(&self.shared.devices).deny(user_code)
    }

    /// Makes an endpoint fail from now on.
    pub fn fail(&self, endpoint: Endpoint, fault: Fault) {
        self.shared.faults.fail(endpoint, fault);
    }

    /// Ends all faults.
    pub fn heal(&self) {
        self.shared.faults.heal();
    }

    /// Makes every answer of an endpoint take so much longer; faults come on top.
    pub fn delay(&self, endpoint: Endpoint, delay: Duration) {
        self.shared.faults.delay(endpoint, delay);
    }

    /// Refuses connections and cuts those that are open.
    pub async fn down(&self) {
        self.server.down().await;
    }

    /// Answers again, at the same address.
    ///
    /// # Errors
    ///
    /// When the port has been taken meanwhile.
    pub async fn up(&self) -> io::Result<()> {
        self.server.up().await
    }

    /// How often an endpoint was called, faults included.
    #[must_use]
    pub fn calls(&self, endpoint: Endpoint) -> u64 {
        self.shared.faults.calls(endpoint)
    }

    /// The highest number of simultaneous calls of an endpoint so far.
    #[must_use]
    pub fn calls_at_once_max(&self, endpoint: Endpoint) -> u64 {
        self.shared.faults.calls_at_once_max(endpoint)
    }

    /// The user ids that were asked for with a valid management token, in their order.
    #[must_use]
    pub fn users_asked(&self) -> Vec<String> {
        lock(&self.shared.asked).clone()
    }
}
