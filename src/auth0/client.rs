//! How an application of ours proves itself at the tenant's token endpoint.

use std::collections::BTreeMap;

use jsonwebtoken::EncodingKey;

use super::TenantError;
use crate::assertion;
use crate::clock::Clock;
use crate::config::ClientCredential;
use crate::secret::Secret;

/// A request's parameters.
pub(super) type Form = BTreeMap<&'static str, String>;

/// An application and its credential.
pub(super) struct Client {
    client_id: String,
    proof: Proof,
    assertion_audience: String,
    clock: Clock,
}

enum Proof {
    Secret(Secret),
    PrivateKey(EncodingKey),
}

impl Client {
    pub(super) fn new(
        client_id: &str,
        credential: &ClientCredential,
        base_url: &str,
        clock: &Clock,
    ) -> Result<Self, jsonwebtoken::errors::Error> {
        let proof = match credential {
            ClientCredential::Secret(secret) => Proof::Secret(secret.clone()),
            ClientCredential::PrivateKey(pem) => Proof::PrivateKey(EncodingKey::from_rsa_pem(pem.expose().as_bytes())?),
        };
        let assertion_audience = format!("{base_url}/");
        Ok(Self { client_id: client_id.to_owned(), proof, assertion_audience, clock: clock.clone() })
    }

    /// The parameters by which a request shows whose it is (RFC 6749 §2.3.1, RFC 7523 §2.2).
    pub(super) fn form(&self) -> Result<Form, TenantError> {
        let mut form = Form::from([("client_id", self.client_id.clone())]);
        match &self.proof {
            Proof::Secret(secret) => form.extend([("client_secret", secret.expose().to_owned())]),
            Proof::PrivateKey(key) => form.extend([
                ("client_assertion_type", assertion::TYPE.to_owned()),
                ("client_assertion", self.assertion(key)?),
            ]),
        }
        Ok(form)
    }

    fn assertion(&self, key: &EncodingKey) -> Result<String, TenantError> {
        let signed = assertion::sign(key, &self.client_id, &self.assertion_audience, self.clock.now());
        signed.ok_or(TenantError::Misconfigured("the private key in [auth0] cannot sign"))
    }
}
