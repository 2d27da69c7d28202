//! What a store is made of: one interface, of which `memory` and `sql` are the two bodies. It knows nothing of sealing.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;

use super::{Key, StoreError};

/// An answer on its way. Boxed, so that a store is one type whatever it is made of.
pub(super) type Answer<'call, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'call>>;

/// A row as it lies in the store.
#[derive(Clone)]
pub(super) struct SealedRow {
    pub(super) generation: u64,
    pub(super) sealed: Vec<u8>,
    /// When it was written last, in Unix microseconds; the store's own time.
    pub(super) updated: i64,
}

/// A place for rows, leases and turns.
pub(super) trait Backend: Send + Sync {
    fn read<'call>(&'call self, key: &'call Key) -> Answer<'call, Option<SealedRow>>;

    /// Writes a row if the generation there is `expected` (0: nothing is there). Tells whether it was.
    fn swap<'call>(
        &'call self,
        key: &'call Key,
        expected: u64,
        generation: u64,
        sealed: &'call [u8],
    ) -> Answer<'call, bool>;

    /// Takes or extends a lease. False while somebody else's has not run out.
    fn lease<'call>(&'call self, name: &'call str, owner: &'call str, life: Duration) -> Answer<'call, bool>;

    fn release<'call>(&'call self, name: &'call str, owner: &'call str) -> Answer<'call, ()>;

    /// Reserves the next turn, unless it is further away than `horizon`. Tells how long until it.
    fn turn<'call>(
        &'call self,
        budget: &'call str,
        interval: Duration,
        horizon: Duration,
    ) -> Answer<'call, Option<Duration>>;

    /// Has the next turn wait for at least this long.
    fn pause<'call>(&'call self, budget: &'call str, pause: Duration) -> Answer<'call, ()>;

    /// At most `limit` rows behind `after`, in the order of their keys.
    fn list<'call>(&'call self, after: Option<&'call Key>, limit: u32) -> Answer<'call, Vec<(Key, SealedRow)>>;

    /// Deletes rows of a subject, of a connection, or of both together: some at a time. Tells how many; 0 is the end.
    fn forget<'call>(&'call self, subject: Option<&'call str>, connection: Option<&'call str>) -> Answer<'call, u64>;

    /// Moves a row out of the way, unless it has been written meanwhile.
    fn set_aside<'call>(&'call self, key: &'call Key, row: &'call SealedRow, reason: &'call str) -> Answer<'call, ()>;

    /// Puts `sealed` in the place of what `row` holds, unless it has been written meanwhile. Tells whether it did.
    fn reseal<'call>(&'call self, key: &'call Key, row: &'call SealedRow, sealed: &'call [u8]) -> Answer<'call, bool>;

    /// The mark by which keys are tried.
    fn mark(&self) -> Answer<'_, Option<Vec<u8>>>;

    /// Leaves a mark, if there is none.
    fn leave_mark<'call>(&'call self, mark: &'call [u8]) -> Answer<'call, ()>;

    /// Puts a new mark in the place of the old one.
    fn replace_mark<'call>(&'call self, mark: &'call [u8]) -> Answer<'call, ()>;

    /// News of rows that were written.
    fn changes(&self) -> broadcast::Receiver<Arc<Key>>;
}
