//! WHAT COMES BACK: an answer is judged, kept from giving the token away, and its links are pointed back here, on its way
//! to the caller. Pure: what is found is told to whoever asked.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use hyper::body::Bytes;
use hyper::http::header::{self, HeaderMap, HeaderName};
use hyper::http::response::Parts;
use hyper::http::{Method, StatusCode};

use crate::body::{Cut, Edit, Edited};
use crate::bounded::Bounded;
use crate::config::{Config, GuardMode};
use crate::connect::Connect;
use crate::telemetry::metrics::Metrics;

mod content;
mod decoder;
mod expansion;
mod guard;
mod links;
mod shortage;
mod unpack;
pub mod verdict;

pub use links::Door;
pub use shortage::Shortage;

use content::{Codings, Content, Kind};
use guard::{Alarm, Fields, Guard, Guarded, Parameters};
use links::Links;
use unpack::Unpack;

/// What is done to the answers of one provider on their way back.
pub struct WayBack {
    connect: Connect,
    links: Links,
    /// Parameters of URLs that are not for callers.
    parameters: Option<Parameters>,
    /// Members of JSON objects that are not for callers.
    fields: Option<Fields>,
    guard: GuardMode,
    /// Those of the tokens that were used last: to make one takes longer than to look an answer through with it.
    guards: Bounded<Box<[u8]>, Arc<Guard>, RandomState>,
    /// Counts guards that were made.
    made: AtomicU32,
    alarm: Alarm,
}

/// Which edits the contents of an answer want, whether they come with it or not.
#[derive(Clone, Copy)]
struct Wanted {
    parameters: bool,
    fields: bool,
    links: bool,
}

/// Of so many guards that are made, one is kept.
const KEPT_ONE_IN: u32 = 8;
/// A guard takes some five times its token's length.
const GUARDS_MAX: usize = 4096;

impl WayBack {
    /// That of every provider by its name, for a proxy that callers see at `public_url`. What the guard finds is logged and
    /// counted.
    #[must_use]
    pub fn of_each(config: &Config, public_url: &str, metrics: &Metrics) -> HashMap<String, Self> {
        let links = Links::of_each(&config.providers, public_url);
        let mut connects = Connect::of_each(config);
        let way_back = |(name, links): (String, Links)| {
            let provider = config.providers.get(&name)?;
            let way_back = Self {
                connect: connects.remove(&name)?,
                links,
                parameters: Parameters::new(&provider.secret_params),
                fields: Fields::new(&provider.secret_fields),
                guard: provider.guard,
                guards: Bounded::new(GUARDS_MAX, RandomState::new()),
                made: AtomicU32::new(0),
                alarm: alarm(&name, metrics),
            };
            Some((name, way_back))
        };
        links.into_iter().filter_map(way_back).collect()
    }

    /// Says in an answer's headers what its call lacked, and where that is asked for. It comes before [`Self::edit`], whose
    /// guard looks it through.
    pub fn tell(&self, shortage: &Shortage, headers: &mut HeaderMap) {
        shortage.tell(&self.connect, headers);
    }

    /// Makes the head of an answer to a `method` request right for a caller who came by `door`, in place. `token` is what
    /// was sent with the request, without its prefix. Gives what is to be done to the body, if anything is.
    pub fn edit(&self, (door, method): (Door, &Method), token: &[u8], head: &mut Parts) -> Option<Box<Edited>> {
        if self.is_idle() {
            return None;
        }
        let mut content = Content::of(head, method);
        let wanted = self.wanted(&content, head.status);
        if let Some(parameters) = &self.parameters {
            parameters.remove_from_headers(&mut head.headers);
        }
        self.links.point_back(door, &mut head.headers);
        let unpack = self.unpack(wanted, &mut content, &mut head.headers);
        let guarded = self.guarded(&content, token, &mut head.headers);
        let wanted = if content.is_here { wanted } else { Wanted::NOTHING };
        if !wanted.anything() && guarded.is_none() {
            return None;
        }
        let parameters = self.parameters.as_ref().filter(|_| wanted.parameters).map(Parameters::removal);
        let fields = self.fields.as_ref().filter(|_| wanted.fields).map(Fields::mask);
        let links = wanted.links.then(|| self.links.body(door));
        // The guard is last: whatever was made of the answer, the token is not in it.
        Some(match (unpack, parameters, fields) {
            (None, None, None) => match links {
                None => Edited::boxed(guarded),
                links => Edited::boxed(((links, Undigested), guarded)),
            },
            (unpack, parameters, fields) => {
                Edited::boxed(((unpack, parameters), (((fields, links), Undigested), guarded)))
            }
        })
    }

    /// Whether it leaves every answer as it is.
    fn is_idle(&self) -> bool {
        self.guard == GuardMode::Off && self.links.are_left() && self.parameters.is_none() && self.fields.is_none()
    }

    fn wanted(&self, content: &Content, status: StatusCode) -> Wanted {
        if content.codings == Codings::Uncovered || content.is_piece {
            return Wanted::NOTHING;
        }
        // It updates the headers of an answer that the client has, and need not say what that is.
        let is_untold = status == StatusCode::NOT_MODIFIED && content.kind == Kind::Untold;
        let told = Content { kind: if is_untold { Kind::Json } else { content.kind }, ..*content };
        Wanted {
            parameters: self.parameters.is_some() && content.is_text(),
            fields: self.fields.is_some() && content.is_text(),
            links: self.links.are_in(&told),
        }
    }

    /// Makes the headers fit a body that is edited: what is edited comes without a coding, its length and its digests are
    /// others, and pieces of it are not to be had. The `ETag` stays: the editing is deterministic, and conditional requests
    /// go on working.
    fn unpack(&self, wanted: Wanted, content: &mut Content, headers: &mut HeaderMap) -> Option<Unpack> {
        let coding = match content.codings {
            Codings::One(coding) if wanted.anything() => Some(coding),
            Codings::One(_) | Codings::None | Codings::Uncovered => None,
        };
        if coding.is_some() {
            headers.remove(header::CONTENT_ENCODING);
            content.codings = Codings::None;
        }
        if wanted.anything() {
            remove_digests(headers);
        }
        // What is masked keeps its length.
        if coding.is_some() || wanted.parameters || wanted.links {
            headers.remove(header::CONTENT_LENGTH);
            headers.remove(header::ACCEPT_RANGES);
        }
        coding.filter(|_| content.is_here).map(|coding| Unpack::new(coding, &self.alarm))
    }

    fn guarded(&self, content: &Content, token: &[u8], headers: &mut HeaderMap) -> Option<Guarded> {
        if self.guard == GuardMode::Off {
            return None;
        }
        let guard = match self.guards.get(token) {
            Some(guard) => guard,
            None => {
                let guard = Arc::new(Guard::new(token)?);
                // Not each: where there are more tokens than are kept, they would only drive each other out.
                if self.made.fetch_add(1, Ordering::Relaxed).is_multiple_of(KEPT_ONE_IN) {
                    self.guards.insert(Box::from(token), Arc::clone(&guard));
                }
                guard
            }
        };
        guard.mask_fields(headers, &self.alarm);
        Guarded::new(content, &guard, &self.alarm)
    }
}

impl Wanted {
    const NOTHING: Self = Self { parameters: false, fields: false, links: false };

    fn anything(self) -> bool {
        self.parameters || self.fields || self.links
    }
}

/// RFC 9530 and what was in use before it.
const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-md5"),
];

/// Takes the digests of an edited body out of the trailers, where they may stand too (RFC 9530 §2).
struct Undigested;

impl Edit for Undigested {
    fn push(&mut self, chunk: Bytes) -> Result<Bytes, Cut> {
        Ok(chunk)
    }

    fn end(&mut self) -> Result<Bytes, Cut> {
        Ok(Bytes::new())
    }

    fn trailers(&mut self, trailers: &mut HeaderMap) {
        remove_digests(trailers);
    }
}

fn remove_digests(fields: &mut HeaderMap) {
    // Few answers have one. To find none costs as much for each name as to look at all names once.
    if fields.keys().any(|name| DIGESTS.contains(name)) {
        for name in DIGESTS {
            fields.remove(name);
        }
    }
}

/// Who hears of what the guard finds in a provider's answers.
fn alarm(provider: &str, metrics: &Metrics) -> Alarm {
    let (provider, metrics): (Arc<str>, Metrics) = (Arc::from(provider), metrics.clone());
    Arc::new(move |finding| {
        let place = finding.name();
        metrics.leak(&provider, place);
        if finding.is_leak() {
            tracing::error!(%provider, place, "an answer held the access token that it was asked with; it was kept back");
        } else {
            tracing::warn!(%provider, place, "an answer could not be looked through, and was cut");
        }
    })
}

#[cfg(test)]
mod tests;
