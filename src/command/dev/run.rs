//! `idp-proxy dev`: a world of its own with the real proxy in front, and lines to try it with.

use hyper::http::StatusCode;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::mischief::{self, Mischief};
use super::provider::{Behaviour, RefreshToken};
use super::{ALICE, BOB, World, WorldSettings};
use crate::clock::Clock;
use crate::command::process::{self, Ending};
use crate::command::{Exit, complain};
use crate::config::{Config, LogFormat, ProcessEnv};
use crate::server::{Server, Surroundings};
use crate::telemetry::metrics::Metrics;

/// Callers' tokens of the simulated tenant live as long as Auth0's do by default.
const TOKEN_LIFE_SECONDS: u64 = 86_400;

/// How long Google's and Bitbucket's access tokens live: so short that one sees them renewed.
const GOOGLE_LIFE: Duration = Duration::from_secs(60);
const BITBUCKET_LIFE: Duration = Duration::from_secs(20);

/// What was asked for on the command line.
pub(in crate::command) struct Options {
    /// Where the proxy listens.
    pub(in crate::command) listen: SocketAddr,
    /// Make one call and end.
    pub(in crate::command) once: bool,
    /// Describe what runs in JSON.
    pub(in crate::command) json: bool,
    /// What is to go wrong.
    pub(in crate::command) faults: Vec<Mischief>,
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
    let surroundings = Surroundings { clock: Clock::system(), metrics, log: Some(log.clone()) };
    let ran = runtime.block_on(dev(options, surroundings));
    runtime.shutdown_timeout(Duration::from_millis(100));
    log.flush();
    match ran {
        Ok(()) => Exit::Done,
        Err(error) => complain(&error),
    }
}

async fn dev(options: &Options, surroundings: Surroundings) -> io::Result<()> {
    let mut ending = Ending::listen()?;
    let mut settings = WorldSettings { vault: true, ..WorldSettings::default() };
    settings.google.behaviour = Behaviour::Expires { life: GOOGLE_LIFE, refresh_token: RefreshToken::Always };
    settings.bitbucket.behaviour = Behaviour::Rotates { life: BITBUCKET_LIFE };
    let world = World::start(surroundings.clock.clone(), settings).await?;
    let headers = HeaderFiles::create(&world)?;
    let key = crate::store::fresh_key().map_err(io::Error::other)?;
    let store = format!("sqlite:{}", headers.path("grants.db").display());
    let text = world.proxy_toml(&options.listen.to_string(), &store, &key);
    let config = Config::parse(&text, Path::new("dev"), &ProcessEnv).map_err(io::Error::other)?;
    let server = Server::start(config, surroundings).await?;
    let demo = Demo { world, server };
    if options.once {
        return demo.once().await;
    }
    let mut out = io::stdout().lock();
    if options.json {
        writeln!(out, "{}", demo.json())?;
    } else {
        out.write_all(demo.banner(&headers).as_bytes())?;
    }
    out.flush()?;
    drop(out);
    tokio::select! {
        () = ending.signal() => {}
        () = mischief::happen(&demo.world, &options.faults) => {}
    }
    process::drain(demo.server, &mut ending).await;
    Ok(())
}

struct Demo {
    world: World,
    server: Server,
}

impl Demo {
    fn users(&self) -> [(&'static str, &'static str, String); 2] {
        [("alice", ALICE, self.world.alice()), ("bob", BOB, self.world.bob())]
    }

    /// Makes the first call of the banner, and says what came of it.
    async fn once(&self) -> io::Result<()> {
        let url = format!("http://{}/proxy/github/user", self.server.proxy());
        let client = reqwest::Client::builder().no_proxy().build().map_err(io::Error::other)?;
        // The tenant's keys are on their way; they are here long before a person could type.
        let mut answer = None;
        for _ in 0..50 {
            let sent = client.get(&url).bearer_auth(self.world.alice()).send().await.map_err(io::Error::other)?;
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

    fn json(&self) -> Value {
        let expires_at = self.world.clock.now().unix_seconds() + TOKEN_LIFE_SECONDS;
        let users = self
            .users()
            .map(|(name, sub, token)| json!({ "name": name, "sub": sub, "token": token, "expires_at": expires_at }));
        let proxy = self.server.proxy();
        let providers = self.world.providers().map(|(provider, _)| {
            let name = &provider.settings().name;
            json!({
                "name": name,
                "url": format!("http://{proxy}/proxy/{name}"),
                "host": format!("{name}.localhost:{}", proxy.port()),
                "behaviour": behaviour(&provider.settings().behaviour),
            })
        });
        json!({
            "proxy": format!("http://{proxy}"),
            "admin": format!("http://{}", self.server.admin()),
            "tenant": self.world.tenant.base_url(),
            "users": users,
            "providers": providers,
        })
    }

    fn banner(&self, headers: &HeaderFiles) -> String {
        let (proxy, admin) = (self.server.proxy(), self.server.admin());
        let mut text = format!("listening proxy=http://{proxy} admin=http://{admin}\n\n");
        text += "A simulated Auth0 tenant, three demo providers and the real proxy in front. Loopback only.\n\n";
        for (provider, _) in self.world.providers() {
            let settings = provider.settings();
            text += &format!("  {:10} {}\n", settings.name, behaviour(&settings.behaviour));
        }
        let port = proxy.port();
        let (alice, bob) = (headers.path("alice"), headers.path("bob"));
        let (alice, bob) = (alice.display(), bob.display());
        text += &format!(
            "\nTry, in another terminal (the files hold alice's and bob's Auth0 access tokens, good for a day):\n\n\
             \x20 curl -H @{alice} http://{proxy}/proxy/github/user\n\
             \x20 curl -H @{alice} http://github.localhost:{port}/user\n\
             \x20 curl -H @{alice} http://{proxy}/proxy/google/user\n\
             \x20 curl -H @{alice} -d hello http://{proxy}/proxy/bitbucket/echo\n\
             \x20 curl -H @{bob} http://{proxy}/proxy/bitbucket/user    # not connected: what a refusal looks like\n\
             \x20 curl http://{admin}/metrics\n\n\
             Ctrl-C ends it.\n",
        );
        text
    }
}

fn behaviour(behaviour: &Behaviour) -> &'static str {
    match behaviour {
        Behaviour::ForEver => "access tokens live for ever",
        Behaviour::Expires { .. } => "access tokens expire, the refresh token stays",
        Behaviour::Rotates { .. } => "access tokens expire, refresh tokens rotate",
    }
}

/// A folder that only this user can read, with the store's file, and a header line for each user of the demo, for
/// `curl -H @FILE`: a token on a command line can be seen by every process of the machine.
struct HeaderFiles(PathBuf);

impl HeaderFiles {
    fn create(world: &World) -> io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("idp-proxy-dev-{}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&folder)?;
        let files = Self(folder);
        for (name, token) in [("alice", world.alice()), ("bob", world.bob())] {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(files.path(name))?;
            writeln!(file, "Authorization: Bearer {token}")?;
        }
        Ok(files)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for HeaderFiles {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
