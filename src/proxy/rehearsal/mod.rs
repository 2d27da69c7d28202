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
use crate::parameters::query;
use crate::provider::{Call, PREFIX, Provider, Route, account};
use crate::request;

mod step;
mod token;

pub use step::{Fact, Says, Step};

use step::Steps;

/// What would become of a request, and why.
pub struct Rehearsal {
    /// The request's method.
    pub method: Method,
    /// Its target, without what could be a caller's token.
    pub target: String,
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

/// Where a request comes in.
enum Door {
    /// At the proxy's own pages.
    Ours,
    /// Where callers find their accounts.
    Accounts(Ask),
    /// At a provider, which is known already if it has a host name of its own.
    Provider(Option<Arc<Provider>>),
}

impl Proxy {
    /// What would become of a request with this head. Nothing is sent to a provider, and nothing is spent; keys and the
    /// user's record are read at the tenant where they are not held.
    pub async fn rehearse(&self, mut head: Parts) -> Rehearsal {
        let (mut steps, mut provider) = (Steps::default(), None);
        let (method, target) = (head.method.clone(), self.masked(&head.uri.to_string()));
        let walked = self.walk(&mut head, &mut steps, &mut provider).await;
        let refused = |error| Verdict::Refused(Box::new(Refused { error, provider }));
        Rehearsal { method, target, steps: steps.0, verdict: walked.unwrap_or_else(refused) }
    }

    /// The same without the values of the parameters in which some provider's callers send their tokens.
    fn masked(&self, url: &str) -> String {
        query::masked(url, self.providers.token_params(), "<masked>").into_owned()
    }

    /// The steps of [`Proxy::answer`] and [`Proxy::forward`].
    async fn walk(&self, head: &mut Parts, steps: &mut Steps, called: &mut Option<Arc<str>>) -> Result<Verdict, Error> {
        let at_host = match self.enter(head, steps)? {
            Door::Ours => return Ok(Verdict::Answered),
            Door::Accounts(ask) => return self.ask(&ask, head, steps, called).await,
            Door::Provider(at_host) => at_host,
        };
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
        let url = self.masked(&route.url());
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

    /// Which door it comes to.
    fn enter(&self, head: &Parts, steps: &mut Steps) -> Result<Door, Error> {
        steps.begin("request");
        steps.note("method", &head.method);
        steps.note("target", self.masked(&head.uri.to_string()));
        let origin = self.cors.admit(head)?;
        let host = request::check(head, |host| self.is_own(host))?;
        steps.note("host", &host);
        let at_host = self.providers.at_host(&host).map(Arc::clone);
        let door = if origin.preflight::<()>(head).is_some() {
            Door::Ours
        } else if at_host.is_some() || head.uri.path().starts_with(PREFIX) {
            self.rules.refuse_loop(&head.headers)?;
            Door::Provider(at_host)
        } else if let Some(ask) = Ask::of(head) {
            Door::Accounts(ask)
        } else {
            self.pages.answer(head)?;
            Door::Ours
        };
        steps.pass();
        Ok(door)
    }

    /// The steps of [`Proxy::accounts`], but for what only a disconnection itself finds out.
    async fn ask(
        &self,
        ask: &Ask,
        head: &mut Parts,
        steps: &mut Steps,
        called: &mut Option<Arc<str>>,
    ) -> Result<Verdict, Error> {
        steps.begin("caller");
        let bearer = self.bearer_alone(head)?;
        let caller = self.identify(bearer, steps).await?;
        match ask {
            Ask::All => {
                steps.begin("account");
                self.views(&caller, self.clock.instant()).await?;
            }
            Ask::Disconnect(name) => {
                steps.begin("route");
                let provider = self.providers.named(name)?;
                *called = Some(Arc::clone(provider.name()));
                steps.note("provider", provider.name());
                steps.pass();
                steps.begin("rule");
                holds(provider, &caller, steps);
                provider.admit(&caller)?;
                account(&head.headers)?;
            }
        }
        steps.pass();
        Ok(Verdict::Answered)
    }

    /// Who calls.
    async fn meet(&self, head: &mut Parts, steps: &mut Steps) -> Result<Caller, Error> {
        steps.begin("caller");
        let bearer = Bearer::take(head, self.providers.token_params())?;
        self.identify(bearer, steps).await
    }

    async fn identify(&self, bearer: Bearer, steps: &mut Steps) -> Result<Caller, Error> {
        let now = self.clock.now();
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
        let shown =
            |(name, value): (&HeaderName, &HeaderValue)| match settings.headers.iter().any(|(own, _)| own == name) {
                true if !is_harmless(name) => format!("{name}: <as configured>"),
                true | false => format!("{name}: {}", text(value)),
            };
        steps.list("sets", std::iter::once(host).chain(set.map(shown)));
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

/// Which of the scopes that the provider requires the caller's token has.
fn holds(provider: &Provider, caller: &Caller, steps: &mut Steps) {
    let required = &provider.settings().require;
    if !required.is_empty() {
        let held: Vec<_> = required.iter().filter(|scope| caller.holds(scope)).map(String::as_str).collect();
        steps.compare("holds", held.join(" "), required.join(" "), held.len() == required.len());
    }
}

/// Whether this caller may.
fn permit(route: Route, head: &Parts, caller: Caller, steps: &mut Steps) -> Result<Call, Error> {
    steps.begin("rule");
    holds(route.provider(), &caller, steps);
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

/// Whether a configured header of that name says nothing secret. API keys have no other place than `headers`.
fn is_harmless(name: &HeaderName) -> bool {
    [header::USER_AGENT, header::ACCEPT, header::ACCEPT_LANGUAGE].contains(name) || name.as_str().ends_with("version")
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}
