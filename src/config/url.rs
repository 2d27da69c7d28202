//! URLs, origins and host names of the configuration.
//!
//! They are taken apart here rather than by `hyper::http::Uri`, which drops a fragment without a word, keeps user
//! information and takes `\` and `..` for parts of a path.

use std::net::{Ipv4Addr, Ipv6Addr};

use hyper::http::uri::{Authority, Scheme};

use super::BaseUrl;
use super::value::Invalid;
use crate::percent;

/// Reads where calls go: `https`, or `http` on loopback, with a path that is a plain prefix.
pub(super) fn base_url(text: &str) -> Result<BaseUrl, Invalid> {
    let url = Url::read(text)?;
    url.check_protected()?;
    check_path(url.path)?;
    let scheme = if url.scheme == "https" { Scheme::HTTPS } else { Scheme::HTTP };
    let authority: Result<Authority, _> = url.authority.to_ascii_lowercase().parse();
    let authority = authority.map_err(|_| no_host())?;
    Ok(BaseUrl { scheme, authority, path: url.path.trim_end_matches('/').to_owned() })
}

/// Reads the base URL of a simulated tenant.
pub(super) fn loopback_url(text: &str) -> Result<BaseUrl, Invalid> {
    if is_loopback(Url::read(text)?.host) {
        return base_url(text);
    }
    Err(Invalid::value("must be on loopback")
        .hint("it is for a simulated tenant; a real one is named by `domain` alone, custom domains by `issuers`"))
}

/// Reads an issuer. It is compared with `iss` character by character, so it is kept as it is written.
pub(super) fn issuer(text: &str) -> Result<String, Invalid> {
    let url = Url::read(text)?;
    url.check_protected()?;
    check_path(url.path)?;
    if !text.ends_with('/') {
        return Err(Invalid::value("must end in a slash")
            .hint("Auth0's issuers end in one, and issuers are compared exactly: every token would be refused"));
    }
    Ok(text.to_owned())
}

/// Reads the address of a token endpoint. It may have a query (RFC 6749 §3.2), and it is kept as it is written.
pub(super) fn endpoint(text: &str) -> Result<String, Invalid> {
    let (address, query) = text.split_once('?').map_or((text, None), |(address, query)| (address, Some(query)));
    let url = Url::read(address)?;
    url.check_protected()?;
    check_path(url.path)?;
    let is_query = |byte: u8| byte.is_ascii_graphic() && !b"#\"<>\\^`{|}".contains(&byte);
    if !query.unwrap_or_default().bytes().all(is_query) {
        return Err(Invalid::value("must have a query of URL characters alone (RFC 3986 §3.4), and no fragment"));
    }
    Ok(text.to_owned())
}

/// Reads an origin as browsers send it: `scheme://host[:port]`.
pub(super) fn origin(text: &str) -> Result<String, Invalid> {
    match text {
        "*" => {
            return Err(Invalid::value("must be an origin, not `*`")
                .hint("every site on the web could read the answers; list the origins of your frontends"));
        }
        "null" => {
            return Err(Invalid::value("must be an origin, not `null`")
                .hint("sandboxed frames and local files have that origin, so any site can take it on"));
        }
        _ => {}
    }
    let url = Url::read(text)?;
    if !url.path.is_empty() {
        return Err(Invalid::value("must be an origin: scheme://host[:port]")
            .hint("leave out the path, a slash at the end as well"));
    }
    if text.contains(|character: char| character.is_ascii_uppercase()) {
        return Err(Invalid::value("must be in lower case").hint("origins are compared character by character"));
    }
    if url.port.is_some() && url.port == default_port(url.scheme) {
        return Err(Invalid::value("must leave out the default port").hint("browsers leave it out as well"));
    }
    Ok(text.to_owned())
}

/// Reads the same from a command line.
///
/// # Errors
/// A sentence for whoever typed it.
pub fn parse_origin(text: &str) -> Result<String, String> {
    origin(text).map_err(|Invalid { message, hint, .. }| {
        [Some(message), hint].into_iter().flatten().collect::<Vec<_>>().join("; ")
    })
}

/// Reads the origin that callers see. Plain `http` is fine: something in front may speak TLS.
pub(super) fn public_url(text: &str) -> Result<String, Invalid> {
    let origin = origin(text)?;
    if !matches!(Url::read(&origin)?.scheme, "http" | "https") {
        return Err(Invalid::value("must begin with https:// or http://"));
    }
    Ok(origin)
}

/// Reads a lower-case host name without a port.
pub(super) fn host_name(text: &str) -> Result<String, Invalid> {
    let fault = || Invalid::value("must be a host name alone");
    if text.contains('/') {
        return Err(fault().hint("leave out the scheme, the slashes and the path"));
    }
    if text.contains(':') {
        return Err(fault().hint("leave out the port"));
    }
    if !is_host(text) {
        return Err(fault().hint("letters, digits and hyphens between dots; other letters in their xn-- form"));
    }
    if text.contains(|character: char| character.is_ascii_uppercase()) {
        return Err(Invalid::value("must be in lower case"));
    }
    Ok(text.to_owned())
}

/// The origin of a URL with its port written out, so that two spellings of one origin are equal.
pub(super) fn full_origin(text: &str) -> Option<String> {
    let url = Url::read(text).ok()?;
    let port = url.port.or_else(|| default_port(url.scheme))?;
    Some(format!("{}://{}:{port}", url.scheme, url.host.to_ascii_lowercase()))
}

/// The host of a URL.
pub(super) fn host(text: &str) -> Option<&str> {
    Url::read(text).ok().map(|url| url.host)
}

/// A URL of scheme, authority and path, taken apart.
struct Url<'t> {
    scheme: &'t str,
    authority: &'t str,
    /// Without the brackets of an IPv6 address.
    host: &'t str,
    port: Option<u16>,
    path: &'t str,
}

impl<'t> Url<'t> {
    fn read(text: &'t str) -> Result<Self, Invalid> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
            return Err(Invalid::value("must be ASCII without spaces, backslashes and control characters")
                .hint("other letters: xn-- in the host, percent-encoded in the path"));
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(no_url)?;
        if !is_scheme(scheme) {
            return Err(no_url());
        }
        if rest.contains(['?', '#']) {
            return Err(Invalid::value("must have no query and no fragment"));
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(Invalid::value("must have no user name or password"));
        }
        let (host, port) = host_and_port(authority)?;
        Ok(Self { scheme, authority, host, port, path })
    }

    /// Tokens and secrets travel there: nobody on the way may read them.
    fn check_protected(&self) -> Result<(), Invalid> {
        match self.scheme {
            "https" => Ok(()),
            "http" if is_loopback(self.host) => Ok(()),
            "http" => Err(Invalid::value("must be https")
                .hint("plain http is for loopback only: 127.0.0.0/8, [::1], localhost and *.localhost")),
            _ => Err(Invalid::value("must begin with https://")),
        }
    }
}

fn no_url() -> Invalid {
    Invalid::value("must be a URL").hint("such as \"https://api.example.com\"")
}

fn no_host() -> Invalid {
    Invalid::value("must name a host, and a port from 1 to 65535 if any")
}

fn is_scheme(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.bytes().all(is_part)
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "https" => Some(443),
        "http" => Some(80),
        _ => None,
    }
}

fn host_and_port(authority: &str) -> Result<(&str, Option<u16>), Invalid> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (address, port) = bracketed.split_once(']').ok_or_else(no_host)?;
            address.parse::<Ipv6Addr>().map_err(|_| no_host())?;
            (address, if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or_else(no_host)?) })
        }
        None => {
            let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
            if !is_host(host) {
                return Err(no_host());
            }
            (host, port)
        }
    };
    let port = port.map(|port| {
        let digits = Some(port).filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
        digits.and_then(|digits| digits.parse().ok()).filter(|port| *port != 0).ok_or_else(no_host)
    });
    Ok((host, port.transpose()?))
}

/// Whether the text is a host name or an IPv4 address. Underscores are in use in private networks. What ends in a
/// number is an address or nothing: resolvers read `127.1` and `0x7f.1` as addresses, each in its own way.
fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(is_part)
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    let is_name_or_address = !is_number(last) || text.parse::<Ipv4Addr>().is_ok();
    text.len() <= 253 && text.split('.').all(is_label) && is_name_or_address
}

fn is_number(label: &str) -> bool {
    let label = label.to_ascii_lowercase();
    let is_hexadecimal =
        label.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    is_hexadecimal || label.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_loopback(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || host.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback())
}

/// Everything forwarded must stay under this path, whatever the provider's server makes of its spelling.
fn check_path(path: &str) -> Result<(), Invalid> {
    let is_path = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/%".contains(&byte);
    let is_escape =
        |escape: &str| escape.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    if !path.bytes().all(is_path) || !path.split('%').skip(1).all(is_escape) {
        return Err(Invalid::value("must have a path of URL characters alone (RFC 3986 §3.3)")
            .hint("percent-encode the others"));
    }
    let decoded = percent::decode(path.as_bytes());
    if decoded.split(|byte| *byte == b'/').any(|segment| matches!(segment, b"." | b"..")) {
        return Err(Invalid::value("must have no `.` or `..` in its path, percent-encoded or not"));
    }
    if decoded.iter().any(|byte| byte.is_ascii_control() || *byte == b'\\') {
        return Err(Invalid::value("must have no backslash and no control character in its path, encoded or not"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(text: &str) -> String {
        match base_url(text) {
            Ok(url) => url.to_string(),
            Err(invalid) => invalid.message,
        }
    }

    #[test]
    fn a_base_url_is_scheme_authority_and_path() {
        let table = [
            ("https://api.github.com", "https://api.github.com"),
            ("https://api.github.com/", "https://api.github.com"),
            ("https://API.GitHub.com/V3/", "https://api.github.com/V3"),
            ("https://host:8443/a/b", "https://host:8443/a/b"),
            ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
            ("https://10.0.0.1/v1", "https://10.0.0.1/v1"),
            ("https://my_service/a%20b/@me", "https://my_service/a%20b/@me"),
            ("https://1password.example/x", "https://1password.example/x"),
        ];
        for (text, expected) in table {
            assert_eq!(base(text), expected);
        }
    }

    #[test]
    fn plain_http_is_for_loopback() {
        for fine in [
            "http://127.0.0.1:4400",
            "http://127.8.9.10",
            "http://[::1]:4400",
            "http://localhost",
            "http://LOCALHOST:1",
            "http://api.localhost:4400/x",
        ] {
            assert!(base_url(fine).is_ok(), "{fine}");
        }
        for bad in [
            "http://api.example.com",
            "http://0.0.0.0",
            "http://128.0.0.1",
            "http://[::2]",
            "http://[::ffff:127.0.0.1]",
            "http://notlocalhost",
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
        ] {
            assert_eq!(base(bad), "must be https", "{bad}");
        }
    }

    #[test]
    fn a_url_that_could_lead_elsewhere_is_refused() {
        let host = "must name a host, and a port from 1 to 65535 if any";
        let table = [
            ("", "must be a URL"),
            ("api.github.com", "must be a URL"),
            ("/relative", "must be a URL"),
            ("https:/host", "must be a URL"),
            ("://host", "must be a URL"),
            ("ftp://host", "must begin with https://"),
            ("https://", host),
            ("https:///path", host),
            ("https://:443", host),
            ("https://host:", host),
            ("https://host:0", host),
            ("https://host:+1", host),
            ("https://host:65536", host),
            ("https://a:b:1", host),
            ("https://[::1", host),
            ("https://[::1]x", host),
            ("https://[127.0.0.1]", host),
            ("https://a..b", host),
            ("https://host.", host),
            ("https://127.1", host),
            ("https://0x7f.1", host),
            ("https://0x7f000001", host),
            ("https://256.1.1.1", host),
            ("https://a%2eb", host),
            ("https://me@host", "must have no user name or password"),
            ("https://me:pw@host", "must have no user name or password"),
            ("https://host/?a", "must have no query and no fragment"),
            ("https://host#a", "must have no query and no fragment"),
            ("https://host/a/../b", "must have no `.` or `..` in its path, percent-encoded or not"),
            ("https://host/..", "must have no `.` or `..` in its path, percent-encoded or not"),
            ("https://host/a/%2E%2e/b", "must have no `.` or `..` in its path, percent-encoded or not"),
            ("https://host/a/.%2e", "must have no `.` or `..` in its path, percent-encoded or not"),
            ("https://host/a%2f..%2fb", "must have no `.` or `..` in its path, percent-encoded or not"),
            ("https://host/%5c", "must have no backslash and no control character in its path, encoded or not"),
            ("https://host/%0d%0a", "must have no backslash and no control character in its path, encoded or not"),
            ("https://host/a\\b", "must be ASCII without spaces, backslashes and control characters"),
            ("https://host/a b", "must be ASCII without spaces, backslashes and control characters"),
            ("https://host/\t", "must be ASCII without spaces, backslashes and control characters"),
            ("https://hést", "must be ASCII without spaces, backslashes and control characters"),
            ("https://host/%zz", "must have a path of URL characters alone (RFC 3986 §3.3)"),
            ("https://host/a%2", "must have a path of URL characters alone (RFC 3986 §3.3)"),
            ("https://host/{id}", "must have a path of URL characters alone (RFC 3986 §3.3)"),
        ];
        for (text, expected) in table {
            assert_eq!(base(text), expected, "{text}");
        }
    }

    #[test]
    fn a_token_endpoint_is_kept_as_it_is_written_with_its_query() {
        for fine in ["https://a.example/token", "https://A.example/token/?p=b2c_1", "http://127.0.0.1:4400/oauth/token"]
        {
            assert_eq!(endpoint(fine).as_deref(), Ok(fine));
        }
        for bad in [
            "http://a.example/token",
            "a.example/token",
            "https://me:pw@a.example/token",
            "https://a.example/token#x",
            "https://a.example/token?a#x",
            "https://a.example/token?a b",
            "https://a.example/../token",
            "https://login.example/{tenant}/token",
        ] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_host_name_is_bare_and_in_lower_case() {
        assert_eq!(host_name("acme.eu.auth0.com").as_deref(), Ok("acme.eu.auth0.com"));
        for (bad, hint) in [
            ("https://acme.eu.auth0.com", Some("leave out the scheme, the slashes and the path")),
            ("acme.eu.auth0.com/", Some("leave out the scheme, the slashes and the path")),
            ("acme.eu.auth0.com:443", Some("leave out the port")),
            ("Acme.eu.auth0.com", None),
            ("", Some("letters, digits and hyphens between dots; other letters in their xn-- form")),
            ("ácme.com", Some("letters, digits and hyphens between dots; other letters in their xn-- form")),
        ] {
            assert_eq!(host_name(bad).unwrap_err().hint.as_deref(), hint, "{bad}");
        }
    }

    #[test]
    fn an_issuer_ends_in_a_slash_and_stays_as_written() {
        assert_eq!(issuer("https://login.Example.com/").as_deref(), Ok("https://login.Example.com/"));
        assert_eq!(issuer("http://127.0.0.1:4400/").as_deref(), Ok("http://127.0.0.1:4400/"));
        assert_eq!(issuer("https://login.example.com").unwrap_err().message, "must end in a slash");
        assert_eq!(issuer("http://login.example.com/").unwrap_err().message, "must be https");
        assert_eq!(issuer("").unwrap_err().message, "must be a URL");
    }

    #[test]
    fn an_origin_is_what_a_browser_sends() {
        for fine in ["https://app.example.com", "http://localhost:3000", "https://[::1]:8443", "capacitor://localhost"]
        {
            assert_eq!(origin(fine).as_deref(), Ok(fine));
        }
        for bad in [
            "*",
            "null",
            "app.example.com",
            "https://app.example.com/",
            "https://App.example.com",
            "https://app.example.com:443",
            "http://app.example.com:80",
            "https://*.example.com",
        ] {
            assert!(origin(bad).is_err(), "{bad}");
        }
        assert!(public_url("http://proxy.example.com").is_ok());
        assert!(public_url("capacitor://localhost").is_err());
    }

    #[test]
    fn two_spellings_of_an_origin_are_equal() {
        assert_eq!(full_origin("https://Host/a"), full_origin("https://host:443"));
        assert_ne!(full_origin("https://host"), full_origin("http://host"));
    }
}
