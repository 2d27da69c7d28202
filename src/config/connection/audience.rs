//! What tokens are for, where the tables on one connection tell that apart: with one refresh token of the user's, an
//! access token for each audience is had.

use std::collections::BTreeMap;

use super::written::Written;
use super::{Settled, agree, conflict};
use crate::config::fault::{Code, Fault};
use crate::config::reader::Reader;
use crate::config::said::{Place, Said, place, value};
use crate::config::{RefreshGrant, Renewal, Source};

/// For each audience, what its tables say together is to be asked for. `None` is what the identity's own token is for.
pub(super) type Scopes = BTreeMap<Option<String>, Option<String>>;

/// Where the first table has an audience that does.
pub(super) fn first(tables: &[Written]) -> Option<&Place> {
    tables.iter().find_map(|table| place(&table.audience))
}

/// Brings the tables of each audience together.
pub(super) fn scopes(reader: &mut Reader<'_>, tables: &[Written]) -> Scopes {
    let mut by_audience = BTreeMap::<_, Vec<&Written>>::new();
    for table in tables {
        // Nothing is known of a faulty one.
        if let Some(audience) = audience(table) {
            by_audience.entry(audience).or_default().push(table);
        }
    }
    let mut scope = |tables: &[&Written]| value(&agree(reader, tables, |table| &table.scope));
    by_audience.into_iter().map(|(audience, tables)| (audience, scope(&tables))).collect()
}

/// What holds for one table of a connection.
pub(super) fn settled(table: &Written, connection: &Settled, scopes: &Scopes) -> Settled {
    let audience = value(&table.audience);
    let default = audience.as_ref().map(|audience| format!("{audience}/.default offline_access"));
    let scope = scopes.get(&audience).cloned().flatten().or(default);
    let source = match connection.source {
        // Token Vault has one token for each connection, and cannot be asked for that of an audience.
        Source::Auto if audience.is_some() => Source::Identities,
        Source::Auto | Source::Identities | Source::TokenVault => connection.source,
    };
    let renewal = connection.renewal.clone().map(|renewal| Renewal { scope, ..renewal });
    Settled { source, audience, renewal, revocation: connection.revocation.clone(), proof: None }
}

/// In Token Vault, Auth0 renews, and for no audience in particular.
pub(super) fn in_token_vault(reader: &mut Reader<'_>, tables: &[Written], source: &Said<Source>) {
    let hint = "Token Vault has one token for each connection, for what the sign-in asked; with source = \"identities\" one \
                for the audience is had here";
    for place in tables.iter().filter_map(|table| place(&table.audience)) {
        conflict(reader, place, "does not go with source = \"token_vault\"", Some(&source.place), hint);
    }
}

/// Whether this way of renewing can bring tokens for these audiences.
pub(super) fn judge(reader: &mut Reader<'_>, tables: &[Written], renewal: &Renewal) {
    if let (RefreshGrant::FacebookExchange, Some(place)) = (renewal.grant, first(tables)) {
        let hint = "what is exchanged is the identity's own access token, and no refresh token";
        conflict(reader, place, "does not go with refresh_grant = \"fb_exchange_token\"", None, hint);
    }
    let Some(first) = tables.first().filter(|_| renewal.rotates) else { return };
    // One fault tells it all: the cure is the same for a third.
    let is_another =
        |table: &&Written| matches!((audience(first), audience(table)), (Some(one), Some(other)) if one != other);
    if let Some(second) = tables.iter().find(is_another) {
        shared(reader, first, second);
    }
}

/// Notes that two tables would spend one refresh token, each in its turn.
fn shared(reader: &mut Reader<'_>, first: &Written, second: &Written) {
    let (at, beside) = if second.audience.is_some() { (second, first) } else { (first, second) };
    let Some(key) = place(&at.audience) else { return };
    let whose = format!("[providers.{}]", beside.name.escape_debug());
    let message = format!("`audience` is not that of {whose}, with which it shares a refresh token that rotates");
    let hint = "each would spend it, and the second time ends the user's access: say rotates = false if the provider goes \
                on taking the old one (Microsoft does), or give each audience a connection of its own";
    let beside = place(&beside.audience).and_then(|place| place.span.clone()).or_else(|| beside.header.clone());
    let fault = Fault::new(Code::Conflict, message).about(format!("{}.{}", key.table, key.key));
    reader.faults.push(fault.at(key.span.clone()).beside(beside).help(Some(hint.to_owned())));
}

/// What a table's tokens are for; `None` if that is faulty.
fn audience(table: &Written) -> Option<Option<String>> {
    table.audience.as_ref().map_or(Some(None), |said| said.value.clone().map(Some))
}
