//! SQLite and PostgreSQL: one SQL for both, with the few words in which they differ. Times are the database's own, in
//! microseconds: replicas' clocks differ.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::any::AnyRow;
use sqlx::{AnyPool, Row as _};
use tokio::sync::broadcast;
use tokio::task::AbortHandle;

use super::backend::{Answer, Backend, SealedRow};
use super::schema::{self, Dialect};
use super::{HINTS, Key, OpenError, Purpose, StoreError, from_micros, micros, signed, unsigned};

/// An open database.
pub(super) struct Sql {
    pool: AnyPool,
    dialect: Dialect,
    changes: broadcast::Sender<Arc<Key>>,
    /// How many leases were asked for.
    leased: AtomicU64,
    _guard: Option<Guard>,
}

/// What a database holds on to for as long as it is open.
pub(super) enum Guard {
    /// The lock on an SQLite file: let go with the file.
    Lock(#[expect(dead_code, reason = "held, not looked at")] File),
    /// Who hears of other replicas' changes.
    Listener(AbortHandle),
}

impl Drop for Guard {
    fn drop(&mut self) {
        match self {
            Self::Lock(_) => {}
            Self::Listener(listener) => listener.abort(),
        }
    }
}

/// Of so many who take a lease, one sweeps.
const SWEEP_EVERY: u64 = 64;
/// Rows that one statement deletes.
const FORGOTTEN_AT_ONCE: u32 = 500;
/// The columns of a key, in the order of its parts.
const KEY: &str = "tenant, subject, connection, account, audience";
/// The row that a key names.
const HERE: &str = "tenant = $1 AND subject = $2 AND connection = $3 AND account = $4 AND audience = $5";

impl Sql {
    /// The database behind `pool`, once its tables are those of this version.
    pub(super) async fn open(pool: AnyPool, dialect: Dialect, purpose: Purpose) -> Result<Self, OpenError> {
        schema::prepare(&pool, dialect, purpose).await?;
        Ok(Self { pool, dialect, changes: broadcast::channel(HINTS).0, leased: AtomicU64::new(0), _guard: None })
    }

    /// Holds on to `guard` from here on.
    pub(super) fn with(self, guard: Guard) -> Self {
        Self { _guard: Some(guard), ..self }
    }

    /// Where news from elsewhere come in.
    pub(super) fn news(&self) -> broadcast::Sender<Arc<Key>> {
        self.changes.clone()
    }

    /// Deletes the leases that have run out: their owners are no more. Nobody waits for it, and the next may do it as well.
    fn sweep(&self) {
        let (pool, now) = (self.pool.clone(), self.dialect.now);
        tokio::spawn(async move {
            let sql = format!("DELETE FROM leases WHERE until <= {now}");
            if let Err(error) = sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&pool).await {
                tracing::debug!(cause = %error, "leases that ran out were not swept");
            }
        });
    }

    /// A hint: nobody waits for it, and a failed one is no failure.
    fn tell(&self, key: &Key) {
        match self.dialect.notify {
            None => drop(self.changes.send(Arc::new(key.clone()))),
            Some(notify) => {
                let (pool, key) = (self.pool.clone(), key.to_string());
                tokio::spawn(async move { drop(sqlx::query(notify).bind(key).execute(&pool).await) });
            }
        }
    }
}

impl Backend for Sql {
    fn read<'call>(&'call self, key: &'call Key) -> Answer<'call, Option<SealedRow>> {
        Box::pin(async move {
            let sql = format!("SELECT generation, sealed, updated FROM grants WHERE {HERE}");
            let row = about(&sql, key).fetch_optional(&self.pool).await?;
            row.map(|row| sealed_row(&row)).transpose()
        })
    }

    fn swap<'call>(
        &'call self,
        key: &'call Key,
        expected: u64,
        generation: u64,
        sealed: &'call [u8],
    ) -> Answer<'call, bool> {
        Box::pin(async move {
            let now = self.dialect.now;
            let sql = if expected == 0 {
                format!(
                    "INSERT INTO grants (tenant, subject, connection, account, audience, generation, sealed, updated) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, {now}) ON CONFLICT DO NOTHING"
                )
            } else {
                format!(
                    "UPDATE grants SET generation = $6, sealed = $7, updated = {now} WHERE {HERE} AND generation = $8"
                )
            };
            let mut query = about(&sql, key).bind(signed(generation)).bind(sealed);
            if expected != 0 {
                query = query.bind(signed(expected));
            }
            let is_done = query.execute(&self.pool).await?.rows_affected() == 1;
            if is_done {
                self.tell(key);
            }
            Ok(is_done)
        })
    }

    fn lease<'call>(&'call self, name: &'call str, owner: &'call str, life: Duration) -> Answer<'call, bool> {
        Box::pin(async move {
            let now = self.dialect.now;
            let sql = format!(
                "INSERT INTO leases (name, owner, until) VALUES ($1, $2, {now} + $3) ON CONFLICT (name) DO UPDATE \
                 SET owner = excluded.owner, until = excluded.until \
                 WHERE leases.until <= {now} OR leases.owner = excluded.owner"
            );
            let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(name).bind(owner).bind(micros(life));
            let is_ours = query.execute(&self.pool).await?.rows_affected() == 1;
            if self.leased.fetch_add(1, Ordering::Relaxed).is_multiple_of(SWEEP_EVERY) {
                self.sweep();
            }
            Ok(is_ours)
        })
    }

    fn release<'call>(&'call self, name: &'call str, owner: &'call str) -> Answer<'call, ()> {
        Box::pin(async move {
            let sql = "DELETE FROM leases WHERE name = $1 AND owner = $2";
            sqlx::query(sql).bind(name).bind(owner).execute(&self.pool).await?;
            Ok(())
        })
    }

    fn turn<'call>(
        &'call self,
        budget: &'call str,
        interval: Duration,
        horizon: Duration,
    ) -> Answer<'call, Option<Duration>> {
        Box::pin(async move {
            let Dialect { now, larger, .. } = self.dialect;
            let sql = format!(
                "INSERT INTO turns (name, next) VALUES ($1, {now} + $2) ON CONFLICT (name) DO UPDATE \
                 SET next = {larger}(turns.next, {now}) + $2 WHERE turns.next - {now} <= $3 \
                 RETURNING next - $2 - {now} AS pause"
            );
            let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(budget).bind(micros(interval)).bind(micros(horizon));
            // Never `fetch_one` or `fetch_optional` where something is RETURNED: SQLite hands the row out before it
            // commits, and who stops reading there has not written. This reads to the end.
            let rows = query.fetch_all(&self.pool).await?;
            let pause: Option<i64> = rows.first().map(|row| row.try_get("pause")).transpose()?;
            Ok(pause.map(from_micros))
        })
    }

    fn pause<'call>(&'call self, budget: &'call str, pause: Duration) -> Answer<'call, ()> {
        Box::pin(async move {
            let Dialect { now, larger, .. } = self.dialect;
            let sql = format!(
                "INSERT INTO turns (name, next) VALUES ($1, {now} + $2) ON CONFLICT (name) DO UPDATE \
                 SET next = {larger}(turns.next, excluded.next)"
            );
            sqlx::query(sqlx::AssertSqlSafe(sql)).bind(budget).bind(micros(pause)).execute(&self.pool).await?;
            Ok(())
        })
    }

    fn list<'call>(&'call self, after: Option<&'call Key>, limit: u32) -> Answer<'call, Vec<(Key, SealedRow)>> {
        Box::pin(async move {
            let place = after.map_or(String::new(), |_| format!("WHERE ({KEY}) > ($1, $2, $3, $4, $5)"));
            let sql =
                format!("SELECT {KEY}, generation, sealed, updated FROM grants {place} ORDER BY {KEY} LIMIT {limit}");
            let rows = match after {
                Some(key) => about(&sql, key).fetch_all(&self.pool).await?,
                None => sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&self.pool).await?,
            };
            rows.iter().map(|row| Ok((key(row)?, sealed_row(row)?))).collect()
        })
    }

    fn forget<'call>(&'call self, subject: Option<&'call str>, connection: Option<&'call str>) -> Answer<'call, u64> {
        Box::pin(async move {
            let is_meant = "($1 = '' OR subject = $1) AND ($2 = '' OR connection = $2)";
            // Not all at once: what is everybody's would take longer than a statement may.
            let some = format!(
                "DELETE FROM grants WHERE ({KEY}) IN (SELECT {KEY} FROM grants WHERE {is_meant} LIMIT {FORGOTTEN_AT_ONCE})"
            );
            let aside = format!("DELETE FROM set_aside WHERE {is_meant}");
            let mut count = 0;
            for sql in [some, aside] {
                let query = sqlx::query(sqlx::AssertSqlSafe(sql));
                let query = query.bind(subject.unwrap_or_default()).bind(connection.unwrap_or_default());
                count += query.execute(&self.pool).await?.rows_affected();
            }
            Ok(count)
        })
    }

    fn set_aside<'call>(&'call self, key: &'call Key, row: &'call SealedRow, reason: &'call str) -> Answer<'call, ()> {
        Box::pin(async move {
            let mut transaction = self.pool.begin().await?;
            let sql = format!("DELETE FROM grants WHERE {HERE} AND generation = $6 AND sealed = $7");
            let query = about(&sql, key).bind(signed(row.generation)).bind(row.sealed.as_slice());
            if query.execute(&mut *transaction).await?.rows_affected() == 1 {
                let now = self.dialect.now;
                let sql = format!("INSERT INTO set_aside VALUES ($1, $2, $3, $4, $5, $6, $7, $8, {now})");
                let query = about(&sql, key).bind(signed(row.generation)).bind(row.sealed.as_slice()).bind(reason);
                query.execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
            Ok(())
        })
    }

    fn reseal<'call>(&'call self, key: &'call Key, row: &'call SealedRow, sealed: &'call [u8]) -> Answer<'call, bool> {
        Box::pin(async move {
            let sql = format!("UPDATE grants SET sealed = $6 WHERE {HERE} AND generation = $7 AND sealed = $8");
            let query = about(&sql, key).bind(sealed).bind(signed(row.generation)).bind(row.sealed.as_slice());
            Ok(query.execute(&self.pool).await?.rows_affected() == 1)
        })
    }

    fn mark(&self) -> Answer<'_, Option<Vec<u8>>> {
        Box::pin(async move {
            let row = sqlx::query("SELECT sealed FROM marks WHERE name = 'keys'").fetch_optional(&self.pool).await?;
            Ok(row.map(|row| row.try_get("sealed")).transpose()?)
        })
    }

    fn leave_mark<'call>(&'call self, mark: &'call [u8]) -> Answer<'call, ()> {
        Box::pin(async move {
            let sql = "INSERT INTO marks (name, sealed) VALUES ('keys', $1) ON CONFLICT DO NOTHING";
            sqlx::query(sql).bind(mark).execute(&self.pool).await?;
            Ok(())
        })
    }

    fn replace_mark<'call>(&'call self, mark: &'call [u8]) -> Answer<'call, ()> {
        Box::pin(async move {
            sqlx::query("UPDATE marks SET sealed = $1 WHERE name = 'keys'").bind(mark).execute(&self.pool).await?;
            Ok(())
        })
    }

    fn changes(&self) -> broadcast::Receiver<Arc<Key>> {
        self.changes.subscribe()
    }
}

/// A statement whose first five values are the key's.
fn about<'query>(sql: &str, key: &'query Key) -> sqlx::query::Query<'query, sqlx::Any, sqlx::any::AnyArguments> {
    let query = sqlx::query(sqlx::AssertSqlSafe(sql.to_owned()));
    key.parts().into_iter().fold(query, |query, part| query.bind(part))
}

fn sealed_row(row: &AnyRow) -> Result<SealedRow, StoreError> {
    Ok(SealedRow {
        generation: unsigned(row.try_get("generation")?),
        sealed: row.try_get("sealed")?,
        updated: row.try_get("updated")?,
    })
}

fn key(row: &AnyRow) -> Result<Key, StoreError> {
    let part = |name: &str| Ok::<_, sqlx::Error>(Arc::from(row.try_get::<String, _>(name)?));
    Ok(Key {
        tenant: part("tenant")?,
        subject: part("subject")?,
        connection: part("connection")?,
        account: part("account")?,
        audience: part("audience")?,
    })
}
