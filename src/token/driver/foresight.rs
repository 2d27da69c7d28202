//! What a renewal would find and do, without doing it: nothing is sent to a provider, and nothing written.

use std::sync::Arc;
use std::time::Instant;

use super::{Driver, ended, nothing, seed};
use crate::auth0::TenantError;
use crate::clock::Timestamp;
use crate::store::{Key, StoreError};
use crate::token::TokenError;
use crate::token::grant::{DecodeError, Demand, Grant, Seed, Step, Terms};

/// What a call would find.
pub(in crate::token) struct Prospect {
    /// The record, as it would be when what the tenant holds is adopted.
    pub(in crate::token) grant: Grant,
    /// What it asks for.
    pub(in crate::token) step: Step,
    pub(in crate::token) terms: Terms,
    /// Whether the record is in the store as it is.
    pub(in crate::token) is_stored: bool,
}

impl Driver {
    /// What a call would find at `key`, where `known` is what the tenant was last seen to hold. As in a renewal, what is
    /// new there is confirmed, and nothing is given up without another look; one since `since` is recent enough.
    pub(in crate::token) async fn foresee(
        &self,
        key: &Key,
        known: &Seed,
        demand: Demand,
        since: Instant,
    ) -> Result<Prospect, TokenError> {
        let Some(terms) = self.endpoint(key).map(|endpoint| endpoint.terms) else { return Err(nothing(demand, key)) };
        let stored = self.peek(key).await?;
        let now = self.clock.now();
        let generation = stored.as_ref().map(|stored| stored.generation);
        let judge = |grant: Grant| {
            let is_stored = generation == Some(grant.generation);
            Prospect { step: grant.step(now, terms, demand), grant, terms, is_stored }
        };
        let has_news = stored.as_ref().is_some_and(|grant| grant.adopt(known, now).is_some());
        if !has_news
            && let Some(prospect) = met(stored.as_ref(), Some(known), now).map(judge)
            && !matches!(prospect.step, Step::Reconnect(_))
        {
            return Ok(prospect);
        }
        let record = self.users.look_since(&key.subject, since).await;
        let seen = record.as_ref().map(|record| seed(record, key));
        // A tenant that cannot be asked is no reason to leave what is held.
        let seen = seen.as_ref().or_else(|| Some(known).filter(|_| stored.is_none()));
        let prospect = met(stored.as_ref(), seen, now).map(judge).ok_or_else(|| nothing(demand, key))?;
        match prospect.step {
            Step::Reconnect(death) if record.is_some() => Err(ended(death, demand, key)),
            Step::Reconnect(_) => Err(TokenError::Tenant(Arc::new(TenantError::TooSlow))),
            Step::Use | Step::UseAndRenew | Step::Renew => Ok(prospect),
        }
    }

    /// The record at `key`. One that is damaged is set aside by the next call, and to what the tenant holds it is as if
    /// there were none.
    async fn peek(&self, key: &Key) -> Result<Option<Grant>, TokenError> {
        let of_store = |error| TokenError::Store(Arc::new(error));
        let row = self.store.peek(key).await.map_err(of_store)?;
        match row.map(|row| Grant::decode(row.generation, &row.content)).transpose() {
            Err(DecodeError::Damaged) => Ok(None),
            Err(error @ DecodeError::Newer) => Err(of_store(StoreError::Unreadable(error.to_string()))),
            Ok(grant) => Ok(grant),
        }
    }
}

/// The record that a call would go on with: the one that is stored or, where the tenant holds something else, that.
fn met(stored: Option<&Grant>, seed: Option<&Seed>, now: Timestamp) -> Option<Grant> {
    match stored {
        Some(grant) => seed.and_then(|seed| grant.adopt(seed, now)).or_else(|| Some(grant.clone())),
        None => seed.and_then(|seed| Grant::new(seed, now)),
    }
}
