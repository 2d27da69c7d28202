//! THE STORE: where grants outlive the process, and what replicas agree through. A leaf: it knows rows, leases and
//! turns, and not what they are about.
//!
//! Its one truth is [`Store::swap`], a compare-and-swap on a row's generation. Leases and hints only save work.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;

use crate::clock::{Clock, Timestamp};
use crate::config;
use crate::telemetry::metrics::Metrics;

mod backend;
mod error;
mod key;
mod memory;
mod postgres;
mod schema;
mod seal;
mod sql;
mod sqlite;

pub use error::{OpenError, Outage, StoreError};
pub use key::Key;
pub use seal::fresh_key;

use backend::{Answer, Backend, SealedRow};
use memory::Memory;
use seal::{Ring, Unsealed};

/// How long a store may take to answer, the wait for a connection included. One that hangs is one that is down; and who
/// waits for it must have the time left to be told so.
pub const PATIENCE: Duration = Duration::from_secs(3);
/// A process that was asleep finds its time over before it hears what has come meanwhile, so it listens this much longer.
const LAST_LOOK: Duration = Duration::from_millis(50);
/// What the store itself gives a statement: less, so that a slow one has certainly failed when it is given up.
const STATEMENT: Duration = Duration::from_millis(2500);
/// How long opening may take: other replicas may be bringing the tables up to date.
const OPENING: Duration = Duration::from_secs(30);
/// Hints that wait for somebody who is slow; who is slower misses some, which is allowed.
const HINTS: usize = 256;
/// Rows of one look, where all are looked at.
const PAGE: u32 = 500;

/// A row, readable.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    /// Grows with each write. A row that was forgotten and is begun anew must not come to a generation that it has had
    /// before: whoever remembers that one would take the new row for the old. So the first generation is the time in
    /// milliseconds, which runs ahead of any number of writes.
    pub generation: u64,
    /// What was written.
    pub content: Vec<u8>,
}

/// A row of a listing.
pub struct Entry {
    /// What it is about.
    pub key: Key,
    /// When it was written last, by the store's clock.
    pub updated: Timestamp,
    /// The row, or why it cannot be read.
    pub row: Result<Row, StoreError>,
}

/// A handle to the store; clones lead to the same one.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    backend: Box<dyn Backend>,
    /// Nothing is sealed in memory.
    ring: Option<Ring>,
    metrics: Metrics,
}

/// Who opens a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To serve from it: of an SQLite file there is one at a time.
    Serve,
    /// To look after it, beside whoever serves.
    Tend,
}

impl Store {
    /// A store that lives and dies with the process, of `bound` rows at the most: whoever writes one more puts it in the
    /// place of the one that was not written for longest.
    #[must_use]
    pub fn memory(clock: &Clock, bound: usize) -> Self {
        // Nothing fails here.
        let metrics = Metrics::new();
        Self(Arc::new(Inner { backend: Box::new(Memory::new(clock, bound)), ring: None, metrics }))
    }

    /// Opens the store that is configured and tries the keys. Whoever serves makes it, and brings its tables up to date.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was overwritten.
    pub async fn open(settings: &config::Store, purpose: Purpose, metrics: &Metrics) -> Result<Self, OpenError> {
        let ring = Ring::new(&settings.keys)?;
        let opening = async {
            Ok::<_, OpenError>(match &settings.place {
                config::StorePlace::Sqlite(path) => sqlite::open(path, purpose).await?,
                config::StorePlace::Postgres(url) => postgres::open(url, purpose).await?,
            })
        };
        let opened = tokio::time::timeout(OPENING, opening).await;
        let backend = Box::new(opened.unwrap_or(Err(OpenError::Unavailable(Outage::Silent)))?);
        let store = Self(Arc::new(Inner { backend, ring: Some(ring), metrics: metrics.clone() }));
        store.try_keys().await?;
        Ok(store)
    }

    /// Whether it outlives the process.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.0.ring.is_some()
    }

    /// The row at `key`. One that is damaged is set aside, see [`Store::set_aside`].
    ///
    /// # Errors
    /// [`StoreError`]; also when the row is sealed with a key that is not in the ring or by a newer version, since another
    /// replica may have what it takes to read it.
    pub async fn read(&self, key: &Key) -> Result<Option<Row>, StoreError> {
        let Some(row) = self.ask(self.0.backend.read(key)).await? else { return Ok(None) };
        match self.open_row(key, &row)? {
            Ok(row) => Ok(Some(row)),
            Err(reason) => {
                self.put_aside(key, &row, reason).await?;
                Ok(None)
            }
        }
    }

    /// The same for whoever only looks: one that is damaged stays where it is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn peek(&self, key: &Key) -> Result<Option<Row>, StoreError> {
        let Some(row) = self.ask(self.0.backend.read(key)).await? else { return Ok(None) };
        Ok(self.open_row(key, &row)?.ok())
    }

    /// Sets a row aside of which nothing can be made, if it is still that of `generation`: it is kept for the operator
    /// with the `reason`, which the log tells too, and for everybody else it is not there from then on.
    ///
    /// Not for a row that a newer version has written: that one can make something of it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_aside(&self, key: &Key, generation: u64, reason: &str) -> Result<(), StoreError> {
        match self.ask(self.0.backend.read(key)).await? {
            Some(row) if row.generation == generation => self.put_aside(key, &row, reason).await,
            Some(_) | None => Ok(()),
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
        self.ask(self.0.backend.swap(key, expected, row.generation, &sealed)).await
    }

    /// Takes or extends the lease `name` for `life`. False while somebody else's has not run out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lease(&self, name: &str, owner: &str, life: Duration) -> Result<bool, StoreError> {
        self.ask(self.0.backend.lease(name, owner, life)).await
    }

    /// Gives a lease back, if it still is `owner`'s.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn release(&self, name: &str, owner: &str) -> Result<(), StoreError> {
        self.ask(self.0.backend.release(name, owner)).await
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
        self.ask(self.0.backend.turn(budget, interval, horizon)).await
    }

    /// Has the next turn of a budget wait for at least this long, for the whole fleet.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn pause(&self, budget: &str, pause: Duration) -> Result<(), StoreError> {
        self.ask(self.0.backend.pause(budget, pause)).await
    }

    /// Up to `limit` rows behind `after`, in the order of their keys.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(&self, after: Option<&Key>, limit: u32) -> Result<Vec<Entry>, StoreError> {
        let rows = self.ask(self.0.backend.list(after, limit)).await?;
        let open = |(key, row): (Key, SealedRow)| {
            let opened = match self.unseal(&key, &row) {
                Unsealed::Content(content) => Ok(Row { generation: row.generation, content }),
                Unsealed::UnknownKey => Err(StoreError::UnknownKey),
                Unsealed::Newer => Err(StoreError::newer()),
                Unsealed::Damaged(reason) => Err(StoreError::Unreadable(reason.to_owned())),
            };
            Entry { key, updated: Timestamp::from_unix_millis(unsigned(row.updated) / 1000), row: opened }
        };
        Ok(rows.into_iter().map(open).collect())
    }

    /// Deletes the rows of a subject, of a connection, or of both together, and what of theirs was set aside. Tells how
    /// many.
    ///
    /// # Errors
    /// [`StoreError`]. Some may be deleted then.
    pub async fn forget(&self, subject: Option<&str>, connection: Option<&str>) -> Result<u64, StoreError> {
        let mut count = 0;
        loop {
            match self.ask(self.0.backend.forget(subject, connection)).await? {
                0 => return Ok(count),
                some => count += some,
            }
        }
    }

    /// Seals every row with the first key of the ring. Tells how many were not. Safe beside replicas that serve.
    ///
    /// # Errors
    /// [`StoreError`]; also when there is a row that cannot be read: all others are sealed anew then, and the keys that
    /// were in use so far are needed still.
    pub async fn rekey(&self) -> Result<u64, StoreError> {
        let Some(ring) = &self.0.ring else { return Ok(0) };
        let (mut after, mut count, mut unread) = (None, 0, None);
        loop {
            let rows = self.ask(self.0.backend.list(after.as_ref(), PAGE)).await?;
            let Some((last, _)) = rows.last() else { break };
            after = Some(last.clone());
            for (key, row) in rows.iter().filter(|(_, row)| !ring.is_current(&row.sealed)) {
                match self.unseal(key, row) {
                    Unsealed::Content(content) => {
                        let sealed = ring.seal(key, row.generation, &content)?;
                        // Whoever wrote it meanwhile has sealed it with a key of theirs, the first of their ring.
                        count += u64::from(self.ask(self.0.backend.reseal(key, row, &sealed)).await?);
                    }
                    Unsealed::UnknownKey => unread = Some(StoreError::UnknownKey),
                    Unsealed::Newer => unread = Some(StoreError::newer()),
                    Unsealed::Damaged(reason) => self.put_aside(key, row, reason).await?,
                }
            }
        }
        if let Some(error) = unread {
            return Err(error);
        }
        // Last: from here on the other keys can go.
        let mark = ring.mark()?;
        self.ask(self.0.backend.replace_mark(&mark)).await?;
        Ok(count)
    }

    /// News of rows that were written, here or (with PostgreSQL) by other replicas. A hint: some may be lost.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Arc<Key>> {
        self.0.backend.changes()
    }

    /// Whether it answers.
    ///
    /// # Errors
    /// [`StoreError`] if it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.ask(self.0.backend.mark()).await.map(drop)
    }

    fn unseal(&self, key: &Key, row: &SealedRow) -> Unsealed {
        match &self.0.ring {
            Some(ring) => ring.open(key, row.generation, &row.sealed),
            None => Unsealed::Content(row.sealed.clone()),
        }
    }

    /// The row, or what is the matter with it.
    fn open_row(&self, key: &Key, row: &SealedRow) -> Result<Result<Row, &'static str>, StoreError> {
        match self.unseal(key, row) {
            Unsealed::Content(content) => Ok(Ok(Row { generation: row.generation, content })),
            Unsealed::UnknownKey => Err(self.counted(StoreError::UnknownKey)),
            Unsealed::Newer => Err(self.counted(StoreError::newer())),
            Unsealed::Damaged(reason) => Ok(Err(reason)),
        }
    }

    async fn put_aside(&self, key: &Key, row: &SealedRow, reason: &str) -> Result<(), StoreError> {
        tracing::warn!(connection = %key.connection, audience = %key.audience, reason, "a stored record was set aside");
        self.ask(self.0.backend.set_aside(key, row, reason)).await
    }

    /// Waits for an answer, and not for ever.
    async fn ask<T>(&self, mut answer: Answer<'_, T>) -> Result<T, StoreError> {
        for patience in [PATIENCE, LAST_LOOK] {
            if let Ok(answer) = tokio::time::timeout(patience, answer.as_mut()).await {
                return answer.map_err(|error| self.counted(error));
            }
        }
        Err(self.counted(StoreError::Unavailable(Outage::Silent)))
    }

    fn counted(&self, error: StoreError) -> StoreError {
        self.0.metrics.store_failure(error.class());
        error
    }

    /// The mark in the store was sealed by whoever used it first. Who cannot open it has the wrong keys.
    async fn try_keys(&self) -> Result<(), OpenError> {
        let Some(ring) = &self.0.ring else { return Ok(()) };
        let fresh = ring.mark()?;
        self.ask(self.0.backend.leave_mark(&fresh)).await?;
        let mark = self.ask(self.0.backend.mark()).await?;
        match mark.map(|mark| ring.open_mark(&mark)) {
            Some(Unsealed::Content(_)) => Ok(()),
            Some(Unsealed::Newer) => Err(StoreError::newer().into()),
            Some(Unsealed::UnknownKey | Unsealed::Damaged(_)) | None => Err(OpenError::WrongKeys),
        }
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Row").field("generation", &self.generation).finish_non_exhaustive()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_durable() { "durable" } else { "memory" };
        write!(formatter, "Store({kind})")
    }
}

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
            OpenError::BadKey
            | OpenError::WrongKeys
            | OpenError::UnknownParameter
            | OpenError::NotPrepared
            | OpenError::Missing(_) => io::ErrorKind::InvalidInput,
            OpenError::Newer { .. }
            | OpenError::InUse(_)
            | OpenError::File { .. }
            | OpenError::Unavailable(_)
            | OpenError::Store(_) => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

#[cfg(test)]
mod tests;
