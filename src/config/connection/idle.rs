//! Keys that nothing comes of: who wrote them expects something, so it is told. What a preset says is nobody's wish.

use super::written::Written;
use crate::config::Source;
use crate::config::fault::{Code, Fault};
use crate::config::reader::Reader;
use crate::config::said::{Place, Said};

/// In Token Vault, Auth0 renews, and nobody else can.
pub(super) fn in_token_vault(reader: &mut Reader<'_>, tables: &[Written], source: &Said<Source>) {
    // Of a table that says another source it is told already, and which of the two is meant is not known.
    let means_it =
        |table: &&Written| table.keys.source.as_ref().is_none_or(|own| own.is_inherited || own.value == source.value);
    for table in tables.iter().filter(means_it) {
        let why = "beside source = \"token_vault\": there Auth0 renews, with its own client";
        let hint = "leave the keys out, or say source = \"identities\" to have tokens renewed here";
        let places: Vec<&Place> = table.own().chain(table.keys.own_revocation()).collect();
        told(reader, &places, why, Some(&source.place), hint);
    }
}

/// Without a client nothing is renewed.
pub(super) fn without_client(reader: &mut Reader<'_>, tables: &[Written]) {
    // It may stand where the file is not TOML.
    if reader.is_broken(None) {
        return;
    }
    for table in tables {
        let why = "without the connection's own OAuth client: nothing is renewed here";
        let hint = "add its `client_id` and `client_secret`, or leave the keys out: users then sign in again when a token \
                    expires";
        told(reader, &table.own().collect::<Vec<_>>(), why, None, hint);
    }
}

fn told(reader: &mut Reader<'_>, places: &[&Place], why: &str, beside: Option<&Place>, hint: &str) {
    let Some(first) = places.first() else { return };
    let list: Vec<String> = places.iter().map(|place| format!("`{}`", place.key)).collect();
    let fault = Fault::new(Code::Conflict, format!("nothing comes of {} {why}", list.join(", ")));
    let fault = fault.about(format!("{}.{}", first.table, first.key)).at(first.span.clone());
    reader.faults.push(fault.beside(beside.and_then(|beside| beside.span.clone())).help(Some(hint.to_owned())));
}
