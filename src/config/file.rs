//! `proxy.toml` as written: which tables and keys there are, and every default. (Those of a provider's keys are in
//! `provider`.)

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeTable;

use super::connect::application;
use super::duration::duration;
use super::env::Env;
use super::fault::{Code, Fault, Faults};
use super::provider::{self, OwnPlace, providers};
use super::reader::{Reader, Table};
use super::secret_source::{private_key, secret};
use super::store::store;
use super::syntax::split_off_faults;
use super::tls::tls;
use super::value::{Invalid, boolean, count, not_empty, positive, socket_address, text, token};
use super::{Auth0, ClientCredential, Config, Cors, Limits, LogFormat, Login, Server, Telemetry, VaultClient, url};

impl Config {
    /// Reads the file at `path`. Variables that it names are looked up in `env`; paths that it names start at its own
    /// folder.
    ///
    /// # Errors
    ///
    /// Every fault there is, all at once.
    pub fn load(path: &Path, env: &dyn Env) -> Result<Self, Faults> {
        let unreadable = |why: String, hint: Option<&str>| {
            let fault = Fault::new(Code::Unreadable, format!("cannot be read: {why}")).help(hint.map(str::to_owned));
            Faults::new(path, "", vec![fault])
        };
        let bytes = std::fs::read(path)
            .map_err(|error| unreadable(error.to_string(), Some("name the file to read with --config")))?;
        let text = String::from_utf8(bytes).map_err(|error| unreadable(error.utf8_error().to_string(), None))?;
        Self::parse(&text, path, env)
    }

    /// Reads `text` as if it stood in the file at `path`.
    ///
    /// # Errors
    ///
    /// Every fault there is, all at once.
    pub fn parse(text: &str, path: &Path, env: &dyn Env) -> Result<Self, Faults> {
        let (legible, syntax) = split_off_faults(text);
        let (tree, _) = DeTable::parse_recoverable(&legible);
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        let mut reader = Reader::new(&legible, folder, env, syntax);
        let config = config(reader.root(tree.get_ref()));
        match config {
            Some(mut config) if reader.faults.is_empty() => {
                config.files = std::iter::once(path.to_owned()).chain(reader.files).collect();
                Ok(config)
            }
            _ => Err(Faults::new(path, text, reader.faults).naming(reader.files)),
        }
    }
}

/// Every key of `proxy.toml`, such as `server.listen`; those of a provider under `providers.NAME`.
#[must_use]
pub fn known_keys() -> Vec<String> {
    let nothing = BTreeMap::<&str, &str>::new();
    let (tree, _) = DeTable::parse_recoverable("[providers.NAME]");
    let mut reader = Reader::new("", Path::new(""), &nothing, Vec::new());
    // What is known is what is asked for, whatever comes of it.
    drop(config(reader.root(tree.get_ref())));
    reader.known.into_iter().collect()
}

fn config(mut root: Table<'_, '_>) -> Option<Config> {
    let server = server(root.table("server"));
    let auth0 = auth0(root.required_table("auth0", "it needs `domain`, `audience`, `client_id` and `client_secret`"));
    let store_table = root.table("store");
    // One with a fault is a store nevertheless: none of those who need it lacks one.
    let has_store = store_table.is_meant();
    let store = store(store_table);
    let providers = providers(root.required_table("providers", &provider::example()), &own_place(&server), has_store);
    let cors = cors(root.table("cors"));
    let connect = application(root.table("connect"));
    let login = login(root.table("login"));
    let limits = limits(root.table("limits"));
    let telemetry = telemetry(root.table("telemetry"));
    root.refuse_rest();
    Some(Config {
        server,
        auth0: auth0?,
        store,
        providers,
        cors,
        connect,
        login,
        limits,
        telemetry,
        files: Vec::<PathBuf>::new(),
    })
}

fn server(mut table: Table<'_, '_>) -> Server {
    let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listen = table.or("listen", loopback(8080), text(socket_address));
    let admin_listen = table.or("admin_listen", loopback(9090), text(socket_address));
    if listen == admin_listen && listen.port() != 0 {
        let key = if table.has("admin_listen") { "admin_listen" } else { "listen" };
        table.fault(key, Invalid::conflict("must not be the same address for callers and for administration"));
    }
    let server = Server {
        listen,
        tls: tls(&mut table),
        public_url: table.optional("public_url", text(url::public_url)),
        admin_listen,
        workers: table.or("workers", 0, count(0..=1024)),
        name: table.optional("name", text(token)),
    };
    table.refuse_rest();
    server
}

fn own_place(server: &Server) -> OwnPlace {
    let listen = format!("{}://{}", if server.tls.is_some() { "https" } else { "http" }, server.listen);
    let public_url = server.public_url.as_deref();
    OwnPlace {
        origins: public_url.into_iter().chain([&*listen]).filter_map(url::full_origin).collect(),
        host: public_url.and_then(url::host).map(str::to_owned),
    }
}

fn auth0(mut table: Table<'_, '_>) -> Option<Auth0> {
    let domain = table.required("domain", text(url::host_name));
    let audience = table.required("audience", text(not_empty));
    let client_id = table.required("client_id", text(not_empty));
    let credential = credential(&mut table);
    let base_url = table.optional("base_url", text(url::loopback_url));
    let issuers = table.list("issuers", text(url::issuer));
    // An empty list would refuse every token. Elsewhere it has meant accepting all of them.
    if issuers.as_ref().is_some_and(Vec::is_empty) {
        table.fault("issuers", Invalid::value("must have an issuer").hint("leave it out for the tenant's own"));
    }
    let recheck = table.or("recheck", Duration::from_secs(600), duration);
    let management_rps = table.optional("management_rps", positive);
    let tenant_concurrency = table.or("tenant_concurrency", 16, count(1..=u32::MAX));
    let vault = vault(&mut table);
    table.refuse_rest();

    let domain = domain?;
    let base_url = base_url.or_else(|| url::base_url(&format!("https://{domain}")).ok())?;
    Some(Auth0 {
        domain,
        audience: audience?,
        client_id: client_id?,
        credential: credential?,
        issuers: issuers.unwrap_or_else(|| vec![format!("{base_url}/")]),
        base_url,
        recheck,
        management_rps,
        tenant_concurrency,
        vault,
    })
}

fn vault(auth0: &mut Table<'_, '_>) -> Option<VaultClient> {
    auth0.item("vault")?;
    let mut table = auth0.table("vault");
    let client_id = table.required("client_id", text(not_empty));
    let credential = credential(&mut table);
    table.refuse_rest();
    Some(VaultClient { client_id: client_id?, credential: credential? })
}

fn credential(table: &mut Table<'_, '_>) -> Option<ClientCredential> {
    match (table.has("client_secret"), table.has("private_key")) {
        (true, true) => {
            table
                .fault("private_key", Invalid::conflict("and `client_secret` must not both be there").hint("keep one"));
        }
        (false, false) => table.missing("client_secret", Some("or `private_key`, for private_key_jwt".to_owned())),
        (true, false) | (false, true) => {}
    }
    let secret = secret(table, "client_secret").map(ClientCredential::Secret);
    let private_key = private_key(table, "private_key").map(ClientCredential::PrivateKey);
    secret.or(private_key)
}

fn cors(mut table: Table<'_, '_>) -> Cors {
    let cors = Cors { origins: table.list("origins", text(url::origin)).unwrap_or_default() };
    table.refuse_rest();
    cors
}

fn login(mut table: Table<'_, '_>) -> Login {
    let login = Login { client_id: table.optional("client_id", text(not_empty)) };
    table.refuse_rest();
    login
}

fn limits(mut table: Table<'_, '_>) -> Limits {
    let any = 1..=u32::MAX;
    let seconds = Duration::from_secs;
    let limits = Limits {
        connections: table.or("connections", 10_000, count(any.clone())),
        // hyper takes no less than 8192.
        request_head_bytes: table.or("request_head_bytes", 65_536, count(8192..=u32::MAX)),
        request_head_timeout: table.or("request_head_timeout", seconds(10), duration),
        keep_alive: table.or("keep_alive", seconds(90), duration),
        token_wait: table.or("token_wait", seconds(15), duration),
        connect_timeout: table.or("connect_timeout", seconds(5), duration),
        first_byte_timeout: table.or("first_byte_timeout", seconds(60), duration),
        idle_timeout: table.or("idle_timeout", seconds(300), duration),
        tenant_timeout: table.or("tenant_timeout", seconds(10), duration),
        key_set_cooldown: table.or("key_set_cooldown", seconds(30), duration),
        replay_body_bytes: table.or("replay_body_bytes", 1 << 20, count(0..=u32::MAX)),
        drain: table.or("drain", seconds(30), duration),
        tokens: table.or("tokens", 1_000_000, count(any)),
    };
    table.refuse_rest();
    limits
}

fn telemetry(mut table: Table<'_, '_>) -> Telemetry {
    let telemetry = Telemetry {
        log_format: table.or("log_format", LogFormat::Auto, text(log_format)),
        access_log: table.or("access_log", true, boolean),
        propagate: table.or("propagate", false, boolean),
    };
    table.refuse_rest();
    telemetry
}

fn log_format(text: &str) -> Result<LogFormat, Invalid> {
    match text {
        "auto" => Ok(LogFormat::Auto),
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(Invalid::value("must be \"auto\", \"text\" or \"json\"")),
    }
}
