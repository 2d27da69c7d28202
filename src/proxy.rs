//! ONE request: [`Proxy::handle`] answers it and writes it down, [`Proxy::forward`] is the path it takes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::http::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::http::{HeaderName, Request, Response, StatusCode};

use crate::activity::Running;
use crate::answer::{Door, WayBack};
use crate::body::{Body, RequestBody};
use crate::caller::{Bearer, Caller, Verifier};
use crate::clock::Clock;
use crate::cors::{Cors, Origin};
use crate::error::Error;
use crate::headers::{self, PROXY_STATUS, Rules};
use crate::problem::Pages;
use crate::provider::{PREFIX, Provider, Providers};
use crate::request;
use crate::telemetry;
use crate::telemetry::access::{Book, Entry, Record};
use crate::telemetry::digits::push_millis;
use crate::telemetry::metrics::Outcome;
use crate::telemetry::request_id::RequestIds;
use crate::token::Tokens;
use crate::upstream::Upstream;

mod connections;
mod exchange;
pub mod rehearsal;

use exchange::Answer;

/// Everything a request visits, built from one configuration.
pub struct Proxy {
    /// Who calls.
    pub verifier: Arc<Verifier>,
    /// What is called.
    pub providers: Providers,
    /// The token.
    pub tokens: Arc<Tokens>,
    /// The way out.
    pub upstream: Arc<Upstream>,
    /// Which headers pass.
    pub rules: Rules,
    /// Which pages may use the proxy.
    pub cors: Cors,
    /// What is done to answers, by provider.
    pub ways_back: HashMap<String, WayBack>,
    /// Our own answers.
    pub pages: Pages,
    /// Which hosts the absolute form of a target may name.
    pub own_hosts: Vec<String>,
    /// How much of a request's body is kept for a second try.
    pub replay_body_bytes: usize,
    /// How long a provider's answer may be silent.
    pub idle_timeout: Duration,
    /// Where requests are written down.
    pub book: Book,
    /// What makes their ids.
    pub request_ids: Arc<RequestIds>,
    /// What time it is.
    pub clock: Clock,
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

impl Proxy {
    /// Answers a request, whatever happens, and has it written down when the answer has been handed over.
    pub async fn handle(&self, request: Request<Incoming>, running: Running) -> Response<Body> {
        let (mut head, body) = request.into_parts();
        let body = RequestBody::new(body, &running);
        let id = self.request_ids.next();
        let mut entry = self.book.begin(id, &head.method, head.uri.path_and_query());
        let mut origin = Origin::none();
        let answered = self.answer(&mut head, body, &mut origin, &mut entry).await;
        let mut response = answered.unwrap_or_else(|error| {
            let row = error.code().row();
            entry.note(|record| {
                record.code = Some(row.code);
                record.fault = row.fault.name();
                if row.status.is_server_error() {
                    record.cause = Some(telemetry::chain(&error).into());
                }
            });
            let provider = entry.record().and_then(|record| record.provider.clone());
            self.pages.problem(&error, provider.as_deref(), id)
        });
        entry.note(|record| record.status = response.status().as_u16());
        let headers = response.headers_mut();
        origin.mark(headers);
        if let (header::Entry::Vacant(vacant), Ok(value)) = (headers.entry(REQUEST_ID), HeaderValue::from_bytes(&id.0))
        {
            vacant.insert(value);
        }
        if let Some(timing) = entry.record().and_then(server_timing) {
            headers.append(SERVER_TIMING, timing);
        }
        response.map(|body| body.with_end(running, entry))
    }

    /// The doors: a preflight, a provider, or one of our own pages.
    async fn answer(
        &self,
        head: &mut Parts,
        body: RequestBody,
        origin: &mut Origin,
        entry: &mut Entry,
    ) -> Result<Response<Body>, Error> {
        *origin = self.cors.admit(head)?;
        let at_host = self.providers.at_host(&request::check(head, |host| self.is_own(host))?).map(Arc::clone);
        if let Some(answer) = origin.preflight(head) {
            return Ok(answer);
        }
        if at_host.is_some() || head.uri.path().starts_with(PREFIX) {
            return self.forward(head, body, at_host, entry).await;
        }
        if let Some(ask) = connections::Ask::of(head) {
            // Boxed: it is rare, and every request's future would keep room for it.
            return Box::pin(self.accounts(&ask, head, entry)).await;
        }
        self.pages.answer(head)
    }

    /// The path of a call, step by step. Each step needs what the one before it made, so none can be left out.
    async fn forward(
        &self,
        head: &mut Parts,
        mut body: RequestBody,
        at_host: Option<Arc<Provider>>,
        entry: &mut Entry,
    ) -> Result<Response<Body>, Error> {
        // First, since a request that has come round carries a provider's token, of which no caller can be made.
        self.rules.refuse_loop(&head.headers)?;
        let bearer = Bearer::take(head, self.providers.token_params())?;
        let (caller, verified) = self.verified(bearer, entry).await?;

        let door = if at_host.is_some() { Door::Host } else { Door::Prefix };
        let route = self.providers.route(at_host, &head.uri)?;
        entry.note(|record| record.provider = Some(Arc::clone(route.provider().name())));
        let call = route.permit(caller, &head.method, &head.headers)?;
        if body.upload().is_some() {
            body.watched(call.watch(&head.headers)?);
        }
        if let Some(answer) = headers::last_hop(head) {
            return Ok(answer);
        }

        let token = self.tokens.get(&call, verified).await;
        let found = self.clock.instant();
        entry.note(|record| {
            record.token = found - verified;
            record.token_outcome = token.as_ref().map_or(Outcome::Refused, |(_, outcome)| *outcome).name();
        });
        let (token, _) = token?;

        let side = self.rules.for_upstream(head, &call, &token);
        let method = head.method.clone();
        let head = std::mem::replace(head, Request::new(()).into_parts().0);
        let sent = self.exchange(&call, &token, head, body).await;
        entry.note(|record| record.upstream = self.clock.instant() - found);
        let Answer { mut head, ahead, body, lease, token, shortage } = sent?;

        let received = head.status;
        headers::for_caller(&mut head, side)?;
        let way_back = self.ways_back.get(&**call.provider().name());
        if let (Some(way_back), Some(shortage)) = (way_back, shortage) {
            way_back.tell(&shortage, &mut head.headers);
        }
        let token = call.provider().token_in(&token);
        let edit = way_back.and_then(|way_back| way_back.edit((door, &method), token, &mut head));
        head.headers.append(PROXY_STATUS, received_status(received));
        let body = Body::relayed((ahead, body), lease, self.idle_timeout, headers::strip_trailers);
        Ok(Response::from_parts(head, body.edited(edit)))
    }

    /// Who calls, and when that was known, written down.
    async fn verified(&self, bearer: Bearer, entry: &mut Entry) -> Result<(Caller, Instant), Error> {
        let caller = self.verifier.verify(bearer, entry.at()).await?;
        let (begun, verified) = (entry.begun(), self.clock.instant());
        entry.note(|record| {
            record.verify = verified.saturating_duration_since(begun);
            record.subject = Some(Arc::clone(caller.subject()));
        });
        Ok((caller, verified))
    }

    fn is_own(&self, host: &str) -> bool {
        self.own_hosts.iter().any(|own| own == host) || self.providers.at_host(host).is_some()
    }
}

/// RFC 9209 §2.1.5: how the provider answered, so that its answers and ours can always be told apart.
fn received_status(status: StatusCode) -> HeaderValue {
    if status == StatusCode::OK {
        return HeaderValue::from_static("idp-proxy; received-status=200");
    }
    let text = ["idp-proxy; received-status=", status.as_str()].concat();
    HeaderValue::from_maybe_shared(hyper::body::Bytes::from(text))
        .unwrap_or_else(|_| HeaderValue::from_static("idp-proxy"))
}

/// W3C Server Timing: what our own steps cost, for the browser's own diagram.
fn server_timing(record: &Record) -> Option<HeaderValue> {
    let mut text = String::with_capacity(80);
    text.push_str("verify;dur=");
    push_millis(&mut text, record.verify);
    if !record.token_outcome.is_empty() {
        text.push_str(", token;dur=");
        push_millis(&mut text, record.token);
        text.push_str(";desc=");
        text.push_str(record.token_outcome);
    }
    if record.upstream > Duration::ZERO {
        text.push_str(", upstream;dur=");
        push_millis(&mut text, record.upstream);
    }
    HeaderValue::from_maybe_shared(hyper::body::Bytes::from(text)).ok()
}
