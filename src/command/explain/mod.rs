//! `idp-proxy explain`: what would become of a request, step by step, without sending it. No token is ever printed.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use hyper::http::request::Parts;
use hyper::http::{HeaderName, HeaderValue, Method, Request, Uri, header};

use super::session::Failure;
use super::{Exit, process};
use crate::config::{Config, Env};
use crate::error::Code;
use crate::provider::ACCOUNT;
use crate::proxy::rehearsal::{Rehearsal, Verdict};
use crate::server::{self, Surroundings};
use crate::store::{OpenError, Purpose, Store};

mod caller;
mod given;
mod shown;

/// Which request, and whose.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The request's method
    #[arg(value_parser = given::method)]
    method: Method,
    /// Its path, such as /proxy/github/user, or its whole URL
    #[arg(value_name = "PATH", value_parser = given::target)]
    target: Uri,
    /// A header of the request, as `Name: value`; repeatable
    #[arg(short = 'H', long = "header", value_name = "HEADER", value_parser = given::header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The caller's access token: the token alone, or a line `Authorization: Bearer <token>`; `-` is stdin [default: that of
    /// `idp-proxy login`]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Which of the caller's accounts, as in the header Idp-Proxy-Account
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    account: Option<String>,
    /// The configuration [default: proxy.toml]
    #[arg(long)]
    config: Option<PathBuf>,
    /// One JSON object: {request, steps, verdict, note}
    #[arg(long)]
    json: bool,
}

impl Arguments {
    fn config(&self) -> &Path {
        self.config.as_deref().unwrap_or_else(|| Path::new("proxy.toml"))
    }
}

/// Explains the request to `out`.
pub(super) fn run(arguments: &Arguments, env: &dyn Env, out: &mut dyn Write) -> Exit {
    process::harden();
    let config = match Config::load(arguments.config(), env) {
        Ok(config) => config,
        Err(faults) => return super::tell(&faults, env),
    };
    let explained = explain(arguments, config, env).and_then(|rehearsal| {
        let color = io::stdout().is_terminal() && env.allows_color();
        let text =
            if arguments.json { format!("{:#}\n", shown::json(&rehearsal)) } else { shown::text(&rehearsal, color) };
        out.write_all(text.as_bytes()).and_then(|()| out.flush())?;
        Ok(exit(&rehearsal.verdict))
    });
    explained.unwrap_or_else(|failure| failure.tell())
}

fn explain(arguments: &Arguments, config: Config, env: &dyn Env) -> Result<Rehearsal, Failure> {
    let runtime = process::runtime(1)?;
    let rehearsed = runtime.block_on(async {
        let head = head(arguments, &config, caller::authorization(arguments, env).await?)?;
        let surroundings = Surroundings::default();
        let store = store(&config, &surroundings).await?;
        let proxy = server::unserved(config, surroundings, store)?;
        Ok(proxy.rehearse(head).await)
    });
    runtime.shutdown_timeout(Duration::from_millis(100));
    rehearsed
}

/// Beside whoever serves from it. One that has not been made yet holds nothing.
async fn store(config: &Config, surroundings: &Surroundings) -> io::Result<Store> {
    let nothing = || Store::memory(&surroundings.clock, config.limits.tokens);
    let Some(settings) = &config.store else { return Ok(nothing()) };
    match Store::open(settings, Purpose::Tend, &surroundings.metrics).await {
        Err(OpenError::Missing(_) | OpenError::NotPrepared) => Ok(nothing()),
        opened => Ok(opened?),
    }
}

/// The request's head, as a client would send it.
fn head(arguments: &Arguments, config: &Config, token: Option<HeaderValue>) -> io::Result<Parts> {
    let (method, target) = (arguments.method.clone(), &arguments.target);
    let path = target.path_and_query().map_or("/", |path| path.as_str());
    let public_host = || {
        let url: Option<Uri> = config.server.public_url.as_deref().and_then(|url| url.parse().ok());
        url.as_ref().and_then(Uri::authority).map_or_else(|| config.server.listen.to_string(), ToString::to_string)
    };
    let host = target.authority().map_or_else(public_host, ToString::to_string);
    let mut request = Request::builder().method(method).uri(path);
    if arguments.headers.iter().all(|(name, _)| name != header::HOST) {
        request = request.header(header::HOST, host);
    }
    for (name, value) in &arguments.headers {
        request = request.header(name, value);
    }
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, token);
    }
    if let Some(account) = &arguments.account {
        request = request.header(ACCOUNT, account);
    }
    let invalid = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
    Ok(request.body(()).map_err(invalid)?.into_parts().0)
}

fn exit(verdict: &Verdict) -> Exit {
    let Verdict::Refused(refused) = verdict else { return Exit::Done };
    let code = refused.error.code();
    if matches!(code, Code::MissingToken | Code::ExpiredToken) {
        Exit::LoginNeeded
    } else if matches!(code, Code::TenantUnavailable | Code::TenantRateLimited) {
        Exit::OutOfReach
    } else {
        Exit::Failed
    }
}
