//! What the tables on one connection share: where its tokens come from, and how they are renewed.
//!
//! A connection has one OAuth client and, for each user, one grant. So what one of its tables says holds for all, and
//! two that say different things are a fault. Only what its tokens are for, and so what is asked for, may differ from table
//! to table. `written` reads the keys of one table, `client` judges the client, `audience` what tokens are for, `idle` what
//! stands there to no purpose.

use std::collections::BTreeMap;

use super::fault::{Code, Fault};
use super::reader::Reader;
use super::said::{Place, Said, agreed, value};
use super::{ClientProof, Renewal, Revocation, Source, preset};
use crate::secret::Secret;

mod audience;
mod client;
mod idle;
mod written;

pub(super) use written::Written;
use written::{Keys, Proof};

/// Where a provider's tokens come from, what they are for, and how they are renewed if they are renewed here.
#[derive(Clone, Default)]
pub(super) struct Settled {
    pub(super) source: Source,
    pub(super) audience: Option<String>,
    pub(super) renewal: Option<Renewal>,
    pub(super) revocation: Option<Revocation>,
    /// With which secret calls are proven, if they are to be.
    pub(super) proof: Option<Secret>,
}

/// Brings all tables together, given in the order of the file, and says for each provider what its connection has.
pub(super) fn settle(reader: &mut Reader<'_>, tables: Vec<Written>, has_store: bool) -> BTreeMap<String, Settled> {
    let mut connections = BTreeMap::<_, Vec<Written>>::new();
    for table in tables {
        // Without a connection it shares nothing.
        let group = table.connection.clone().ok_or_else(|| table.name.clone());
        connections.entry(group).or_default().push(table);
    }
    let mut settled = BTreeMap::new();
    for tables in connections.into_values() {
        let connection = connection(reader, &tables, has_store);
        let scopes = audience::scopes(reader, &tables);
        for table in tables {
            let proof = proof(reader, &table, &connection);
            let own = audience::settled(&table, &connection, &scopes);
            settled.insert(table.name, Settled { proof, ..own });
        }
    }
    settled
}

fn connection(reader: &mut Reader<'_>, tables: &[Written], has_store: bool) -> Settled {
    let keys = share(reader, tables);
    let source = value(&keys.source).unwrap_or_default();
    if let (Source::TokenVault, Some(said)) = (source, &keys.source) {
        idle::in_token_vault(reader, tables, said);
        audience::in_token_vault(reader, tables, said);
        return Settled { source, ..Settled::default() };
    }
    // Who wants an audience wants a client.
    let Some(client) = keys.client().or_else(|| audience::first(tables)).cloned() else {
        if keys.token_url.is_none() {
            require_endpoint(reader, tables);
        }
        idle::without_client(reader, tables);
        return Settled { source, revocation: client::revocation(&keys, None), ..Settled::default() };
    };
    let (renewal, revocation) = client::settled(reader, &keys, &client);
    if let Some(renewal) = &renewal {
        audience::judge(reader, tables, renewal);
    }
    if renewal.as_ref().is_some_and(|renewal| renewal.rotates) && !has_store {
        let message =
            format!("[{}] rotates its refresh tokens, and there is no durable store to keep them in", client.table);
        let hint = "[store] url = \"sqlite:idp-proxy.db\", or \"postgres://…\" for several replicas; without \
                    `client_id` nothing is renewed, and users sign in again when a token expires";
        let fault = Fault::new(Code::Conflict, message).about(&client.table).at(client.header);
        reader.faults.push(fault.help(Some(hint.to_owned())));
    }
    Settled { source, renewal, revocation, ..Settled::default() }
}

/// The secret with which calls of `table` are proven, if they are to be: the first of the connection's client.
fn proof(reader: &mut Reader<'_>, table: &Written, connection: &Settled) -> Option<Secret> {
    let said = table.proof.as_ref().filter(|said| said.value == Some(Proof::AppSecret))?;
    let secret = match connection.renewal.as_ref().map(|renewal| &renewal.proof) {
        Some(ClientProof::Post(secrets) | ClientProof::Basic(secrets)) => secrets.first().cloned(),
        Some(ClientProof::PrivateKey(_) | ClientProof::Nothing) | None => None,
    };
    // What a client lacks that is there by half is told with it.
    if secret.is_none() && (connection.renewal.is_some() || table.keys.client().is_none()) {
        let hint = "add `client_id` and `client_secret`, the app's own: calls are proven with that secret";
        conflict(reader, &said.place, "= \"appsecret\" needs the connection's `client_secret`", None, hint);
    }
    secret
}

/// What the tables say together.
fn share(reader: &mut Reader<'_>, tables: &[Written]) -> Keys {
    let all: Vec<&Keys> = tables.iter().map(|table| &table.keys).collect();
    let client_id = agree(reader, &all, |keys| &keys.client_id);
    // That another client has another secret is no news.
    let of_it = |keys: &&Keys| keys.client_id.is_none() || value(&keys.client_id) == value(&client_id);
    let with_client: Vec<&Keys> = all.iter().copied().filter(of_it).collect();
    Keys {
        source: agree(reader, &all, |keys| &keys.source),
        token_url: agree(reader, &all, |keys| &keys.token_url),
        refresh_url: agree(reader, &all, |keys| &keys.refresh_url),
        revoke_url: agree(reader, &all, |keys| &keys.revoke_url),
        revoke_with: agree(reader, &all, |keys| &keys.revoke_with),
        client_secret: agree(reader, &with_client, |keys| &keys.client_secret),
        client_key: agree(reader, &with_client, |keys| &keys.client_key),
        client_id,
        refresh_auth: agree(reader, &all, |keys| &keys.refresh_auth),
        refresh_body: agree(reader, &all, |keys| &keys.refresh_body),
        refresh_grant: agree(reader, &all, |keys| &keys.refresh_grant),
        refresh_params: agree(reader, &all, |keys| &keys.refresh_params),
        rotates: agree(reader, &all, |keys| &keys.rotates),
        lifetime: agree(reader, &all, |keys| &keys.lifetime),
    }
}

fn agree<K, T: Clone + PartialEq>(
    reader: &mut Reader<'_>,
    all: &[&K],
    key: impl Fn(&K) -> &Option<Said<T>>,
) -> Option<Said<T>> {
    agreed(all.iter().filter_map(|keys| key(keys).as_ref()), |second, first| {
        let what = format!("is not that of [{}], which has the same connection", first.table);
        let hint = "what one table says holds for all on its connection: leave the key out of one of the two";
        conflict(reader, second, &what, Some(first), hint);
    })
}

/// Of a provider that the catalogue does not know, somebody has to say where its tokens are renewed. Which tables are
/// known: those of a preset's name, and those on a preset's connection or on one with them.
fn require_endpoint(reader: &mut Reader<'_>, tables: &[Written]) {
    let is_known =
        |table: &Written| table.has_preset || table.connection.as_deref().is_some_and(preset::is_for_connection);
    let Some(first) = tables.first().filter(|_| !tables.iter().any(is_known)) else { return };
    let hint = "the provider's token endpoint renews tokens (RFC 6749 §6); only with source = \"token_vault\" is there \
                nothing to renew here";
    let table = format!("providers.{}", first.name.escape_debug());
    reader.missing(&table, first.header.as_ref(), "token_url", Some(hint.to_owned()));
}

/// Notes that the key at `place` cannot stand, beside another or at all.
fn conflict(reader: &mut Reader<'_>, place: &Place, what: &str, beside: Option<&Place>, hint: &str) {
    let fault = Fault::new(Code::Conflict, format!("`{}` {what}", place.key));
    let fault = fault.about(format!("{}.{}", place.table, place.key)).at(place.span.clone());
    reader.faults.push(fault.beside(beside.and_then(|beside| beside.span.clone())).help(Some(hint.to_owned())));
}
