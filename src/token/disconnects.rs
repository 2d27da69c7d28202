//! WHAT USERS HAVE DISCONNECTED of accounts whose tokens are used as the tenant holds them. It stands in the store, in the
//! place that such an account's grant would have; and in memory, for the time that the store gives no answer.

use std::collections::hash_map::RandomState;
use std::sync::Arc;
use std::time::Duration;

use super::grant::{Grant, Lineage};
use super::record::Record;
use crate::bounded::Bounded;
use crate::store::{Key, Store, StoreError};

/// How long the store is waited for. What comes after it may wait for it as well, and the caller for both.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is known to be disconnected.
pub(super) struct Disconnects {
    store: Store,
    known: Bounded<Arc<Key>, Lineage, RandomState>,
}

impl Disconnects {
    /// Nothing is known yet, and of what is no more than `bound` is remembered.
    pub(super) fn new(store: Store, bound: usize) -> Self {
        Self { store, known: Bounded::new(bound, RandomState::new()) }
    }

    /// Takes note that what the sign-in `lineage` has left at `key` is not used any more.
    pub(super) fn note(&self, key: Arc<Key>, lineage: Lineage) {
        self.known.insert(key, lineage);
    }

    /// Whether that is known here.
    pub(super) fn knows(&self, key: &Key, lineage: Lineage) -> bool {
        self.known.get(key) == Some(lineage)
    }

    /// Takes the tokens that are not to be used out of a user's record. A store that gives no answer takes nothing away
    /// that needs none: then it is done as far as it is known here.
    pub(super) async fn apply(&self, record: &mut Record) {
        let mut answers = true;
        let accounts: Vec<_> = record.unrenewed().map(|(index, key, own)| (index, Arc::clone(key), own)).collect();
        for (index, key, lineage) in accounts {
            let asked = async { tokio::time::timeout(PATIENCE, self.stored(&key)).await.ok()?.ok() };
            let stored = if answers { asked.await } else { None };
            answers = stored.is_some();
            if stored.flatten() == Some(lineage) {
                self.note(Arc::clone(&key), lineage);
                record.disconnect(index);
            } else if !answers && self.knows(&key, lineage) {
                record.disconnect(index);
            }
        }
    }

    /// The sign-in that the record at `key` says is disconnected, if it says that.
    pub(super) async fn stored(&self, key: &Key) -> Result<Option<Lineage>, StoreError> {
        let row = self.store.peek(key).await?;
        let grant = row.and_then(|row| Grant::decode(row.generation, &row.content).ok());
        Ok(grant.filter(Grant::is_disconnected).map(|grant| grant.lineage()))
    }
}
