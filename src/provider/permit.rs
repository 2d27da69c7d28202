//! Whether a caller may make a call: method and path against the provider's rules, scopes against its requirements.

use std::fmt;
use std::sync::Arc;

use hyper::http::{HeaderMap, HeaderName, Method};

use super::proof;
use super::target::{has_encoded_slash, keep_encoded_slashes};
use super::{Call, PermitError, Provider, Route, account, min_validity};
use crate::caller::Caller;
use crate::config::rule::Rule;
use crate::config::{self, Allow};
use crate::parameters::{Names, query};
use crate::percent;

/// Headers by which some servers take another method than the request's (Google's do). Where methods are restricted
/// they would dodge the rule.
const METHOD_OVERRIDES: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

/// A name with `_` for `-` is the same name to servers that turn headers into variables (RFC 3875 §4.1.18).
fn overrides_method(name: &HeaderName) -> bool {
    let is_same = |(known, byte): (u8, u8)| byte == known || (byte == b'_' && known == b'-');
    let is_named =
        |known: &&str| known.len() == name.as_str().len() && known.bytes().zip(name.as_str().bytes()).all(is_same);
    METHOD_OVERRIDES.iter().any(is_named)
}

/// Parameters of one provider's calls that are not data alone.
pub(super) struct Parameters {
    token: Names,
    method: Names,
    batch: Names,
    removed: Names,
    watched: Names,
}

impl Parameters {
    /// Those that matter under these settings: where everything is permitted, nothing is dodged.
    pub(super) fn new(settings: &config::Provider) -> Self {
        let params = &settings.params;
        let restricts_methods = restricts_methods(settings);
        let is_restricted = restricts_methods || !settings.deny.is_empty();
        let token = params.token.as_deref();
        let method = params.method.as_deref().filter(|_| restricts_methods);
        let batch = params.batch.as_deref().filter(|_| is_restricted);
        let proof = proof::PARAMETERS.into_iter().filter(|_| settings.proof.is_some());
        let dropped = params.dropped.iter().map(String::as_str);
        Self {
            token: Names::new(token),
            method: Names::new(method),
            batch: Names::new(batch),
            removed: Names::new(token.into_iter().chain(proof).chain(dropped)),
            watched: Names::new([token, method, batch].into_iter().flatten()),
        }
    }

    /// Those that are taken out of the query.
    pub(super) fn removed(&self) -> &Names {
        &self.removed
    }

    /// Those that must not be in a body.
    pub(super) fn watched(&self) -> &Names {
        &self.watched
    }

    /// The callers' tokens in a target.
    pub(super) fn tokens(&self, target: &str) -> Vec<Vec<u8>> {
        query::values(target, &self.token).map(|(_, token)| token).filter(|token| !token.is_empty()).collect()
    }
}

/// Whether a query asks for a field under another name, by which nobody would know it (Facebook's `access_token.as(x)`).
fn is_renamed(field: &str, target: &str) -> bool {
    let query = target.split_once('?').map_or("", |(_, query)| query).replace('+', " ");
    let query = percent::decode(query.as_bytes());
    let query = String::from_utf8_lossy(&query);
    query.match_indices(field).any(|(at, _)| {
        let behind = query.get(at + field.len()..).unwrap_or_default().trim_start();
        behind.strip_prefix('.').is_some_and(|behind| behind.trim_start().starts_with("as"))
    })
}

fn restricts_methods(settings: &config::Provider) -> bool {
    settings.allow != Allow::All || settings.deny.iter().any(Rule::is_about_methods)
}

impl Provider {
    /// Whether the caller's own token holds what this provider's `require` names.
    ///
    /// # Errors
    /// [`PermitError::InsufficientScope`].
    pub fn admit(&self, caller: &Caller) -> Result<(), PermitError> {
        match self.settings.require.iter().find(|scope| !caller.holds(scope)) {
            Some(scope) => {
                Err(PermitError::InsufficientScope { scope: scope.clone(), provider: Arc::clone(&self.name) })
            }
            None => Ok(()),
        }
    }
}

/// What a provider's rules say of a request, and which one of them says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling<'rules> {
    /// Everything is permitted.
    All,
    /// Reading is.
    Read,
    /// This rule of `allow` permits it.
    Allowed(&'rules Rule),
    /// Nothing in `allow` permits it.
    NotAllowed,
    /// This rule of `deny` forbids it.
    Denied(&'rules Rule),
}

impl Ruling<'_> {
    /// Whether the request is permitted.
    #[must_use]
    pub fn permits(self) -> bool {
        match self {
            Self::All | Self::Read | Self::Allowed(_) => true,
            Self::NotAllowed | Self::Denied(_) => false,
        }
    }
}

impl fmt::Display for Ruling<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => formatter.write_str("allow = \"all\""),
            Self::Read => formatter.write_str("allow = \"read\" (GET and HEAD)"),
            Self::Allowed(rule) => write!(formatter, "allow has \"{rule}\""),
            Self::NotAllowed => formatter.write_str("nothing in `allow` permits it"),
            Self::Denied(rule) => write!(formatter, "deny has \"{rule}\""),
        }
    }
}

impl Route {
    /// Permits `caller` to make this request, or says why not.
    ///
    /// # Errors
    /// [`PermitError`].
    pub fn permit(self, caller: Caller, method: &Method, headers: &HeaderMap) -> Result<Call, PermitError> {
        if let Some(taken) = &self.taken {
            caller.bearer().suits(taken, self.target.as_str())?;
        }
        self.provider.admit(&caller)?;
        self.judge(method, headers)?;
        let account = account(headers)?;
        let min_validity = min_validity(headers)?;
        Ok(Call { caller, provider: self.provider, target: self.target, account, min_validity })
    }

    /// Whether the provider's rules permit this request, whoever makes it.
    ///
    /// # Errors
    /// [`PermitError`].
    pub fn judge(&self, method: &Method, headers: &HeaderMap) -> Result<(), PermitError> {
        let provider = || self.provider.name().clone();
        if restricts_methods(&self.provider.settings) && headers.keys().any(overrides_method) {
            return Err(PermitError::MethodOverride { provider: provider() });
        }
        if !self.ruling(method)?.permits() {
            return Err(PermitError::NotAllowed { method: method.clone(), provider: provider() });
        }
        self.check_parameters()
    }

    /// A call that asks for a second method must be permitted under both, and of calls within a call nothing is known.
    fn check_parameters(&self) -> Result<(), PermitError> {
        let (parameters, target) = (&self.provider.parameters, self.target.as_str());
        let refusal =
            |name: &str| PermitError::Parameter { name: name.to_owned(), provider: self.provider.name().clone() };
        for (name, value) in query::values(target, &parameters.method) {
            let method = Method::from_bytes(value.trim_ascii().to_ascii_uppercase().as_slice());
            if !method.is_ok_and(|method| self.ruling(&method).is_ok_and(Ruling::permits)) {
                return Err(refusal(name));
            }
        }
        if let Some((name, _)) = query::values(target, &parameters.batch).next() {
            return Err(refusal(name));
        }
        match self.provider.settings.secret_fields.iter().find(|field| is_renamed(field, target)) {
            Some(field) => Err(refusal(field)),
            None => Ok(()),
        }
    }

    /// What decides. Rules look at a decoded copy of the path behind the base URL; what is sent stays as it came.
    ///
    /// # Errors
    /// [`PermitError::EncodedSlash`].
    pub fn ruling(&self, method: &Method) -> Result<Ruling<'_>, PermitError> {
        let settings = &self.provider.settings;
        if settings.deny.is_empty() {
            match &settings.allow {
                Allow::All => return Ok(Ruling::All),
                Allow::Read => return Ok(read(method)),
                Allow::Rules(_) => {}
            }
        }
        let path = self.target.path().get(settings.base_url.path.len()..).unwrap_or_default();
        let judge = |path: &str| {
            let decoded = percent::decode(path.as_bytes());
            let decoded = String::from_utf8_lossy(&decoded);
            let is_about = |rule: &&Rule| rule.matches(method, &decoded);
            let allowed = match &settings.allow {
                Allow::All => Ruling::All,
                Allow::Read => read(method),
                Allow::Rules(rules) => rules.iter().find(is_about).map_or(Ruling::NotAllowed, Ruling::Allowed),
            };
            let denied = allowed.permits().then(|| settings.deny.iter().find(is_about)).flatten();
            denied.map_or(allowed, Ruling::Denied)
        };
        let ruling = judge(path);
        // GitLab names projects as `group%2Fproject`, so an encoded slash is refused only where it makes a difference.
        if has_encoded_slash(path) && judge(&keep_encoded_slashes(path)).permits() != ruling.permits() {
            return Err(PermitError::EncodedSlash);
        }
        Ok(ruling)
    }
}

fn read(method: &Method) -> Ruling<'static> {
    if *method == Method::GET || *method == Method::HEAD { Ruling::Read } else { Ruling::NotAllowed }
}
