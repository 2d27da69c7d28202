//! The tables of SQLite and PostgreSQL, and how older ones become those of this version.

use sqlx::{AnyConnection, AnyPool, Row as _};

use super::{OpenError, Purpose, signed};

/// Where the two differ.
#[derive(Clone, Copy)]
pub(super) struct Dialect {
    /// The current time.
    pub(super) now: &'static str,
    /// The larger of two numbers.
    pub(super) larger: &'static str,
    /// The type of text that is compared byte by byte, as keys are here, whatever language the database speaks.
    pub(super) text: &'static str,
    /// The type of bytes.
    pub(super) bytes: &'static str,
    /// Finds the table `versions`, if it is there.
    pub(super) is_there: &'static str,
    /// Keeps a second one from bringing up the tables at the same time; held to the end of the transaction.
    pub(super) exclude: Option<&'static str>,
    /// Tells other replicas of a change, given what it says and how many rows were changed.
    pub(super) notify: Option<&'static str>,
}

/// The tables, version by version: each entry brings them from the version before to its own. `{text}` and `{bytes}` are
/// the types.
const VERSIONS: [&[&str]; 1] = [&[
    "CREATE TABLE grants (tenant {text} NOT NULL, subject {text} NOT NULL, connection {text} NOT NULL, \
     account {text} NOT NULL, audience {text} NOT NULL, generation BIGINT NOT NULL, sealed {bytes} NOT NULL, \
     updated BIGINT NOT NULL, PRIMARY KEY (tenant, subject, connection, account, audience))",
    "CREATE TABLE set_aside (tenant {text} NOT NULL, subject {text} NOT NULL, connection {text} NOT NULL, \
     account {text} NOT NULL, audience {text} NOT NULL, generation BIGINT NOT NULL, sealed {bytes} NOT NULL, \
     reason {text} NOT NULL, at BIGINT NOT NULL)",
    "CREATE TABLE leases (name {text} PRIMARY KEY, owner {text} NOT NULL, until BIGINT NOT NULL)",
    "CREATE INDEX leases_until ON leases (until)",
    "CREATE TABLE turns (name {text} PRIMARY KEY, next BIGINT NOT NULL)",
    "CREATE TABLE marks (name {text} PRIMARY KEY, sealed {bytes} NOT NULL)",
]];

/// Makes sure that the tables are those of this version. Whoever serves brings them up to date; whoever looks after them
/// changes nothing, since an older version may be serving from them.
pub(super) async fn prepare(pool: &AnyPool, dialect: Dialect, purpose: Purpose) -> Result<(), OpenError> {
    let known = signed(VERSIONS.len() as u64);
    let mut transaction = pool.begin().await?;
    if let Some(exclude) = dialect.exclude {
        sqlx::raw_sql(exclude).execute(&mut *transaction).await?;
    }
    let found = version(&mut transaction, dialect).await?;
    if found > known {
        return Err(OpenError::Newer { found, known });
    }
    if found < known && purpose == Purpose::Tend {
        return Err(OpenError::NotPrepared);
    }
    if found == 0 {
        sqlx::raw_sql("CREATE TABLE versions (version BIGINT NOT NULL)").execute(&mut *transaction).await?;
    }
    for (version, statements) in (1_i64..).zip(VERSIONS).filter(|(version, _)| *version > found) {
        for statement in statements {
            let statement = statement.replace("{text}", dialect.text).replace("{bytes}", dialect.bytes);
            sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut *transaction).await?;
        }
        let note = "INSERT INTO versions (version) VALUES ($1)";
        sqlx::query(note).bind(version).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// The version of the tables that there are, 0 for none.
async fn version(connection: &mut AnyConnection, dialect: Dialect) -> Result<i64, OpenError> {
    if sqlx::query(dialect.is_there).fetch_all(&mut *connection).await?.is_empty() {
        return Ok(0);
    }
    let latest = "SELECT COALESCE(MAX(version), 0) AS version FROM versions";
    Ok(sqlx::query(latest).fetch_one(&mut *connection).await?.try_get("version")?)
}
