//! Connections, as they are set up.

use hyper::http::StatusCode;
use serde_json::{Map, Value, json};

use super::Said;
use super::caller::Caller;
use super::selection::Selection;
use crate::command::dev::answer::Parameters;
use crate::command::dev::tenant::wire::Refusal;
use crate::command::dev::tenant::{Shared, lock};

const READ: &str = "read:connections";

/// What a list can be asked for.
const LIST: [&str; 6] = ["name", "from", "take", "page", "per_page", "include_totals"];

/// Answers `GET /connections`.
pub(super) fn list(tenant: &Shared, caller: &Caller, query: &str) -> Said {
    caller.needs(&[READ], &[])?;
    let (strategies, rest) = strategies(query);
    let selection = Selection::from_query(&rest, &LIST)?;
    let found = records(tenant, |record| {
        let is = |name: &str, value: &str| record.get(name).and_then(Value::as_str) == Some(value);
        selection.get("name").is_none_or(|name| is("name", name))
            && (strategies.is_empty() || strategies.iter().any(|strategy| is("strategy", strategy)))
    });
    if selection.get("take").is_none() {
        let page = selection.page(found)?.map(|record| selection.of(record));
        return Ok((StatusCode::OK, selection.list("connections", page)?));
    }
    let (part, next) = selection.checkpoint(found)?;
    let mut body = json!({ "connections": part.map(|record| selection.of(record)).records });
    if let (Some(next), Some(members)) = (next, body.as_object_mut()) {
        members.insert("next".to_owned(), json!(next));
    }
    Ok((StatusCode::OK, body))
}

/// Answers `GET /connections/{id}`.
pub(super) fn get(tenant: &Shared, caller: &Caller, id: &str, query: &str) -> Said {
    caller.needs(&[READ], &[])?;
    let selection = Selection::from_query(query, &[])?;
    let found = records(tenant, |record| record.get("id").and_then(Value::as_str) == Some(id)).pop();
    let none = || Refusal::new(StatusCode::NOT_FOUND, "The connection does not exist.", "inexistent_connection");
    Ok((StatusCode::OK, selection.of(found.ok_or_else(none)?)))
}

fn records(tenant: &Shared, is_wanted: impl Fn(&Map<String, Value>) -> bool) -> Vec<Map<String, Value>> {
    let connections = lock(&tenant.connections);
    connections.iter().map(|(name, connection)| connection.to_json(name)).filter(is_wanted).collect()
}

/// The strategies asked for, of which there may be several, and the rest of the query.
fn strategies(query: &str) -> (Vec<String>, String) {
    let (strategies, rest): (Vec<_>, Vec<_>) = query.split('&').partition(|pair| pair.starts_with("strategy="));
    let strategy = |pair: &&str| Parameters::from_form(pair)?.get("strategy").map(str::to_owned);
    (strategies.iter().filter_map(strategy).collect(), rest.join("&"))
}
