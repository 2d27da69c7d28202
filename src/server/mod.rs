//! The process's doors: two listeners, connection limits, reload, drain. Stopping is a value one can see: the tests
//! stop a server exactly as a signal does.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::config::Config;
use crate::proxy::Proxy;
use crate::store::{Purpose, Store};
use crate::telemetry::log::Log;
use crate::telemetry::metrics::Metrics;

mod accept;
mod admin;
mod connection;
mod heads;
mod live;
mod watched;

use accept::Listener;
use live::Live;

/// What all connections are told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serve,
    /// Finish what runs, take nothing new.
    Drain,
    /// Stop where you are.
    End,
}

/// What a server is started with beside its configuration.
#[derive(Clone, Default)]
pub struct Surroundings {
    /// What time it is.
    pub clock: Clock,
    /// Where it counts.
    pub metrics: Metrics,
    /// Where it writes a line for every request, if it does.
    pub log: Option<Log>,
}

/// A running proxy with its admin listener.
pub struct Server {
    proxy: SocketAddr,
    admin: SocketAddr,
    live: Arc<Live>,
    phase: watch::Sender<Phase>,
    listener: Listener,
    drain: Duration,
}

/// What would answer the callers of this configuration, for whoever asks what it would do. It is not served.
///
/// # Errors
/// When what the configuration names (roots, keys) cannot be loaded.
pub(crate) fn unserved(config: Config, surroundings: Surroundings, store: Store) -> io::Result<Arc<Proxy>> {
    let address = config.server.listen;
    Ok(Live::new(config, surroundings, store, address)?.proxy())
}

impl Server {
    /// Binds both listeners and begins to serve. The tenant need not be up: readiness tells when it was.
    ///
    /// # Errors
    /// When an address cannot be bound, or what the configuration names (roots, keys) cannot be loaded.
    pub async fn start(config: Config, surroundings: Surroundings) -> io::Result<Self> {
        let bind = |address: SocketAddr| async move {
            let bound = TcpListener::bind(address).await;
            bound.map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))
        };
        let store = match &config.store {
            Some(settings) => Store::open(settings, Purpose::Serve, &surroundings.metrics).await?,
            None => Store::memory(&surroundings.clock, config.limits.tokens),
        };
        let proxy = bind(config.server.listen).await?;
        let admin = bind(config.server.admin_listen).await?;
        let (proxy_address, admin_address) = (proxy.local_addr()?, admin.local_addr()?);
        let (limits, drain) = (config.limits.clone(), config.limits.drain);
        let live = Arc::new(Live::new(config, surroundings.clone(), store, proxy_address)?);
        let (phase, phases) = watch::channel(Phase::Serve);
        let listener = accept::proxy(proxy, Arc::clone(&live), &limits, surroundings.clock, phases.clone());
        tokio::spawn(Live::watch_store(Arc::downgrade(&live)));
        admin::spawn(admin, Arc::clone(&live), surroundings.metrics, phases);
        Ok(Self { proxy: proxy_address, admin: admin_address, live, phase, listener, drain })
    }

    /// Where callers reach it.
    #[must_use]
    pub fn proxy(&self) -> SocketAddr {
        self.proxy
    }

    /// The same as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.live.url()
    }

    /// Where health, metrics and administration are.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Puts a new configuration in force for all requests from now on; those that run keep theirs.
    ///
    /// Gives the names of changed keys that need a restart and keep their old values until then.
    ///
    /// # Errors
    /// When what the configuration names cannot be loaded; nothing has changed then.
    pub async fn reload(&self, config: Config) -> io::Result<Vec<&'static str>> {
        self.live.reload(config).await
    }

    /// Stops accepting, lets what runs finish within `[limits] drain`, then ends what is left. Tells whether nothing
    /// had to be cut.
    pub async fn stop(self) -> bool {
        self.phase.send_replace(Phase::Drain);
        let finished = tokio::time::timeout(self.drain, self.listener.all_closed()).await.is_ok();
        // Renewals are not the callers' business, and not to be cut with them.
        self.live.settled().await;
        self.phase.send_replace(Phase::End);
        finished
    }
}
