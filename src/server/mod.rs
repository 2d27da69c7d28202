//! The process's doors: two listeners, connection limits, reload, drain. Stopping is a value one can see: the tests
//! stop a server exactly as a signal does.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::activity::Patience;
use crate::clock::Clock;
use crate::config::Config;
use crate::proxy::Proxy;
use crate::secret::Secret;
use crate::store::{Purpose, Store};
use crate::telemetry::feed::Feed;
use crate::telemetry::log::Log;
use crate::telemetry::metrics::Metrics;

mod accept;
mod admin;
mod connection;
mod heads;
mod linger;
mod live;
mod watched;

use accept::Listener;
use admin::Admin;
pub use admin::link;
use connection::Serving;
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
    /// Where it shows the last requests to who watches.
    pub feed: Feed,
    /// Whom the console may call as, by name, each with an access token. Only a simulated tenant's.
    pub users: Vec<(&'static str, Secret)>,
}

/// A running proxy with its admin listener.
pub struct Server {
    proxy: SocketAddr,
    admin: SocketAddr,
    pages: Arc<Admin>,
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
        let patience =
            Patience { head: limits.request_head_timeout, keep_alive: limits.keep_alive, idle: limits.idle_timeout };
        let live = Arc::new(Live::new(config, surroundings.clone(), store, proxy_address)?);
        let clock = surroundings.clock.clone();
        let serving = Arc::new(Serving::new(Arc::clone(&live), clock, patience, limits.request_head_bytes));
        let (phase, phases) = watch::channel(Phase::Serve);
        let listener = accept::proxy(proxy, Arc::clone(&serving), limits.connections, phases.clone());
        tokio::spawn(Live::watch_store(Arc::downgrade(&live)));
        let pages = Arc::new(Admin::new(serving, &surroundings, admin_address, phases));
        admin::spawn(admin, Arc::clone(&pages));
        Ok(Self { proxy: proxy_address, admin: admin_address, pages, live, phase, listener, drain })
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

    /// A link into the console, good for ten minutes and for one use. `None` where there is no way into the console, since
    /// the admin listener is not on loopback.
    #[must_use]
    pub fn console_link(&self) -> Option<String> {
        self.pages.link()
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
