//! The folder of `dev --tenant-only`: a world that comes back as it was, also after `kill -9`, and a `proxy.toml` for
//! whoever serves beside it.
//!
//! | file | holds |
//! | --- | --- |
//! | `proxy.toml` | what `serve --config` is given; written once, then the user's |
//! | `alice`, `bob` | their header lines, for `curl -H @FILE` |
//! | `ca.pem`, `cert.pem`, `key.pem` | with TLS: for `curl --cacert`, and what `proxy.toml` names; new at each start |
//! | `state/` | keys, users, what was issued and what is spent; `addresses.json` is written last |

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::authority::Shown;
use super::encoding::random;
use super::header_files::HeaderFiles;
use super::http::ANY_PORT;
use super::state::{StateFile, about, replace};
use super::{World, WorldSettings};

/// Where the grants of a proxy beside the world are, from the folder on.
const STORE: &str = "sqlite:idp-proxy.db";

/// What a proxy beside the world shows with TLS, from the folder on.
const CERTIFICATE: &str = "cert.pem";
const KEY: &str = "key.pem";

/// The ports that a world may keep: below those that the system gives away by itself (from 32768 on with Linux, from
/// 49152 elsewhere, RFC 6335 §6), so that nobody has taken them when it comes back.
const PORTS_FROM: u16 = 27_000;
const PORTS_COUNT: u16 = 5_000;

/// The addresses of all parties, by their names.
type Addresses = BTreeMap<String, SocketAddr>;

/// The folder.
pub(super) struct Place {
    folder: PathBuf,
    /// Where everybody listened the last time; `None` at the first.
    addresses: Option<Addresses>,
}

impl Place {
    /// The folder at `path`, made if it is not there.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let create = |path: &Path| DirBuilder::new().recursive(true).mode(0o700).create(path);
        create(path).map_err(|error| about(path, &error))?;
        // Lines that people copy must work from every folder.
        let folder = path.canonicalize().map_err(|error| about(path, &error))?;
        let place = Self { addresses: None, folder };
        create(&place.state(""))?;
        let addresses = place.addresses_file().load()?;
        Ok(Self { addresses, ..place })
    }

    /// `settings` for the world that lives here. What an unfinished first start has left is cleared away.
    pub(super) fn settle(&self, mut settings: WorldSettings) -> io::Result<WorldSettings> {
        let mut free = free_addresses();
        for (name, listen, kept_in) in settings.parties() {
            let file = self.state(&format!("{name}.json"));
            match &self.addresses {
                Some(addresses) => *listen = addresses.get(name).copied().unwrap_or(ANY_PORT),
                None => {
                    if file.exists() {
                        fs::remove_file(&file).map_err(|error| about(&file, &error))?;
                    }
                    let none = || io::Error::other("no port is free for the world to keep");
                    *listen = free.next().ok_or_else(none)?;
                }
            }
            *kept_in = Some(file);
        }
        Ok(settings)
    }

    /// Whether proxies here have TLS: as `proxy.toml` says, which is the user's, or as `asked` at the first start.
    pub(super) fn has_tls(&self, asked: bool) -> io::Result<bool> {
        let path = self.proxy_toml();
        if self.addresses.is_none() || !path.exists() {
            return Ok(asked);
        }
        let text = fs::read_to_string(&path).map_err(|error| about(&path, &error))?;
        // What is wrong with it is for `check` to say.
        let Ok(table) = text.parse::<toml::Table>() else { return Ok(asked) };
        let has_tls = table.get("server").and_then(|server| server.get("tls")).is_some();
        if asked && !has_tls {
            let why = format!("{}: has no TLS, and is not written again; remove it, or its folder", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        Ok(has_tls)
    }

    /// Writes what the running `world` is found by. Its proxies are to listen on `listen`.
    pub(super) fn describe(&self, world: &World, listen: SocketAddr, shown: Option<&Shown>) -> io::Result<HeaderFiles> {
        for (name, pem) in shown.iter().flat_map(|shown| [(CERTIFICATE, &shown.certificate), (KEY, &shown.key)]) {
            let file = self.folder.join(name);
            replace(&file, pem.as_bytes()).map_err(|error| about(&file, &error))?;
        }
        let proxy_toml = self.proxy_toml();
        if self.addresses.is_none() || !proxy_toml.exists() {
            let key = crate::store::fresh_key().map_err(io::Error::other)?;
            let proxy = world.proxy_toml(&listen.to_string(), STORE, &key);
            let about_it = "# For `idp-proxy serve` beside `idp-proxy dev --tenant-only`. It is not written again: change \
                            what you like.\n\n";
            let tls = shown.map(|_| format!("\n[server.tls]\ncert = \"{CERTIFICATE}\"\nkey = \"{KEY}\"\n"));
            let tls = tls.unwrap_or_default();
            replace(&proxy_toml, format!("{about_it}{proxy}{tls}").as_bytes())
                .map_err(|error| about(&proxy_toml, &error))?;
        }
        let headers = HeaderFiles::create_in(&self.folder, world, shown)?;
        let addresses: Addresses = world.parties().map(|(name, address)| (name.to_owned(), address)).into();
        self.addresses_file().save(&addresses);
        Ok(headers)
    }

    /// The configuration for `serve`.
    pub(super) fn proxy_toml(&self) -> PathBuf {
        self.folder.join("proxy.toml")
    }

    fn addresses_file(&self) -> StateFile {
        StateFile::at(Some(self.state("addresses.json")))
    }

    fn state(&self, name: &str) -> PathBuf {
        self.folder.join("state").join(name)
    }
}

/// Addresses that are free now, and that the system gives to nobody while the world is down.
fn free_addresses() -> impl Iterator<Item = SocketAddr> {
    let start = u16::from_be_bytes(random::<2>()) % PORTS_COUNT;
    let ports = (start..PORTS_COUNT).chain(0..start).map(|place| PORTS_FROM + place);
    let addresses = ports.map(|port| SocketAddr::new(ANY_PORT.ip(), port));
    addresses.filter(|address| TcpListener::bind(address).is_ok())
}
