//! How a grant ends that the user wants ended: its record is made one of a disconnected account, which keeps the newest
//! tokens for nothing but to revoke them, until that is done.

use std::sync::Arc;
use std::time::Duration;

use super::{Driver, STORE_PAUSE, STORE_TIME};
use crate::store::{Key, StoreError};
use crate::token::TokenError;
use crate::token::desk::Desk;
use crate::token::grant::{Grant, Pair, Remains, Spends};
use crate::token::record::Origin;

impl Driver {
    /// Writes down that the user had the account at `place` disconnected. What remains of it at the provider; `None` if there
    /// neither is a record nor anything to begin one with. The newest tokens are kept if they `can_be_revoked`.
    ///
    /// A renewal that is under way is waited for. Who takes too long is not: it is written down all the same, but what would be
    /// revoked now may be spent already. The answer that comes yet is put to what remains, for the next try.
    pub(in crate::token) async fn part(
        &self,
        place: &Origin,
        can_be_revoked: bool,
    ) -> Result<Option<Remains>, TokenError> {
        let mut desk = self.desk(&place.key, self.patience);
        let parted = match self.lease(&mut desk).await {
            Ok(is_leased) => self.write(&mut desk, place, can_be_revoked).await.map(|remains| (remains, is_leased)),
            Err(error) => Err(error),
        };
        desk.leave().await;
        let (remains, is_leased) = parted.map_err(|error| TokenError::Store(Arc::new(error)))?;
        if is_leased {
            Ok(remains)
        } else {
            Err(TokenError::RenewalTooSlow { connection: Arc::clone(&place.key.connection) })
        }
    }

    async fn write(
        &self,
        desk: &mut Desk<'_>,
        place: &Origin,
        can_be_revoked: bool,
    ) -> Result<Option<Remains>, StoreError> {
        let left = || Remains::Unrevoked(Pair::left(&place.seed));
        loop {
            let now = self.clock.now();
            let Some(grant) = desk.read().await? else {
                let Some(first) = Grant::new_disconnected(&place.seed, now) else { return Ok(None) };
                if desk.create(first).await? {
                    return Ok(Some(left()));
                }
                continue;
            };
            let Some(mut next) = grant.disconnect(&place.seed, now) else {
                return Ok(Some(grant.remains.unwrap_or_else(left)));
            };
            let remains = next.remains.clone();
            next.remains = next.remains.filter(|_| can_be_revoked);
            // Whoever wrote meanwhile has left newer tokens, which are those to be revoked.
            if desk.swap(next).await? {
                return Ok(Some(remains.unwrap_or_else(left)));
            }
        }
    }

    /// The tokens of the disconnected grant at `key` with an access token that lives, if one can be had for `pair`: where
    /// nothing else ends a grant. It is written down before it is used, so that the next try finds it.
    pub(in crate::token) async fn freshen(&self, key: &Key, pair: Pair) -> Pair {
        let Some(endpoint) = self.endpoint(key).filter(|endpoint| endpoint.terms.spends == Spends::RefreshToken) else {
            return pair;
        };
        if pair.living(self.clock.now()).is_some() || pair.refresh.is_none() {
            return pair;
        }
        let mut desk = self.desk(key, endpoint.timeout);
        let mut pair = pair;
        if let Ok(true) = self.lease(&mut desk).await
            && let Ok(Some(grant)) = desk.read().await
            && grant.is_disconnected()
        {
            // Somebody else may have been faster.
            if let Some(Remains::Unrevoked(newer)) = &grant.remains {
                pair = newer.clone();
            }
            let now = self.clock.now();
            if let (None, Some(spent)) = (pair.living(now), &pair.refresh)
                && desk.has_time_for(endpoint.timeout)
                && let Ok(granted) = self.send(endpoint, spent).await
            {
                pair = pair.succeed(&granted, endpoint.terms, now);
                self.insist(&mut desk, grant.leaving(Some(Remains::Unrevoked(pair.clone())))).await;
            }
        }
        desk.leave().await;
        pair
    }

    /// Takes note that the provider has ended the grant at `key`: nothing remains of it.
    pub(in crate::token) async fn revoked(&self, key: &Key) {
        let mut desk = self.desk(key, Duration::ZERO);
        if let Ok(Some(grant)) = desk.read().await
            && grant.is_disconnected()
        {
            self.insist(&mut desk, grant.leaving(Some(Remains::Revoked))).await;
        }
    }

    /// Writes what is no loss if it cannot be written, but some trouble.
    async fn insist(&self, desk: &mut Desk<'_>, next: Grant) {
        let end = self.clock.instant() + STORE_TIME;
        while let Err(error) = desk.swap(next.clone()).await {
            if self.clock.instant() >= end {
                tracing::warn!(cause = %error, "what became of a disconnected grant was not written down");
                return;
            }
            tokio::time::sleep(STORE_PAUSE).await;
        }
    }

    /// Takes the lease, if it can be had in time.
    async fn lease(&self, desk: &mut Desk<'_>) -> Result<bool, StoreError> {
        let patience = self.clock.instant() + self.patience;
        loop {
            if desk.lease().await? {
                return Ok(true);
            }
            if self.clock.instant() >= patience {
                return Ok(false);
            }
            desk.wait().await;
        }
    }
}
