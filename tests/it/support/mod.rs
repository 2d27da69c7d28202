//! What the tests are written with: a proxy in front of a simulated tenant, and an upstream that checks what arrives.

pub mod client;
pub mod rig;
pub mod upstream;

pub use client::{Answer, raw};
pub use rig::{Rig, rig};
pub use upstream::{Recorded, Upstream};
