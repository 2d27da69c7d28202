//! A connection's own OAuth client, in whose name its tokens are renewed.

use super::written::{Auth, Keys};
use crate::config::reader::Reader;
use crate::config::said::{Place, value, value_or};
use crate::config::{ClientProof, RefreshBody, RefreshGrant, Renewal};

/// How the client renews of which one key stands at `client`. `None` when a fault was told.
pub(super) fn renewal(reader: &mut Reader<'_>, keys: Keys, client: &Place) -> Option<Renewal> {
    if keys.client_id.is_none() {
        missing(reader, client, "client_id", "the connection's own OAuth client: tokens are renewed in its name");
    }
    if keys.token_url.is_none() {
        let hint = "where tokens are renewed; for a provider that never lets them expire, leave the client's keys out";
        missing(reader, client, "token_url", hint);
    }
    let proof = proof(reader, &keys, client);
    let token_url = value(&keys.token_url)?;
    Some(Renewal {
        url: value_or(&keys.refresh_url, token_url)?,
        client_id: value(&keys.client_id)?,
        proof: proof?,
        body: value_or(&keys.refresh_body, RefreshBody::Form)?,
        grant: value_or(&keys.refresh_grant, RefreshGrant::RefreshToken)?,
        params: value(&keys.refresh_params).unwrap_or_default(),
        scope: value(&keys.scope),
        // What nobody knows to be kept is taken for replaced: the store then has it, and no second one is spent.
        rotates: value_or(&keys.rotates, true)?,
        lifetime: value(&keys.lifetime),
    })
}

fn proof(reader: &mut Reader<'_>, keys: &Keys, client: &Place) -> Option<ClientProof> {
    let auth = value_or(&keys.refresh_auth, Auth::Post)?;
    let needed = match auth {
        Auth::Post | Auth::Basic => Some("client_secret").filter(|_| keys.client_secret.is_none()),
        Auth::PrivateKeyJwt => Some("client_key").filter(|_| keys.client_key.is_none()),
        Auth::Nothing => None,
    };
    if let Some(key) = needed {
        missing(reader, client, key, "`refresh_auth` says how the client proves itself: \"none\" needs nothing");
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
