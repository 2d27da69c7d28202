//! Which headers pass, in both directions. Pure; the only place that writes the injected token into a request.

use hyper::http::header::{self, HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue};
use hyper::http::request::Parts;
use hyper::http::response;
use hyper::http::{Method, Response, StatusCode, Version};

use crate::body::Body;
use crate::provider::Call;
use crate::token::AccessToken;

mod content;
mod proxy_status;
mod trailers;

pub use trailers::strip_trailers;

/// Where it says who answered (RFC 9209 §2).
pub const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// RFC 9110 §7.6.1 and the fields older senders use in its place: for one connection only.
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authentication-info"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "http2-settings"
    )
}

/// What a caller's request carries for us or for our origin, and no provider gets to see.
fn stays_here(name: &str, propagate: bool) -> bool {
    match name {
        "authorization" | "cookie" | "cookie2" | "forwarded" | "x-forwarded" | "x-real-ip" | "origin" | "referer"
        | "client-ip" | "host" | "expect" => true,
        "traceparent" | "tracestate" | "baggage" => !propagate,
        name => name.starts_with("proxy-") || name.starts_with("x-forwarded-") || name.starts_with("idp-proxy-"),
    }
}

/// What a provider's answer would do to our own origin, or says about a connection that is not the caller's.
fn stays_there(name: &str) -> bool {
    matches!(
        name,
        "set-cookie" | "set-cookie2" | "strict-transport-security" | "public-key-pins" | "alt-svc" | "clear-site-data"
            // Browsers would report what happens at our origin, other providers' URLs included, to whomever these name.
            | "nel" | "report-to" | "reporting-endpoints"
    ) || name.starts_with("access-control-")
        // Ours to say: where to sign in, for one.
        || name.starts_with("idp-proxy-")
        || is_hop_by_hop(name)
}

/// What is remembered of a caller's request for the answer's way back.
#[derive(Clone, Copy, Debug)]
pub struct CallerSide {
    version: Version,
    takes_trailers: bool,
    has_token_in_query: bool,
}

/// Why a request or its answer is not handed on.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForwardError {
    /// Our own pseudonym is in `Via` (RFC 9110 §7.6.3): the request has been here before. Or the answer says so, when
    /// the provider turned out to be this proxy.
    #[error("the request has passed this proxy before: the provider's base_url leads back here")]
    Loop,
}

/// The rules of one deployment for the way to a provider.
pub struct Rules {
    pseudonym: String,
    /// The line in `Via` for a request that came by HTTP/1.0, 1.1 and 2.
    via: [HeaderValue; 3],
    propagate: bool,
}

impl Rules {
    /// Rules under which this deployment is called `pseudonym` in `Via`.
    ///
    /// # Errors
    /// When no header can carry the pseudonym, which a checked configuration rules out.
    pub fn new(pseudonym: String, propagate: bool) -> Result<Self, InvalidHeaderValue> {
        let line = |version: &str| HeaderValue::try_from(format!("{version} {pseudonym}"));
        let via = [line("1.0")?, line("1.1")?, line("2")?];
        Ok(Self { pseudonym, via, propagate })
    }

    /// Refuses a request that has been here before.
    ///
    /// # Errors
    /// [`ForwardError::Loop`].
    pub fn refuse_loop(&self, headers: &HeaderMap) -> Result<(), ForwardError> {
        // `Via: 1.1 name (comment), 2 other`: the pseudonym is the second word of a member.
        let passed_here = |value: &HeaderValue| {
            let members = value.as_bytes().split(|byte| *byte == b',');
            members.into_iter().any(|member| {
                let mut words = member.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
                words.nth(1) == Some(self.pseudonym.as_bytes())
            })
        };
        if headers.get_all(header::VIA).iter().any(passed_here) { Err(ForwardError::Loop) } else { Ok(()) }
    }

    /// Turns the head of a caller's request into that of the request to the provider, in place.
    pub fn for_upstream(&self, head: &mut Parts, call: &Call, token: &AccessToken) -> CallerSide {
        self.with_token(head, call, token.expose())
    }

    /// The same for whoever asks what would be sent: with these words in the token's place.
    pub fn rehearse(&self, head: &mut Parts, call: &Call) {
        let token = [call.provider().auth_prefix().as_bytes(), b"<the account's token>"].concat();
        // A configured prefix is one that a header can carry.
        let token = HeaderValue::from_bytes(&token).unwrap_or_else(|_| HeaderValue::from_static(""));
        self.with_token(head, call, &token);
    }

    fn with_token(&self, head: &mut Parts, call: &Call, token: &HeaderValue) -> CallerSide {
        let provider = call.provider();
        if provider.reads_bodies() {
            // RFC 9110 §12.5.3. What is compressed cannot be read on its way back.
            head.headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        let has_token_in_query = call.caller().bearer().is_from_query();
        let side = self.rewrite(head, provider.default_headers(), provider.auth_header(), token);
        CallerSide { has_token_in_query, ..side }
    }

    /// Removal comes before injection, so no field that the caller nominates in `Connection` can take the token away.
    fn rewrite(
        &self,
        head: &mut Parts,
        defaults: &[(HeaderName, HeaderValue)],
        auth_header: &HeaderName,
        token: &HeaderValue,
    ) -> CallerSide {
        let takes_trailers = trailers::are_taken(&head.headers);
        let side = CallerSide { version: head.version, takes_trailers, has_token_in_query: false };
        remove(&mut head.headers, |name| is_hop_by_hop(name) || self.stays_here(name));
        self.append_via(head);
        if side.takes_trailers {
            // Made anew for our own hop.
            head.headers.insert(header::TE, HeaderValue::from_static("trailers"));
        }
        if head.method == Method::OPTIONS {
            count_down(&mut head.headers);
        }
        for (name, value) in defaults {
            if let header::Entry::Vacant(entry) = head.headers.entry(name) {
                entry.insert(value.clone());
            }
        }
        head.headers.insert(auth_header, token.clone());
        head.version = Version::HTTP_11;
        head.extensions.clear();
        side
    }

    /// A name with `_` for `-` is the same name to servers that turn headers into variables (RFC 3875 §4.1.18).
    fn stays_here(&self, name: &str) -> bool {
        if name.as_bytes().contains(&b'_') {
            let dashed = name.replace('_', "-");
            return stays_here(&dashed, self.propagate) || is_hop_by_hop(&dashed);
        }
        stays_here(name, self.propagate)
    }

    /// RFC 9110 §7.6.3: a line behind those that came, with the version in which the request was received.
    fn append_via(&self, head: &mut Parts) {
        let [http10, http11, http2] = &self.via;
        let line = match head.version {
            Version::HTTP_10 => http10,
            Version::HTTP_2 => http2,
            _ => http11,
        };
        head.headers.append(header::VIA, line.clone());
    }
}

/// Puts another token into a request that was made for the provider already.
pub fn replace_token(head: &mut Parts, call: &Call, token: &AccessToken) {
    head.headers.insert(call.provider().auth_header(), token.expose().clone());
}

/// Turns the head of a provider's answer into that of the answer to the caller, in place. What the answer says about
/// itself stays; what it says to browsers about our origin does not.
///
/// # Errors
/// [`ForwardError`] if the answer shows that the provider is this proxy.
pub fn for_caller(head: &mut response::Parts, side: CallerSide) -> Result<(), ForwardError> {
    proxy_status::speak_for_us_alone(head)?;
    let trailers = side.announced(&head.headers);
    remove(&mut head.headers, stays_there);
    if let Some(trailers) = trailers {
        head.headers.insert(header::TRAILER, trailers);
    }
    if let Some(private) = content::private(&head.headers) {
        head.headers.insert(header::CACHE_CONTROL, private);
    }
    if side.has_token_in_query {
        // RFC 6750 §2.3, and §5.3: the address must not be kept, nor told to whatever the answer leads to.
        head.headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        head.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    }
    head.headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if content::is_active(&head.headers) {
        // A page of the provider's, opened at our origin, must not act in its name.
        head.headers.append(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    }
    head.version = match side.version {
        Version::HTTP_10 => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    head.extensions.clear();
    Ok(())
}

/// Removes the fields that `doomed` names and those that `Connection` nominates, of which all lines count.
fn remove(headers: &mut HeaderMap, doomed: impl Fn(&str) -> bool) {
    let nominated = |line: &HeaderValue| {
        let names = line.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        names.filter_map(|name| HeaderName::from_bytes(name).ok()).collect::<Vec<_>>()
    };
    let nominated: Vec<HeaderName> = headers.get_all(header::CONNECTION).iter().flat_map(nominated).collect();
    for name in nominated {
        headers.remove(name);
    }
    // Few are doomed, so looking again from the start costs less than a list of them.
    while let Some(name) = headers.keys().find(|name| doomed(name.as_str())).cloned() {
        headers.remove(name);
    }
}

/// The answer to an `OPTIONS` that may go no further (RFC 9110 §7.6.2: `Max-Forwards: 0`).
#[must_use]
pub fn last_hop(head: &Parts) -> Option<Response<Body>> {
    if head.method != Method::OPTIONS || max_forwards(&head.headers) != Some(0) {
        return None;
    }
    let mut answer = Response::new(Body::default());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    Some(answer)
}

/// RFC 9110 §7.6.2: one hop less. What had none left was answered before it came here.
fn count_down(headers: &mut HeaderMap) {
    let hops = max_forwards(headers).and_then(|hops| hops.checked_sub(1));
    if let Some(hops) = hops {
        headers.insert(header::MAX_FORWARDS, HeaderValue::from(hops));
    }
}

fn max_forwards(headers: &HeaderMap) -> Option<u32> {
    headers.get(header::MAX_FORWARDS)?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests;
