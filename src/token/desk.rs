//! Where a renewal finds its record: in the store, under a lease; or on the desk alone, while the store gives no answer
//! and nothing can be lost.

use std::time::{Duration, Instant};

use super::grant::{DecodeError, Grant};
use crate::clock::Clock;
use crate::store::{Key, Store, StoreError};

/// Between two looks at a record that somebody else renews, if no news comes.
const WAIT: Duration = Duration::from_millis(250);
/// What reading and marking a record may take under a lease.
const STORE_TIME: Duration = Duration::from_secs(5);

/// Where one renewal finds its record.
pub(super) enum Desk<'store> {
    /// In the store.
    Stored(Stored<'store>),
    /// Nowhere but here. For refresh tokens that are never replaced: what comes of them can be had again.
    Loose(Option<Grant>),
}

/// A record in the store, and our lease on it.
pub(super) struct Stored<'store> {
    store: &'store Store,
    key: &'store Key,
    clock: &'store Clock,
    /// Who we are to others who want the lease.
    owner: String,
    /// It outlives the call that is made under it, and what the store takes before and after.
    life: Duration,
    until: Instant,
}

impl<'store> Desk<'store> {
    /// The record at `key`, for a renewal that calls the provider for `call` at the longest.
    pub(super) fn stored(
        store: &'store Store,
        key: &'store Key,
        clock: &'store Clock,
        owner: String,
        call: Duration,
    ) -> Self {
        Self::Stored(Stored { store, key, clock, owner, life: call * 2 + STORE_TIME, until: clock.instant() })
    }

    pub(super) async fn read(&self) -> Result<Option<Grant>, StoreError> {
        match self {
            Self::Stored(stored) => stored.read().await,
            Self::Loose(grant) => Ok(grant.clone()),
        }
    }

    /// Writes the record, if there is none.
    pub(super) async fn create(&mut self, first: Grant) -> Result<bool, StoreError> {
        self.put(0, first).await
    }

    /// Writes the record, if the one before it is still there.
    pub(super) async fn swap(&mut self, next: Grant) -> Result<bool, StoreError> {
        self.put(next.generation - 1, next).await
    }

    async fn put(&mut self, expected: u64, next: Grant) -> Result<bool, StoreError> {
        match self {
            Self::Stored(Stored { store, key, .. }) => store.swap(key, expected, &next.row()).await,
            Self::Loose(grant) => {
                *grant = Some(next);
                Ok(true)
            }
        }
    }

    /// Takes the lease, if nobody else has it.
    pub(super) async fn lease(&mut self) -> Result<bool, StoreError> {
        match self {
            Self::Stored(stored) => {
                stored.until = stored.clock.instant() + stored.life;
                stored.store.lease(&stored.name(), &stored.owner, stored.life).await
            }
            Self::Loose(_) => Ok(true),
        }
    }

    /// Whether the lease outlives a call of that length. A process that slept must not send what a neighbour has spent
    /// meanwhile.
    pub(super) fn has_time_for(&self, call: Duration) -> bool {
        match self {
            Self::Stored(stored) => stored.clock.instant() + call <= stored.until,
            Self::Loose(_) => true,
        }
    }

    /// Waits for a moment, or until somebody writes the record, as far as that is heard of.
    pub(super) async fn wait(&self) {
        let Self::Stored(stored) = self else { return };
        let mut changes = stored.store.changes();
        // A hint that was missed may have been the one.
        let news = async { while changes.recv().await.is_ok_and(|changed| *changed != *stored.key) {} };
        drop(tokio::time::timeout(WAIT, news).await);
    }

    /// Gives the lease back.
    pub(super) async fn leave(self) {
        if let Self::Stored(stored) = self
            && stored.until > stored.clock.instant()
            && let Err(error) = stored.store.release(&stored.name(), &stored.owner).await
        {
            tracing::debug!(cause = %error, "a lease was not given back, and runs out by itself");
        }
    }
}

impl Stored<'_> {
    async fn read(&self) -> Result<Option<Grant>, StoreError> {
        let Some(row) = self.store.read(self.key).await? else { return Ok(None) };
        match Grant::decode(row.generation, &row.content) {
            Ok(grant) => Ok(Some(grant)),
            Err(error @ DecodeError::Newer) => Err(StoreError::Unreadable(error.to_string())),
            // What the tenant holds is a beginning still.
            Err(error @ DecodeError::Damaged) => {
                self.store.set_aside(self.key, row.generation, &error.to_string()).await?;
                Ok(None)
            }
        }
    }

    fn name(&self) -> String {
        format!("grant {}", self.key)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::Row;

    #[tokio::test]
    async fn a_record_that_says_nothing_is_set_aside_and_a_newer_one_is_left_alone() {
        let clock = Clock::system();
        let store = Store::memory(&clock, 10);
        let part = |text: &str| Arc::from(text);
        let key = Key {
            tenant: part("t"),
            subject: part("s"),
            connection: part("c"),
            account: part("a"),
            audience: part(""),
        };
        let desk = Desk::stored(&store, &key, &clock, String::new(), Duration::ZERO);
        let newer = Row { generation: 7, content: br#"{"layout":9}"#.to_vec() };
        assert!(store.swap(&key, 0, &newer).await.unwrap());
        assert!(matches!(desk.read().await, Err(StoreError::Unreadable(_))));
        assert!(store.read(&key).await.unwrap().is_some_and(|row| row == newer));

        let nonsense = Row { generation: 8, content: b"nonsense".to_vec() };
        assert!(store.swap(&key, 7, &nonsense).await.unwrap());
        assert_eq!(desk.read().await.unwrap(), None);
        assert!(store.read(&key).await.unwrap().is_none(), "it is in the way still");
    }
}
