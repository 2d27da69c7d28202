//! Users: one, all of them, those of an address, and the little of them that may be changed here.

use hyper::http::StatusCode;
use serde_json::{Map, Value};

use super::caller::Caller;
use super::selection::Selection;
use super::{Said, invalid_body, no_such_user, user_id};
use crate::command::dev::tenant::{Shared, User, lock};

/// One of these opens the operations that read; the second adds the token fields.
const READ: [&str; 2] = ["read:users", READ_IDP_TOKENS];
const READ_IDP_TOKENS: &str = "read:user_idp_tokens";

/// What pages a list, and asks for its totals.
const PAGING: [&str; 3] = ["page", "per_page", "include_totals"];

/// Answers `GET /users/{id}`.
pub(super) fn get(tenant: &Shared, caller: &Caller, segment: &str, query: &str) -> Said {
    let id = user_id(segment)?;
    lock(&tenant.asked).push(id.clone());
    caller.needs(&READ, &["read:current_user"])?;
    let selection = Selection::from_query(query, &[])?;
    let user = lock(&tenant.users).get(&id).map(|user| user.to_json(caller.has(READ_IDP_TOKENS)));
    Ok((StatusCode::OK, selection.of(user.ok_or_else(no_such_user)?)))
}

/// Answers `GET /users`. The search language (`q`) is not understood, and refused like any unknown parameter.
pub(super) fn list(tenant: &Shared, caller: &Caller, query: &str) -> Said {
    caller.needs(&READ, &[])?;
    let selection = Selection::from_query(query, &PAGING)?;
    let users = found(tenant, caller, |_| true);
    let page = selection.page(users)?.map(|user| selection.of(user));
    Ok((StatusCode::OK, selection.list("users", page)?))
}

/// Answers `GET /users-by-email`.
pub(super) fn by_email(tenant: &Shared, caller: &Caller, query: &str) -> Said {
    caller.needs(&READ, &[])?;
    let selection = Selection::from_query(query, &["email"])?;
    let email = selection.get("email").unwrap_or_default();
    let users = found(tenant, caller, |user| user.email == email);
    Ok((StatusCode::OK, users.into_iter().map(|user| selection.of(user)).collect()))
}

fn found(tenant: &Shared, caller: &Caller, is_wanted: impl Fn(&User) -> bool) -> Vec<Map<String, Value>> {
    let users = lock(&tenant.users);
    users.values().filter(|user| is_wanted(user)).map(|user| user.to_json(caller.has(READ_IDP_TOKENS))).collect()
}

/// Answers `PATCH /users/{id}`.
pub(super) fn update(tenant: &Shared, caller: &Caller, segment: &str, changes: &Map<String, Value>) -> Said {
    let id = user_id(segment)?;
    caller.needs(&["update:users"], &["update:users_app_metadata", "update:current_user_metadata"])?;
    let updated = {
        let mut users = lock(&tenant.users);
        let user = users.get_mut(&id).ok_or_else(no_such_user)?;
        let mut changed = user.clone();
        for (name, value) in changes {
            match (name.as_str(), value) {
                ("blocked", Value::Bool(blocked)) => changed.blocked = Some(*blocked),
                ("name", Value::String(text)) => changed.name.clone_from(text),
                ("nickname", Value::String(text)) => changed.nickname.clone_from(text),
                ("blocked", other) => return Err(invalid_body(&format!("Expected type boolean but found {other}"))),
                ("name" | "nickname", _) => return Err(invalid_body(&format!("Expected type string on {name}"))),
                (_, _) => return Err(invalid_body(&format!("Additional properties not allowed: {name}"))),
            }
        }
        *user = changed;
        user.to_json(caller.has(READ_IDP_TOKENS))
    };
    tenant.keep();
    Ok((StatusCode::OK, Value::Object(updated)))
}
