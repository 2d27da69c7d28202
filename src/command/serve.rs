//! `idp-proxy serve`: the proxy, until a signal ends it. SIGHUP and changed files put a new configuration in force.

use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::process::{self, Ending};
use super::{Exit, complain};
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
    let config = match Config::load(path, env) {
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
    let surroundings = Surroundings { clock: Clock::system(), metrics: metrics.clone(), log: Some(log.clone()) };
    let served = runtime.block_on(serve(path, config, env, surroundings, &metrics));
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
    metrics: &Metrics,
) -> io::Result<()> {
    let mut ending = Ending::listen()?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut files = Files::new(&config);
    let server = Server::start(config, surroundings).await?;
    process::announce(&server)?;
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            () = ending.signal() => break,
            _ = hangup.recv() => {}
            _ = look.tick() => if !files.have_changed() { continue },
        }
        tokio::select! {
            () = ending.signal() => break,
            () = reload(path, env, &server, &mut files, metrics) => {}
        }
    }
    process::drain(server, &mut ending).await;
    Ok(())
}

/// A faulty configuration changes nothing.
async fn reload(path: &Path, env: &dyn Env, server: &Server, files: &mut Files, metrics: &Metrics) {
    let config = match Config::load(path, env) {
        Ok(config) => config,
        Err(faults) => {
            metrics.config_reload("faulty");
            tracing::error!(faults = %faults, "the configuration has faults; the old one stays in force");
            return;
        }
    };
    let reread = Files::new(&config);
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

fn tell(faults: &Faults, env: &dyn Env) -> Exit {
    let color = io::stderr().is_terminal() && env.allows_color();
    let _ = write!(io::stderr(), "{}", faults.render(color));
    Exit::Misused
}

/// The files a configuration was read from, as they were.
struct Files {
    seen: Vec<(PathBuf, Option<Stamp>)>,
    /// What a change looked like at the last look. A change counts when it looks the same twice: a file that is being
    /// written is not read half done.
    changing: Option<Vec<Option<Stamp>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Files {
    fn new(config: &Config) -> Self {
        let seen = config.files.iter().map(|path| (path.clone(), stamp(path))).collect();
        Self { seen, changing: None }
    }

    fn have_changed(&mut self) -> bool {
        let now: Vec<_> = self.seen.iter().map(|(path, _)| stamp(path)).collect();
        if now.iter().eq(self.seen.iter().map(|(_, stamp)| stamp)) {
            self.changing = None;
            return false;
        }
        if self.changing.as_ref() != Some(&now) {
            self.changing = Some(now);
            return false;
        }
        // Whether it can be read or not, this change has been looked at.
        for ((_, seen), now) in self.seen.iter_mut().zip(now) {
            *seen = now;
        }
        self.changing = None;
        true
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    let modified = (metadata.mtime(), metadata.mtime_nsec());
    Some(Stamp { inode: metadata.ino(), size: metadata.size(), modified })
}
