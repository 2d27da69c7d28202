//! `cargo bench --bench floor`: what a request costs here, next to the least that hyper can do, on the same machine
//! in the same run, in turns. Ratios survive a busy machine; absolute figures only show the scale.
//!
//! `cargo bench --bench floor -- [--quick] [--report-only] [--strict] [--noise] [ROW…]`
//!
//! The binary starts itself again for every part that must not share a process with another, so that the kernel's
//! accounts tell them apart: the floor, the provider's place, the tenant's place and the load. The proxy is the
//! release binary with production defaults. `--noise` puts the floor in the proxy's place as well: how far its ratios
//! stray from 1 is what this machine can tell apart today. `--strict` fails where a row had to be skipped.
//!
//! Not called `main.rs`: Cargo would take it for an integration test as well.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a benchmark: a failure is a panic, its output is the point, and the time it measures is the real one"
)]

/// The proxy's own: what is left is the difference that the proxy makes.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod child;
mod floor;
mod http1;
mod keys;
mod load;
mod load_h2;
mod measure;
#[expect(dead_code, reason = "the tests need more of it")]
#[path = "../it/support/postgres.rs"]
mod postgres;
mod rig;
mod rows;
mod tenant;
mod upstream;

use std::process::ExitCode;

/// What was asked for on the command line.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Fewer and shorter rounds, smaller numbers: to see that all of it works, not to judge by.
    pub quick: bool,
    /// A missed limit does not fail the run.
    pub report_only: bool,
    /// A row that had to be skipped fails the run.
    pub strict: bool,
    /// The floor stands in for the proxy.
    pub noise: bool,
    /// The rows to run; none named means all.
    pub rows: Vec<String>,
}

impl Options {
    fn parse(arguments: impl Iterator<Item = String>) -> Self {
        let mut options = Self::default();
        for argument in arguments {
            match argument.as_str() {
                "--bench" => {}
                "--quick" => options.quick = true,
                "--report-only" => options.report_only = true,
                "--strict" => options.strict = true,
                "--noise" => options.noise = true,
                flag if flag.starts_with('-') => panic!("unknown flag {flag}"),
                row => options.rows.push(row.to_owned()),
            }
        }
        options
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(first) = arguments.first() else {
        // `cargo test --all-targets` starts bench targets too, without the flag that `cargo bench` gives.
        println!("start this with: cargo bench --bench floor");
        return ExitCode::SUCCESS;
    };
    match first.as_str() {
        "role-floor" => floor::run(&arguments[1..]),
        "role-upstream" => upstream::run(),
        "role-tenant" => tenant::run(&arguments[1..]),
        "role-load" => load::run(&arguments[1..]),
        _ => return rows::run(&Options::parse(arguments.into_iter())),
    }
    ExitCode::SUCCESS
}
