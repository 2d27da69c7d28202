//! How a grant ends that the user wants ended: its record is made one of a disconnected account.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Driver;
use crate::store::{Key, StoreError};
use crate::token::TokenError;
use crate::token::desk::Desk;
use crate::token::grant::{Grant, Lineage};
use crate::token::revoke::Pair;

impl Driver {
    /// Writes down that the user had the account at `key` disconnected, of which `lineage` is what the tenant holds. What
    /// the record held of it by then, if there was one.
    ///
    /// A renewal that is under way is waited for, so that no token is got that nobody hears of. Who takes too long is not:
    /// its answer finds no place any more.
    pub(in crate::token) async fn part(&self, key: &Key, lineage: Lineage) -> Result<Option<Pair>, TokenError> {
        let number = self.driven.fetch_add(1, Ordering::Relaxed);
        let owner = format!("{}-{number}", self.owner);
        let mut desk = Desk::stored(&self.store, key, &self.clock, owner, self.patience);
        let parted = self.write(&mut desk, lineage).await;
        desk.leave().await;
        parted.map_err(|error| TokenError::Store(Arc::new(error)))
    }

    async fn write(&self, desk: &mut Desk<'_>, lineage: Lineage) -> Result<Option<Pair>, StoreError> {
        let patience = self.clock.instant() + self.patience;
        while !desk.lease().await? && self.clock.instant() < patience {
            desk.wait().await;
        }
        loop {
            let Some(grant) = desk.read().await? else {
                if desk.create(Grant::disconnected(lineage, self.clock.now().unix_millis().max(1))).await? {
                    return Ok(None);
                }
                continue;
            };
            let Some(next) = grant.disconnect(lineage) else { return Ok(None) };
            let is_of_lineage = grant.lineage() == lineage;
            // Whoever wrote meanwhile has left newer tokens, which are those to be revoked.
            if desk.swap(next).await? {
                let held = Pair { access: grant.access.map(|access| access.value), refresh: grant.refresh };
                // A sign-in that was never used here has left something newer.
                return Ok(Some(held).filter(|_| is_of_lineage));
            }
        }
    }
}
