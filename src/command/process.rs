//! What a serving process sets up once: limits, runtime, log, signals.

use std::io::{self, IsTerminal, Write};

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::config::{Env, LogFormat};
use crate::server::Server;
use crate::telemetry::log::Log;
use crate::telemetry::metrics::Metrics;

/// Keeps secrets out of core dumps and out of reach of a debugger, and allows as many descriptors as the system does.
pub(super) fn harden() {
    shield();
    // Not vital: a container may forbid it.
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// Keeps secrets out of core dumps and out of reach of a debugger.
pub(super) fn shield() {
    // Not vital either.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// A runtime with that many worker threads; 0 is one per core.
pub(super) fn runtime(workers: usize) -> io::Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if workers > 0 {
        builder.worker_threads(workers);
    }
    builder.enable_all().build()
}

/// Starts the log on stderr. `IDP_PROXY_LOG` sets the level of our own diagnostics (`debug`, `trace`); other crates
/// are never asked for more than warnings, because what they print at lower levels was not written with our secrets in
/// mind.
pub(super) fn log(format: LogFormat, env: &dyn Env, metrics: &Metrics) -> io::Result<Log> {
    let json = match format {
        LogFormat::Auto => !io::stderr().is_terminal(),
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let log = Log::start(json, io::stderr(), metrics.clone())?;
    let level = env.var("IDP_PROXY_LOG").filter(|level| level.parse::<tracing::Level>().is_ok());
    let filter = EnvFilter::new(format!("warn,idp_proxy={}", level.as_deref().unwrap_or("info")));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(log.clone()).with_ansi(false);
    // A second call in one process (a test) keeps the first subscriber.
    let _ = if json { subscriber.json().flatten_event(true).try_init() } else { subscriber.try_init() };
    Ok(log)
}

/// The signals that end a process.
pub(super) struct Ending {
    terminate: Signal,
    interrupt: Signal,
}

impl Ending {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for SIGTERM or SIGINT.
    pub(super) async fn signal(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Lets what runs finish, unless a second signal says otherwise.
pub(super) async fn drain(server: Server, ending: &mut Ending) {
    tracing::info!("draining");
    tokio::select! {
        finished = server.stop() => {
            if !finished {
                tracing::warn!("some requests did not finish within the drain and were cut off");
            }
        }
        () = ending.signal() => tracing::warn!("ended at once by a second signal"),
    }
}

/// The one line by which whoever started the process learns where it listens.
pub(super) fn announce(server: &Server) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "listening proxy={} admin=http://{}", server.url(), server.admin())?;
    out.flush()
}

/// A link into the console, for a person: a log keeps what it is told.
pub(super) fn invite(server: &Server) {
    if let Some(link) = server.console_link().filter(|_| io::stderr().is_terminal()) {
        let _ =
            writeln!(io::stderr(), "console {link}  (works once, for ten minutes; `idp-proxy console` makes another)");
    }
}
