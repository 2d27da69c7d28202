//! `idp-proxy dev`: a world of its own with the real proxy in front, or without it, and lines to try it with.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::http::StatusCode;
use reqwest::Certificate;
use serde_json::Value;

use super::authority::Shown;
use super::header_files::HeaderFiles;
use super::mischief::{self, Mischief};
use super::place::Place;
use super::provider::{Behaviour, RefreshToken};
use super::{World, WorldSettings, banner};
use crate::clock::{Clock, Timestamp};
use crate::command::process::{self, Ending};
use crate::command::{Exit, complain};
use crate::config::{Config, LogFormat, ProcessEnv};
use crate::secret::Secret;
use crate::server::{Server, Surroundings};
use crate::telemetry::metrics::Metrics;

/// How long Google's and Bitbucket's access tokens live: so short that one sees them renewed.
const GOOGLE_LIFE: Duration = Duration::from_secs(60);
const BITBUCKET_LIFE: Duration = Duration::from_secs(20);

/// What was asked for on the command line.
pub(in crate::command) struct Options {
    /// Where the proxy listens.
    pub(in crate::command) listen: SocketAddr,
    /// Make one call and end.
    pub(in crate::command) once: bool,
    /// Have the proxy speak TLS.
    pub(in crate::command) tls: bool,
    /// Describe what runs in JSON.
    pub(in crate::command) json: bool,
    /// What is to go wrong.
    pub(in crate::command) faults: Vec<Mischief>,
    /// Whose pages may use the proxy; the first has the application that people sign in to.
    pub(in crate::command) origins: Vec<String>,
    /// Run without a proxy, and keep everything in this folder.
    pub(in crate::command) tenant_only: Option<PathBuf>,
}

/// Runs the command.
pub(in crate::command) fn run(options: &Options) -> Exit {
    let listen = options.listen;
    if !listen.ip().is_loopback() {
        // Its tenant believes everybody, so it is for this machine alone.
        let _ = writeln!(io::stderr(), "error: dev listens on loopback only, and {} is not", listen.ip());
        return Exit::Misused;
    }
    process::harden();
    let metrics = Metrics::new();
    let started = process::log(LogFormat::Auto, &ProcessEnv, &metrics)
        .and_then(|log| process::runtime(0).map(|runtime| (log, runtime)));
    let (log, runtime) = match started {
        Ok(started) => started,
        Err(error) => return complain(&error),
    };
    let surroundings =
        Surroundings { clock: Clock::system(), metrics, log: Some(log.clone()), ..Surroundings::default() };
    let ran = runtime.block_on(async {
        match &options.tenant_only {
            Some(folder) => tenant_only(folder, options, surroundings.clock).await,
            None => dev(options, surroundings).await,
        }
    });
    runtime.shutdown_timeout(Duration::from_millis(100));
    log.flush();
    match ran {
        Ok(()) => Exit::Done,
        Err(error) => complain(&error),
    }
}

async fn dev(options: &Options, surroundings: Surroundings) -> io::Result<()> {
    let mut ending = Ending::listen()?;
    let world = World::start(surroundings.clock.clone(), settings(&options.origins)).await?;
    let shown = options.tls.then(|| Shown::new(&world, options.listen.ip())).transpose()?;
    let headers = HeaderFiles::create(&world, shown.as_ref())?;
    let key = crate::store::fresh_key().map_err(io::Error::other)?;
    let store = format!("sqlite:{}", headers.path("grants.db").display());
    let text = world.proxy_toml(&options.listen.to_string(), &store, &key);
    let mut config = Config::parse(&text, Path::new("dev"), &ProcessEnv).map_err(io::Error::other)?;
    config.server.tls = shown.as_ref().map(Shown::tls);
    let users = [("alice", world.alice()), ("bob", world.bob())];
    let users = users.map(|(name, token)| (name, Secret::new(token))).to_vec();
    // Whoever opens the console after a call that failed wants to see that call.
    surroundings.feed.watch_until(Timestamp::from_unix_millis(u64::MAX));
    let server = Server::start(config, Surroundings { users, ..surroundings }).await?;
    if options.once {
        return once(&world, &server, shown.as_ref()).await;
    }
    headers.describe(&text, &server)?;
    show(&if options.json {
        format!("{}\n", banner::json(&world, Some(&server), &headers))
    } else {
        banner::whole(&world, &server, &headers)
    })?;
    run_on(&world, options, &mut ending).await;
    process::drain(server, &mut ending).await;
    Ok(())
}

async fn tenant_only(folder: &Path, options: &Options, clock: Clock) -> io::Result<()> {
    let mut ending = Ending::listen()?;
    let place = Place::open(folder)?;
    let has_tls = place.has_tls(options.tls)?;
    let world = World::start(clock, place.settle(settings(&options.origins))?).await?;
    let shown = has_tls.then(|| Shown::new(&world, options.listen.ip())).transpose()?;
    let headers = place.describe(&world, options.listen, shown.as_ref())?;
    show(&if options.json {
        format!("{}\n", banner::json(&world, None, &headers))
    } else {
        banner::tenant_only(&world, &place, &headers, options.listen)
    })?;
    run_on(&world, options, &mut ending).await;
    Ok(())
}

fn settings(origins: &[String]) -> WorldSettings {
    let mut settings = WorldSettings { vault: true, origins: origins.to_vec(), ..WorldSettings::default() };
    settings.google.behaviour = Behaviour::Expires { life: GOOGLE_LIFE, refresh_token: RefreshToken::Always };
    settings.bitbucket.behaviour = Behaviour::Rotates { life: BITBUCKET_LIFE };
    settings
}

fn show(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Until a signal ends it. Meanwhile what is to go wrong does.
async fn run_on(world: &World, options: &Options, ending: &mut Ending) {
    tokio::select! {
        () = ending.signal() => {}
        () = mischief::happen(world, &options.faults) => {}
    }
}

/// Makes the first call of the banner, and says what came of it.
async fn once(world: &World, server: &Server, shown: Option<&Shown>) -> io::Result<()> {
    let url = format!("{}/proxy/github/user", server.url());
    let mut client = reqwest::Client::builder().no_proxy();
    if let Some(shown) = shown {
        client = client.tls_certs_only([Certificate::from_pem(shown.authority.as_bytes()).map_err(io::Error::other)?]);
    }
    let client = client.build().map_err(io::Error::other)?;
    // The tenant's keys are on their way; they are here long before a person could type.
    let mut answer = None;
    for _ in 0..50 {
        let sent = client.get(&url).bearer_auth(world.alice()).send().await.map_err(io::Error::other)?;
        let is_early = sent.status() == StatusCode::SERVICE_UNAVAILABLE;
        answer = Some(sent);
        if !is_early {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let answer = answer.ok_or_else(|| io::Error::other("no answer"))?;
    let status = answer.status();
    let user: Value = answer.json().await.map_err(io::Error::other)?;
    if status != StatusCode::OK || user.get("login").and_then(Value::as_str) != Some("alice") {
        return Err(io::Error::other(format!("GET {url} answered {status}: {user}")));
    }
    writeln!(io::stdout(), "ok: GET /proxy/github/user with alice's Auth0 token answered 200 as alice")
}
