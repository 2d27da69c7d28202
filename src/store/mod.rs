//! THE STORE: where grants outlive the process, and what replicas agree through. A leaf: it knows rows, leases and
//! turns, and not what they are about.
//!
//! Its one truth is [`Store::swap`], a compare-and-swap on a row's generation. Leases and hints only save work.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;

use crate::clock::Clock;
use crate::config;

mod error;
mod memory;
mod postgres;
mod seal;
mod sql;
mod sqlite;

pub use error::{OpenError, StoreError};
pub use seal::fresh_key;

use memory::Memory;
use postgres::Postgres;
use seal::{Ring, Unsealed};
use sqlite::Sqlite;

/// Hints that wait for somebody who is slow; who is slower misses some, which is allowed.
const HINTS: usize = 256;

/// What a row is about: one grant of one user.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The tenant's domain.
    pub tenant: Arc<str>,
    /// The user's id there.
    pub subject: Arc<str>,
    /// The connection's name.
    pub connection: Arc<str>,
    /// The account at the connection's provider.
    pub account: Arc<str>,
    /// What the tokens are for, where a provider tells tokens apart by that.
    pub audience: Arc<str>,
}

impl Key {
    fn parts(&self) -> [&str; 5] {
        [&self.tenant, &self.subject, &self.connection, &self.account, &self.audience]
    }

    fn parse(text: &str) -> Option<Self> {
        let parts: [String; 5] = serde_json::from_str(text).ok()?;
        let [tenant, subject, connection, account, audience] = parts.map(Arc::from);
        Some(Self { tenant, subject, connection, account, audience })
    }
}

impl fmt::Display for Key {
    /// Unambiguous: the parts as a JSON list.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&serde_json::to_string(&self.parts()).unwrap_or_default())
    }
}

/// A row, readable.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    /// Counts the writes; the first is 1.
    pub generation: u64,
    /// What was written.
    pub content: Vec<u8>,
}

/// A row as it lies in the store.
struct SealedRow {
    generation: u64,
    sealed: Vec<u8>,
}

/// A row of a listing.
pub struct Entry {
    /// What it is about.
    pub key: Key,
    /// How often it was written.
    pub generation: u64,
    /// When it was written last, in Unix microseconds.
    pub updated: i64,
    /// Whether a key of the ring opens it.
    pub is_readable: bool,
}

/// A handle to the store; clones lead to the same one.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    backend: Backend,
    /// Nothing is sealed in memory.
    ring: Option<Ring>,
}

enum Backend {
    Memory(Memory),
    Sqlite(Sqlite),
    Postgres(Postgres),
}

/// Who opens a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To serve from it: of an SQLite file there is one at a time.
    Serve,
    /// To look after it, beside whoever serves.
    Tend,
}

macro_rules! each {
    ($self:ident, $backend:ident => $call:expr) => {
        match &$self.0.backend {
            Backend::Memory($backend) => $call,
            Backend::Sqlite(Sqlite { sql: $backend, .. }) | Backend::Postgres(Postgres { sql: $backend, .. }) => $call,
        }
    };
}

impl Store {
    /// A store that lives and dies with the process.
    #[must_use]
    pub fn memory(clock: &Clock) -> Self {
        Self(Arc::new(Inner { backend: Backend::Memory(Memory::new(clock)), ring: None }))
    }

    /// Opens the store that is configured, brings its tables up to date and tries the keys.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was overwritten.
    pub async fn open(settings: &config::Store, purpose: Purpose) -> Result<Self, OpenError> {
        let ring = Ring::new(&settings.keys)?;
        let backend = match &settings.place {
            config::StorePlace::Sqlite(path) => Backend::Sqlite(Sqlite::open(path, purpose).await?),
            config::StorePlace::Postgres(url) => Backend::Postgres(Postgres::open(url).await?),
        };
        let store = Self(Arc::new(Inner { backend, ring: Some(ring) }));
        store.try_keys().await?;
        Ok(store)
    }

    /// Whether it outlives the process.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        !matches!(self.0.backend, Backend::Memory(_))
    }

    /// The row at `key`. One that is damaged is set aside, with its reason in the log, and is not there from then on.
    ///
    /// # Errors
    /// [`StoreError`]; also when the row is sealed with a key that is not in the ring, since another replica may have it.
    pub async fn read(&self, key: &Key) -> Result<Option<Row>, StoreError> {
        let Some(row) = each!(self, backend => backend.read(key).await)? else { return Ok(None) };
        let Some(ring) = &self.0.ring else {
            return Ok(Some(Row { generation: row.generation, content: row.sealed }));
        };
        match ring.open(key, row.generation, &row.sealed) {
            Unsealed::Content(content) => Ok(Some(Row { generation: row.generation, content })),
            Unsealed::UnknownKey => Err(StoreError::UnknownKey),
            Unsealed::Damaged(reason) => {
                tracing::warn!(connection = %key.connection, reason, "a stored record was set aside");
                each!(self, backend => backend.set_aside(key, &row, reason).await)?;
                Ok(None)
            }
        }
    }

    /// Writes `row` at `key` if the generation there is `expected` (0: nothing is there). Tells whether it was.
    ///
    /// # Errors
    /// [`StoreError`]. Whether it was written is not known then.
    pub async fn swap(&self, key: &Key, expected: u64, row: &Row) -> Result<bool, StoreError> {
        let sealed = match &self.0.ring {
            Some(ring) => ring.seal(key, row.generation, &row.content)?,
            None => row.content.clone(),
        };
        let row = SealedRow { generation: row.generation, sealed };
        each!(self, backend => backend.swap(key, expected, &row).await)
    }

    /// Takes or extends the lease `name` for `life`. False while somebody else's has not run out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lease(&self, name: &str, owner: &str, life: Duration) -> Result<bool, StoreError> {
        each!(self, backend => backend.lease(name, owner, life).await)
    }

    /// Gives a lease back, if it still is `owner`'s.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn release(&self, name: &str, owner: &str) -> Result<(), StoreError> {
        each!(self, backend => backend.release(name, owner).await)
    }

    /// Reserves the next turn of a budget that has one each `interval`, for the whole fleet. Tells how long until it;
    /// `None` if that is longer than `horizon`, and then nothing is reserved.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn turn(
        &self,
        budget: &str,
        interval: Duration,
        horizon: Duration,
    ) -> Result<Option<Duration>, StoreError> {
        each!(self, backend => backend.turn(budget, interval, horizon).await)
    }

    /// Has the next turn of a budget wait for at least this long, for the whole fleet.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn pause(&self, budget: &str, pause: Duration) -> Result<(), StoreError> {
        each!(self, backend => backend.pause(budget, pause).await)
    }

    /// Up to `limit` rows behind `after`, in the order of their keys.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(&self, after: Option<&Key>, limit: u32) -> Result<Vec<Entry>, StoreError> {
        let rows = each!(self, backend => backend.list(after, limit).await)?;
        let open = |(key, row, updated): (Key, SealedRow, i64)| {
            let unsealed = self.0.ring.as_ref().map(|ring| ring.open(&key, row.generation, &row.sealed));
            let is_readable = unsealed.is_none_or(|unsealed| matches!(unsealed, Unsealed::Content(_)));
            Entry { key, generation: row.generation, updated, is_readable }
        };
        Ok(rows.into_iter().map(open).collect())
    }

    /// Deletes the rows of a subject, of a connection, or of both together. Tells how many.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forget(&self, subject: Option<&str>, connection: Option<&str>) -> Result<u64, StoreError> {
        each!(self, backend => backend.forget(subject, connection).await)
    }

    /// Seals every row with the first key of the ring. Tells how many were not. Safe beside replicas that serve.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rekey(&self) -> Result<u64, StoreError> {
        let Some(ring) = &self.0.ring else { return Ok(0) };
        let (mut after, mut count) = (None, 0);
        loop {
            let rows = each!(self, backend => backend.list(after.as_ref(), 500).await)?;
            let Some((last, ..)) = rows.last() else { break };
            after = Some(last.clone());
            for (key, row, _) in rows {
                if let Some(sealed) = ring.reseal(&key, row.generation, &row.sealed)? {
                    // Whoever wrote it meanwhile has sealed it with a key of theirs, the first of their ring.
                    count += u64::from(each!(self, backend => backend.reseal(&key, &row, &sealed).await)?);
                }
            }
        }
        // From here on the other keys can go.
        let mark = ring.mark()?;
        each!(self, backend => backend.replace_mark(&mark).await)?;
        Ok(count)
    }

    /// News of rows that were written, here or (with PostgreSQL) by other replicas. A hint: some may be lost.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Arc<Key>> {
        each!(self, backend => backend.changes())
    }

    /// Whether it answers.
    ///
    /// # Errors
    /// [`StoreError`] if it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        each!(self, backend => backend.mark().await).map(drop)
    }

    /// The mark in the store was sealed by whoever used it first. Who cannot open it has the wrong keys.
    async fn try_keys(&self) -> Result<(), OpenError> {
        let Some(ring) = &self.0.ring else { return Ok(()) };
        let fresh = ring.mark()?;
        each!(self, backend => backend.leave_mark(&fresh).await)?;
        let mark = each!(self, backend => backend.mark().await)?;
        if !mark.is_some_and(|mark| ring.opens_mark(&mark)) {
            return Err(OpenError::WrongKeys);
        }
        Ok(())
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Row").field("generation", &self.generation).finish_non_exhaustive()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.0.backend {
            Backend::Memory(_) => "memory",
            Backend::Sqlite(_) => "sqlite",
            Backend::Postgres(_) => "postgres",
        };
        write!(formatter, "Store({kind})")
    }
}

#[cfg(test)]
mod tests;

/// Generations and times are stored as SQL's signed numbers.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 4)
}

fn from_micros(number: i64) -> Duration {
    Duration::from_micros(unsigned(number))
}

impl From<OpenError> for io::Error {
    fn from(error: OpenError) -> Self {
        let kind = match error {
            OpenError::BadKey | OpenError::WrongKeys => io::ErrorKind::InvalidInput,
            OpenError::Newer { .. }
            | OpenError::InUse(_)
            | OpenError::File { .. }
            | OpenError::Unavailable(_)
            | OpenError::Store(_) => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
