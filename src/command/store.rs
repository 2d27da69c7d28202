//! `idp-proxy store`: looks after the token store, beside whoever serves from it. No token is ever printed.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use clap::builder::NonEmptyStringValueParser;
use serde_json::json;

use super::{Exit, complain, process};
use crate::clock::Timestamp;
use crate::config::{Config, Env};
use crate::store::{self, Entry, Purpose, Store};

/// Rows of one look at the store.
const PAGE: u32 = 500;

/// What can be done with the store.
#[derive(Subcommand)]
pub(super) enum Action {
    /// Make a key for `[store] keys`
    Keygen,
    /// List whose grants are kept
    List {
        /// The configuration
        #[arg(long, default_value = "proxy.toml")]
        config: PathBuf,
        /// A JSON list
        #[arg(long)]
        json: bool,
    },
    /// Forget grants; the tenant's copies begin new ones
    Forget {
        /// The configuration
        #[arg(long, default_value = "proxy.toml")]
        config: PathBuf,
        /// Of this user (the `sub` of their tokens)
        #[arg(long, required_unless_present = "connection", value_parser = NonEmptyStringValueParser::new())]
        subject: Option<String>,
        /// At this connection
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        connection: Option<String>,
    },
    /// Seal everything with the first of `[store] keys`, so that the others can go
    Rekey {
        /// The configuration
        #[arg(long, default_value = "proxy.toml")]
        config: PathBuf,
    },
}

/// Does it.
pub(super) fn run(action: Action, env: &dyn Env) -> Exit {
    let done = match action {
        Action::Keygen => store::fresh_key().map_err(io::Error::other).and_then(|key| say(&key)),
        Action::List { config, json } => with_store(&config, env, async |store| list(&store, json).await),
        Action::Forget { config, subject, connection } => with_store(&config, env, async |store| {
            let count = store.forget(subject.as_deref(), connection.as_deref()).await.map_err(io::Error::other)?;
            say(&format!("{count} forgotten"))
        }),
        Action::Rekey { config } => with_store(&config, env, async |store| {
            let count = store.rekey().await.map_err(io::Error::other)?;
            say(&format!("{count} sealed anew"))
        }),
    };
    match done {
        Ok(()) => Exit::Done,
        Err(error) => complain(&error),
    }
}

fn with_store(path: &Path, env: &dyn Env, work: impl AsyncFnOnce(Store) -> io::Result<()>) -> io::Result<()> {
    process::harden();
    let invalid = |error: &dyn std::fmt::Display| io::Error::new(io::ErrorKind::InvalidInput, error.to_string());
    let config = Config::load(path, env).map_err(|faults| invalid(&faults))?;
    let settings = config.store.ok_or_else(|| {
        invalid(&format_args!("{} has no [store] url, so there is nothing to look after", path.display()))
    })?;
    let runtime = process::runtime(1)?;
    let done = runtime.block_on(async { work(Store::open(&settings, Purpose::Tend).await?).await });
    runtime.shutdown_timeout(Duration::from_millis(100));
    done
}

async fn list(store: &Store, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let (mut all, mut last) = (Vec::new(), None);
    loop {
        let page = store.list(last.as_ref(), PAGE).await.map_err(io::Error::other)?;
        let Some(entry) = page.last() else { break };
        last = Some(entry.key.clone());
        for entry in page {
            if json {
                all.push(as_json(&entry));
            } else {
                writeln!(out, "{}", as_text(&entry))?;
            }
        }
    }
    if json { writeln!(out, "{}", serde_json::Value::Array(all)) } else { Ok(()) }
}

fn as_json(entry: &Entry) -> serde_json::Value {
    let key = &entry.key;
    json!({
        "tenant": &*key.tenant,
        "subject": &*key.subject,
        "connection": &*key.connection,
        "account": &*key.account,
        "generation": entry.generation,
        "updated": updated(entry),
        "readable": entry.is_readable,
    })
}

fn as_text(entry: &Entry) -> String {
    let Entry { key, generation, is_readable, .. } = entry;
    let note = if *is_readable { "" } else { "  not readable with the configured keys" };
    let (subject, connection, account) = (&key.subject, &key.connection, &key.account);
    format!("{subject}  {connection}  {account}  generation {generation}  {}{note}", updated(entry))
}

fn updated(entry: &Entry) -> String {
    Timestamp::from_unix_millis(u64::try_from(entry.updated / 1000).unwrap_or(0)).to_string()
}

fn say(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{text}")
}
