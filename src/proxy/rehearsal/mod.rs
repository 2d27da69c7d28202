//! A REHEARSAL of one request: the path of [`Proxy::forward`] through the same rooms, with a note of what each decides,
//! up to the point where something would be sent to the provider.

use std::sync::Arc;

use hyper::http::header::{self, HeaderMap, HeaderName};
use hyper::http::request::Parts;
use hyper::http::{HeaderValue, Method};

use super::Proxy;
use super::connections::Ask;
use crate::caller::{Bearer, Caller, CallerError, Finding};
use crate::config::{GuardMode, Rewrite};
use crate::error::Error;
use crate::headers;
use crate::provider::{Call, PREFIX, Provider, Route};
use crate::request;

mod step;
mod token;

pub use step::{Fact, Says, Step};

use step::Steps;

/// What would become of a request, and why.
pub struct Rehearsal {
    /// The decisions, in their order.
    pub steps: Vec<Step>,
    /// How it would end.
    pub verdict: Verdict,
}

/// How a request would end.
pub enum Verdict {
    /// It would be sent there.
    Sent {
        /// The request's method.
        method: Method,
        /// Where to.
        url: String,
    },
    /// The proxy would answer it with something of its own.
    Answered,
    /// The proxy would refuse it.
    Refused(Box<Refused>),
}

/// Why a request is refused.
pub struct Refused {
    /// What is wrong.
    pub error: Error,
    /// The provider that was called, as far as it is known.
    pub provider: Option<Arc<str>>,
}

impl Proxy {
    /// What would become of a request with this head. Nothing is sent to a provider, and nothing is spent; keys and the
    /// user's record are read at the tenant where they are not held.
    pub async fn rehearse(&self, mut head: Parts) -> Rehearsal {
        let (mut steps, mut provider) = (Steps::default(), None);
        let walked = self.walk(&mut head, &mut steps, &mut provider).await;
        let refused = |error| Verdict::Refused(Box::new(Refused { error, provider }));
        Rehearsal { steps: steps.0, verdict: walked.unwrap_or_else(refused) }
    }

    /// The steps of [`Proxy::answer`] and [`Proxy::forward`].
    async fn walk(&self, head: &mut Parts, steps: &mut Steps, called: &mut Option<Arc<str>>) -> Result<Verdict, Error> {
        let Some(at_host) = self.enter(head, steps)? else { return Ok(Verdict::Answered) };
        let received = head.headers.clone();
        let caller = match self.meet(head, steps).await {
            // What the proxy tells nobody whom it does not know, its operator may know.
            Err(Error::Caller(CallerError::MissingToken)) => {
                if let Ok(route) = self.find(head, at_host, steps) {
                    let _ = judge(&route, head, steps);
                }
                return Err(CallerError::MissingToken.into());
            }
            met => met?,
        };
        let route = self.find(head, at_host, steps)?;
        *called = Some(Arc::clone(route.provider().name()));
        let url = route.url();
        let call = permit(route, head, caller, steps)?;
        if headers::last_hop(head).is_some() {
            return Ok(Verdict::Answered);
        }
        self.token(&call, steps).await?;
        steps.begin("to the provider");
        steps.note("url", &url);
        self.outline(head, &received, &call, steps);
        way_back(call.provider(), steps);
        Ok(Verdict::Sent { method: head.method.clone(), url })
    }

    /// Whether it is a request for a provider, and whether by a host name of its own; `None` for our own pages.
    fn enter(&self, head: &Parts, steps: &mut Steps) -> Result<Option<Option<Arc<Provider>>>, Error> {
        steps.begin("request");
        steps.note("method", &head.method);
        steps.note("target", &head.uri);
        let origin = self.cors.admit(head)?;
        let host = request::check(head, |host| self.is_own(host))?;
        steps.note("host", &host);
        let at_host = self.providers.at_host(&host).map(Arc::clone);
        let is_preflight = origin.preflight::<()>(head).is_some();
        let is_call = !is_preflight && (at_host.is_some() || head.uri.path().starts_with(PREFIX));
        if is_call {
            self.rules.refuse_loop(&head.headers)?;
        } else if !is_preflight && Ask::of(head).is_none() {
            self.pages.answer(head)?;
        }
        steps.pass();
        Ok(is_call.then_some(at_host))
    }

    /// Who calls.
    async fn meet(&self, head: &mut Parts, steps: &mut Steps) -> Result<Caller, Error> {
        steps.begin("caller");
        let now = self.clock.now();
        let bearer = Bearer::take(head, self.providers.token_params())?;
        for Finding { what, came, expected, verdict } in self.verifier.look(&bearer, now).await {
            steps.compare(what, came, expected, verdict.is_ok());
        }
        let caller = self.verifier.verify(bearer, now).await?;
        steps.pass();
        Ok(caller)
    }

    /// What is called.
    fn find(&self, head: &Parts, at_host: Option<Arc<Provider>>, steps: &mut Steps) -> Result<Route, Error> {
        steps.begin("route");
        steps.note("found by", if at_host.is_some() { "host" } else { "path" });
        let route = self.providers.route(at_host, &head.uri)?;
        steps.note("provider", route.provider().name());
        steps.note("base_url", &route.provider().settings().base_url);
        steps.pass();
        Ok(route)
    }

    /// What becomes of its head.
    fn outline(&self, head: &mut Parts, received: &HeaderMap, call: &Call, steps: &mut Steps) {
        self.rules.rehearse(head, call);
        let settings = call.provider().settings();
        if settings.proof.is_some() {
            steps.note("adds", "appsecret_proof to the query");
        }
        let host = format!("host: {}", settings.base_url.authority);
        let set = head.headers.iter().filter(|(name, value)| received.get(*name) != Some(value));
        steps.list("sets", std::iter::once(host).chain(set.map(|(name, value)| format!("{name}: {}", text(value)))));
        let is_gone = |name: &&HeaderName| **name != header::HOST && !head.headers.contains_key(*name);
        steps.list("removes", received.keys().filter(is_gone));
        steps.pass();
    }
}

/// Whether the provider's rules permit it, for nobody in particular.
fn judge(route: &Route, head: &Parts, steps: &mut Steps) -> Result<(), Error> {
    steps.begin("rule");
    steps.note("says", route.ruling(&head.method)?);
    let required = &route.provider().settings().require;
    if !required.is_empty() {
        steps.list("requires", required);
    }
    route.judge(&head.method, &head.headers)?;
    steps.pass();
    Ok(())
}

/// Whether this caller may.
fn permit(route: Route, head: &Parts, caller: Caller, steps: &mut Steps) -> Result<Call, Error> {
    steps.begin("rule");
    let required = &route.provider().settings().require;
    if !required.is_empty() {
        let held: Vec<_> = required.iter().filter(|scope| caller.holds(scope)).map(String::as_str).collect();
        steps.compare("holds", held.join(" "), required.join(" "), held.len() == required.len());
    }
    steps.note("says", route.ruling(&head.method)?);
    let call = route.permit(caller, &head.method, &head.headers)?;
    steps.pass();
    Ok(call)
}

/// What is done to the answer.
fn way_back(provider: &Provider, steps: &mut Steps) {
    let settings = provider.settings();
    steps.begin("way back");
    steps.note(
        "links",
        match settings.rewrite {
            Rewrite::Off => "left as they are",
            Rewrite::Headers => "led back through the proxy in headers",
            Rewrite::Json => "led back through the proxy in headers and JSON bodies",
        },
    );
    steps.note(
        "guard",
        match settings.guard {
            GuardMode::On => "the account's token cannot come back",
            GuardMode::Off => "off",
        },
    );
    steps.pass();
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}
