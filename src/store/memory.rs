//! A store in memory, for one process that need not remember.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::broadcast;

use super::{HINTS, Key, SealedRow, StoreError};
use crate::clock::Clock;

pub(super) struct Memory {
    clock: Clock,
    state: Mutex<State>,
    changes: broadcast::Sender<Arc<Key>>,
}

#[derive(Default)]
struct State {
    rows: BTreeMap<Key, (u64, Vec<u8>, i64)>,
    leases: BTreeMap<String, (String, Instant)>,
    turns: BTreeMap<String, Instant>,
}

impl Memory {
    pub(super) fn new(clock: &Clock) -> Self {
        Self { clock: clock.clone(), state: Mutex::default(), changes: broadcast::channel(HINTS).0 }
    }

    pub(super) async fn read(&self, key: &Key) -> Result<Option<SealedRow>, StoreError> {
        let state = self.lock();
        let row = |(generation, sealed, _): &(u64, Vec<u8>, i64)| SealedRow {
            generation: *generation,
            sealed: sealed.clone(),
        };
        Ok(state.rows.get(key).map(row))
    }

    pub(super) async fn swap(&self, key: &Key, expected: u64, row: &SealedRow) -> Result<bool, StoreError> {
        let updated = super::signed(self.clock.now().unix_millis() * 1000);
        let mut state = self.lock();
        if state.rows.get(key).map_or(0, |(generation, ..)| *generation) != expected {
            return Ok(false);
        }
        state.rows.insert(key.clone(), (row.generation, row.sealed.clone(), updated));
        drop(state);
        let _ = self.changes.send(Arc::new(key.clone()));
        Ok(true)
    }

    pub(super) async fn lease(&self, name: &str, owner: &str, life: Duration) -> Result<bool, StoreError> {
        let now = self.clock.instant();
        let mut state = self.lock();
        if state.leases.get(name).is_some_and(|(holder, until)| holder != owner && *until > now) {
            return Ok(false);
        }
        state.leases.retain(|_, (_, until)| *until > now);
        state.leases.insert(name.to_owned(), (owner.to_owned(), now + life));
        Ok(true)
    }

    pub(super) async fn release(&self, name: &str, owner: &str) -> Result<(), StoreError> {
        let mut state = self.lock();
        if state.leases.get(name).is_some_and(|(holder, _)| holder == owner) {
            state.leases.remove(name);
        }
        Ok(())
    }

    pub(super) async fn turn(
        &self,
        budget: &str,
        interval: Duration,
        horizon: Duration,
    ) -> Result<Option<Duration>, StoreError> {
        let now = self.clock.instant();
        let mut state = self.lock();
        let next = state.turns.get(budget).copied().unwrap_or(now).max(now);
        if next - now > horizon {
            return Ok(None);
        }
        state.turns.insert(budget.to_owned(), next + interval);
        Ok(Some(next - now))
    }

    pub(super) async fn pause(&self, budget: &str, pause: Duration) -> Result<(), StoreError> {
        let until = self.clock.instant() + pause;
        let mut state = self.lock();
        let next = state.turns.entry(budget.to_owned()).or_insert(until);
        *next = until.max(*next);
        Ok(())
    }

    pub(super) async fn list(&self, after: Option<&Key>, limit: u32) -> Result<Vec<(Key, SealedRow, i64)>, StoreError> {
        let state = self.lock();
        let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rows = state.rows.range((begin, Bound::Unbounded)).take(usize::try_from(limit).unwrap_or(usize::MAX));
        let row = |(key, (generation, sealed, updated)): (&Key, &(u64, Vec<u8>, i64))| {
            (key.clone(), SealedRow { generation: *generation, sealed: sealed.clone() }, *updated)
        };
        Ok(rows.map(row).collect())
    }

    pub(super) async fn forget(&self, subject: Option<&str>, connection: Option<&str>) -> Result<u64, StoreError> {
        let mut state = self.lock();
        let before = state.rows.len();
        let is_meant = |key: &Key| {
            subject.is_none_or(|subject| subject == &*key.subject)
                && connection.is_none_or(|connection| connection == &*key.connection)
        };
        state.rows.retain(|key, _| !is_meant(key));
        Ok((before - state.rows.len()) as u64)
    }

    pub(super) async fn set_aside(&self, key: &Key, row: &SealedRow, _reason: &str) -> Result<(), StoreError> {
        let mut state = self.lock();
        if state.rows.get(key).is_some_and(|(generation, ..)| *generation == row.generation) {
            state.rows.remove(key);
        }
        Ok(())
    }

    pub(super) async fn reseal(&self, _key: &Key, _row: &SealedRow, _sealed: &[u8]) -> Result<bool, StoreError> {
        Ok(false)
    }

    pub(super) async fn mark(&self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }

    pub(super) async fn leave_mark(&self, _mark: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }

    pub(super) async fn replace_mark(&self, _mark: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }

    pub(super) fn changes(&self) -> broadcast::Receiver<Arc<Key>> {
        self.changes.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whole after every statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
