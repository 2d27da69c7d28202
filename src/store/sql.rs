//! SQLite and PostgreSQL: one SQL for both, with the few words in which they differ. Times are the database's own, in
//! microseconds: replicas' clocks differ.

use std::sync::Arc;
use std::time::Duration;

use sqlx::any::AnyRow;
use sqlx::{AnyPool, Row as _};
use tokio::sync::broadcast;

use super::{HINTS, Key, OpenError, SealedRow, StoreError, from_micros, micros, signed, unsigned};

/// How long a statement, or the wait for a connection, may take. A database that hangs is one that is down.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// An open database.
pub(super) struct Sql {
    pool: AnyPool,
    dialect: Dialect,
    changes: broadcast::Sender<Arc<Key>>,
}

/// Where the two differ.
#[derive(Clone, Copy)]
pub(super) struct Dialect {
    /// The current time.
    pub(super) now: &'static str,
    /// The larger of two numbers.
    pub(super) larger: &'static str,
    /// The type of bytes.
    pub(super) bytes: &'static str,
    /// Keeps a second one from bringing up the tables at the same time; held to the end of the transaction.
    pub(super) exclude: Option<&'static str>,
    /// Tells other replicas of a change, given what it says and how many rows were changed.
    pub(super) notify: Option<&'static str>,
}

/// The row that a key names.
const HERE: &str = "tenant = $1 AND subject = $2 AND connection = $3 AND account = $4 AND audience = $5";

/// The tables, version by version: each entry brings them from the version before to its own. `{bytes}` is the type.
const VERSIONS: [&[&str]; 1] = [&[
    "CREATE TABLE grants (tenant TEXT NOT NULL, subject TEXT NOT NULL, connection TEXT NOT NULL, account TEXT NOT NULL, \
     audience TEXT NOT NULL, generation BIGINT NOT NULL, sealed {bytes} NOT NULL, updated BIGINT NOT NULL, \
     PRIMARY KEY (tenant, subject, connection, account, audience))",
    "CREATE TABLE set_aside (tenant TEXT NOT NULL, subject TEXT NOT NULL, connection TEXT NOT NULL, \
     account TEXT NOT NULL, audience TEXT NOT NULL, generation BIGINT NOT NULL, sealed {bytes} NOT NULL, \
     reason TEXT NOT NULL, at BIGINT NOT NULL)",
    "CREATE TABLE leases (name TEXT PRIMARY KEY, owner TEXT NOT NULL, until BIGINT NOT NULL)",
    "CREATE TABLE turns (name TEXT PRIMARY KEY, next BIGINT NOT NULL)",
    "CREATE TABLE marks (name TEXT PRIMARY KEY, sealed {bytes} NOT NULL)",
]];

impl Sql {
    /// Brings the tables up to date.
    pub(super) async fn open(pool: AnyPool, dialect: Dialect) -> Result<Self, OpenError> {
        let known = signed(VERSIONS.len() as u64);
        let mut transaction = pool.begin().await?;
        if let Some(exclude) = dialect.exclude {
            sqlx::raw_sql(exclude).execute(&mut *transaction).await?;
        }
        sqlx::raw_sql("CREATE TABLE IF NOT EXISTS versions (version BIGINT NOT NULL)")
            .execute(&mut *transaction)
            .await?;
        let latest = "SELECT COALESCE(MAX(version), 0) AS version FROM versions";
        let found: i64 = sqlx::query(latest).fetch_one(&mut *transaction).await?.try_get("version")?;
        if found > known {
            return Err(OpenError::Newer { found, known });
        }
        for (version, statements) in (1_i64..).zip(VERSIONS).filter(|(version, _)| *version > found) {
            for statement in statements {
                let statement = statement.replace("{bytes}", dialect.bytes);
                sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut *transaction).await?;
            }
            let note = "INSERT INTO versions (version) VALUES ($1)";
            sqlx::query(note).bind(version).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(Self { pool, dialect, changes: broadcast::channel(HINTS).0 })
    }

    pub(super) async fn read(&self, key: &Key) -> Result<Option<SealedRow>, StoreError> {
        let sql = format!("SELECT generation, sealed FROM grants WHERE {HERE}");
        let row = self.about(&sql, key).fetch_optional(&self.pool).await?;
        row.map(|row| sealed_row(&row)).transpose()
    }

    pub(super) async fn swap(&self, key: &Key, expected: u64, row: &SealedRow) -> Result<bool, StoreError> {
        let now = self.dialect.now;
        let sql = if expected == 0 {
            format!(
                "INSERT INTO grants (tenant, subject, connection, account, audience, generation, sealed, updated) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, {now}) ON CONFLICT DO NOTHING"
            )
        } else {
            format!("UPDATE grants SET generation = $6, sealed = $7, updated = {now} WHERE {HERE} AND generation = $8")
        };
        let mut query = self.about(&sql, key).bind(signed(row.generation)).bind(row.sealed.as_slice());
        if expected != 0 {
            query = query.bind(signed(expected));
        }
        let is_done = query.execute(&self.pool).await?.rows_affected() == 1;
        if is_done {
            self.tell(key).await;
        }
        Ok(is_done)
    }

    pub(super) async fn lease(&self, name: &str, owner: &str, life: Duration) -> Result<bool, StoreError> {
        let now = self.dialect.now;
        let sql = format!(
            "INSERT INTO leases (name, owner, until) VALUES ($1, $2, {now} + $3) ON CONFLICT (name) DO UPDATE \
             SET owner = excluded.owner, until = excluded.until \
             WHERE leases.until <= {now} OR leases.owner = excluded.owner"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(name).bind(owner).bind(micros(life));
        Ok(query.execute(&self.pool).await?.rows_affected() == 1)
    }

    pub(super) async fn release(&self, name: &str, owner: &str) -> Result<(), StoreError> {
        let sql = "DELETE FROM leases WHERE name = $1 AND owner = $2";
        sqlx::query(sql).bind(name).bind(owner).execute(&self.pool).await?;
        Ok(())
    }

    pub(super) async fn turn(
        &self,
        budget: &str,
        interval: Duration,
        horizon: Duration,
    ) -> Result<Option<Duration>, StoreError> {
        let Dialect { now, larger, .. } = self.dialect;
        let sql = format!(
            "INSERT INTO turns (name, next) VALUES ($1, {now} + $2) ON CONFLICT (name) DO UPDATE \
             SET next = {larger}(turns.next, {now}) + $2 WHERE turns.next - {now} <= $3 \
             RETURNING next - $2 - {now} AS pause"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(budget).bind(micros(interval)).bind(micros(horizon));
        // To the end: on SQLite the row comes before the commit does.
        let rows = query.fetch_all(&self.pool).await?;
        let pause: Option<i64> = rows.first().map(|row| row.try_get("pause")).transpose()?;
        Ok(pause.map(from_micros))
    }

    pub(super) async fn pause(&self, budget: &str, pause: Duration) -> Result<(), StoreError> {
        let Dialect { now, larger, .. } = self.dialect;
        let sql = format!(
            "INSERT INTO turns (name, next) VALUES ($1, {now} + $2) ON CONFLICT (name) DO UPDATE \
             SET next = {larger}(turns.next, excluded.next)"
        );
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(budget).bind(micros(pause)).execute(&self.pool).await?;
        Ok(())
    }

    pub(super) async fn list(&self, after: Option<&Key>, limit: u32) -> Result<Vec<(Key, SealedRow, i64)>, StoreError> {
        let columns = "tenant, subject, connection, account, audience";
        let place = after.map_or(String::new(), |_| format!("WHERE ({columns}) > ($1, $2, $3, $4, $5)"));
        let sql = format!(
            "SELECT {columns}, generation, sealed, updated FROM grants {place} ORDER BY {columns} LIMIT {limit}"
        );
        let rows = match after {
            Some(key) => self.about(&sql, key).fetch_all(&self.pool).await?,
            None => sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&self.pool).await?,
        };
        rows.iter().map(|row| Ok((key(row)?, sealed_row(row)?, row.try_get("updated")?))).collect()
    }

    pub(super) async fn forget(&self, subject: Option<&str>, connection: Option<&str>) -> Result<u64, StoreError> {
        let sql = "DELETE FROM grants WHERE ($1 = '' OR subject = $1) AND ($2 = '' OR connection = $2)";
        let query = sqlx::query(sql).bind(subject.unwrap_or_default()).bind(connection.unwrap_or_default());
        Ok(query.execute(&self.pool).await?.rows_affected())
    }

    /// Moves a damaged row out of the way, unless it has been written meanwhile.
    pub(super) async fn set_aside(&self, key: &Key, row: &SealedRow, reason: &str) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        let sql = format!("DELETE FROM grants WHERE {HERE} AND generation = $6 AND sealed = $7");
        let query = self.about(&sql, key).bind(signed(row.generation)).bind(row.sealed.as_slice());
        if query.execute(&mut *transaction).await?.rows_affected() == 1 {
            let now = self.dialect.now;
            let sql = format!("INSERT INTO set_aside VALUES ($1, $2, $3, $4, $5, $6, $7, $8, {now})");
            let query = self.about(&sql, key).bind(signed(row.generation)).bind(row.sealed.as_slice()).bind(reason);
            query.execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    pub(super) async fn reseal(&self, key: &Key, row: &SealedRow, sealed: &[u8]) -> Result<bool, StoreError> {
        let sql = format!("UPDATE grants SET sealed = $6 WHERE {HERE} AND generation = $7 AND sealed = $8");
        let query = self.about(&sql, key).bind(sealed).bind(signed(row.generation)).bind(row.sealed.as_slice());
        Ok(query.execute(&self.pool).await?.rows_affected() == 1)
    }

    pub(super) async fn mark(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let row = sqlx::query("SELECT sealed FROM marks WHERE name = 'keys'").fetch_optional(&self.pool).await?;
        Ok(row.map(|row| row.try_get("sealed")).transpose()?)
    }

    /// Leaves a mark, if there is none.
    pub(super) async fn leave_mark(&self, mark: &[u8]) -> Result<(), StoreError> {
        let sql = "INSERT INTO marks (name, sealed) VALUES ('keys', $1) ON CONFLICT DO NOTHING";
        sqlx::query(sql).bind(mark).execute(&self.pool).await?;
        Ok(())
    }

    /// Puts a new mark in the place of the old one.
    pub(super) async fn replace_mark(&self, mark: &[u8]) -> Result<(), StoreError> {
        sqlx::query("UPDATE marks SET sealed = $1 WHERE name = 'keys'").bind(mark).execute(&self.pool).await?;
        Ok(())
    }

    pub(super) fn changes(&self) -> broadcast::Receiver<Arc<Key>> {
        self.changes.subscribe()
    }

    /// Where news from elsewhere come in.
    pub(super) fn news(&self) -> broadcast::Sender<Arc<Key>> {
        self.changes.clone()
    }

    /// A hint, and a failed one is no failure.
    async fn tell(&self, key: &Key) {
        match self.dialect.notify {
            None => drop(self.changes.send(Arc::new(key.clone()))),
            Some(notify) => drop(sqlx::query(notify).bind(key.to_string()).execute(&self.pool).await),
        }
    }

    /// A statement whose first five values are the key's.
    fn about<'query>(
        &self,
        sql: &str,
        key: &'query Key,
    ) -> sqlx::query::Query<'query, sqlx::Any, sqlx::any::AnyArguments> {
        let query = sqlx::query(sqlx::AssertSqlSafe(sql.to_owned()));
        key.parts().into_iter().fold(query, |query, part| query.bind(part))
    }
}

fn sealed_row(row: &AnyRow) -> Result<SealedRow, StoreError> {
    Ok(SealedRow { generation: unsigned(row.try_get("generation")?), sealed: row.try_get("sealed")? })
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
