//! The developer console: one page and what it asks for. It sees what the process sees, and no token of anybody.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::http::header::{self, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::http::{Method, Request, Response, StatusCode};
use tokio::sync::{Semaphore, watch};

use super::reply::Reply;
use crate::clock::{Clock, Timestamp};
use crate::secret::Secret;
use crate::server::connection::Serving;
use crate::server::live::Live;
use crate::server::{Phase, Surroundings};
use crate::telemetry::feed::Feed;

mod door;
pub mod link;
mod page;
mod session;
mod state;
mod stream;
mod trial;

use door::Stranger;
use link::Links;
use session::Sessions;

/// Where everything of the console is.
const ROOT: &str = "/admin/";
/// What is answered in a session alone.
const FOR_VISITORS: [&str; 5] = ["state.json", "samples.json", "log", "try", "leave"];
/// Readers of the log at a time.
const READERS_MAX: usize = 16;

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
/// Nothing but our own files, and nothing inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Whether a path is the console's.
pub(super) fn is_at(path: &str) -> bool {
    path.starts_with(ROOT) || path == "/admin"
}

/// The console.
pub(super) struct Console {
    serving: Arc<Serving>,
    clock: Clock,
    feed: Feed,
    users: Vec<(&'static str, Secret)>,
    address: SocketAddr,
    links: Links,
    sessions: Sessions,
    readers: Arc<Semaphore>,
    phases: watch::Receiver<Phase>,
}

impl Console {
    pub(super) fn new(
        serving: Arc<Serving>,
        surroundings: &Surroundings,
        address: SocketAddr,
        phases: watch::Receiver<Phase>,
    ) -> Self {
        let Surroundings { clock, feed, users, .. } = surroundings.clone();
        let (links, sessions) = (Links::new(clock.now()), Sessions::new(address.port()));
        let readers = Arc::new(Semaphore::new(READERS_MAX));
        Self { serving, clock, feed, users, address, links, sessions, readers, phases }
    }

    /// A link that opens a session.
    pub(super) fn link(&self) -> Option<String> {
        self.live().read(|config| link::link(config, self.address, &self.clock))
    }

    fn live(&self) -> &Live {
        self.serving.live()
    }

    /// Answers any request at [`ROOT`].
    pub(super) async fn answer(&self, request: Request<Incoming>, peer: IpAddr) -> Response<Reply> {
        let (head, body) = request.into_parts();
        let mut answer = match door::admit(&head, peer, self.address) {
            Ok(()) => self.route(&head, body).await,
            Err(Stranger(why)) => page::text(StatusCode::FORBIDDEN, why),
        };
        for (name, value) in [
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::CACHE_CONTROL, "no-store"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
            (OPENER_POLICY, "same-origin"),
            (RESOURCE_POLICY, "same-origin"),
        ] {
            answer.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        answer
    }

    async fn route(&self, head: &Parts, body: Incoming) -> Response<Reply> {
        let now = self.clock.now();
        let path = head.uri.path().strip_prefix(ROOT);
        let is_read = matches!(head.method, Method::GET | Method::HEAD);
        // What is the same for everybody, and the two ways in.
        match path {
            None if is_read => return page::see_other(ROOT),
            Some("") if head.method == Method::GET && head.uri.query().is_some() => return self.enter(head, now),
            Some(name) if is_read && let Some(asset) = page::asset(name) => return asset,
            Some("") => {}
            Some(name) if FOR_VISITORS.contains(&name) => {}
            Some(_) | None => return page::text(StatusCode::NOT_FOUND, "There is nothing here.\n"),
        }
        let is_open = self.sessions.is_open(&head.headers, now);
        match (&head.method, path) {
            (&Method::GET | &Method::HEAD, Some("")) if !is_open => page::closed(StatusCode::UNAUTHORIZED, ""),
            (_, _) if !is_open => page::text(StatusCode::UNAUTHORIZED, "The session is over: open a new link.\n"),
            (&Method::GET | &Method::HEAD, Some("")) => page::open(),
            (&Method::GET, Some("state.json")) => page::json(&self.live().read(|config| state::of(self, config))),
            (&Method::GET, Some("samples.json")) => page::json(&state::samples(&self.feed, now)),
            (&Method::GET, Some("log")) => stream::answer(self, head),
            (&Method::POST, Some("try")) => trial::answer(self, head, body).await,
            (&Method::POST, Some("leave")) => page::with_cookie(
                page::text(StatusCode::OK, "The session is over.\n"),
                &self.sessions.close(&head.headers),
            ),
            (_, _) => page::text(StatusCode::METHOD_NOT_ALLOWED, "That is not done here.\n"),
        }
    }

    /// A link was followed. Its code is in the address bar no longer than that.
    fn enter(&self, head: &Parts, now: Timestamp) -> Response<Reply> {
        // What is fetched in case that somebody may want it must not use the link up.
        if head.headers.contains_key("sec-purpose") {
            return page::text(StatusCode::FORBIDDEN, "A link is followed by somebody who wants to.\n");
        }
        let code = head.uri.query().and_then(|query| query.strip_prefix("code=")).unwrap_or_default();
        let redeemed = self.live().read(|config| self.links.redeem(code, &config.auth0.credential, now));
        if let Err(error) = redeemed {
            return page::closed(StatusCode::FORBIDDEN, &error.to_string());
        }
        let Some(cookie) = self.sessions.open(now) else {
            return page::text(StatusCode::INTERNAL_SERVER_ERROR, "The system has no randomness to give.\n");
        };
        self.feed.watch_until(now.plus(session::LIFE));
        page::with_cookie(page::see_other(ROOT), &cookie)
    }
}
