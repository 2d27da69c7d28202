//! idp-proxy: a caller with nothing but an Auth0 access token calls GitHub, Google, Microsoft or any OAuth 2.0 API, and
//! never holds a token of theirs.
//!
//! # The map
//!
//! Start reading in `proxy`: `handle` answers one request, `forward` is the path it takes, step by step. The rooms, in
//! the order in which a request visits them:
//!
//! | room | what happens there |
//! | --- | --- |
//! | `server` | connections: limits, timers, HTTP/1.1 or HTTP/2; reload and drain; the admin listener |
//! | `proxy` | ONE request: `handle` and `forward` |
//! | `request` | is it one well-formed request to us? |
//! | `cors` | may this page use the proxy? |
//! | `caller` | WHO CALLS: the bearer becomes a caller |
//! | `provider` | WHAT IS CALLED: route, target, permission; presets are data in `provider/catalogue` |
//! | `token` | THE TOKEN the caller is entitled to: from memory or from the tenant, one flight for all who wait |
//! | `headers` | which headers pass, in both directions |
//! | `upstream` | the one way out |
//! | `answer` | WHAT COMES BACK: a verdict on the token, links that lead back through the proxy, the guard against its leaking |
//! | `error`, `problem` | WHAT WENT WRONG: the table of failures, and the answer made of a row |
//!
//! Beside them are leaves, which know no room: `config` (file to meaning), `auth0` (the tenant's endpoints and budget),
//! `telemetry` (log, metrics), `store` (where grants outlive the process), `body`, `parameters` (of queries and forms),
//! `activity`, `assertion`, `bounded`, `connect` (where users sign in), `frontend` (`/client.js`), `gather`, `percent`,
//! `tls`, `clock`, `random`, `secret`. `command` starts it all; `command::dev` holds the simulated tenant and providers, which
//! the tests use too.
//!
//! # What never happens
//!
//! - A room imports only rooms that a request visits before it; `error` and `problem`, which know every failure, and
//!   `proxy` and `server`, which lead through them, come last. A test reads the imports.
//! - Only `config` reads the environment, only `clock` asks for the time.
//! - Only `headers` puts a token into a request, and only `error` turns a failure into a status.
//! - Nothing waits on the network while it holds a lock.
//! - The caller's token is taken out of a call before anything else is known of it: there is nothing to forward it from.

mod activity;
mod assertion;
mod auth0;
mod body;
mod bounded;
pub mod clock;
pub mod command;
pub mod config;
mod connect;
mod frontend;
mod gather;
mod parameters;
mod percent;
mod random;
mod secret;
mod store;
pub mod telemetry;
mod tls;

mod answer;
pub mod caller;
mod cors;
pub mod error;
mod headers;
mod problem;
mod provider;
mod proxy;
mod request;
pub mod server;
mod token;
mod upstream;
