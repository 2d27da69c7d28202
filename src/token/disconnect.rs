//! DISCONNECTING: what is held for a caller at a connection is not used any more, here and at every replica, and revoked at
//! the provider where that is known how. What the tenant holds stays there, and is not used before the next sign-in.

use std::sync::Arc;
use std::time::Instant;

use super::grant::{Pair, Remains};
use super::record::{Origin, Record};
use super::revoke::{Revoked, Revoker};
use super::{TokenError, Tokens, account_at};
use crate::caller::Caller;
use crate::config::Source;
use crate::provider::Provider;
use crate::store::Key;

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
    /// it is done, whether or not the provider can be told. A caller that leaves does not have it done by half.
    ///
    /// # Errors
    /// [`TokenError`], as a call's: which account is meant must be clear, and the store must answer.
    pub async fn disconnect(
        self: &Arc<Self>,
        caller: &Caller,
        provider: &Arc<Provider>,
        account: Option<&str>,
        begun: Instant,
    ) -> Result<Parted, TokenError> {
        let landing = self.partings.join(&(Arc::clone(caller.subject()), begun), || {
            let (this, caller, provider) = (Arc::clone(self), caller.clone(), Arc::clone(provider));
            let account = account.map(str::to_owned);
            async move { this.part(&caller, &provider, account.as_deref(), begun).await }
        });
        landing.outcome().await.ok_or(TokenError::Died)?
    }

    async fn part(
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
        let account = record.account(index).map(Box::from);
        let revoker = self.revokers.get(&**provider.connection());
        let (mut parted, mut written, mut failure) = (Vec::new(), Vec::new(), None);
        for place in &places {
            let outcome = self.grants.source().part(place, revoker.is_some()).await;
            if matches!(outcome, Ok(Some(_)) | Err(TokenError::RenewalTooSlow { .. })) {
                self.users.disconnects().note(Arc::clone(&place.key), place.seed.lineage);
                written.push(place);
            }
            match outcome {
                Ok(remains) => parted.extend(remains.map(|remains| (Arc::clone(&place.key), remains))),
                Err(error) => failure = Some(error),
            }
        }
        self.forget(subject, provider, account.as_deref(), &written).await;
        if let Some(error) = failure {
            return Err(error);
        }
        if parted.is_empty() {
            let connection = connection();
            return Err(if is_vault { TokenError::InVault { connection } } else { TokenError::NoToken { connection } });
        }
        let revoked = match revoker {
            Some(revoker) => self.revoke(revoker, parted).await,
            None => UNKNOWN,
        };
        Ok(Parted { account, revoked })
    }

    /// Nothing of it stays in memory; nor does what a look brings that had begun before.
    async fn forget(&self, subject: &Arc<str>, provider: &Provider, account: Option<&str>, places: &[&Origin]) {
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
    async fn revoke(&self, revoker: &Revoker, parted: Vec<(Arc<Key>, Remains)>) -> Revoked {
        let mut revoked = Revoked::No("nothing was held that could be revoked");
        let mut tried = Vec::<Pair>::new();
        for (key, remains) in &parted {
            let pair = match remains {
                Remains::Revoked => {
                    revoked = if tried.is_empty() { Revoked::Yes } else { revoked };
                    continue;
                }
                Remains::Unrevoked(pair) if pair.is_empty() || tried.contains(pair) => continue,
                Remains::Unrevoked(pair) => pair.clone(),
            };
            tried.push(pair.clone());
            let pair = if revoker.needs_access() { self.grants.source().freshen(key, pair).await } else { pair };
            revoked = revoker.revoke(&pair).await;
            if revoked == Revoked::Yes {
                break;
            }
        }
        if revoked == Revoked::Yes && !tried.is_empty() {
            for (key, _) in &parted {
                self.grants.source().revoked(key).await;
            }
        }
        revoked
    }
}

const UNKNOWN: Revoked = Revoked::No(
    "how to revoke at this provider is not known here (`revoke_url`); the user can take it back in the account's settings there",
);
