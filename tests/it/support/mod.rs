//! What the tests are written with: a proxy in front of a simulated tenant, and an upstream that checks what arrives.

pub mod browser;
pub mod canary;
pub mod child;
pub mod client;
pub mod command;
pub mod durable;
pub mod exact;
pub mod frames;
pub mod https;
pub mod issuer;
pub mod judge;
pub mod node;
pub mod people;
#[expect(dead_code, reason = "the unit tests of the store use the rest")]
pub mod postgres;
pub mod program;
pub mod python;
pub mod readme;
pub mod relay;
pub mod rig;
pub mod shell;
pub mod slow;
pub mod squeeze;
pub mod transcript;
pub mod upstream;
pub mod wire;

pub use child::Child;
pub use client::Answer;
pub use people::{AUDIENCE, refused};
pub use rig::{Rig, rig};
pub use upstream::{Recorded, Upstream};
