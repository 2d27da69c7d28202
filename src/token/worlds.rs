//! THE TWO WORLDS in which Auth0 keeps its users' tokens at a connection: with their identities, or in Token Vault. Which
//! one a connection lives in is not told, so it is learned from what the tenant answers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::TokenError;
use crate::clock::Timestamp;
use crate::config::Config;

const UNKNOWN: u64 = 0;
const VAULT: u64 = 1;

/// What has been learned.
pub(super) struct Worlds {
    /// [`UNKNOWN`], [`VAULT`], or until when Token Vault is not asked, in Unix milliseconds.
    by_connection: BTreeMap<String, AtomicU64>,
    has_vault: AtomicBool,
    recheck: Duration,
}

impl Worlds {
    /// Nothing is known yet.
    pub(super) fn new(config: &Config) -> Self {
        let connections = config.providers.values().map(|provider| provider.connection.clone());
        Self {
            by_connection: connections.map(|name| (name, AtomicU64::new(UNKNOWN))).collect(),
            has_vault: AtomicBool::new(false),
            recheck: config.auth0.recheck,
        }
    }

    /// Whether Token Vault has given a token for this connection: then it is asked first.
    pub(super) fn is_vault(&self, connection: &str) -> bool {
        self.has_vault.load(Ordering::Relaxed) && self.known(connection) == VAULT
    }

    /// Whether Token Vault may hold what the identities do not.
    pub(super) fn may_be_vault(&self, connection: &str, now: Timestamp) -> bool {
        self.known(connection) <= now.unix_millis()
    }

    /// Learns from what Token Vault answered about a connection. A vault that cannot be used for it by anybody is not asked
    /// again for a while: the operator may switch it on.
    pub(super) fn learn<T>(&self, connection: &str, answer: Result<&T, &TokenError>, now: Timestamp) {
        let world = match answer {
            Ok(_) => VAULT,
            Err(TokenError::NoVault { is_general: true, .. }) => now.plus(self.recheck).unix_millis(),
            Err(_) => return,
        };
        if let Some(known) = self.by_connection.get(connection) {
            known.store(world, Ordering::Relaxed);
            self.has_vault.fetch_or(world == VAULT, Ordering::Relaxed);
        }
    }

    fn known(&self, connection: &str) -> u64 {
        self.by_connection.get(connection).map_or(UNKNOWN, |known| known.load(Ordering::Relaxed))
    }
}
