//! A connection's own OAuth client, as it proves itself at its provider (RFC 6749 §2.3, RFC 7523 §2.2).

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use jsonwebtoken::EncodingKey;
use reqwest::RequestBuilder;

use crate::assertion;
use crate::clock::Clock;
use crate::config::ClientProof;
use crate::percent::{self, Kept};
use crate::secret::Secret;

/// The parameters of a request in a client's name.
pub(super) type Parameters<'call> = Vec<(&'call str, Cow<'call, str>)>;

/// A connection's own OAuth client.
pub(super) struct Client {
    id: String,
    proof: ClientProof,
    key: Option<EncodingKey>,
    /// For whom an assertion is.
    audience: String,
    clock: Clock,
}

/// What connects to providers' endpoints. Its calls end within `timeout`.
pub(super) fn http(timeout: Duration) -> io::Result<reqwest::Client> {
    reqwest::Client::builder()
        // Redirects would carry credentials along; environment proxies would see them.
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(timeout)
        // A connection that never came to be has spent nothing, which is known only if it has a limit of its own.
        .connect_timeout(timeout / 2)
        // A connection that was closed while it was idle would make an answer look lost that was never asked for.
        .pool_max_idle_per_host(0)
        .user_agent(concat!("idp-proxy/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(io::Error::other)
}

impl Client {
    pub(super) fn new(id: &str, proof: &ClientProof, audience: &str, clock: &Clock) -> io::Result<Self> {
        let key = match proof {
            ClientProof::PrivateKey(pem) => Some(EncodingKey::from_rsa_pem(pem.expose().as_bytes())),
            ClientProof::Post(_) | ClientProof::Basic(_) | ClientProof::Nothing => None,
        };
        let key = key.transpose().map_err(io::Error::other)?;
        Ok(Self { id: id.to_owned(), proof: proof.clone(), key, audience: audience.to_owned(), clock: clock.clone() })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// How many secrets it has, of which the first that is accepted is the right one.
    pub(super) fn secrets(&self) -> usize {
        match &self.proof {
            ClientProof::Post(secrets) | ClientProof::Basic(secrets) => secrets.len().max(1),
            ClientProof::PrivateKey(_) | ClientProof::Nothing => 1,
        }
    }

    /// Adds what the client proves itself with among the parameters; `None` if that cannot be made.
    pub(super) fn prove<'call>(&'call self, secret: usize, parameters: &mut Parameters<'call>) -> Option<()> {
        match &self.proof {
            ClientProof::Basic(_) => {}
            ClientProof::Post(secrets) => {
                parameters.push(("client_id", self.id.as_str().into()));
                parameters.extend(secrets.get(secret).map(|secret| ("client_secret", secret.expose().into())));
            }
            ClientProof::PrivateKey(_) => {
                let key = self.key.as_ref()?;
                let assertion = assertion::sign(key, &self.id, &self.audience, self.clock.now())?;
                parameters.extend([
                    ("client_id", self.id.as_str().into()),
                    ("client_assertion_type", assertion::TYPE.into()),
                    ("client_assertion", assertion.into()),
                ]);
            }
            ClientProof::Nothing => parameters.push(("client_id", self.id.as_str().into())),
        }
        Some(())
    }

    /// The request with what the client proves itself with in a header, where it does that.
    pub(super) fn sign(&self, secret: usize, request: RequestBuilder) -> RequestBuilder {
        match &self.proof {
            ClientProof::Basic(secrets) => match secrets.get(secret) {
                Some(secret) => self.basic(request, secret),
                None => request,
            },
            ClientProof::Post(_) | ClientProof::PrivateKey(_) | ClientProof::Nothing => request,
        }
    }

    /// The request with the client's secret in `Authorization: Basic`, wherever else it stands elsewhere; `None` if it has
    /// no secret.
    pub(super) fn sign_basic(&self, secret: usize, request: RequestBuilder) -> Option<RequestBuilder> {
        match &self.proof {
            ClientProof::Post(secrets) | ClientProof::Basic(secrets) => {
                secrets.get(secret).map(|secret| self.basic(request, secret))
            }
            ClientProof::PrivateKey(_) | ClientProof::Nothing => None,
        }
    }

    /// RFC 6749 §2.3.1: both are form-encoded first.
    fn basic(&self, request: RequestBuilder, secret: &Secret) -> RequestBuilder {
        request.basic_auth(form_encoded(&self.id), Some(form_encoded(secret.expose())))
    }
}

/// What the form's serializer leaves as it is (URL Standard §5.2).
const FORM: Kept = Kept::ALPHANUMERIC.and(b"*-._ ");

fn form_encoded(text: &str) -> String {
    percent::encode(text.as_bytes(), FORM).replace(' ', "+")
}
