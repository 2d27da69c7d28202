//! The configuration in force, and what of the last one lives on when it is replaced.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use hyper::http::Uri;
use tokio::task::AbortHandle;
use tokio_rustls::rustls::ServerConfig;

use super::Surroundings;
use crate::answer::WayBack;
use crate::auth0::Tenant;
use crate::caller::Verifier;
use crate::config::{Config, Provider, Renewal, Revocation};
use crate::cors::Cors;
use crate::headers::Rules;
use crate::problem::Pages;
use crate::provider::Providers;
use crate::proxy::Proxy;
use crate::store::Store;
use crate::telemetry;
use crate::telemetry::access::Book;
use crate::telemetry::request_id::{RequestIds, random_digits};
use crate::tls;
use crate::token::Tokens;
use crate::upstream::Upstream;

/// Between two looks at the store.
const STORE_LOOK: Duration = Duration::from_secs(1);

/// The proxy in force.
pub(super) struct Live {
    proxy: ArcSwap<Proxy>,
    /// What handshakes are made with; without it, there is no TLS.
    tls: ArcSwapOption<ServerConfig>,
    kept: Mutex<Kept>,
    surroundings: Surroundings,
    store: Store,
    store_answers: AtomicBool,
    address: SocketAddr,
    pseudonym: String,
    request_ids: Arc<RequestIds>,
}

/// What a reload may keep, with the configuration it was made for.
struct Kept {
    config: Config,
    tenant: Arc<Tenant>,
    verifier: Arc<Verifier>,
    tokens: Arc<Tokens>,
    upstream: Arc<Upstream>,
    _key_keeper: KeyKeeper,
}

/// The task that keeps the keys fresh, for as long as this lives.
struct KeyKeeper(AbortHandle);

impl Drop for KeyKeeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Live {
    pub(super) fn new(
        config: Config,
        surroundings: Surroundings,
        store: Store,
        address: SocketAddr,
    ) -> io::Result<Self> {
        let random = random_digits().ok_or_else(|| io::Error::other("no randomness"))?;
        let random = String::from_utf8_lossy(&random);
        let pseudonym = config.server.name.clone().unwrap_or_else(|| format!("idp-proxy-{random}"));
        let request_ids = Arc::new(RequestIds::new());
        let tls = tls(&config)?;
        let kept = Kept::new(config, &surroundings, &store)?;
        let proxy = assemble(&kept, &surroundings, address, &pseudonym, &request_ids)?;
        Ok(Self {
            proxy: ArcSwap::from_pointee(proxy),
            tls: ArcSwapOption::new(tls),
            kept: Mutex::new(kept),
            surroundings,
            store,
            store_answers: AtomicBool::new(true),
            address,
            pseudonym,
            request_ids,
        })
    }

    /// The proxy to answer a request with.
    pub(super) fn proxy(&self) -> Arc<Proxy> {
        self.proxy.load_full()
    }

    /// What a new connection's handshake is made with, if it has one.
    pub(super) fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.tls.load_full()
    }

    /// Looks at the configuration in force.
    pub(super) fn read<T>(&self, look: impl FnOnce(&Config) -> T) -> T {
        look(&self.kept.lock().unwrap_or_else(PoisonError::into_inner).config)
    }

    /// Where the proxy listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as a URL.
    pub(super) fn url(&self) -> String {
        url(self.tls.load().is_some(), self.address)
    }

    /// What keeps callers from being served, if anything does.
    pub(super) fn lacks(&self) -> Option<&'static str> {
        if !self.has_keys() {
            return Some("no signing keys of the tenant");
        }
        (!self.store_answers.load(Ordering::Relaxed)).then_some("no answer from the store")
    }

    /// Whether callers can be verified.
    fn has_keys(&self) -> bool {
        self.proxy.load().verifier.has_keys()
    }

    /// Waits until no renewal is under way: one that is cut off may lose a refresh token.
    pub(super) async fn settled(&self) {
        let proxy = self.proxy();
        proxy.tokens.settled().await;
    }

    /// Looks whether the store answers, again and again, for as long as the server lives.
    pub(super) async fn watch_store(live: Weak<Self>) {
        while let Some(live) = live.upgrade() {
            let answers = live.store.ping().await;
            let did_answer = live.store_answers.swap(answers.is_ok(), Ordering::Relaxed);
            if let (true, Err(error)) = (did_answer, answers) {
                tracing::error!(cause = %telemetry::chain(&error), "the store gives no answer");
            }
            drop(live);
            tokio::time::sleep(STORE_LOOK).await;
        }
    }

    pub(super) async fn reload(&self, mut config: Config) -> io::Result<Vec<&'static str>> {
        let (kept, tls, needs_restart) = {
            let old = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            let needs_restart = keep_fixed(&mut config, &old.config);
            let rotates = |provider: &Provider| provider.renewal.as_ref().is_some_and(|renewal| renewal.rotates);
            if !self.store.is_durable() && config.providers.values().any(rotates) {
                let why = "a provider that rotates needs the new [store] first, and that needs a restart";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
            }
            // The same pair goes on with the sessions that callers may resume.
            let tls = if config.server.tls == old.config.server.tls { self.tls() } else { tls(&config)? };
            (Kept::succeed(config, &old, &self.surroundings, &self.store)?, tls, needs_restart)
        };
        let proxy = assemble(&kept, &self.surroundings, self.address, &self.pseudonym, &self.request_ids)?;
        // A new tenant's keys first, if they can be had: nobody is refused for a reload.
        let patience = kept.config.limits.tenant_timeout;
        let verifier = Arc::clone(&kept.verifier);
        let ready = async move {
            while !verifier.has_keys() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if self.has_keys() && tokio::time::timeout(patience, ready).await.is_err() {
            tracing::warn!("the new configuration is in force, but its tenant's keys could not be fetched yet");
        }
        self.proxy.store(Arc::new(proxy));
        self.tls.store(tls);
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        Ok(needs_restart)
    }
}

impl Kept {
    fn new(config: Config, surroundings: &Surroundings, store: &Store) -> io::Result<Self> {
        let Surroundings { clock, metrics, .. } = surroundings;
        let tenant = Arc::new(Tenant::new(&config, store, metrics.clone(), clock).map_err(io::Error::other)?);
        let verifier = Arc::new(Verifier::new(&config, &tenant, clock));
        let tokens = Arc::new(Tokens::new(&config, &tenant, store, metrics, clock)?);
        let upstream = Arc::new(Upstream::new(&config)?);
        let key_keeper = keep_fresh(&verifier);
        Ok(Self { config, tenant, verifier, tokens, upstream, _key_keeper: key_keeper })
    }

    /// What is held for the old configuration stays held as far as the new one means the same.
    fn succeed(config: Config, old: &Self, surroundings: &Surroundings, store: &Store) -> io::Result<Self> {
        let Surroundings { clock, metrics, .. } = surroundings;
        let lookup = |config: &Config| {
            let limits = &config.limits;
            (limits.token_wait, limits.tenant_timeout, limits.key_set_cooldown, limits.tokens)
        };
        let same_lookup = config.auth0 == old.config.auth0 && lookup(&config) == lookup(&old.config);
        let (tenant, verifier) = if same_lookup && requires_scopes(&config) == requires_scopes(&old.config) {
            (Arc::clone(&old.tenant), Arc::clone(&old.verifier))
        } else {
            let tenant = Arc::new(Tenant::new(&config, store, metrics.clone(), clock).map_err(io::Error::other)?);
            let verifier = Arc::new(Verifier::new(&config, &tenant, clock));
            (tenant, verifier)
        };
        let tokens = if same_lookup && renewals(&config) == renewals(&old.config) {
            Arc::clone(&old.tokens)
        } else {
            Arc::new(old.tokens.succeed(&config, &tenant)?)
        };
        // Open connections too, unless they lead elsewhere.
        let upstream = if config.providers == old.config.providers && config.limits == old.config.limits {
            Arc::clone(&old.upstream)
        } else {
            Arc::new(Upstream::new(&config)?)
        };
        let key_keeper = keep_fresh(&verifier);
        Ok(Self { config, tenant, verifier, tokens, upstream, _key_keeper: key_keeper })
    }
}

fn keep_fresh(verifier: &Arc<Verifier>) -> KeyKeeper {
    let verifier = Arc::clone(verifier);
    KeyKeeper(tokio::spawn(async move { verifier.keep_keys_fresh().await }).abort_handle())
}

/// Puts the old values of what cannot change while running into the new configuration, and names what differed.
fn keep_fixed(config: &mut Config, old: &Config) -> Vec<&'static str> {
    let mut changed = Vec::new();
    let (server, limits) = (&mut config.server, &mut config.limits);
    keep("server.listen", &mut server.listen, &old.server.listen, &mut changed);
    if server.tls.is_some() != old.server.tls.is_some() {
        keep("server.tls", &mut server.tls, &old.server.tls, &mut changed);
    }
    keep("server.admin_listen", &mut server.admin_listen, &old.server.admin_listen, &mut changed);
    keep("server.workers", &mut server.workers, &old.server.workers, &mut changed);
    keep("server.name", &mut server.name, &old.server.name, &mut changed);
    keep("limits.connections", &mut limits.connections, &old.limits.connections, &mut changed);
    keep("limits.request_head_bytes", &mut limits.request_head_bytes, &old.limits.request_head_bytes, &mut changed);
    let head_timeout = &mut limits.request_head_timeout;
    keep("limits.request_head_timeout", head_timeout, &old.limits.request_head_timeout, &mut changed);
    keep("limits.keep_alive", &mut limits.keep_alive, &old.limits.keep_alive, &mut changed);
    keep("limits.idle_timeout", &mut limits.idle_timeout, &old.limits.idle_timeout, &mut changed);
    keep("limits.drain", &mut limits.drain, &old.limits.drain, &mut changed);
    keep("store", &mut config.store, &old.store, &mut changed);
    let log_format = &mut config.telemetry.log_format;
    keep("telemetry.log_format", log_format, &old.telemetry.log_format, &mut changed);
    changed
}

fn keep<T: Clone + PartialEq>(name: &'static str, new: &mut T, old: &T, changed: &mut Vec<&'static str>) {
    if new != old {
        new.clone_from(old);
        changed.push(name);
    }
}

fn requires_scopes(config: &Config) -> bool {
    config.providers.values().any(|provider| !provider.require.is_empty())
}

/// How tokens are renewed, and how they are revoked.
type Ways<'config> = (Option<&'config Renewal>, Option<&'config Revocation>);

/// The connections, each with what its tokens are for, and how these are renewed and revoked.
fn renewals(config: &Config) -> BTreeMap<(&str, Option<&str>), Ways<'_>> {
    let providers = config.providers.values();
    let how = providers.map(|own| {
        let key = (own.connection.as_str(), own.audience.as_deref());
        (key, (own.renewal.as_ref(), own.revocation.as_ref()))
    });
    how.collect()
}

/// Builds what a request visits.
fn assemble(
    kept: &Kept,
    surroundings: &Surroundings,
    address: SocketAddr,
    pseudonym: &str,
    request_ids: &Arc<RequestIds>,
) -> io::Result<Proxy> {
    let config = &kept.config;
    let public_url = config.server.public_url.clone().unwrap_or_else(|| url(config.server.tls.is_some(), address));
    let log = surroundings.log.clone().filter(|_| config.telemetry.access_log);
    Ok(Proxy {
        verifier: Arc::clone(&kept.verifier),
        providers: Providers::new(config),
        tokens: Arc::clone(&kept.tokens),
        upstream: Arc::clone(&kept.upstream),
        rules: Rules::new(pseudonym.to_owned(), config.telemetry.propagate).map_err(io::Error::other)?,
        own_hosts: own_hosts(&public_url, address.ip()),
        cors: Cors::new(&config.cors.origins, &public_url),
        ways_back: WayBack::of_each(config, &public_url, &surroundings.metrics),
        pages: Pages::new(config, public_url),
        replay_body_bytes: config.limits.replay_body_bytes,
        idle_timeout: config.limits.idle_timeout,
        book: Book::new(log, surroundings.metrics.clone(), surroundings.clock.clone(), surroundings.feed.clone()),
        request_ids: Arc::clone(request_ids),
        clock: surroundings.clock.clone(),
    })
}

/// What handshakes with callers are made with.
fn tls(config: &Config) -> io::Result<Option<Arc<ServerConfig>>> {
    let tls = config.server.tls.as_ref();
    tls.map(|tls| tls::for_callers(&tls.certificates, &tls.key)).transpose().map_err(io::Error::other)
}

fn url(has_tls: bool, address: SocketAddr) -> String {
    let scheme = if has_tls { "https" } else { "http" };
    format!("{scheme}://{address}")
}

/// What callers may call us: the public name, the address we are bound to, and loopback's names, by which an address
/// such as `0.0.0.0` is reached as well. IPv6 addresses stand in brackets.
fn own_hosts(public_url: &str, bound: IpAddr) -> Vec<String> {
    let bound = match bound {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    let public: Option<Uri> = public_url.parse().ok();
    let public = public.as_ref().and_then(Uri::host).map(str::to_ascii_lowercase);
    let loopback = ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned);
    public.into_iter().chain([bound]).chain(loopback).collect()
}
