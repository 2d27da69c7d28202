//! The tables of SQLite and PostgreSQL, and how older ones become those of this version.

use sqlx::{AnyPool, Row as _};

use super::{OpenError, signed};

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

/// Brings the tables up to date.
pub(super) async fn update(pool: &AnyPool, dialect: Dialect) -> Result<(), OpenError> {
    let known = signed(VERSIONS.len() as u64);
    let mut transaction = pool.begin().await?;
    if let Some(exclude) = dialect.exclude {
        sqlx::raw_sql(exclude).execute(&mut *transaction).await?;
    }
    sqlx::raw_sql("CREATE TABLE IF NOT EXISTS versions (version BIGINT NOT NULL)").execute(&mut *transaction).await?;
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
    Ok(())
}
