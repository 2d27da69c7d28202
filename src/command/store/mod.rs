//! `idp-proxy store`: looks after the token store, beside whoever serves from it. No token is ever printed.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use clap::builder::NonEmptyStringValueParser;

use super::{Exit, complain, process};
use crate::clock::Clock;
use crate::config::{Config, Env};
use crate::store::{self, Purpose, Store};
use crate::telemetry::metrics::Metrics;

mod list;

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
    /// Forget grants. What the tenant holds begins new ones; where refresh tokens are replaced that is spent, and users sign in again
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
        Action::List { config, json } => {
            with_store(&config, env, async |store| list::list(&store, json, Clock::system().now()).await)
        }
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
    let done = runtime.block_on(async { work(Store::open(&settings, Purpose::Tend, &Metrics::new()).await?).await });
    runtime.shutdown_timeout(Duration::from_millis(100));
    done
}

fn say(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{text}")
}
