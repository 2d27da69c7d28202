//! `source`: which of the tenant's worlds holds a connection's tokens. Tables on one connection have one.

use std::collections::BTreeMap;

use super::fault::{Code, Fault};
use super::reader::{Reader, Table};
use super::said::{Place, Said, agreed};
use super::value::{Invalid, text};
use super::{Provider, Source};

/// What one table says about where its tokens come from.
pub(super) struct Written {
    name: String,
    /// `None` when it is missing or faulty.
    connection: Option<String>,
    source: Option<Said<Source>>,
    /// The keys of a client, which has nothing to renew in Token Vault.
    client: Vec<Place>,
}

impl Written {
    /// Reads the table of the provider `name`.
    pub(super) fn read(table: &mut Table<'_, '_>, name: &str, connection: Option<String>) -> Self {
        let client = ["client_id", "client_secret", "client_key"];
        Self {
            name: name.to_owned(),
            connection,
            source: table.said("source", |table, key| table.optional(key, text(source))),
            client: client.into_iter().filter_map(|key| table.written(key)).collect(),
        }
    }
}

fn source(text: &str) -> Result<Source, Invalid> {
    match text {
        "auto" => Ok(Source::Auto),
        "identities" => Ok(Source::Identities),
        "token_vault" => Ok(Source::TokenVault),
        _ => Err(Invalid::value("must be \"auto\", \"identities\" or \"token_vault\"")),
    }
}

/// Gives every provider the source of its connection. In Token Vault, Auth0 renews, and nobody else can.
pub(super) fn settle(reader: &mut Reader<'_>, tables: Vec<Written>, providers: &mut BTreeMap<String, Provider>) {
    let mut connections = BTreeMap::<_, Vec<Written>>::new();
    for table in tables {
        // Without a connection it shares nothing.
        let group = table.connection.clone().ok_or_else(|| table.name.clone());
        connections.entry(group).or_default().push(table);
    }
    for group in connections.into_values() {
        let said = agreed(group.iter().filter_map(|table| table.source.as_ref()), |second, first| {
            let message = format!("`source` is not that of [{}], which has the same connection", first.table);
            let fault = Fault::new(Code::Conflict, message).about(format!("{}.source", second.table));
            let hint = "a connection has one source: leave the key out of one of the two tables";
            reader.faults.push(fault.at(second.span.clone()).beside(first.span.clone()).help(Some(hint.to_owned())));
        });
        let source = said.as_ref().and_then(|said| said.value).unwrap_or_default();
        for table in &group {
            if let (Source::TokenVault, Some(said)) = (source, &said) {
                refuse_client(reader, &table.client, &said.place);
            }
            if let Some(provider) = providers.get_mut(&table.name) {
                provider.source = source;
            }
        }
    }
}

fn refuse_client(reader: &mut Reader<'_>, client: &[Place], source: &Place) {
    let Some(first) = client.first() else { return };
    let keys: Vec<String> = client.iter().map(|place| format!("`{}`", place.key)).collect();
    let message =
        format!("{} beside source = \"token_vault\": there Auth0 renews, with its own client", keys.join(", "));
    let hint = "leave the client's keys out, or have source = \"identities\" and the tokens renewed here";
    let fault = Fault::new(Code::Conflict, message).about(format!("{}.{}", first.table, first.key));
    reader.faults.push(fault.at(first.span.clone()).beside(source.span.clone()).help(Some(hint.to_owned())));
}
