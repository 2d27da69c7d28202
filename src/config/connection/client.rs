//! A connection's own OAuth client, in whose name its tokens are renewed.

use super::conflict;
use super::written::{Auth, Keys};
use crate::config::reader::Reader;
use crate::config::said::{Place, place, value, value_or};
use crate::config::{ClientProof, RefreshBody, RefreshGrant, Renewal, Revocation, RevokeWith, RevokingClient};

/// How the client renews of which one key stands at `place`, and how it revokes. `None` when a fault was told.
pub(super) fn settled(reader: &mut Reader<'_>, keys: &Keys, place: &Place) -> (Option<Renewal>, Option<Revocation>) {
    if keys.client_id.is_none() {
        let hint = "the connection's own OAuth client: tokens are renewed in its name, and nobody else can have those for \
                    an `audience`";
        missing(reader, place, "client_id", hint);
    }
    // Where tokens never expire, they are still revoked in the client's name.
    if keys.token_url.is_none() && keys.revoke_url.is_none() {
        let hint = "where tokens are renewed; for a provider that never lets them expire, leave the client's keys out";
        missing(reader, place, "token_url", hint);
    }
    let exchanges = value(&keys.refresh_grant) == Some(RefreshGrant::FacebookExchange);
    if let Some(body) = keys.refresh_body.as_ref().filter(|_| exchanges) {
        let hint = "the exchange is a GET, and has no body";
        conflict(reader, &body.place, "does not go with refresh_grant = \"fb_exchange_token\"", None, hint);
    }
    let client = value(&keys.client_id).zip(proof(reader, keys, place));
    let revocation = revocation(keys, client.clone());
    (client.and_then(|client| renewal(keys, client)), revocation)
}

fn renewal(keys: &Keys, (client_id, proof): (String, ClientProof)) -> Option<Renewal> {
    let token_url = value(&keys.token_url)?;
    Some(Renewal {
        url: value_or(&keys.refresh_url, token_url.clone())?,
        audience: token_url,
        client_id,
        proof,
        body: value_or(&keys.refresh_body, RefreshBody::Form)?,
        grant: value_or(&keys.refresh_grant, RefreshGrant::RefreshToken)?,
        params: value(&keys.refresh_params).unwrap_or_default(),
        // It is not the connection's but the audience's.
        scope: None,
        // What nobody knows to be kept is taken for replaced: the store then has it, and no second one is spent.
        rotates: value_or(&keys.rotates, true)?,
        lifetime: value(&keys.lifetime),
    })
}

/// How tokens are revoked, by this client if there is one.
pub(super) fn revocation(keys: &Keys, client: Option<(String, ClientProof)>) -> Option<Revocation> {
    let url = value(&keys.revoke_url)?;
    let audience = value(&keys.token_url).unwrap_or_else(|| url.clone());
    let client = client.map(|(id, proof)| RevokingClient { id, proof, audience });
    Some(Revocation { url, with: value_or(&keys.revoke_with, RevokeWith::Token)?, client })
}

fn proof(reader: &mut Reader<'_>, keys: &Keys, client: &Place) -> Option<ClientProof> {
    let auth = value_or(&keys.refresh_auth, Auth::Post)?;
    let (secret, key) = (place(&keys.client_secret), place(&keys.client_key));
    let (needed, unused) = match auth {
        Auth::Post | Auth::Basic => (Some("client_secret").filter(|_| secret.is_none()), key),
        Auth::PrivateKeyJwt => (Some("client_key").filter(|_| key.is_none()), secret),
        Auth::Nothing => (None, secret.or(key)),
    };
    match (needed, unused) {
        // Who has a proof of the other kind has mistaken `refresh_auth`, and lacks nothing.
        (_, Some(unused)) => {
            let hint = "`client_secret` goes with refresh_auth = \"post\" or \"basic\", `client_key` with \
                        \"private_key_jwt\", and nothing with \"none\"";
            conflict(reader, unused, "is not how the client proves itself", place(&keys.refresh_auth), hint);
        }
        (Some(needed), None) => {
            let hint = "`refresh_auth` says how the client proves itself: \"none\" needs nothing";
            missing(reader, client, needed, hint);
        }
        (None, None) => {}
    }
    match auth {
        Auth::Post => value(&keys.client_secret).map(ClientProof::Post),
        Auth::Basic => value(&keys.client_secret).map(ClientProof::Basic),
        Auth::PrivateKeyJwt => value(&keys.client_key).map(ClientProof::PrivateKey),
        Auth::Nothing => Some(ClientProof::Nothing),
    }
}

fn missing(reader: &mut Reader<'_>, client: &Place, key: &str, hint: &str) {
    reader.missing(&client.table, client.header.as_ref(), key, Some(hint.to_owned()));
}
