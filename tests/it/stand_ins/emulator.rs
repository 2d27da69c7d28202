//! npm's emulate. Users sign in at its OAuth pages, which are plain forms; the tenant then holds what came of it.

use std::time::Duration;

use idp_proxy::command::dev::tenant::Identity;
use serde_json::Value;

use super::{Child, Rig, USERS, folder, node, signed_in};
use crate::support::durable::KEY;
use crate::support::{Answer, client};

/// The tenant's client at every service.
pub const CLIENT: &str = "client_id = \"client\"\nclient_secret = \"s3cret\"";

const CLIENT_FORM: &str = "client_id=client&client_secret=s3cret&redirect_uri=http://localhost/callback";

/// One emulated service.
pub struct Emulator {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    pages: Pages,
    process: Child,
}

/// Where a service's OAuth pages are, and what they want to know.
#[derive(Clone, Copy)]
pub struct Pages {
    /// Takes the form of the sign-in page.
    pub consent: &'static str,
    pub token: &'static str,
    pub scope: &'static str,
}

impl Emulator {
    pub async fn start(service: &str, pages: Pages) -> Self {
        let process = node(&[folder().join("emulator.js").to_str().unwrap(), service]);
        let line = process.printed("listening ").await;
        let url = line.trim_start_matches("listening ").to_owned();
        Self { url, pages, process }
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// The URL of its token endpoint.
    pub fn token_url(&self) -> String {
        format!("{}{}", self.url, self.pages.token)
    }

    /// A table `[store]`, of a file that goes with it.
    pub fn store(&self) -> String {
        let file = self.process.folder.join("idp-proxy.db");
        format!("url = \"sqlite:{}\"\nkeys = [\"{}\"]", file.display(), KEY)
    }

    /// The answer to a form, sent past the proxy.
    pub async fn submit(&self, path: &str, form: &str) -> Answer {
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("accept", "application/json")];
        client::send(self.address(), "POST", path, &headers, form.as_bytes()).await
    }

    /// Signs in whom the sign-in page knows as `who`: what the token endpoint answers.
    pub async fn sign_in(&self, who: &str) -> Value {
        let Pages { consent, token, scope } = self.pages;
        let consented = self.submit(consent, &format!("{CLIENT_FORM}&{who}&{scope}&response_mode=query")).await;
        let location = consented.header("location").unwrap_or_else(|| panic!("{}", consented.text()));
        let code = location.split(['?', '&']).find(|piece| piece.starts_with("code=")).expect("a code");
        let form = format!("{CLIENT_FORM}&grant_type=authorization_code&{code}");
        self.submit(token, &form).await.json()
    }

    /// Signs everybody in by address and has the tenant hold their refresh tokens, and access tokens that are none: what
    /// comes with one of these is nobody's.
    pub async fn sign_all_in(&self, rig: &Rig, connection: &str) -> Vec<String> {
        let mut refresh_tokens = Vec::new();
        for user in USERS {
            let tokens = self.sign_in(&format!("email={user}@example.com")).await;
            let refresh_token = tokens["refresh_token"].as_str().expect("a refresh token").to_owned();
            let identity = Identity::new(connection, user).access_token("of-the-sign-in-and-long-dead");
            signed_in(rig, user, identity.refresh_token(&refresh_token).expires_in(1));
            refresh_tokens.push(refresh_token);
        }
        rig.clock.advance(Duration::from_secs(2));
        refresh_tokens
    }

    /// How many calls have come to its token endpoint, those of the sign-ins aside.
    pub async fn renewals(&self) -> usize {
        let seen = client::send(self.address(), "GET", "/seen", &[], b"").await.json();
        let call = format!("POST {}", self.pages.token);
        seen.as_array().unwrap().iter().filter(|line| line.as_str() == Some(&call)).count() - USERS.len()
    }
}
