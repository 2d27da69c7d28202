//! REVOKING at the provider: what a user has granted there is taken back, where it is known how.

use std::io;
use std::time::Duration;

use hyper::http::{HeaderValue, StatusCode, header};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::client::{self, Client, Parameters};
use super::grant::Pair;
use crate::clock::Clock;
use crate::config::{Revocation, RevokeWith};
use crate::percent::{self, Kept};
use crate::provider::Proof;
use crate::secret::Secret;

/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// How one connection's tokens are revoked.
pub(super) struct Revoker {
    http: reqwest::Client,
    url: String,
    with: RevokeWith,
    client: Option<Client>,
    /// Of a call with an access token as its bearer.
    proof: Option<Proof>,
    clock: Clock,
    timeout: Duration,
}

/// What is shown to the provider of the grant that is to end.
#[derive(Clone, Copy)]
enum Shown<'pair> {
    /// One that lives, as far as is known.
    Access(&'pair Secret),
    Refresh(&'pair Secret),
}

/// What became of a grant at its provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// The provider has ended it.
    Yes,
    /// It has not, as far as is known.
    No(&'static str),
}

/// How an attempt with one of the client's secrets ended.
enum Attempt {
    Done,
    WrongClient,
    Failed(&'static str),
}

const NO_CLIENT: Revoked = Revoked::No(
    "the provider takes that from the connection's own OAuth client alone: the operator has to configure its client_id and \
     client_secret",
);
const NO_TOKEN: Revoked =
    Revoked::No("there was no access token that has not expired, and none could be had to revoke it with");

impl Revoker {
    /// Revokes as `settings` say, by calls that end within `timeout`. Nothing is sent yet.
    pub(super) fn new(
        settings: &Revocation,
        app_secret: Option<&Secret>,
        timeout: Duration,
        clock: &Clock,
    ) -> io::Result<Self> {
        let of =
            |client: &crate::config::RevokingClient| Client::new(&client.id, &client.proof, &client.audience, clock);
        let client = settings.client.as_ref().map(of).transpose()?;
        let id = client.as_ref().map(Client::id).unwrap_or_default();
        let url = settings.url.replace("{client_id}", &percent::encode(id.as_bytes(), SEGMENT));
        let (http, proof) = (client::http(timeout)?, app_secret.map(Proof::new));
        Ok(Self { http, url, with: settings.with, client, proof, clock: clock.clone(), timeout })
    }

    /// The longest that it can take: a call for each of the client's secrets.
    pub(super) fn longest(&self) -> Duration {
        self.timeout * u32::try_from(self.tries()).unwrap_or(1)
    }

    /// Whether nothing but a living access token ends a grant.
    pub(super) fn needs_access(&self) -> bool {
        match self.with {
            RevokeWith::Token => false,
            RevokeWith::Bearer | RevokeWith::Delete | RevokeWith::GitHub => true,
        }
    }

    /// Revokes what `pair` belongs to.
    pub(super) async fn revoke(&self, pair: &Pair) -> Revoked {
        // RFC 7009 §2.1: with a refresh token the whole grant ends, and where there is none the access token is the grant.
        // One that has expired is not shown: that the provider knows nothing of it does not tell that the grant has ended.
        let refresh = pair.refresh.as_ref().filter(|_| !self.needs_access()).map(Shown::Refresh);
        let Some(shown) = refresh.or_else(|| pair.living(self.clock.now()).map(Shown::Access)) else { return NO_TOKEN };
        let mut refusal = NO_CLIENT;
        for secret in 0..self.tries() {
            let Some(request) = self.request(shown, secret) else { return NO_CLIENT };
            // One whose end is not known may have expired as well.
            let is_certain = matches!(shown, Shown::Refresh(_)) || pair.expires.is_some();
            match send(request, self.with, is_certain).await {
                Attempt::Done => return Revoked::Yes,
                Attempt::Failed(why) => return Revoked::No(why),
                Attempt::WrongClient => {
                    refusal = Revoked::No("the provider did not accept this proxy's client or the token")
                }
            }
        }
        refusal
    }

    fn tries(&self) -> usize {
        match self.with {
            RevokeWith::Token | RevokeWith::GitHub => self.client.as_ref().map_or(1, Client::secrets),
            RevokeWith::Bearer | RevokeWith::Delete => 1,
        }
    }

    /// `None` where it takes a client that there is not.
    fn request(&self, shown: Shown<'_>, secret: usize) -> Option<RequestBuilder> {
        let token = match shown {
            Shown::Access(token) | Shown::Refresh(token) => token.expose(),
        };
        let request = match self.with {
            RevokeWith::Token => self.form(shown, secret)?,
            RevokeWith::Bearer => self.http.post(self.proven(token)).bearer_auth(token),
            RevokeWith::Delete => self.http.delete(self.proven(token)).bearer_auth(token),
            RevokeWith::GitHub => {
                let request = self.http.delete(&self.url).json(&json!({ "access_token": token }));
                self.client.as_ref()?.sign_basic(secret, request)?
            }
        };
        Some(request.header(header::ACCEPT, HeaderValue::from_static("application/json")))
    }

    fn proven(&self, token: &str) -> String {
        let proven = |proof: &Proof| proof.add_to(&self.url, token.as_bytes(), self.clock.now());
        self.proof.as_ref().map_or_else(|| self.url.clone(), proven)
    }

    fn form(&self, shown: Shown<'_>, secret: usize) -> Option<RequestBuilder> {
        let (token, hint) = match shown {
            Shown::Access(token) => (token, "access_token"),
            Shown::Refresh(token) => (token, "refresh_token"),
        };
        let mut parameters: Parameters<'_> = vec![("token", token.expose().into()), ("token_type_hint", hint.into())];
        let Some(client) = &self.client else { return Some(self.http.post(&self.url).form(&parameters)) };
        client.prove(secret, &mut parameters)?;
        Some(client.sign(secret, self.http.post(&self.url).form(&parameters)))
    }
}

/// RFC 3986 §2.3.
const SEGMENT: Kept = Kept::ALPHANUMERIC.and(b"-._~");

async fn send(request: RequestBuilder, with: RevokeWith, is_certain: bool) -> Attempt {
    const NO_ANSWER: Attempt = Attempt::Failed("the provider gave no answer");
    let Ok(mut response) = request.send().await else { return NO_ANSWER };
    let status = response.status();
    let mut body = Vec::new();
    while body.len() < ANSWER_BYTES_MAX {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            // An answer that says yes is one however it ends.
            Ok(None) | Err(_) => break,
        }
    }
    judge(status, &body, with, is_certain)
}

/// Success is a field and not a status at Slack. And a token that is good for nothing any more is not a failure, though
/// Google, GitHub and Slack call it one: if it is certain that it has not merely expired, it was revoked before.
fn judge(status: StatusCode, body: &[u8], with: RevokeWith, is_certain: bool) -> Attempt {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = body.get("error").and_then(Value::as_str);
    let is_refused = error.is_some() || body.get("ok") == Some(&Value::Bool(false));
    match (status, with) {
        (StatusCode::BAD_REQUEST, _) if error == Some("invalid_token") && is_certain => Attempt::Done,
        (StatusCode::BAD_REQUEST, _) if error == Some("invalid_token") => Attempt::Failed(
            "the provider does not know the access token, which may merely have expired, and there is no refresh token",
        ),
        // What has an end there comes with a refresh token, and is renewed first.
        (StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY, RevokeWith::GitHub) => Attempt::Done,
        (_, RevokeWith::Bearer) if error == Some("token_revoked") => Attempt::Done,
        (_, _) if status.is_success() && !is_refused => Attempt::Done,
        (StatusCode::UNAUTHORIZED, _) => Attempt::WrongClient,
        (_, _) if status.is_server_error() => Attempt::Failed("the provider failed"),
        (_, _) => Attempt::Failed("the provider refused"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn success_is_what_the_provider_says_and_not_its_status() {
        let judged = |status: u16, body: &str, with: RevokeWith, is_certain: bool| match judge(
            StatusCode::from_u16(status).unwrap(),
            body.as_bytes(),
            with,
            is_certain,
        ) {
            Attempt::Done => "done",
            Attempt::WrongClient => "client",
            Attempt::Failed(why) => why,
        };
        for (status, body) in
            [(200, ""), (204, ""), (200, r#"{"ok":true,"revoked":true}"#), (200, r#"{"success":true}"#), (200, "null")]
        {
            assert_eq!(judged(status, body, RevokeWith::Token, false), "done", "{status} {body}");
        }
        for (status, body, said) in [
            (200, r#"{"ok":false,"error":"token_expired"}"#, "the provider refused"),
            (400, r#"{"error":"unsupported_token_type"}"#, "the provider refused"),
            (302, "", "the provider refused"),
            (404, "", "the provider refused"),
            (401, "", "client"),
            (503, r#"{"error":"x"}"#, "the provider failed"),
        ] {
            assert_eq!(judged(status, body, RevokeWith::Bearer, true), said, "{status} {body}");
        }
    }

    #[test]
    fn a_token_that_was_revoked_before_is_done_and_one_that_may_merely_have_expired_is_not() {
        let is_done = |status: u16, error: &str, with: RevokeWith, is_certain: bool| {
            let body = json!({ "ok": false, "error": error }).to_string();
            let judged = judge(StatusCode::from_u16(status).unwrap(), body.as_bytes(), with, is_certain);
            matches!(judged, Attempt::Done)
        };
        assert!(is_done(400, "invalid_token", RevokeWith::Token, true));
        assert!(!is_done(400, "invalid_token", RevokeWith::Token, false));
        assert!(is_done(200, "token_revoked", RevokeWith::Bearer, false));
        assert!(is_done(404, "Not Found", RevokeWith::GitHub, false) && is_done(422, "", RevokeWith::GitHub, false));
        assert!(!is_done(404, "", RevokeWith::Token, true) && !is_done(422, "", RevokeWith::Delete, true));
    }
}
