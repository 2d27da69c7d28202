//! A provider that behaves as its facts say, and complains of everything that the real one would refuse.

use std::sync::{Arc, Mutex, MutexGuard};

use http::Response;
use hyper::body::Bytes;
use idp_proxy::command::dev::provider::Issued;

use self::ledger::Ledger;
use super::facts::{Facts, Next, Said};
use crate::support::{Recorded, Upstream};

mod ledger;
mod token;

pub use token::CLIENT_ID;

/// A running provider: the API, and the token endpoint where that has a host of its own.
pub struct StandIn {
    desk: Arc<Desk>,
    api: Upstream,
    login: Option<Upstream>,
}

/// What both of its sides know.
struct Desk {
    facts: Facts,
    ledger: Mutex<Ledger>,
}

impl StandIn {
    pub async fn start(facts: Facts) -> Self {
        let desk = Arc::new(Desk { facts, ledger: Mutex::default() });
        let mut allowed = vec!["no authorization", facts.token.0];
        allowed.extend(facts.needs.iter().map(|(name, _)| *name));
        let side = |answer: fn(&Desk, &Recorded) -> Response<Bytes>| {
            let desk = Arc::clone(&desk);
            Upstream::recording(move |request| answer(&desk, request))
        };
        let api = side(Desk::api).await.allow(&allowed);
        let login = match facts.renewal {
            Some(renewal) if origin(renewal.url) != origin(facts.base) => {
                Some(side(Desk::login).await.allow(&["no authorization"]))
            }
            Some(_) | None => None,
        };
        Self { desk, api, login }
    }

    /// Where the API is in truth.
    pub fn origin(&self) -> String {
        self.api.base_url()
    }

    /// Where a URL of this provider leads here: another origin, the same path.
    #[track_caller]
    pub fn relocated(&self, url: &str) -> String {
        let facts = &self.desk.facts;
        let here = match facts.renewal {
            _ if origin(url) == origin(facts.base) => self.api.base_url(),
            Some(renewal) if origin(url) == origin(renewal.url) => self.login.as_ref().unwrap_or(&self.api).base_url(),
            Some(_) | None => panic!("{}: {url} is none of this provider's", facts.preset),
        };
        url.replacen(origin(url), &here, 1)
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.desk.ledger()
    }

    /// What a user gets who signs in.
    pub fn issue(&self) -> Issued {
        self.ledger().issue(&self.desk.facts)
    }

    /// The same, detached from this handle: for a tenant.
    pub fn issuer(&self) -> impl Fn(&str) -> Issued + Send + Sync + use<> {
        let desk = Arc::clone(&self.desk);
        move |_| desk.ledger().issue(&desk.facts)
    }

    /// Ends an access token; from now on it is called dead in this one of the provider's ways.
    pub fn kill(&self, access_token: &str, way: usize) {
        self.ledger().kill(access_token, way);
    }

    /// Ends a refresh token, which is told so in this one of the provider's ways.
    pub fn revoke(&self, refresh_token: &str, way: usize) {
        self.ledger().revoke(refresh_token, way);
    }

    /// What living tokens may not do from now on, as an index of the ways to say so.
    pub fn withhold(&self, way: Option<usize>) {
        self.ledger().withheld = way;
    }

    /// Renewals that were granted, and such that were not.
    pub fn renewals(&self) -> (usize, usize) {
        let ledger = self.ledger();
        (ledger.granted.len(), ledger.refused)
    }

    /// The access token that was granted last, if there was a renewal.
    pub fn last_granted(&self) -> Option<String> {
        self.ledger().granted.last().cloned()
    }

    /// Whether an access token ever came.
    pub fn has_seen(&self, access_token: &str) -> bool {
        self.ledger().calls.iter().any(|(token, _)| token == access_token)
    }

    /// How often an access token came that was dead.
    pub fn dead_calls(&self) -> usize {
        self.ledger().calls.iter().filter(|(_, is_live)| !is_live).count()
    }

    /// The access token that came last.
    pub fn last_token(&self) -> String {
        self.ledger().calls.last().map(|(token, _)| token.clone()).unwrap_or_default()
    }

    /// Requests of all kinds.
    pub fn requests(&self) -> usize {
        self.api.requests().len() + self.login.as_ref().map_or(0, |login| login.requests().len())
    }

    /// Asserts that nothing came that the real provider would not have taken.
    #[track_caller]
    pub fn was_content(&self) {
        let complaints = &self.ledger().complaints;
        assert!(complaints.is_empty(), "{}: {complaints:#?}", self.desk.facts.preset);
    }
}

/// Scheme and authority of a URL.
fn origin(url: &str) -> &str {
    let (scheme, rest) = url.split_once("://").unwrap();
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    &url[..scheme.len() + 3 + end]
}

/// The path of a URL.
fn path(url: &str) -> &str {
    &url[origin(url).len()..]
}

impl Desk {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    /// The API, which shares its host with the token endpoint at some.
    fn api(&self, request: &Recorded) -> Response<Bytes> {
        let renewal = self.facts.renewal.filter(|renewal| origin(renewal.url) == origin(self.facts.base));
        let here = request.target.split('?').next().unwrap_or_default();
        if renewal.is_some_and(|renewal| path(renewal.url) == here) {
            return self.login(request);
        }
        let mut ledger = self.ledger();
        let Some(token) = self.credential(request) else {
            ledger.complaints.push(format!("not one credential in its place: {request:?}"));
            return said(&self.facts.dead[0]);
        };
        match ledger.arrives(&token) {
            None => {
                ledger.complaints.push(format!("nobody has issued {token}"));
                return said(&self.facts.dead[0]);
            }
            Some(Some(way)) => return said(&self.facts.dead[way]),
            Some(None) => {}
        }
        for (name, begins) in self.facts.needs {
            let value = request.all(name);
            if value.is_empty() || !value.starts_with(begins) {
                ledger.complaints.push(format!("{name} is {value:?}"));
                return said(&self.facts.lacks);
            }
        }
        if let Some(way) = ledger.withheld {
            return said(&self.facts.scope[way]);
        }
        self.serve(request, &token).unwrap_or_else(|| {
            ledger.complaints.push(format!("there is no {} {}", request.method, request.target));
            said(&Said { status: 404, headers: &[], body: "{}" })
        })
    }

    /// The token, if it comes in its header and there alone.
    fn credential(&self, request: &Recorded) -> Option<String> {
        let (name, prefix) = self.facts.token;
        let mut lines = request.headers.get_all(name).iter();
        let (Some(line), None) = (lines.next(), lines.next()) else { return None };
        let is_alone = name == "authorization" || !request.headers.contains_key("authorization");
        is_alone.then_some(())?;
        line.to_str().ok()?.strip_prefix(prefix).map(str::to_owned)
    }

    /// What there is: one thing to read, and two pages.
    fn serve(&self, request: &Recorded, token: &str) -> Option<Response<Bytes>> {
        let target = without_proof(&request.target);
        let base = path(self.facts.base);
        let host = request.all("host");
        let fill = |text: &str| text.replace("{origin}", &format!("http://{host}")).replace("{token}", token);
        let json = || Response::builder().header("content-type", "application/json; charset=utf-8");
        if (request.method.as_str(), target.strip_prefix(base)) == (self.facts.call.0, Some(self.facts.call.1)) {
            return json().body(Bytes::from_static(br#"{"ok":true,"id":"1"}"#)).ok();
        }
        let pages = self.facts.pages?;
        if target.strip_prefix(base) == Some(pages.at) {
            let mut first = json();
            if let Next::Link(links) = pages.next {
                first = first.header("link", fill(links));
            }
            return first.body(Bytes::from(fill(pages.body))).ok();
        }
        let is_posted = match pages.next {
            Next::Posted(..) => request.method == "POST" && request.body == br#"{"cursor":"c2"}"#,
            Next::Link(_) | Next::Url(_) | Next::Path(_) | Next::Cursor(..) => request.method == "GET",
        };
        let is_second = target == pages.second && is_posted;
        is_second.then(|| json().body(Bytes::from_static(br#"{"page":2}"#)).unwrap())
    }
}

/// The target without the proof that an app can be made to send with each call, which is not what the caller asked for.
fn without_proof(target: &str) -> String {
    let Some((path, query)) = target.split_once('?') else { return target.to_owned() };
    let is_asked = |pair: &&str| !pair.starts_with("appsecret_");
    let query: Vec<_> = query.split('&').filter(is_asked).collect();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
}

fn said(said: &Said) -> Response<Bytes> {
    let mut answer = Response::builder().status(said.status);
    for (name, value) in said.headers {
        answer = answer.header(*name, *value);
    }
    let names_a_type = said.headers.iter().any(|(name, _)| *name == "content-type");
    if !said.body.is_empty() && !names_a_type {
        answer = answer.header("content-type", "application/json; charset=utf-8");
    }
    answer.body(Bytes::from_static(said.body.as_bytes())).unwrap()
}
