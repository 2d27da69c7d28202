//! From failure to answer: one exhaustive table, and the only place that turns a failure into a status.
//!
//! A failure has two messages. The caller gets the code, a sentence of ours and the request id; the log gets the chain
//! of causes. No text of the tenant, a provider or the TLS library reaches the caller.

use std::time::Duration;

use hyper::http::StatusCode;

use crate::auth0::TenantError;
use crate::caller::CallerError;
use crate::cors::OriginNotAllowed;
use crate::headers::ForwardError;
use crate::provider::{PermitError, RouteError};
use crate::request::HeadError;
use crate::token::{Class, TokenError};
use crate::upstream::UpstreamError;

/// Every way in which a request can end without a provider's answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request's head breaks a rule.
    #[error("{0}")]
    BadRequest(&'static str),
    /// Asked for something that this proxy does not do.
    #[error("{0}")]
    NotImplemented(&'static str),
    /// From which page.
    #[error(transparent)]
    Origin(#[from] OriginNotAllowed),
    /// No such page.
    #[error("there is nothing at this path; providers are called at /proxy/NAME/…")]
    NotFound,
    /// Who calls.
    #[error(transparent)]
    Caller(#[from] CallerError),
    /// Where to.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// Whether they may.
    #[error(transparent)]
    Permit(#[from] PermitError),
    /// With which token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Whether it may be sent on.
    #[error(transparent)]
    Forward(#[from] ForwardError),
    /// What became of it.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

/// Whose doing it is: who must change something for the request to succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The caller, or the user behind it.
    Caller,
    /// This proxy or its configuration.
    Proxy,
    /// The Auth0 tenant.
    Tenant,
    /// The provider.
    Provider,
}

impl Fault {
    /// Its name in answers, logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Proxy => "proxy",
            Self::Tenant => "tenant",
            Self::Provider => "provider",
        }
    }
}

/// What a code means, for everybody who meets it.
#[derive(Debug)]
pub struct Row {
    /// Stable name.
    pub code: &'static str,
    /// Status of the answer.
    pub status: StatusCode,
    /// Whose doing.
    pub fault: Fault,
    /// What happened, in a few words.
    pub title: &'static str,
    /// The error type in `Proxy-Status` (RFC 9209 §2.3).
    pub proxy_error: &'static str,
    /// What to do.
    pub cure: &'static str,
}

macro_rules! codes {
    ($($code:ident $name:literal $status:ident $fault:ident $proxy_error:literal $title:literal $cure:literal;)*) => {
        /// The stable error codes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each row below says what its code means")]
        pub enum Code {
            $($code,)*
        }

        impl Code {
            /// All codes, in the order of their statuses.
            pub const ALL: &'static [Self] = &[$(Self::$code,)*];

            /// The code's row.
            #[must_use]
            pub fn row(self) -> Row {
                match self {
                    $(Self::$code => Row {
                        code: $name,
                        status: StatusCode::$status,
                        fault: Fault::$fault,
                        title: $title,
                        proxy_error: $proxy_error,
                        cure: $cure,
                    },)*
                }
            }
        }
    };
}

codes! {
    BadRequest "bad_request" BAD_REQUEST Caller "http_request_error"
        "The request is malformed or ambiguous"
        "Send one well-formed request: one Host, one Authorization, a path without dot segments, backslashes or control characters.";
    MissingToken "missing_token" UNAUTHORIZED Caller "http_request_denied"
        "No access token"
        "Send `Authorization: Bearer <token>` with the user's Auth0 access token. Tokens in a form or a cookie do not count, nor in the query unless the operator says so with `token_param`. For development, `idp-proxy login` gets one and `idp-proxy token` prints it.";
    InvalidToken "invalid_token" UNAUTHORIZED Caller "http_request_denied"
        "The access token is not valid"
        "Get a new access token from the tenant that this proxy is configured for (`[auth0] domain`, `issuers`). The detail says which check failed, and `idp-proxy explain` looks at each claim.";
    ExpiredToken "expired_token" UNAUTHORIZED Caller "http_request_denied"
        "The access token has expired"
        "Get a new access token (a silent login or a refresh at Auth0; `idp-proxy token` renews by itself) and repeat the request.";
    WrongAudience "wrong_audience" UNAUTHORIZED Caller "http_request_denied"
        "The access token is for another API"
        "Ask for an access token with this proxy's audience (`[auth0] audience`). An ID token is not an access token.";
    UnreadableToken "unreadable_token" UNAUTHORIZED Caller "http_request_denied"
        "The access token is opaque or encrypted"
        "Name this proxy's audience when logging in (`audience=…` at /authorize, `authorizationParams.audience` in the SDKs).";
    NoUser "no_user" FORBIDDEN Caller "http_request_denied"
        "The access token belongs to no user"
        "Machines have no identities at providers, and a deleted or merged user has none any more. Sign a user in.";
    InsufficientScope "insufficient_scope" FORBIDDEN Caller "http_request_denied"
        "The access token lacks a scope that this provider requires"
        "Ask for the scope named in the detail when logging in (`connect` has the URL), or have the permission granted to the user (dashboard: Users, Permissions). The provider's `require` names what it takes.";
    NotAllowed "not_allowed" FORBIDDEN Caller "http_request_denied"
        "This call is not permitted"
        "The operator decides with `allow` and `deny` of the provider; without either only GET and HEAD are permitted. `idp-proxy explain METHOD PATH` names the rule.";
    NotConnected "not_connected" FORBIDDEN Caller "http_request_denied"
        "The user has no account connected at this provider"
        "Link that account to this user, or fill Token Vault: the member `connect` says how, with a URL where `[connect]` names the application. `GET /connections` shows what there is.";
    ReconnectRequired "reconnect_required" FORBIDDEN Caller "http_request_denied"
        "The user must connect the account anew"
        "The provider's token is gone, expired, refused or disconnected. Have the user sign in once more as the member `connect` says, with a URL where `[connect]` names the application.";
    UserBlocked "user_blocked" FORBIDDEN Caller "http_request_denied"
        "The user is blocked at the tenant"
        "An administrator of the tenant can unblock the user (dashboard: User Management, Users).";
    OriginNotAllowed "origin_not_allowed" FORBIDDEN Caller "http_request_denied"
        "Pages of this origin may not use this proxy"
        "Add the page's origin to `[cors] origins`, exactly as the browser sends it.";
    UnknownProvider "unknown_provider" NOT_FOUND Caller "http_request_denied"
        "No provider of that name"
        "Use the name of a configured provider: /proxy/NAME/…, in lower case. `GET /connections` lists them; the operator adds one as `[providers.NAME]`, and `idp-proxy providers` lists the presets.";
    NotFound "not_found" NOT_FOUND Caller "http_request_denied"
        "Nothing here"
        "Providers are called at /proxy/NAME/… or by their own host name (`host`).";
    AmbiguousAccount "ambiguous_account" CONFLICT Caller "http_request_denied"
        "The user has several accounts at this provider"
        "Repeat the request with `Idp-Proxy-Account: <one of the choices>`, or have the operator set the provider's `account`.";
    Internal "internal" INTERNAL_SERVER_ERROR Proxy "proxy_internal_error"
        "The proxy failed"
        "This is a defect. Report it with the request id; the log has the cause.";
    NotImplemented "not_implemented" NOT_IMPLEMENTED Caller "http_request_denied"
        "The proxy does not do that"
        "CONNECT, TRACE, WebSocket handshakes and OAuth 1.0a identities are not supported, and what Token Vault keeps is disconnected at the tenant (`DELETE /me/v1/connected-accounts/accounts/ID`).";
    UpstreamUnreachable "upstream_unreachable" BAD_GATEWAY Provider "destination_unavailable"
        "The provider cannot be reached"
        "Try again later. The operator should check the provider's `base_url` and the network: `idp-proxy check --online` tries each.";
    UpstreamTls "upstream_tls" BAD_GATEWAY Provider "tls_protocol_error"
        "No secure connection to the provider"
        "The provider's certificate is not valid for its name, or not known here. The operator should check `base_url` and SSL_CERT_FILE: `idp-proxy check --online` tries each.";
    UpstreamProtocol "upstream_protocol" BAD_GATEWAY Provider "http_protocol_error"
        "The provider's answer is broken"
        "The provider broke off or did not speak HTTP. Whether it acted on the request is not known.";
    ProviderMisconfigured "provider_misconfigured" BAD_GATEWAY Proxy "proxy_configuration_error"
        "The provider refuses this proxy's own credentials or its way of renewing"
        "The operator should check the provider's `client_id`, `client_secret`, `token_url` and `refresh_auth`: `idp-proxy check --online` tries them.";
    TenantUnavailable "tenant_unavailable" SERVICE_UNAVAILABLE Tenant "proxy_internal_response"
        "The tenant gives no usable answer"
        "Try again after Retry-After. Users whose tokens are held are served meanwhile. The operator should run `idp-proxy check --online`.";
    TenantRateLimited "tenant_rate_limited" SERVICE_UNAVAILABLE Tenant "proxy_internal_response"
        "The tenant is called as often as it allows"
        "Try again after Retry-After. Operators: see `[auth0] management_rps` and the tenant's plan.";
    TenantMisconfigured "tenant_misconfigured" SERVICE_UNAVAILABLE Tenant "proxy_configuration_error"
        "The proxy's application at the tenant lacks a grant"
        "The operator must mend the application at the tenant; the detail says how, and `idp-proxy check --online` names every scope that is missing.";
    Overloaded "overloaded" SERVICE_UNAVAILABLE Proxy "connection_limit_reached"
        "The proxy has no room for this request"
        "Try again after Retry-After. The operator should allow the process more open files, or lower `[limits] connections`.";
    StoreUnavailable "store_unavailable" SERVICE_UNAVAILABLE Proxy "proxy_internal_response"
        "The token store gives no answer"
        "Try again after Retry-After. Users whose tokens are held in memory are served meanwhile. The operator should check `[store] url`: `idp-proxy store list` tries it.";
    UpstreamTimeout "upstream_timeout" GATEWAY_TIMEOUT Provider "connection_timeout"
        "The provider did not answer in time"
        "Try again if the request may be repeated. Whether the provider acted on it is not known.";
    LoopDetected "loop_detected" LOOP_DETECTED Proxy "proxy_loop_detected"
        "The request came back to this proxy"
        "The operator must mend the provider's `base_url`, which leads back to this proxy.";
}

impl Error {
    /// The code of this failure. There is no catch-all: a new failure must say what it means.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::BadRequest(_) => Code::BadRequest,
            Self::NotImplemented(_) => Code::NotImplemented,
            Self::Origin(OriginNotAllowed) => Code::OriginNotAllowed,
            Self::NotFound => Code::NotFound,
            Self::Caller(error) => caller(error),
            Self::Route(RouteError::UnknownProvider { .. }) => Code::UnknownProvider,
            Self::Route(RouteError::Target(_)) => Code::BadRequest,
            Self::Permit(
                PermitError::NotAllowed { .. }
                | PermitError::MethodOverride { .. }
                | PermitError::Parameter { .. }
                | PermitError::UnreadableBody { .. },
            ) => Code::NotAllowed,
            Self::Permit(PermitError::Bearer(error)) => caller(error),
            Self::Permit(PermitError::InsufficientScope { .. }) => Code::InsufficientScope,
            Self::Permit(PermitError::EncodedSlash | PermitError::BadAccount | PermitError::BadMinValidity) => {
                Code::BadRequest
            }
            Self::Token(error) => token(error),
            Self::Forward(ForwardError::Loop) => Code::LoopDetected,
            Self::Upstream(error) => upstream(error),
        }
    }

    /// When the same request may succeed, for failures that pass by themselves.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        if let Self::Token(error) = self
            && let Some(retry_after) = error.retry_after()
        {
            return Some(retry_after);
        }
        let passes = matches!(self, Self::Token(TokenError::RenewalTooSlow { .. }))
            || self.code().row().status == StatusCode::SERVICE_UNAVAILABLE;
        passes.then_some(PAUSE)
    }
}

impl From<HeadError> for Error {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::BadRequest(what) => Self::BadRequest(what),
            HeadError::NotImplemented(what) => Self::NotImplemented(what),
        }
    }
}

/// When to come back after a failure that does not say.
const PAUSE: Duration = Duration::from_secs(2);

fn caller(error: &CallerError) -> Code {
    match error {
        CallerError::MissingToken => Code::MissingToken,
        CallerError::BadRequest(_) => Code::BadRequest,
        CallerError::Unreadable(..) => Code::UnreadableToken,
        CallerError::Invalid(_) => Code::InvalidToken,
        CallerError::Expired => Code::ExpiredToken,
        CallerError::WrongAudience(_) => Code::WrongAudience,
        CallerError::NoUser => Code::NoUser,
        CallerError::NoKeys(_) => Code::TenantUnavailable,
    }
}

fn token(error: &TokenError) -> Code {
    match error {
        TokenError::NotConnected { .. } => Code::NotConnected,
        TokenError::AmbiguousAccount { .. } => Code::AmbiguousAccount,
        TokenError::Dead { .. }
        | TokenError::Disconnected { .. }
        | TokenError::Expired { .. }
        | TokenError::Rejected { .. }
        | TokenError::NoToken { .. }
        | TokenError::NoOfflineAccess { .. }
        | TokenError::NotInVault { .. } => Code::ReconnectRequired,
        TokenError::Renewal { class, .. } => renewal(*class),
        TokenError::RenewalTooSlow { .. } => Code::UpstreamTimeout,
        TokenError::Store(_) => Code::StoreUnavailable,
        TokenError::OAuth1 { .. } | TokenError::InVault { .. } => Code::NotImplemented,
        TokenError::UserBlocked => Code::UserBlocked,
        TokenError::UnknownUser => Code::NoUser,
        TokenError::Unusable { .. } | TokenError::TooSlow => Code::TenantUnavailable,
        TokenError::Tenant(error) | TokenError::NoVault { cause: error, .. } => tenant(error),
        TokenError::CallerExpired => Code::ExpiredToken,
        TokenError::Died => Code::Internal,
    }
}

/// What a renewal failed with, when no living token is held to fall back to.
fn renewal(class: Class) -> Code {
    match class {
        Class::DeadGrant => Code::ReconnectRequired,
        Class::WrongClient | Class::Provider4xx => Code::ProviderMisconfigured,
        Class::Network => Code::UpstreamUnreachable,
        Class::Provider5xx | Class::Malformed => Code::UpstreamProtocol,
        Class::Ours => Code::Internal,
    }
}

fn tenant(error: &TenantError) -> Code {
    match error {
        TenantError::RateLimited { .. } => Code::TenantRateLimited,
        TenantError::Misconfigured(_) => Code::TenantMisconfigured,
        TenantError::Unreachable(_)
        | TenantError::Failing(_)
        | TenantError::Nonsense(..)
        | TenantError::TooSlow
        | TenantError::TokenRefused => Code::TenantUnavailable,
    }
}

fn upstream(error: &UpstreamError) -> Code {
    match error {
        UpstreamError::Unreachable(_) => Code::UpstreamUnreachable,
        UpstreamError::NoDescriptor(_) => Code::Overloaded,
        UpstreamError::Tls(_) => Code::UpstreamTls,
        UpstreamError::Terminated(_) | UpstreamError::Protocol(_) => Code::UpstreamProtocol,
        UpstreamError::ConnectTimeout | UpstreamError::FirstByteTimeout | UpstreamError::UploadStalled => {
            Code::UpstreamTimeout
        }
        UpstreamError::Caller(_) | UpstreamError::CallerStalled => Code::BadRequest,
        UpstreamError::Forbidden { .. } => Code::NotAllowed,
        UpstreamError::NoClient => Code::Internal,
    }
}
