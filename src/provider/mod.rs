//! WHAT IS CALLED: which provider a request is for, where it goes there, and whether this caller may make it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hyper::http::uri::PathAndQuery;
use hyper::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use crate::caller::{Caller, CallerError};
use crate::clock::Timestamp;
use crate::config::{self, Config, ExpiredWhen, NeededScopes, Source};
use crate::parameters::{Names, Watch, query};

mod permit;
mod proof;
mod target;

use permit::Parameters;
pub(crate) use proof::Proof;

pub use target::TargetError;

/// What stands in front of a provider's name in a path.
pub const PREFIX: &str = "/proxy/";

/// One configured provider.
pub struct Provider {
    name: Arc<str>,
    connection: Arc<str>,
    reads_bodies: bool,
    parameters: Parameters,
    proof: Option<Proof>,
    settings: config::Provider,
}

impl Provider {
    /// The NAME in `/proxy/NAME/…`.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The tenant's name of the connection that holds its tokens.
    #[must_use]
    pub fn connection(&self) -> &Arc<str> {
        &self.connection
    }

    /// Which of the tenant's worlds holds its tokens.
    #[must_use]
    pub fn source(&self) -> Source {
        self.settings.source
    }

    /// The host name at which it is reached, if it has one here.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.settings.host.as_deref()
    }

    /// Which of several accounts is meant by a call that names none.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        self.settings.account.as_deref()
    }

    /// What its tokens are for; empty where that is what the identity's own token is for.
    #[must_use]
    pub fn audience(&self) -> &str {
        self.settings.audience.as_deref().unwrap_or_default()
    }

    /// Whether its tokens are renewed here.
    #[must_use]
    pub fn is_renewed(&self) -> bool {
        self.settings.renewal.is_some()
    }

    /// The header that carries the injected token.
    #[must_use]
    pub fn auth_header(&self) -> &HeaderName {
        &self.settings.auth_header
    }

    /// What stands before the token in that header.
    #[must_use]
    pub fn auth_prefix(&self) -> &str {
        &self.settings.auth_prefix
    }

    /// The token in the value of that header.
    #[must_use]
    pub fn token_in<'value>(&self, value: &'value HeaderValue) -> &'value [u8] {
        value.as_bytes().get(self.settings.auth_prefix.len()..).unwrap_or_default()
    }

    /// Whether the bodies of its answers are read: for links, for parameters that are not for callers, or for what they say
    /// of the token.
    #[must_use]
    pub fn reads_bodies(&self) -> bool {
        self.reads_bodies
    }

    /// Headers that are set when the caller sent none of that name.
    #[must_use]
    pub fn default_headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.settings.headers
    }

    /// Its settings.
    #[must_use]
    pub fn settings(&self) -> &config::Provider {
        &self.settings
    }

    /// By which of its answers a token is known to be dead; the first rule that matches decides.
    #[must_use]
    pub fn expired_when(&self) -> &[ExpiredWhen] {
        &self.settings.expired_when
    }

    /// Where its answers say which scopes a call would have needed.
    #[must_use]
    pub fn needed_scopes(&self) -> &NeededScopes {
        &self.settings.needed_scopes
    }
}

/// A request came for a provider that is not configured.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// No provider of that name.
    #[error("no provider of that name is configured{}", nearest.as_deref().map(|n| format!("; did you mean {n}?")).unwrap_or_default())]
    UnknownProvider {
        /// The nearest configured name, if one is near.
        nearest: Option<Arc<str>>,
    },
    /// The target cannot be forwarded.
    #[error(transparent)]
    Target(#[from] TargetError),
}

/// Why a caller may not make a call.
#[derive(Debug, thiserror::Error)]
pub enum PermitError {
    /// The method or path is not among what the provider's `allow` and `deny` permit.
    #[error("this proxy does not permit {method} on that path of {provider}; its configuration says what is allowed")]
    NotAllowed {
        /// The request's method.
        method: Method,
        /// The provider's name.
        provider: Arc<str>,
    },
    /// A header asks the provider for another method than the one that was judged.
    #[error("this proxy does not permit method overrides on {provider}, whose methods are restricted")]
    MethodOverride {
        /// The provider's name.
        provider: Arc<str>,
    },
    /// A parameter of the query asks for another method than the one that was judged, or holds further calls.
    #[error("this proxy does not permit what the parameter {name} asks of {provider}")]
    Parameter {
        /// The parameter's name.
        name: String,
        /// The provider's name.
        provider: Arc<str>,
    },
    /// The body may have such a parameter.
    #[error("this proxy cannot look into the request's body, and {provider} is restricted")]
    UnreadableBody {
        /// The provider's name.
        provider: Arc<str>,
    },
    /// The caller's own token came where this provider's tokens do not come.
    #[error(transparent)]
    Bearer(#[from] CallerError),
    /// The caller's own token lacks a scope that the provider's `require` names.
    #[error("the access token lacks the scope {scope}, which this proxy requires for {provider}")]
    InsufficientScope {
        /// The missing scope or permission.
        scope: String,
        /// The provider's name.
        provider: Arc<str>,
    },
    /// An encoded slash where a rule looks: read as part of a segment the path is permitted, as its end it is not, or
    /// the other way round.
    #[error("the path has an encoded slash, and what this provider's rules say depends on how it is read")]
    EncodedSlash,
    /// `Idp-Proxy-Min-Validity` is not a number of seconds.
    #[error("Idp-Proxy-Min-Validity is not a number of seconds")]
    BadMinValidity,
    /// `Idp-Proxy-Account` is not text.
    #[error("Idp-Proxy-Account is not readable")]
    BadAccount,
}

/// All configured providers.
pub struct Providers {
    by_name: HashMap<Arc<str>, Arc<Provider>>,
    by_host: HashMap<String, Arc<Provider>>,
    /// Parameters in which a caller's token may come, at one provider or another.
    token_params: Names,
}

/// Where a request goes, not yet permitted to anyone.
pub struct Route {
    provider: Arc<Provider>,
    target: PathAndQuery,
    /// The callers' tokens that were taken out of the query; `None` if no provider takes any from there.
    taken: Option<Vec<Vec<u8>>>,
}

/// A caller permitted on a route. What a token is asked for: without one there is none.
pub struct Call {
    caller: Caller,
    provider: Arc<Provider>,
    target: PathAndQuery,
    account: Option<HeaderValue>,
    min_validity: Duration,
}

impl Providers {
    /// The providers of `config`.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let mut by_name = HashMap::new();
        let mut by_host = HashMap::new();
        for (name, settings) in &config.providers {
            let name: Arc<str> = Arc::from(name.as_str());
            let connection = Arc::from(settings.connection.as_str());
            let reads_bodies = settings.rewrite == config::Rewrite::Json
                || !settings.secret_params.is_empty()
                || !settings.secret_fields.is_empty()
                || settings.expired_when.iter().any(|rule| rule.json.is_some());
            let (parameters, proof) = (Parameters::new(settings), settings.proof.as_ref().map(Proof::new));
            let settings = settings.clone();
            let host = settings.host.clone();
            let provider = Provider { name: Arc::clone(&name), connection, reads_bodies, parameters, proof, settings };
            let provider = Arc::new(provider);
            if let Some(host) = host {
                by_host.insert(host, Arc::clone(&provider));
            }
            by_name.insert(name, provider);
        }
        let token_params = Names::new(config.providers.values().filter_map(|known| known.params.token.as_deref()));
        Self { by_name, by_host, token_params }
    }

    /// The provider of that name.
    ///
    /// # Errors
    /// [`RouteError::UnknownProvider`].
    pub fn named(&self, name: &str) -> Result<&Arc<Provider>, RouteError> {
        self.by_name.get(name).ok_or_else(|| RouteError::UnknownProvider { nearest: self.nearest(name) })
    }

    /// Every provider, in no order.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.by_name.values()
    }

    /// The parameters of a query in which a caller's token may come, at one provider or another.
    #[must_use]
    pub fn token_params(&self) -> &Names {
        &self.token_params
    }

    /// The provider that is reached by that host name (lower case, without port), if one is.
    #[must_use]
    pub fn at_host(&self, host: &str) -> Option<&Arc<Provider>> {
        if self.by_host.is_empty() { None } else { self.by_host.get(host) }
    }

    /// Where a request to `uri` goes: to the provider whose host it named, or to the one in its path.
    ///
    /// # Errors
    /// [`RouteError`] for an unknown provider or a target that cannot be forwarded as it stands.
    pub fn route(&self, at_host: Option<Arc<Provider>>, uri: &Uri) -> Result<Route, RouteError> {
        let target = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let (provider, rest) = match at_host {
            Some(provider) => (provider, target),
            None => self.by_prefix(target)?,
        };
        let taken = (!self.token_params.is_empty()).then(|| provider.parameters.tokens(rest));
        let rest = query::without(rest, provider.parameters.removed());
        let target = target::upstream(&provider.settings.base_url.path, &rest)?;
        Ok(Route { provider, target, taken })
    }

    /// The name is matched on the bytes as they came and ends at `/`, at `?` or with the target, so nothing can be
    /// glued to it.
    fn by_prefix<'target>(&self, target: &'target str) -> Result<(Arc<Provider>, &'target str), RouteError> {
        let tail = target.strip_prefix(PREFIX).unwrap_or_default();
        let end = tail.find(['/', '?']).unwrap_or(tail.len());
        let (name, rest) = tail.split_at(end);
        self.named(name).map(|provider| (Arc::clone(provider), rest))
    }

    fn nearest(&self, name: &str) -> Option<Arc<str>> {
        let near = config::nearest(name, self.by_name.keys().map(|known| &**known))?;
        self.by_name.get_key_value(near).map(|(known, _)| Arc::clone(known))
    }
}

impl Route {
    /// The provider that was named.
    #[must_use]
    pub fn provider(&self) -> &Arc<Provider> {
        &self.provider
    }

    /// Where it leads, but for a proof that only a token can be given.
    #[must_use]
    pub fn url(&self) -> String {
        let base = &self.provider.settings.base_url;
        format!("{}://{}{}", base.scheme, base.authority, self.target)
    }
}

impl Call {
    /// Who calls.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// What is called.
    #[must_use]
    pub fn provider(&self) -> &Arc<Provider> {
        &self.provider
    }

    /// Path and query at the provider, the caller's bytes behind the configured base path; with the proof of a call with
    /// this token at this time, if the provider is to have one.
    #[must_use]
    pub fn target(&self, token: &[u8], now: impl FnOnce() -> Timestamp) -> Cow<'_, PathAndQuery> {
        let Some(proof) = &self.provider.proof else { return Cow::Borrowed(&self.target) };
        let proven = PathAndQuery::try_from(proof.add_to(self.target.as_str(), token, now()));
        // Only one that is too long cannot be written, and without its proof the provider refuses it.
        proven.map_or(Cow::Borrowed(&self.target), Cow::Owned)
    }

    /// What looks for parameters in a body with these headers that must not reach the provider.
    ///
    /// # Errors
    /// [`PermitError::UnreadableBody`].
    pub fn watch(&self, headers: &HeaderMap) -> Result<Option<Watch>, PermitError> {
        let names = self.provider.parameters.watched();
        if names.is_empty() {
            return Ok(None);
        }
        Watch::new(headers, names).map_err(|_| PermitError::UnreadableBody { provider: self.provider.name().clone() })
    }

    /// Which of several accounts is meant, by the caller or else by the configuration.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        let named = self.account.as_ref().and_then(|value| value.to_str().ok());
        named.or_else(|| self.provider.account())
    }

    /// How much life the token should have left, if that can be had.
    #[must_use]
    pub fn min_validity(&self) -> Duration {
        self.min_validity
    }
}

/// The header that asks for a token with at least so many seconds of life left.
pub const MIN_VALIDITY: HeaderName = HeaderName::from_static("idp-proxy-min-validity");

fn min_validity(headers: &HeaderMap) -> Result<Duration, PermitError> {
    let mut lines = headers.get_all(MIN_VALIDITY).iter();
    let Some(line) = lines.next() else { return Ok(Duration::ZERO) };
    let seconds = line.to_str().ok().and_then(|text| text.trim().parse().ok());
    seconds.filter(|_| lines.next().is_none()).map(Duration::from_secs).ok_or(PermitError::BadMinValidity)
}

/// The longest name of an account, in bytes: those of custom databases and of SAML have some hundred.
const ACCOUNT_BYTES_MAX: usize = 256;

/// The header that names one of several accounts.
pub const ACCOUNT: HeaderName = HeaderName::from_static("idp-proxy-account");

/// Which of several accounts the caller means.
///
/// # Errors
/// [`PermitError::BadAccount`].
pub fn account(headers: &HeaderMap) -> Result<Option<HeaderValue>, PermitError> {
    let mut lines = headers.get_all(ACCOUNT).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Ok(None),
        (Some(value), None) if value.to_str().is_ok_and(|text| (1..=ACCOUNT_BYTES_MAX).contains(&text.len())) => {
            Ok(Some(value.clone()))
        }
        (Some(_), _) => Err(PermitError::BadAccount),
    }
}
