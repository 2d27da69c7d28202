//! REVOKING at the provider: what a user has granted there is taken back, where it is known how.

use std::io;
use std::time::Duration;

use hyper::http::{HeaderValue, StatusCode, header};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::client::{self, Client, Parameters};
use crate::clock::Clock;
use crate::config::{Revocation, RevokeWith};
use crate::percent::{self, Kept};
use crate::secret::Secret;

/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// How one connection's tokens are revoked.
pub(super) struct Revoker {
    http: reqwest::Client,
    url: String,
    with: RevokeWith,
    client: Option<Client>,
}

/// Tokens of one grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) access: Option<Secret>,
    pub(super) refresh: Option<Secret>,
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
const NO_TOKEN: Revoked = Revoked::No("there was no access token to revoke it with");

impl Revoker {
    /// Revokes as `settings` say, by calls that end within `timeout`. Nothing is sent yet.
    pub(super) fn new(settings: &Revocation, timeout: Duration, clock: &Clock) -> io::Result<Self> {
        let of =
            |client: &crate::config::RevokingClient| Client::new(&client.id, &client.proof, &client.audience, clock);
        let client = settings.client.as_ref().map(of).transpose()?;
        let id = client.as_ref().map(Client::id).unwrap_or_default();
        let url = settings.url.replace("{client_id}", &percent::encode(id.as_bytes(), SEGMENT));
        Ok(Self { http: client::http(timeout)?, url, with: settings.with, client })
    }

    /// Revokes what `pair` belongs to.
    pub(super) async fn revoke(&self, pair: &Pair) -> Revoked {
        let secrets = match self.with {
            RevokeWith::Token | RevokeWith::GitHub => self.client.as_ref().map_or(1, Client::secrets),
            RevokeWith::Bearer | RevokeWith::Delete => 1,
        };
        let mut refusal = NO_CLIENT;
        for secret in 0..secrets {
            let request = match self.request(pair, secret) {
                Ok(request) => request,
                Err(why) => return why,
            };
            match send(request).await {
                Attempt::Done => return Revoked::Yes,
                Attempt::Failed(why) => return Revoked::No(why),
                Attempt::WrongClient => {
                    refusal = Revoked::No("the provider did not accept this proxy's client or the token")
                }
            }
        }
        refusal
    }

    fn request(&self, pair: &Pair, secret: usize) -> Result<RequestBuilder, Revoked> {
        let access = || pair.access.as_ref().map(Secret::expose).ok_or(NO_TOKEN);
        let request = match self.with {
            RevokeWith::Token => self.form(pair, secret)?,
            RevokeWith::Bearer => self.http.post(&self.url).bearer_auth(access()?),
            RevokeWith::Delete => self.http.delete(&self.url).bearer_auth(access()?),
            RevokeWith::GitHub => {
                let request = self.http.delete(&self.url).json(&json!({ "access_token": access()? }));
                self.client.as_ref().and_then(|client| client.sign_basic(secret, request)).ok_or(NO_CLIENT)?
            }
        };
        Ok(request.header(header::ACCEPT, HeaderValue::from_static("application/json")))
    }

    /// RFC 7009 §2.1: with a refresh token the whole grant ends, and where there is none the access token is the grant.
    fn form(&self, pair: &Pair, secret: usize) -> Result<RequestBuilder, Revoked> {
        let (token, hint) = match (&pair.refresh, &pair.access) {
            (Some(refresh), _) => (refresh, "refresh_token"),
            (None, Some(access)) => (access, "access_token"),
            (None, None) => return Err(NO_TOKEN),
        };
        let mut parameters: Parameters<'_> = vec![("token", token.expose().into()), ("token_type_hint", hint.into())];
        let Some(client) = &self.client else { return Ok(self.http.post(&self.url).form(&parameters)) };
        client.prove(secret, &mut parameters).ok_or(NO_CLIENT)?;
        Ok(client.sign(secret, self.http.post(&self.url).form(&parameters)))
    }
}

/// RFC 3986 §2.3.
const SEGMENT: Kept = Kept::ALPHANUMERIC.and(b"-._~");

async fn send(request: RequestBuilder) -> Attempt {
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
    judge(status, &body)
}

/// Success is a field and not a status at Slack; and a token that was good for nothing any more is not a failure, though
/// Google calls it one.
fn judge(status: StatusCode, body: &[u8]) -> Attempt {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = body.get("error").and_then(Value::as_str);
    let is_refused = error.is_some() || body.get("ok") == Some(&Value::Bool(false));
    match status {
        StatusCode::BAD_REQUEST if error == Some("invalid_token") => Attempt::Done,
        _ if status.is_success() && !is_refused => Attempt::Done,
        StatusCode::UNAUTHORIZED => Attempt::WrongClient,
        _ if status.is_server_error() => Attempt::Failed("the provider failed"),
        _ => Attempt::Failed("the provider refused"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn success_is_what_the_provider_says_and_not_its_status() {
        let judged = |status: u16, body: &str| match judge(StatusCode::from_u16(status).unwrap(), body.as_bytes()) {
            Attempt::Done => "done",
            Attempt::WrongClient => "client",
            Attempt::Failed(why) => why,
        };
        for (status, body) in
            [(200, ""), (204, ""), (200, r#"{"ok":true,"revoked":true}"#), (200, r#"{"success":true}"#), (200, "null")]
        {
            assert_eq!(judged(status, body), "done", "{status} {body}");
        }
        assert_eq!(judged(400, r#"{"error":"invalid_token"}"#), "done", "it was revoked before");
        assert_eq!(judged(200, r#"{"ok":false,"error":"token_expired"}"#), "the provider refused");
        assert_eq!(judged(400, r#"{"error":"unsupported_token_type"}"#), "the provider refused");
        assert_eq!(judged(302, ""), "the provider refused");
        assert_eq!(judged(401, ""), "client");
        assert_eq!(judged(503, r#"{"error":"x"}"#), "the provider failed");
    }
}
