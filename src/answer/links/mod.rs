//! Links into a provider's own URLs are pointed back at the proxy, so that a client pages through it and never carries
//! the caller's token to the provider.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use hyper::http::header::{self, Entry, HeaderMap, HeaderName, HeaderValue};

use crate::answer::content::{Content, Kind};
use crate::config::{Provider, Rewrite};
use crate::provider::PREFIX;

mod bases;
mod json;
mod link;
mod text;

use bases::{Base, Bases};
pub use json::JsonLinks;

/// By which door the caller came in, which is the door that links lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// `/proxy/NAME/…` at `public_url`.
    Prefix,
    /// The host name of the provider's own.
    Host,
}

/// What is done to the links in one provider's answers.
pub struct Links {
    rewrite: Rewrite,
    by_prefix: Arc<Bases>,
    by_host: Arc<Bases>,
}

impl Links {
    /// Those of every provider by its name, for a proxy that callers see at `public_url`.
    #[must_use]
    pub fn of_each(providers: &BTreeMap<String, Provider>, public_url: &str) -> HashMap<String, Self> {
        let links = |(name, own): (&String, &Provider)| {
            // The providers on one connection share the user's account there, and link to each other.
            let related = || {
                let others = providers.iter().filter(|(other, it)| *other != name && it.connection == own.connection);
                std::iter::once((name, own)).chain(others)
            };
            let bases = |door| {
                let entrance = |name, provider| entrance(door, name, provider, public_url);
                let bases = related().map(|(name, provider)| Base::new(&provider.base_url, entrance(name, provider)));
                let paths = own.rewrite_paths.iter();
                let paths = paths.map(|path| Base::path(path, &own.base_url, entrance(name, own)));
                Arc::new(Bases::new(&own.base_url, bases.chain(paths).collect()))
            };
            let links = Self { rewrite: own.rewrite, by_prefix: bases(Door::Prefix), by_host: bases(Door::Host) };
            (name.clone(), links)
        };
        providers.iter().map(links).collect()
    }

    /// Whether all of them stay as they are.
    #[must_use]
    pub fn are_left(&self) -> bool {
        self.rewrite == Rewrite::Off
    }

    /// Points the links in an answer's headers back at the proxy.
    pub fn point_back(&self, door: Door, headers: &mut HeaderMap) {
        if !self.are_left() {
            point_back(headers, self.bases(door));
        }
    }

    /// Whether those in bodies of this content are pointed back too.
    #[must_use]
    pub fn are_in(&self, content: &Content) -> bool {
        // A piece does not tell where it stands, and the others may be with the client already.
        self.rewrite == Rewrite::Json && content.kind == Kind::Json && !content.is_piece && !content.is_fixed
    }

    /// At the beginning of such a body.
    #[must_use]
    pub fn body(&self, door: Door) -> JsonLinks {
        JsonLinks::new(Arc::clone(self.bases(door)))
    }

    fn bases(&self, door: Door) -> &Arc<Bases> {
        match door {
            Door::Prefix => &self.by_prefix,
            Door::Host => &self.by_host,
        }
    }
}

/// Where a provider is entered by the callers who come by `door`. One without a host of its own has one door alone.
fn entrance(door: Door, name: &str, provider: &Provider, public_url: &str) -> bases::Entrance {
    match (door, &provider.host) {
        (Door::Host, Some(host)) => bases::Entrance { origin: beside(public_url, host), path: String::new() },
        (Door::Host, None) | (Door::Prefix, _) => {
            bases::Entrance { origin: public_url.to_owned(), path: format!("{PREFIX}{name}") }
        }
    }
}

/// The origin of a host that is served beside `public_url`: by the same scheme and at the same port.
fn beside(public_url: &str, host: &str) -> String {
    let (scheme, authority) = public_url.split_once("://").unwrap_or(("https", public_url));
    let port = authority.rsplit_once(':').map(|(_, port)| port);
    // Not the end of an IPv6 address.
    match port.filter(|port| port.bytes().all(|byte| byte.is_ascii_digit())) {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    }
}

/// Points the links in an answer's headers back.
fn point_back(headers: &mut HeaderMap, bases: &Bases) {
    each(headers, header::LINK, |line| link::point_back(line, bases));
    for name in [header::LOCATION, header::CONTENT_LOCATION] {
        each(headers, name, |line| bases.point_back(line));
    }
}

/// Replaces each line of a name for which `change` gives another.
fn each(headers: &mut HeaderMap, name: HeaderName, change: impl Fn(&[u8]) -> Option<Vec<u8>>) {
    let Entry::Occupied(mut lines) = headers.entry(name) else { return };
    for line in lines.iter_mut() {
        let changed = change(line.as_bytes()).and_then(|changed| HeaderValue::try_from(changed).ok());
        if let Some(mut changed) = changed {
            changed.set_sensitive(line.is_sensitive());
            *line = changed;
        }
    }
}

#[cfg(test)]
mod tests;
