//! `idp-proxy serve`: the proxy, until a signal ends it. SIGHUP and changed files put a new configuration in force.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::process::{self, Ending};
use super::watched::Watched;
use super::{Exit, complain, tell};
use crate::clock::Clock;
use crate::config::{Config, Env, Faults};
use crate::server::{Server, Surroundings};
use crate::telemetry::metrics::Metrics;

/// How often the configuration's files are looked at. Looking at their metadata finds every way in which a file is
/// replaced (an editor's rename, a Kubernetes mount's swapped link), which file events do not on all file systems.
const LOOK: Duration = Duration::from_secs(1);

/// Runs the proxy.
pub(super) fn run(path: &Path, env: &dyn Env) -> Exit {
    process::harden();
    let mut files = Watched::default();
    let config = match load(path, env, &mut files) {
        Ok(config) => config,
        Err(faults) => return tell(&faults, env),
    };
    let metrics = Metrics::new();
    let started = process::log(config.telemetry.log_format, env, &metrics)
        .and_then(|log| process::runtime(config.server.workers).map(|runtime| (log, runtime)));
    let (log, runtime) = match started {
        Ok(started) => started,
        Err(error) => return complain(&error),
    };
    let surroundings =
        Surroundings { clock: Clock::system(), metrics, log: Some(log.clone()), ..Surroundings::default() };
    let served = runtime.block_on(serve(path, config, env, surroundings, files));
    // What is still running was told to end; its threads must not hold the process up.
    runtime.shutdown_timeout(Duration::from_millis(100));
    log.flush();
    match served {
        Ok(()) => Exit::Done,
        Err(error) => complain(&error),
    }
}

async fn serve(
    path: &Path,
    config: Config,
    env: &dyn Env,
    surroundings: Surroundings,
    mut files: Watched,
) -> io::Result<()> {
    let metrics = surroundings.metrics.clone();
    let mut ending = Ending::listen()?;
    let mut hangup = signal(SignalKind::hangup())?;
    let server = Server::start(config, surroundings).await?;
    process::announce(&server)?;
    process::invite(&server);
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            () = ending.signal() => break,
            _ = hangup.recv() => {}
            _ = look.tick() => if !files.have_changed() { continue },
        }
        tokio::select! {
            () = ending.signal() => break,
            () = reload(path, env, &server, &mut files, &metrics) => {}
        }
    }
    process::drain(server, &mut ending).await;
    Ok(())
}

/// A faulty configuration changes nothing.
async fn reload(path: &Path, env: &dyn Env, server: &Server, files: &mut Watched, metrics: &Metrics) {
    // Those of the configuration in force stay watched until there is another.
    let mut reread = files.clone();
    let loaded = load(path, env, &mut reread);
    files.add(&reread);
    let config = match loaded {
        Ok(config) => config,
        Err(faults) => {
            metrics.config_reload("faulty");
            tracing::error!(faults = %faults, "the configuration has faults; the old one stays in force");
            return;
        }
    };
    match server.reload(config).await {
        Ok(needs_restart) => {
            *files = reread;
            metrics.config_reload("ok");
            tracing::info!(needs_restart = %needs_restart.join(", "), "configuration reloaded");
        }
        Err(error) => {
            metrics.config_reload("failed");
            tracing::error!(cause = %crate::telemetry::chain(&error), "not reloaded; the old configuration stays in force");
        }
    }
}

/// Loads the configuration and has exactly the files watched that it names.
fn load(path: &Path, env: &dyn Env, files: &mut Watched) -> Result<Config, Faults> {
    files.around(path, || {
        let loaded = Config::load(path, env);
        let named = match &loaded {
            Ok(config) => config.files.clone(),
            Err(faults) => faults.files().to_vec(),
        };
        (loaded, named)
    })
}
