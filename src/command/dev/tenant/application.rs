//! The public applications people sign in with, and the addresses that are theirs.

use super::settings::TenantSettings;

/// A public application: it has no secret, proves itself by PKCE, and its refresh tokens rotate.
///
/// At Auth0 an address is allowed when it is listed, character by character. Here a `*` in place of the port stands for any
/// port, and a `/*` at the end for any path or none, since a world of its own cannot know where its applications will be.
/// Only loopback addresses are listed so by default. An Auth0 of today also asks a person before it sends them to a loopback
/// callback, and refuses `prompt=none` there, unless the tenant has switched that off (`skip_non_verifiable_callback_uri`):
/// this one has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// Its id.
    pub client_id: String,
    /// Allowed Callback URLs: where a sign-in may end.
    pub callbacks: Vec<String>,
    /// Allowed Web Origins: whose scripts may call the tenant, and sign in silently.
    pub web_origins: Vec<String>,
    /// Allowed Logout URLs.
    pub logout_urls: Vec<String>,
    /// Whether it may use the device flow.
    pub device_flow: bool,
}

impl Application {
    /// One on a person's machine: the device flow, and code with PKCE to a loopback port of the moment's choice (RFC 8252
    /// §7.3).
    #[must_use]
    pub fn native() -> Self {
        Self {
            client_id: "demoLoginClient".to_owned(),
            callbacks: vec!["http://127.0.0.1:*/callback".to_owned()],
            web_origins: Vec::new(),
            logout_urls: Vec::new(),
            device_flow: true,
        }
    }

    /// One in a browser, served from any loopback port.
    #[must_use]
    pub fn single_page() -> Self {
        let hosts = ["http://127.0.0.1:*", "http://localhost:*"];
        let addresses = || hosts.map(|host| format!("{host}/*")).to_vec();
        Self {
            client_id: "demoSpaClient".to_owned(),
            callbacks: addresses(),
            web_origins: hosts.map(str::to_owned).to_vec(),
            logout_urls: addresses(),
            device_flow: false,
        }
    }

    pub(super) fn may_end_at(&self, callback: &str) -> bool {
        !callback.contains('#') && is_among(&self.callbacks, callback)
    }

    pub(super) fn may_call_from(&self, origin: &str) -> bool {
        is_among(&self.web_origins, origin)
    }

    pub(super) fn may_log_out_to(&self, url: &str) -> bool {
        is_among(&self.logout_urls, url)
    }
}

impl TenantSettings {
    /// The public application of that id.
    pub(super) fn application(&self, client_id: &str) -> Option<&Application> {
        [&self.native, &self.spa].into_iter().find(|application| application.client_id == client_id)
    }

    /// Whether scripts of that origin may call the tenant.
    pub(super) fn is_web_origin(&self, origin: &str) -> bool {
        [&self.native, &self.spa].into_iter().any(|application| application.may_call_from(origin))
    }
}

/// The origin of an address, `http://127.0.0.1:3000`.
pub(super) fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |place| place + "://".len());
    let length = url.get(host..).and_then(|rest| rest.find(['/', '?', '#']));
    length.and_then(|length| url.get(..host + length)).unwrap_or(url)
}

fn is_among(allowed: &[String], url: &str) -> bool {
    allowed.iter().any(|allowed| matches(allowed, url))
}

fn matches(allowed: &str, url: &str) -> bool {
    let Some((host, path)) = allowed.split_once(":*") else {
        return allowed == url;
    };
    let Some(rest) = url.strip_prefix(host) else {
        return false;
    };
    // Without a port it is the scheme's own.
    let rest =
        rest.strip_prefix(':').map_or(rest, |rest| rest.trim_start_matches(|digit: char| digit.is_ascii_digit()));
    if path == "/*" { rest.is_empty() || rest.starts_with('/') } else { rest == path }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_port_is_left_open_and_never_the_host() {
        let native = Application::native();
        for url in ["http://127.0.0.1:1/callback", "http://127.0.0.1:65535/callback", "http://127.0.0.1/callback"] {
            assert!(native.may_end_at(url), "{url}");
        }
        for url in [
            "http://127.0.0.1:1/callback/",
            "http://127.0.0.1:1/callback?a=1",
            "http://127.0.0.1:1/callback#a",
            "http://127.0.0.1:1",
            "http://localhost:1/callback",
            "https://127.0.0.1:1/callback",
            "http://127.0.0.1:1@example.com/callback",
            "http://127.0.0.1.example.com/callback",
            "http://127.0.0.1:1.example.com/callback",
        ] {
            assert!(!native.may_end_at(url), "{url}");
        }
    }

    #[test]
    fn any_path_can_be_allowed_on_a_host() {
        let page = Application::single_page();
        for url in ["http://localhost:3000", "http://localhost:3000/", "http://127.0.0.1:1/a/b?c=d"] {
            assert!(page.may_end_at(url) && page.may_log_out_to(url), "{url}");
        }
        for url in ["http://localhost:3000#a", "http://localhost.example.com", "http://localhost:1@example.com/"] {
            assert!(!page.may_end_at(url), "{url}");
        }
        assert!(page.may_call_from("http://localhost:3000"));
        assert!(!page.may_call_from("http://localhost:3000/") && !page.may_call_from("null"));
    }

    #[test]
    fn an_address_has_an_origin() {
        for url in ["http://a:1", "http://a:1/", "http://a:1/b//c", "http://a:1?b", "http://a:1#b"] {
            assert_eq!(origin(url), "http://a:1");
        }
    }
}
