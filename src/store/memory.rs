//! A store in memory, for one process that need not remember.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::broadcast;

use super::backend::{Answer, Backend, SealedRow};
use super::{HINTS, Key, signed};
use crate::clock::Clock;

pub(super) struct Memory {
    clock: Clock,
    /// Rows that are held at the most. Whoever needs more to be remembered than the tenant does has a durable store: what is
    /// here began with what the tenant holds, and begins with that again.
    bound: usize,
    state: Mutex<State>,
    changes: broadcast::Sender<Arc<Key>>,
}

#[derive(Default)]
struct State {
    rows: BTreeMap<Key, (SealedRow, u64)>,
    /// The keys of all rows, by the number of their last write.
    by_write: BTreeMap<u64, Key>,
    writes: u64,
    leases: BTreeMap<String, (String, Instant)>,
    turns: BTreeMap<String, Instant>,
}

impl State {
    fn generation(&self, key: &Key) -> u64 {
        self.rows.get(key).map_or(0, |(row, _)| row.generation)
    }

    fn insert(&mut self, key: &Key, row: SealedRow, bound: usize) {
        self.remove(key);
        self.writes += 1;
        self.rows.insert(key.clone(), (row, self.writes));
        self.by_write.insert(self.writes, key.clone());
        if self.rows.len() > bound
            && let Some((_, oldest)) = self.by_write.pop_first()
        {
            self.rows.remove(&oldest);
        }
    }

    fn remove(&mut self, key: &Key) {
        if let Some((_, write)) = self.rows.remove(key) {
            self.by_write.remove(&write);
        }
    }
}

impl Memory {
    pub(super) fn new(clock: &Clock, bound: usize) -> Self {
        Self { clock: clock.clone(), bound, state: Mutex::default(), changes: broadcast::channel(HINTS).0 }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whole after every statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend for Memory {
    fn read<'call>(&'call self, key: &'call Key) -> Answer<'call, Option<SealedRow>> {
        at_once(self.lock().rows.get(key).map(|(row, _)| row.clone()))
    }

    fn swap<'call>(
        &'call self,
        key: &'call Key,
        expected: u64,
        generation: u64,
        sealed: &'call [u8],
    ) -> Answer<'call, bool> {
        let row =
            SealedRow { generation, sealed: sealed.to_vec(), updated: signed(self.clock.now().unix_millis() * 1000) };
        let mut state = self.lock();
        if state.generation(key) != expected {
            return at_once(false);
        }
        state.insert(key, row, self.bound);
        drop(state);
        let _ = self.changes.send(Arc::new(key.clone()));
        at_once(true)
    }

    fn lease<'call>(&'call self, name: &'call str, owner: &'call str, life: Duration) -> Answer<'call, bool> {
        let now = self.clock.instant();
        let mut state = self.lock();
        if state.leases.get(name).is_some_and(|(holder, until)| holder != owner && *until > now) {
            return at_once(false);
        }
        state.leases.retain(|_, (_, until)| *until > now);
        state.leases.insert(name.to_owned(), (owner.to_owned(), now + life));
        at_once(true)
    }

    fn release<'call>(&'call self, name: &'call str, owner: &'call str) -> Answer<'call, ()> {
        let mut state = self.lock();
        if state.leases.get(name).is_some_and(|(holder, _)| holder == owner) {
            state.leases.remove(name);
        }
        at_once(())
    }

    fn turn<'call>(
        &'call self,
        budget: &'call str,
        interval: Duration,
        horizon: Duration,
    ) -> Answer<'call, Option<Duration>> {
        let now = self.clock.instant();
        let mut state = self.lock();
        let next = state.turns.get(budget).copied().unwrap_or(now).max(now);
        if next - now > horizon {
            return at_once(None);
        }
        state.turns.insert(budget.to_owned(), next + interval);
        at_once(Some(next - now))
    }

    fn pause<'call>(&'call self, budget: &'call str, pause: Duration) -> Answer<'call, ()> {
        let until = self.clock.instant() + pause;
        let mut state = self.lock();
        let next = state.turns.entry(budget.to_owned()).or_insert(until);
        *next = until.max(*next);
        at_once(())
    }

    fn list<'call>(&'call self, after: Option<&'call Key>, limit: u32) -> Answer<'call, Vec<(Key, SealedRow)>> {
        let state = self.lock();
        let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rows = state.rows.range((begin, Bound::Unbounded)).take(usize::try_from(limit).unwrap_or(usize::MAX));
        at_once(rows.map(|(key, (row, _))| (key.clone(), row.clone())).collect())
    }

    fn forget<'call>(&'call self, subject: Option<&'call str>, connection: Option<&'call str>) -> Answer<'call, u64> {
        let mut state = self.lock();
        let is_meant = |key: &&Key| {
            subject.is_none_or(|subject| subject == &*key.subject)
                && connection.is_none_or(|connection| connection == &*key.connection)
        };
        let meant: Vec<Key> = state.rows.keys().filter(is_meant).cloned().collect();
        meant.iter().for_each(|key| state.remove(key));
        at_once(meant.len() as u64)
    }

    fn set_aside<'call>(&'call self, key: &'call Key, row: &'call SealedRow, _reason: &'call str) -> Answer<'call, ()> {
        let mut state = self.lock();
        if state.generation(key) == row.generation {
            state.remove(key);
        }
        at_once(())
    }

    fn reseal<'call>(&'call self, _: &'call Key, _: &'call SealedRow, _: &'call [u8]) -> Answer<'call, bool> {
        at_once(false)
    }

    fn mark(&self) -> Answer<'_, Option<Vec<u8>>> {
        at_once(None)
    }

    fn leave_mark<'call>(&'call self, _: &'call [u8]) -> Answer<'call, ()> {
        at_once(())
    }

    fn replace_mark<'call>(&'call self, _: &'call [u8]) -> Answer<'call, ()> {
        at_once(())
    }

    fn changes(&self) -> broadcast::Receiver<Arc<Key>> {
        self.changes.subscribe()
    }
}

/// Nothing here waits for anything.
fn at_once<'call, T: Send + 'call>(value: T) -> Answer<'call, T> {
    Box::pin(std::future::ready(Ok(value)))
}
