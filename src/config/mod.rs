//! The configuration as meant: parsed, resolved, complete.
//!
//! `proxy.toml` as written is read by `file` and, for `[providers.NAME]`, `provider`: they hold every default, and all
//! faults are told at once. Rooms are built from a slice of [`Config`] and never see the file.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use hyper::http::uri::{Authority, Scheme};
use hyper::http::{HeaderName, HeaderValue};

use crate::secret::Secret;

mod connect;
mod connection;
mod duration;
mod env;
mod expired_when;
pub mod fault;
mod file;
mod header;
mod mask;
mod nearest;
mod params;
mod place;
mod position;
mod preset;
mod provider;
mod reader;
pub mod rule;
mod said;
mod schema;
mod secret_source;
mod store;
mod syntax;
mod tls;
mod url;
mod value;
mod vars;

pub use connect::{Application, NeededScopes, ScopePlace, SignIn};
pub use duration::parse_duration;
pub use env::{Env, ProcessEnv};
pub use expired_when::{ExpiredWhen, HeaderTest, JsonTest, JsonValue, Means, Wanted};
pub use fault::Faults;
pub use file::known_keys;
pub use nearest::nearest;
pub use place::{is_protected_url, proxy_url};
pub use position::position_of;
pub use preset::{Preset, presets};
pub(crate) use provider::is_provider_name;
use rule::Rule;
pub use schema::schema;
pub use store::key_bytes;
pub use url::parse_origin;

/// The whole configuration of one running proxy.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where the proxy listens and what it is called.
    pub server: Server,
    /// The tenant whose callers are served.
    pub auth0: Auth0,
    /// Where grants are kept; `None` is in memory alone.
    pub store: Option<Store>,
    /// What may be called, by the NAME in `/proxy/NAME/…`.
    pub providers: BTreeMap<String, Provider>,
    /// Which browser origins may read the answers.
    pub cors: Cors,
    /// The application that users are sent to sign in to, if one is named.
    pub connect: Option<Application>,
    /// What people who log in at a shell are told.
    pub login: Login,
    /// Every limit.
    pub limits: Limits,
    /// What is written down.
    pub telemetry: Telemetry,
    /// The files this configuration was read from, secrets included: a change of one is a reason to reload.
    pub files: Vec<PathBuf>,
}

/// `[server]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// The address callers reach. Port 0 picks a free one.
    pub listen: SocketAddr,
    /// What callers are shown in TLS; `None` is HTTP without it.
    pub tls: Option<Tls>,
    /// The origin callers see, without a trailing slash; `None` stands for `http://<listen>` (`https` with TLS) once bound.
    pub public_url: Option<String>,
    /// The address of health, metrics and administration.
    pub admin_listen: SocketAddr,
    /// Worker threads; 0 is one per core.
    pub workers: usize,
    /// This deployment's pseudonym in `Via` (RFC 9110 §7.6.3); `None` picks a random one at start.
    pub name: Option<String>,
}

/// `[server] tls`: a pair that belongs together.
#[derive(Clone, Debug, PartialEq)]
pub struct Tls {
    /// The server's own certificate and those that lead to its authority, in PEM.
    pub certificates: String,
    /// The private key of the first, in PEM.
    pub key: Secret,
}

/// `[auth0]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Auth0 {
    /// The tenant's canonical domain.
    pub domain: String,
    /// The API identifier that a caller's token must name in `aud`.
    pub audience: String,
    /// The machine-to-machine application that reads identities.
    pub client_id: String,
    /// How that application proves itself.
    pub credential: ClientCredential,
    /// Every accepted `iss`, exactly as it stands in tokens.
    pub issuers: Vec<String>,
    /// Where the tenant answers: `https://<domain>`, or a simulated tenant on loopback.
    pub base_url: BaseUrl,
    /// How old a user record may grow before it is read again.
    pub recheck: Duration,
    /// Management API calls a second; `None` leaves it to the tenant's own headers.
    pub management_rps: Option<f64>,
    /// Calls to the tenant at a time.
    pub tenant_concurrency: usize,
    /// The Custom API Client that asks Token Vault; `None` is the application above.
    pub vault: Option<VaultClient>,
}

/// `[auth0] vault`: the application that is linked to our API, which alone may exchange a caller's token.
#[derive(Clone, Debug, PartialEq)]
pub struct VaultClient {
    /// Its id.
    pub client_id: String,
    /// How it proves itself.
    pub credential: ClientCredential,
}

/// `[store]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Store {
    /// Where it is.
    pub place: StorePlace,
    /// Its keys, 32 bytes each in base64: the first seals, all open.
    pub keys: Vec<Secret>,
}

/// Where the store is.
#[derive(Clone, Debug, PartialEq)]
pub enum StorePlace {
    /// In an SQLite file, for one process.
    Sqlite(PathBuf),
    /// In a PostgreSQL database: its address, which may hold a password.
    Postgres(Secret),
}

/// How the tenant knows our application (RFC 6749 §2.3, RFC 7523 §2.2).
#[derive(Clone, Debug, PartialEq)]
pub enum ClientCredential {
    /// A shared client secret.
    Secret(Secret),
    /// A PEM private key (RSA) that signs a `private_key_jwt` assertion.
    PrivateKey(Secret),
}

/// A scheme, an authority and a path prefix, all from configuration alone.
#[derive(Clone, Debug, PartialEq)]
pub struct BaseUrl {
    /// `https`, or `http` on loopback.
    pub scheme: Scheme,
    /// Host and port, never user information.
    pub authority: Authority,
    /// The path without a trailing slash; empty for the root.
    pub path: String,
}

impl std::fmt::Display for BaseUrl {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}://{}{}", self.scheme, self.authority, self.path)
    }
}

/// One `[providers.NAME]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Provider {
    /// The tenant's name of the connection whose identities hold this provider's tokens.
    pub connection: String,
    /// Where calls go.
    pub base_url: BaseUrl,
    /// A host name (lower case, no port) by which the provider is reached without the path prefix.
    pub host: Option<String>,
    /// The identity `user_id` to use when a user has several accounts at the connection.
    pub account: Option<String>,
    /// What may be called.
    pub allow: Allow,
    /// What may not, whatever `allow` says.
    pub deny: Vec<Rule>,
    /// Scopes or permissions the caller's own token must hold, all of them.
    pub require: Vec<String>,
    /// The header that carries the injected token.
    pub auth_header: HeaderName,
    /// What stands before the token in that header, `"Bearer "` as a rule.
    pub auth_prefix: String,
    /// Headers set when the caller sent none of that name.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// By which answers it says that a token is dead; the first rule that matches decides.
    pub expired_when: Vec<ExpiredWhen>,
    /// Where it says which scopes a call would have needed.
    pub needed_scopes: NeededScopes,
    /// What a sign-in through its connection asks for.
    pub sign_in: SignIn,
    /// Where an answer's links into the provider are pointed back at the proxy.
    pub rewrite: Rewrite,
    /// Whether answers are searched for the injected token.
    pub guard: GuardMode,
    /// Paths at which strings of its JSON bodies lead into the provider without naming its host.
    pub rewrite_paths: Vec<String>,
    /// Query parameters that are taken out of the URLs in its answers: they carry a token.
    pub secret_params: Vec<String>,
    /// Members of JSON objects whose values are masked in its answers: they are tokens.
    pub secret_fields: Vec<String>,
    /// Parameters of its calls that are looked at.
    pub params: Params,
    /// The app's secret, if calls are to prove that they come from the app (Facebook's `appsecret_proof`).
    pub proof: Option<Secret>,
    /// Which of the tenant's worlds holds its tokens.
    pub source: Source,
    /// What its tokens are for, if not what the identity's own one is for: then each is had with the identity's refresh
    /// token, and the identity's own access token is never sent.
    pub audience: Option<String>,
    /// How its tokens are renewed, if they are renewed here.
    pub renewal: Option<Renewal>,
    /// How what a user has granted there is taken back, if that is known.
    pub revocation: Option<Revocation>,
}

/// Parameters of a provider's calls that are not data alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Params {
    /// In which a caller's own token may come, where there is no `Authorization`.
    pub token: Option<String>,
    /// Which asks for another method than the request's.
    pub method: Option<String>,
    /// Which holds further calls.
    pub batch: Option<String>,
    /// Those that are taken out of the query.
    pub dropped: Vec<String>,
}

/// Whether a provider's answers are searched for the token that was sent to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GuardMode {
    /// They are.
    #[default]
    On,
    /// They are not.
    Off,
}

/// Which of the tenant's worlds holds a connection's tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// The user's identities first; Token Vault where an identity carries no token.
    #[default]
    Auto,
    /// The user's identities alone.
    Identities,
    /// Token Vault alone, whose tokens Auth0 renews.
    TokenVault,
}

/// How a connection's tokens are renewed at its token endpoint (RFC 6749 §6).
#[derive(Clone, Debug, PartialEq)]
pub struct Renewal {
    /// Where renewals are asked for: the token endpoint, but for the few providers that keep the two apart.
    pub url: String,
    /// For whom an assertion is: the token endpoint, which stands for the authorization server (RFC 7523 §3).
    pub audience: String,
    /// The connection's own OAuth client.
    pub client_id: String,
    /// How that client proves itself.
    pub proof: ClientProof,
    /// How the request is written.
    pub body: RefreshBody,
    /// What is spent.
    pub grant: RefreshGrant,
    /// Parameters that are sent as well.
    pub params: Vec<(String, String)>,
    /// The scope that is asked for; none is the one that was granted.
    pub scope: Option<String>,
    /// Whether a renewal replaces the refresh token and kills the old one.
    pub rotates: bool,
    /// What an access token lives when the answer does not say.
    pub lifetime: Option<Duration>,
}

/// How a connection's tokens are revoked at its provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Revocation {
    /// Where. `{client_id}` in it stands for that of the client.
    pub url: String,
    /// What is sent there.
    pub with: RevokeWith,
    /// The connection's own OAuth client, if it is known.
    pub client: Option<RevokingClient>,
}

/// What is sent to have a token revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevokeWith {
    /// A form with the token, in the client's name if there is one (RFC 7009).
    Token,
    /// An empty POST with the access token as its bearer.
    Bearer,
    /// A DELETE with the access token as its bearer.
    Delete,
    /// A DELETE in the client's name, with the access token in JSON.
    GitHub,
}

/// In whose name a token is revoked.
#[derive(Clone, Debug, PartialEq)]
pub struct RevokingClient {
    /// The connection's own OAuth client.
    pub id: String,
    /// How that client proves itself.
    pub proof: ClientProof,
    /// For whom an assertion is, see [`Renewal::audience`].
    pub audience: String,
}

/// How a client proves itself at a token endpoint (RFC 6749 §2.3, RFC 7523 §2.2).
#[derive(Clone, Debug, PartialEq)]
pub enum ClientProof {
    /// A secret in the request's body. Of several the first that is accepted.
    Post(Vec<Secret>),
    /// A secret in `Authorization: Basic`.
    Basic(Vec<Secret>),
    /// An assertion, signed with this RSA key (PEM).
    PrivateKey(Secret),
    /// A public client.
    Nothing,
}

impl ClientProof {
    /// How many calls it may take until one is accepted.
    #[must_use]
    pub fn tries(&self) -> u32 {
        match self {
            Self::Post(secrets) | Self::Basic(secrets) => u32::try_from(secrets.len()).unwrap_or(1).max(1),
            Self::PrivateKey(_) | Self::Nothing => 1,
        }
    }
}

/// How a renewal's request is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshBody {
    /// As RFC 6749 has it.
    Form,
    /// As Notion and Atlassian have it.
    Json,
}

/// What a renewal spends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshGrant {
    /// A refresh token.
    RefreshToken,
    /// Facebook: an access token that still lives.
    FacebookExchange,
}

/// Which calls a provider permits.
#[derive(Clone, Debug, PartialEq)]
pub enum Allow {
    /// GET and HEAD.
    Read,
    /// Every method.
    All,
    /// What one of these rules matches.
    Rules(Vec<Rule>),
}

/// Where an answer's links into the provider are pointed back at the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewrite {
    /// Nowhere.
    Off,
    /// In `Link`, `Location` and `Content-Location`.
    Headers,
    /// There and in the strings of JSON bodies.
    Json,
}

/// `[cors]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cors {
    /// The origins that may read answers, compared exactly.
    pub origins: Vec<String>,
}

/// `[limits]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Open connections of callers; more wait in the kernel's queue.
    pub connections: usize,
    /// Bytes of a request's head.
    pub request_head_bytes: usize,
    /// From a head's first byte (a connection's start, for its first) to its end.
    pub request_head_timeout: Duration,
    /// How long a caller's connection may be idle between requests.
    pub keep_alive: Duration,
    /// How long a caller waits for a token.
    pub token_wait: Duration,
    /// TCP and TLS to a provider.
    pub connect_timeout: Duration,
    /// From the end of the request's body to the answer's head.
    pub first_byte_timeout: Duration,
    /// No byte in either direction.
    pub idle_timeout: Duration,
    /// One call to the tenant.
    pub tenant_timeout: Duration,
    /// Between two key-set fetches for unknown keys.
    pub key_set_cooldown: Duration,
    /// The largest request body, in bytes, that is kept for a second try after a renewal.
    pub replay_body_bytes: usize,
    /// How long running requests may take to finish after SIGTERM.
    pub drain: Duration,
    /// Users' tokens held in memory.
    pub tokens: usize,
}

/// `[login]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Login {
    /// The native application by which `idp-proxy login` logs people in.
    pub client_id: Option<String>,
}

/// `[telemetry]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Telemetry {
    /// How log lines look.
    pub log_format: LogFormat,
    /// Whether a line is written for every request.
    pub access_log: bool,
    /// Whether `traceparent`, `tracestate` and `baggage` are handed on to providers.
    pub propagate: bool,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
