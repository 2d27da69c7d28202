//! Everything that a row needs around it: provider, tenant, floor, tokens, and the proxy as often as it is asked for.

use std::cell::{OnceCell, RefCell};
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::Options;
use crate::child::{Core, Running, Server, ask, command, role};
use crate::http1::Expected;
use crate::keys::{Signer, Tokens};
use crate::load::{Report, Spec, Until};
use crate::postgres::Postgres;
use crate::tenant::{Behaviour, Stats};
use crate::upstream::{JSON, TOKEN_PREFIX};

/// Threads of either proxy.
pub const WORKERS: usize = 1;
/// What both take off a path.
pub const PREFIX: &str = "/proxy/bench";
/// How many calls the proxy may have at the tenant: the default of `tenant_concurrency`.
pub const TENANT_CONCURRENCY: u64 = 16;

const STORE_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const AUDIENCE: &str = "https://bench.example/";

/// The surroundings.
pub struct Rig {
    /// What was asked for.
    pub options: Options,
    tenant: Server,
    upstream: Server,
    signer: Signer,
    tokens: RefCell<Tokens>,
    folder: PathBuf,
    database: OnceCell<String>,
}

/// Where grants are kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: the provider's refresh tokens are not replaced.
    Memory,
    /// In a file.
    Sqlite,
    /// In a database, which synchronizes nothing with the disk: what is measured is the way there and back.
    Postgres,
}

impl Rig {
    /// Starts all of it.
    pub fn start(options: Options) -> Self {
        // 2,000 idle connections need as many descriptors on either side; children inherit the limit.
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        setrlimit(Resource::Nofile, limit).unwrap();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let key_file = folder.join("key.p8");
        let signer = Signer::create(&key_file);
        let mut tenant = role(Core::Around, "role-tenant");
        tenant.arg(&key_file);
        let tenant = Server::start(tenant);
        let upstream = Server::start(role(Core::Around, "role-upstream"));
        let issuer = format!("http://{}/", tenant.address);
        let tokens = RefCell::new(Tokens::new(folder.join("tokens"), issuer, AUDIENCE.to_owned()));
        Self { options, tenant, upstream, signer, tokens, folder, database: OnceCell::new() }
    }

    /// A proxy with nothing in its memory, before it is ready: as an operator would start it, with production
    /// defaults. Its stderr, which is the access log, goes to a file.
    pub fn spawn_ours(&self) -> Server {
        if self.options.noise {
            return start_floor(self.upstream.address);
        }
        self.spawn("")
    }

    /// Such a proxy, which renews tokens and keeps its grants in this place.
    pub fn spawn_renewing(&self, place: Place) -> Server {
        let rotates = place != Place::Memory;
        let renewal = format!(
            "client_id = \"bench\"\nclient_secret = \"bench\"\ntoken_url = \"http://{}/token\"\nrotates = {rotates}\n",
            self.upstream.address
        );
        if !rotates {
            return self.spawn(&renewal);
        }
        self.spawn(&format!("{renewal}\n[store]\nurl = \"{}\"\nkeys = [\"{STORE_KEY}\"]\n", self.store(place)))
    }

    /// Where a place is, as the configuration says it.
    pub fn store(&self, place: Place) -> String {
        match place {
            Place::Memory => String::new(),
            Place::Sqlite => format!("sqlite:{}", self.folder.join("grants.db").display()),
            Place::Postgres => self.database.get_or_init(|| Postgres::shared().database()).clone(),
        }
    }

    fn spawn(&self, more: &str) -> Server {
        let config = self.folder.join("proxy.toml");
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\nworkers = {WORKERS}\n\n\
             [auth0]\ndomain = \"bench.localhost\"\naudience = \"{AUDIENCE}\"\nclient_id = \"bench\"\n\
             client_secret = \"bench-secret\"\nbase_url = \"http://{}\"\n\n\
             [providers.bench]\nconnection = \"github\"\nbase_url = \"http://{}\"\nallow = \"all\"\n{more}",
            self.tenant.address, self.upstream.address
        );
        fs::write(&config, text).unwrap();
        let mut command = command(Core::Proxy, env!("CARGO_BIN_EXE_idp-proxy"));
        command.args(["serve", "--config"]).arg(&config);
        command.stderr(Stdio::from(File::create(self.log()).unwrap()));
        Server::start(command)
    }

    /// Such a proxy, ready.
    pub fn ours(&self) -> Server {
        self.ready(self.spawn_ours())
    }

    /// A proxy with these lines in its provider's table, ready.
    pub fn ours_with(&self, lines: &str) -> Server {
        let ours = if self.options.noise { self.spawn_ours() } else { self.spawn(lines) };
        self.ready(ours)
    }

    /// A proxy that renews tokens, ready.
    pub fn ours_renewing(&self, place: Place) -> Server {
        self.ready(self.spawn_renewing(place))
    }

    fn ready(&self, mut ours: Server) -> Server {
        let begun = Instant::now();
        while let Some(admin) = ours.admin {
            match ask(admin, "GET /readyz", "", "") {
                Ok((200, _)) => break,
                other => {
                    let alive = !ours.process.ended() && begun.elapsed() < Duration::from_secs(5);
                    assert!(alive, "not ready: {other:?}\n{}", self.log_tail());
                }
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        ours
    }

    /// A floor, as fresh as the proxy it is compared with: pools and heaps age.
    pub fn floor(&self) -> Server {
        start_floor(self.upstream.address)
    }

    /// An order for `GET /json`, 64 connections, the first user; a row changes what it needs.
    pub fn spec(&self, target: &Server, until: Until) -> Spec {
        Spec {
            target: target.address,
            request: format!("GET {PREFIX}/json"),
            upload: 0,
            expected: Expected::Text(JSON.clone()),
            tokens: self.tokens.borrow().file.clone(),
            first: 0,
            count: 1,
            connections: 64,
            streams: 0,
            fresh: false,
            until,
            hold: false,
        }
    }

    /// Starts a load; its next line is the report.
    pub fn start_load(&self, spec: &Spec) -> Running {
        self.tokens.borrow_mut().ensure(&self.signer, spec.first + spec.count);
        let mut command = role(Core::Around, "role-load");
        command.arg(serde_json::to_string(spec).unwrap());
        Running::start(command)
    }

    /// Runs a load to its end.
    pub fn load(&self, spec: &Spec) -> Result<Report, String> {
        report(&mut self.start_load(spec))
    }

    /// Runs a load of which every answer must be a whole and right 200.
    pub fn good_load(&self, spec: &Spec) -> Result<Report, String> {
        let report = self.load(spec)?;
        if report.all(200) { Ok(report) } else { Err(format!("{report:?}; {}", self.log_tail())) }
    }

    /// The first user's token.
    pub fn token(&self) -> String {
        let mut tokens = self.tokens.borrow_mut();
        tokens.ensure(&self.signer, 1);
        fs::read_to_string(&tokens.file).unwrap().lines().next().unwrap().to_owned()
    }

    /// Sees to it that so many tokens are signed, so that it does not happen between two measurements.
    pub fn sign(&self, count: usize) {
        self.tokens.borrow_mut().ensure(&self.signer, count);
    }

    /// Sets how the tenant behaves and begins its counts anew.
    pub fn tenant_behaves(&self, behaviour: &Behaviour) {
        let body = serde_json::to_string(behaviour).unwrap();
        ask(self.tenant.address, "POST /bench/config", "", &body).unwrap();
    }

    /// What the tenant has seen since.
    pub fn tenant_saw(&self) -> Stats {
        serde_json::from_str(&ask(self.tenant.address, "GET /bench/stats", "", "").unwrap().1).unwrap()
    }

    fn log(&self) -> PathBuf {
        self.folder.join("proxy.log")
    }

    fn log_tail(&self) -> String {
        let text = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        format!("the proxy's log ends:\n{}", lines[lines.len().saturating_sub(5)..].join("\n"))
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// What a load reports once it is done, or that it died, having said why on stderr.
pub fn report(load: &mut Running) -> Result<Report, String> {
    let line = load.line();
    serde_json::from_str(&line).map_err(|_| format!("no report from the load, but {line:?} and {}", load.status()))
}

fn start_floor(upstream: SocketAddr) -> Server {
    let mut command = role(Core::Proxy, "role-floor");
    // As long as the tokens that the tenant hands out.
    command.arg(upstream.to_string()).arg(format!("{TOKEN_PREFIX}_floor_{}", "0123456789abcdef".repeat(10)));
    Server::start(command)
}
