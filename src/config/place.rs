//! Where the proxy is that a person at this machine calls: as they say, as the environment says, as `proxy.toml` says, or
//! where one listens by default.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use super::env::Env;
use super::url;
use super::value::Invalid;

/// The variable that names a proxy.
const VARIABLE: &str = "IDP_PROXY_URL";

/// Where `serve` and `dev` listen unless they are told otherwise.
const DEFAULT: &str = "http://127.0.0.1:8080";

/// The origin of the proxy to call: `given`, else what `IDP_PROXY_URL` says, else the proxy of the configuration at `path`.
///
/// # Errors
///
/// What is wrong with the first of them that says anything, as a sentence.
pub fn proxy_url(given: Option<&str>, env: &dyn Env, path: &Path) -> Result<String, String> {
    if let Some(given) = given {
        return read("--proxy", given);
    }
    if let Some(named) = env.var(VARIABLE).filter(|named| !named.is_empty()) {
        return read(VARIABLE, &named);
    }
    match configured(path) {
        Some(configured) => read(&path.display().to_string(), &configured),
        None => Ok(DEFAULT.to_owned()),
    }
}

/// Whether secrets may travel to this address: `https`, or `http` on loopback.
#[must_use]
pub fn is_protected_url(text: &str) -> bool {
    url::endpoint(text).is_ok()
}

/// A token goes there, so plain `http` is for loopback alone.
fn read(what: &str, text: &str) -> Result<String, String> {
    let origin = text.strip_suffix('/').unwrap_or(text);
    let read = url::origin(origin).and_then(|origin| url::base_url(&origin).map(|_| origin));
    read.map_err(|Invalid { message, hint, .. }| {
        let hint = hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("the proxy's address in {what} {message}{hint}")
    })
}

/// What the file says, whatever else is wrong with it: that is for `check` to tell.
fn configured(path: &Path) -> Option<String> {
    let table: toml::Table = std::fs::read_to_string(path).ok()?.parse().ok()?;
    let server = table.get("server")?;
    if let Some(public_url) = server.get("public_url").and_then(toml::Value::as_str) {
        return Some(public_url.to_owned());
    }
    let listen: SocketAddr = server.get("listen")?.as_str()?.parse().ok()?;
    let loopback = if listen.is_ipv4() { IpAddr::from(Ipv4Addr::LOCALHOST) } else { Ipv6Addr::LOCALHOST.into() };
    let ip = if listen.ip().is_unspecified() { loopback } else { listen.ip() };
    let scheme = if server.get("tls").is_some() { "https" } else { "http" };
    (listen.port() != 0).then(|| format!("{scheme}://{}", SocketAddr::new(ip, listen.port())))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// The proxy by a configuration with this text.
    fn found(given: Option<&str>, variable: &str, text: &str) -> Result<String, String> {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("idp-proxy-place-{}-{count}.toml", std::process::id()));
        if !text.is_empty() {
            std::fs::write(&path, text).unwrap();
        }
        let found = proxy_url(given, &BTreeMap::from([(VARIABLE, variable)]), &path);
        let _ = std::fs::remove_file(&path);
        found.map_err(|error| error.replace(&path.display().to_string(), "FILE"))
    }

    fn ok(url: &str) -> Result<String, String> {
        Ok(url.to_owned())
    }

    #[test]
    fn the_nearest_word_counts() {
        let file = "[server]\npublic_url = \"https://file.example\"\nlisten = \"127.0.0.1:1\"\nunknown = 7\n";
        assert_eq!(found(Some("https://given.example/"), "https://env.example", file), ok("https://given.example"));
        assert_eq!(found(None, "https://env.example", file), ok("https://env.example"));
        assert_eq!(found(None, "", file), ok("https://file.example"));
        assert_eq!(found(None, "", ""), ok(DEFAULT));
        assert_eq!(found(None, "", "[auth0]\n"), ok(DEFAULT));
        assert_eq!(found(None, "", "[server\n"), ok(DEFAULT));
    }

    #[test]
    fn a_proxy_without_a_public_url_is_where_it_listens() {
        for (server, expected) in [
            ("listen = \"127.0.0.1:9000\"", "http://127.0.0.1:9000"),
            ("listen = \"0.0.0.0:9000\"", "http://127.0.0.1:9000"),
            ("listen = \"[::]:9000\"", "http://[::1]:9000"),
            ("listen = \"127.0.0.1:0\"", DEFAULT),
            ("listen = \"127.0.0.1:9000\"\ntls = { cert = \"c\", key = \"k\" }", "https://127.0.0.1:9000"),
        ] {
            assert_eq!(found(None, "", &format!("[server]\n{server}\n")), ok(expected), "{server}");
        }
    }

    #[test]
    fn a_token_goes_to_no_address_that_is_not_protected() {
        for address in ["http://proxy.example", "proxy.example", "https://proxy.example/path", "ftp://127.0.0.1"] {
            assert!(found(Some(address), "", "").unwrap_err().contains("--proxy must be"), "{address}");
            assert!(found(None, address, "").unwrap_err().contains("IDP_PROXY_URL must be"), "{address}");
        }
        let file = "[server]\npublic_url = \"http://proxy.example\"\n";
        assert!(found(None, "", file).unwrap_err().starts_with("the proxy's address in FILE must be https"));
        assert!(found(Some("http://localhost:8080"), "", "").is_ok());
    }
}
