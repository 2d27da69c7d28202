//! What the commands of a person at a shell share: who they are logged in as, at which proxy, and how that lasts.
//!
//! `place` says which proxy is meant, `discovery` what it and its issuer tell about themselves, `tenant` speaks to the
//! issuer, `granted` is what it grants, `file` keeps the sessions, `renewal` makes them last.

use std::io::{self, Write};
use std::path::Path;

use clap::Args;

use super::{Exit, complain, process};
use crate::config::{Env, proxy_url};

pub(super) mod discovery;
pub(super) mod file;
pub(super) mod granted;
pub(super) mod renewal;
pub(super) mod tenant;

/// Which proxy is meant.
#[derive(Args)]
pub(super) struct Place {
    /// The proxy [default: IDP_PROXY_URL, what ./proxy.toml says, or http://127.0.0.1:8080]
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
}

impl Place {
    /// The proxy at that address.
    pub(super) fn at(proxy: String) -> Self {
        Self { proxy: Some(proxy) }
    }

    /// The proxy's origin.
    pub(super) fn proxy(&self, env: &dyn Env) -> Result<String, Failure> {
        proxy_url(self.proxy.as_deref(), env, Path::new("proxy.toml")).map_err(Failure::misused)
    }
}

/// Why a command did not do what it was asked to, with what to do about it, and how the process ends.
#[derive(Debug)]
pub(super) struct Failure {
    exit: Exit,
    message: String,
}

impl Failure {
    /// Something else went wrong.
    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, message: message.into() }
    }

    /// The usage or the configuration is bad.
    pub(super) fn misused(message: impl Into<String>) -> Self {
        Self { exit: Exit::Misused, message: message.into() }
    }

    /// The proxy or the tenant is out of reach.
    pub(super) fn out_of_reach(message: impl Into<String>) -> Self {
        Self { exit: Exit::OutOfReach, message: message.into() }
    }

    /// Nothing goes on before the person at the shell has logged in to `proxy`.
    pub(super) fn login_needed(why: impl std::fmt::Display, proxy: &str) -> Self {
        Self::not_logged_in(format!("{why}; log in with `idp-proxy login --proxy {proxy}`"))
    }

    /// Whoever was asked to said no.
    pub(super) fn denied(why: &str) -> Self {
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        Self::not_logged_in(format!("the login was refused{why}"))
    }

    /// A login that came to nothing.
    pub(super) fn not_logged_in(message: impl Into<String>) -> Self {
        Self { exit: Exit::LoginNeeded, message: message.into() }
    }

    /// Whether it may pass by itself.
    pub(super) fn is_out_of_reach(&self) -> bool {
        self.exit == Exit::OutOfReach
    }

    /// Whether the person at the shell has to log in first.
    pub(super) fn asks_for_login(&self) -> bool {
        self.exit == Exit::LoginNeeded
    }

    /// Says on stderr why, and how the process ends.
    pub(super) fn tell(&self) -> Exit {
        say(&format!("error: {}", self.message));
        self.exit
    }

    /// The same, with what to do about it.
    pub(super) fn hint(mut self, hint: &str) -> Self {
        self.message = format!("{}; {hint}", self.message);
        self
    }

    /// What a system call said.
    pub(super) fn io(what: impl std::fmt::Display, error: &io::Error) -> Self {
        Self::failed(format!("{what}: {error}"))
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl From<io::Error> for Failure {
    /// What the person at the shell asks for is not what it says, or something else went wrong.
    fn from(error: io::Error) -> Self {
        let message = crate::telemetry::chain(&error);
        if error.kind() == io::ErrorKind::InvalidInput { Self::misused(message) } else { Self::failed(message) }
    }
}

/// Runs `work` to its end, and says on stderr why it failed.
pub(super) fn run(work: impl Future<Output = Result<(), Failure>>) -> Exit {
    process::shield();
    let runtime = match process::runtime(1) {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error),
    };
    match runtime.block_on(work) {
        Ok(()) => Exit::Done,
        Err(failure) => failure.tell(),
    }
}

/// Tells the person at the shell something. Stdout is for what a program reads.
pub(super) fn say(text: &str) {
    // Whoever closed stderr does not want to know.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Writes what a program reads.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|error| Failure::io("stdout", &error))
}
