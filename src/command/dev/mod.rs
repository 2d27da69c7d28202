//! A world of its own for `idp-proxy dev` and for the tests: a simulated Auth0 tenant and demo providers.
//!
//! Everything listens on loopback and stops when its handle is dropped. What it knows is in memory alone, but for
//! `dev --tenant-only`, whose world is kept in a folder. The simulated parties are strict: what the real ones refuse is
//! refused here, in the same words, so that a proxy that works here has a chance to work there.

mod answer;
mod authority;
mod banner;
mod credentials;
mod encoding;
pub mod fault;
mod header_files;
pub mod http;
mod mischief;
mod place;
pub mod provider;
mod proxy_toml;
mod run;
mod state;
pub mod tenant;
mod world;

pub(super) use mischief::Mischief;
pub(super) use run::{Options, run};
pub use world::{ALICE, BOB, World, WorldSettings};
