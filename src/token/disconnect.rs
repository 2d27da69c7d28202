//! DISCONNECTING: what is held for a caller at a connection is forgotten, here and in the store, and revoked at the
//! provider where that is known how. What the tenant holds stays there, and is not used before the next sign-in.

use std::sync::Arc;
use std::time::Instant;

use super::record::{Place, Record};
use super::revoke::{Pair, Revoked};
use super::{TokenError, Tokens, account_at};
use crate::caller::Caller;
use crate::config::Source;
use crate::provider::Provider;

/// What became of a disconnected account.
#[derive(Clone, Debug)]
pub struct Parted {
    /// The account, as its provider names it.
    pub account: Option<Box<str>>,
    /// Whether the provider has ended what the user had granted there.
    pub revoked: Revoked,
}

impl Tokens {
    /// Disconnects the account of `caller` at `provider`, or this one if one is named. Once it is written down,
    /// it is done, whether or not the provider can be told.
    ///
    /// # Errors
    /// [`TokenError`], as a call's: which account is meant must be clear, and the store must answer.
    pub async fn disconnect(
        &self,
        caller: &Caller,
        provider: &Provider,
        account: Option<&str>,
        begun: Instant,
    ) -> Result<Parted, TokenError> {
        let subject = caller.subject();
        let connection = || Arc::clone(provider.connection());
        let is_vault = match provider.source() {
            Source::TokenVault => return Err(TokenError::InVault { connection: connection() }),
            Source::Identities => false,
            Source::Auto => self.worlds.is_vault(provider.connection()),
        };
        // By a look of now: what is disconnected is what the tenant holds, and not what it held a while ago.
        let record = match self.users.look(subject).await {
            Some(record) => record,
            None => self.users.find(subject, &account_at(caller, provider, account), begun).await?.record,
        };
        let (index, places) = match (record.chosen(provider.connection(), account), is_vault) {
            (Ok(index), _) => (index, record.places(index)),
            (Err(TokenError::NotConnected { .. }), true) => {
                return Err(TokenError::InVault { connection: connection() });
            }
            (Err(error), _) => return Err(error),
        };
        if places.is_empty() {
            let connection = connection();
            return Err(if is_vault { TokenError::InVault { connection } } else { TokenError::NoToken { connection } });
        }
        let account = record.account(index).map(Box::from);
        let mut pairs = Vec::new();
        for Place { key, lineage, left } in &places {
            let held = self.grants.source().part(key, *lineage).await?;
            self.users.disconnects().note(Arc::clone(key), *lineage);
            pairs.push(held.unwrap_or_else(|| left.clone()));
        }
        self.forget(subject, provider, account.as_deref(), &places).await;
        Ok(Parted { account, revoked: self.revoke(provider, pairs).await })
    }

    /// Nothing of it stays in memory; nor does what a look brings that had begun before.
    async fn forget(&self, subject: &Arc<str>, provider: &Provider, account: Option<&str>, places: &[Place]) {
        for place in places {
            self.grants.forget(&place.key).await;
        }
        for account in [account, None] {
            self.vault.forget(&self.vault_key(subject, provider, account)).await;
        }
        self.users.forget(subject);
        let _: Option<Arc<Record>> = self.users.look(subject).await;
    }

    /// Where a grant has several audiences, one may have ended them all.
    async fn revoke(&self, provider: &Provider, mut pairs: Vec<Pair>) -> Revoked {
        let Some(revoker) = self.revokers.get(&**provider.connection()) else { return UNKNOWN };
        pairs.dedup();
        let mut revoked = Revoked::No("nothing was held that could be revoked");
        for pair in pairs.iter().filter(|pair| pair.access.is_some() || pair.refresh.is_some()) {
            if revoked != Revoked::Yes {
                revoked = revoker.revoke(pair).await;
            }
        }
        revoked
    }
}

const UNKNOWN: Revoked = Revoked::No(
    "how to revoke at this provider is not known here (`revoke_url`); the user can take it back in the account's settings there",
);
