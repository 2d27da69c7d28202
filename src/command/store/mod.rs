//! `idp-proxy store`: looks after the token store, beside whoever serves from it. No token is ever printed.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgGroup, Subcommand};

use super::{Exit, complain, process, tell};
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
    // One of the two at least: nobody forgets everything by mistake.
    #[command(group(ArgGroup::new("whose").args(["subject", "connection"]).required(true).multiple(true)))]
    /// Forget grants. What the tenant holds begins new ones; where refresh tokens are replaced that is spent, and users sign in again
    Forget {
        /// The configuration
        #[arg(long, default_value = "proxy.toml")]
        config: PathBuf,
        /// Of this user (the `sub` of their tokens)
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
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
    match action {
        Action::Keygen => ended(store::fresh_key().map_err(io::Error::other).and_then(|key| say(&key))),
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
    }
}

fn ended(done: io::Result<()>) -> Exit {
    match done {
        Ok(()) => Exit::Done,
        Err(error) => complain(&error),
    }
}

fn with_store(path: &Path, env: &dyn Env, work: impl AsyncFnOnce(Store) -> io::Result<()>) -> Exit {
    process::harden();
    match Config::load(path, env) {
        Ok(config) => ended(with_store_of(&config, path, work)),
        Err(faults) => tell(&faults, env),
    }
}

fn with_store_of(config: &Config, path: &Path, work: impl AsyncFnOnce(Store) -> io::Result<()>) -> io::Result<()> {
    let settings = config.store.as_ref().ok_or_else(|| {
        let why = format!("{} has no [store] url, so there is nothing to look after", path.display());
        io::Error::new(io::ErrorKind::InvalidInput, why)
    })?;
    let runtime = process::runtime(1)?;
    let done = runtime.block_on(async { work(Store::open(settings, Purpose::Tend, &Metrics::new()).await?).await });
    runtime.shutdown_timeout(Duration::from_millis(100));
    done
}

fn say(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{text}")
}
