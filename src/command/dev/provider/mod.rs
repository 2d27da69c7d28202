//! A demo provider: an API that takes bearer tokens, and the token endpoint that renews them.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::http::Request;

use super::fault::{Fault, Faults};
use super::http::{Answer, Server, listen};
use super::state::StateFile;
use crate::clock::Clock;

mod api;
mod dialect;
mod ledger;
mod revoke;
mod settings;
mod stream;
mod token;

pub use dialect::Dialect;
pub use ledger::{Asked, Behaviour, Issued, RefreshToken};
pub use settings::ProviderSettings;

/// The provider's two sides, as faults and counters tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The API.
    Api,
    /// `/oauth/token`.
    Token,
    /// Where tokens are revoked.
    Revoke,
}

/// A running provider. Dropped, it is gone.
pub struct Provider {
    shared: Arc<Shared>,
    server: Server,
}

struct Shared {
    clock: Clock,
    base_url: String,
    settings: ProviderSettings,
    ledger: Mutex<ledger::Ledger>,
    kept: StateFile,
    /// Calls answered, for the rate-limit headers.
    answered: AtomicU64,
    faults: Faults<Side>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Provider {
    /// Starts a provider that has issued nothing yet.
    ///
    /// # Errors
    ///
    /// When its address cannot be listened on.
    pub async fn start(clock: Clock, settings: ProviderSettings) -> io::Result<Self> {
        let listener = listen(settings.listen).await?;
        let kept = StateFile::at(settings.kept_in.clone());
        let ledger = kept.load()?.unwrap_or_else(|| ledger::Ledger::new(settings.dialect, settings.behaviour));
        let shared = Arc::new(Shared {
            clock,
            base_url: format!("http://{}", listener.local_addr()?),
            ledger: Mutex::new(ledger.behaving(settings.behaviour)),
            kept,
            settings,
            answered: AtomicU64::new(0),
            faults: Faults::default(),
        });
        let provider = Arc::clone(&shared);
        let server = Server::start(listener, move |request| Box::pin(handle(Arc::clone(&provider), request)))?;
        Ok(Self { shared, server })
    }

    /// The API's base, `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.shared.base_url
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The token endpoint.
    #[must_use]
    pub fn token_url(&self) -> String {
        format!("{}/oauth/token", self.shared.base_url)
    }

    /// Where tokens are revoked; as in a configuration, `{client_id}` stands for the client's.
    #[must_use]
    pub fn revoke_url(&self) -> String {
        let path = if self.shared.settings.dialect == Dialect::GitHub { revoke::GRANT } else { revoke::TOKEN };
        format!("{}{path}", self.shared.base_url)
    }

    /// What it was started with.
    #[must_use]
    pub fn settings(&self) -> &ProviderSettings {
        &self.shared.settings
    }

    /// New tokens for an account, as at a sign-in.
    #[must_use]
    pub fn issue(&self, account: &str) -> Issued {
        self.shared.issue(account, &Asked::default())
    }

    /// What [`Provider::issue`] does, detached from this handle: for a tenant's `register`.
    pub fn issuer(&self) -> impl Fn(&str) -> Issued + Send + Sync + use<> {
        let sign_in = self.sign_ins();
        move |account| sign_in(account, &Asked::default())
    }

    /// The same for sign-ins that ask for something.
    pub fn sign_ins(&self) -> impl Fn(&str, &Asked) -> Issued + Send + Sync + use<> {
        let shared = Arc::clone(&self.shared);
        move |account, asked| shared.issue(account, asked)
    }

    /// What the token endpoint does with a refresh token, detached from this handle and without HTTP: for a tenant's
    /// vault.
    pub fn renewer(&self) -> impl Fn(&str) -> Option<Issued> + Send + Sync + use<> {
        let shared = Arc::clone(&self.shared);
        move |refresh_token| shared.renew(refresh_token)
    }

    /// Whether the API would take this access token now.
    #[must_use]
    pub fn is_live(&self, access_token: &str) -> bool {
        lock(&self.shared.ledger).account(access_token, self.shared.clock.now()).is_some()
    }

    /// How many sign-ins of the account have not been taken back.
    #[must_use]
    pub fn grants(&self, account: &str) -> usize {
        lock(&self.shared.ledger).grants(account)
    }

    /// The scopes that the sign-in asked for which this live access token comes from.
    #[must_use]
    pub fn scopes(&self, access_token: &str) -> Option<Vec<String>> {
        lock(&self.shared.ledger).scopes(access_token, self.shared.clock.now()).map(<[String]>::to_vec)
    }

    /// Ends one access token before its time; its refresh token lives on.
    pub fn kill_access_token(&self, access_token: &str) {
        self.shared.change(|ledger| ledger.kill(access_token));
    }

    /// The account's owner removes the application: every token of it is dead, refresh tokens too.
    pub fn revoke_account(&self, account: &str) {
        self.shared.change(|ledger| ledger.revoke_account(account));
    }

    /// How many refreshes succeeded here, whether or not their answer arrived.
    #[must_use]
    pub fn refreshes(&self) -> u64 {
        lock(&self.shared.ledger).refreshes
    }

    /// How often a superseded refresh token was presented: each time a user was logged out.
    #[must_use]
    pub fn reuses(&self) -> u64 {
        lock(&self.shared.ledger).reuses
    }

    /// Makes a side fail from now on.
    pub fn fail(&self, side: Side, fault: Fault) {
        self.shared.faults.fail(side, fault);
    }

    /// Ends all faults.
    pub fn heal(&self) {
        self.shared.faults.heal();
    }

    /// Makes every answer of a side take so much longer; faults come on top.
    pub fn delay(&self, side: Side, delay: Duration) {
        self.shared.faults.delay(side, delay);
    }

    /// How often a side was called, faults included.
    #[must_use]
    pub fn calls(&self, side: Side) -> u64 {
        self.shared.faults.calls(side)
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
}

impl Shared {
    fn issue(&self, account: &str, asked: &Asked) -> Issued {
        self.change(|ledger| ledger.issue(account, asked, self.clock.now()))
    }

    /// `None` is `invalid_grant`.
    fn renew(&self, refresh_token: &str) -> Option<Issued> {
        self.change(|ledger| ledger.renew(refresh_token, self.clock.now()))
    }

    /// Every change of the ledger comes through here and is kept before anybody hears of it.
    fn change<T>(&self, change: impl FnOnce(&mut ledger::Ledger) -> T) -> T {
        let mut ledger = lock(&self.ledger);
        let changed = change(&mut ledger);
        self.kept.save(&*ledger);
        changed
    }

    fn login(&self, account: &str) -> String {
        self.settings.logins.get(account).map_or(account, String::as_str).to_owned()
    }

    fn count(&self) -> u64 {
        self.answered.fetch_add(1, Ordering::Relaxed) + 1
    }
}

async fn handle(provider: Arc<Shared>, request: Request<Incoming>) -> Answer {
    if request.uri().path() == "/oauth/token" {
        provider.faults.run(Side::Token, token::answer(&provider, request)).await
    } else if revoke::is_meant(request.uri().path()) {
        provider.faults.run(Side::Revoke, revoke::answer(&provider, request)).await
    } else {
        provider.faults.run(Side::Api, api::answer(&provider, request)).await
    }
}

#[cfg(test)]
mod tests;
