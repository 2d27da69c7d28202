//! Accounts linked to users, and unlinked.

use std::collections::BTreeMap;

use hyper::http::StatusCode;
use serde_json::{Map, Value, json};

use super::caller::Caller;
use super::{Said, invalid_body, no_such_user, user_id};
use crate::command::dev::tenant::wire::Refusal;
use crate::command::dev::tenant::{Identity, Shared, User, lock};
use crate::percent;

const UPDATE: &str = "update:users";

/// What a user may do to themself with a token of their own, which nobody can have here.
const OTHERS: [&str; 1] = ["update:current_user_identities"];

/// All users, by their ids.
type Users = BTreeMap<String, User>;

fn refused(status: StatusCode, message: &str, code: &'static str) -> Refusal {
    Refusal::new(status, message, code)
}

/// Answers `POST /users/{id}/identities`: the account of another user becomes one of this user's, and the other user is gone.
pub(super) fn link(tenant: &Shared, caller: &Caller, segment: &str, body: &Map<String, Value>) -> Said {
    let id = user_id(segment)?;
    caller.needs(&[UPDATE], &OTHERS)?;
    let wanted = secondary(tenant, body)?;
    let identities = {
        let mut users = lock(&tenant.users);
        if !users.contains_key(&id) {
            return Err(no_such_user());
        }
        let other = owner(&users, &id, &wanted)?;
        let other = users.remove(&other).ok_or_else(no_such_user)?;
        let user = users.get_mut(&id).ok_or_else(no_such_user)?;
        let profile = json!({
            "name": other.name, "nickname": other.nickname, "email": other.email, "email_verified": true,
        });
        for mut identity in other.identities {
            identity.profile_data.get_or_insert_with(|| profile.clone());
            user.identities.push(identity);
        }
        shown(user, caller)
    };
    tenant.keep();
    Ok((StatusCode::CREATED, identities))
}

/// An account, as a request names it.
enum Wanted {
    /// By the kind of its provider and its id there.
    Account(String, String),
    /// By the id of the user that it makes.
    User(String),
}

/// The account to be linked: an ID token of it, or its provider and id.
fn secondary(tenant: &Shared, body: &Map<String, Value>) -> Result<Wanted, Refusal> {
    let known = ["link_with", "provider", "user_id", "connection_id"];
    if let Some(unknown) = body.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(invalid_body(&format!("Additional properties not allowed: {unknown}")));
    }
    let account = match body.get("user_id") {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => None,
    };
    let provider = body.get("provider").and_then(Value::as_str);
    match (body.get("link_with").and_then(Value::as_str), provider, account) {
        (Some(token), None, None) => {
            let invalid = || refused(StatusCode::BAD_REQUEST, "The link_with JWT is invalid", "invalid_body");
            let claims = lock(&tenant.keys).verified(token).map_err(|_| invalid())?;
            let is_ours = claims.get("iss") == Some(&json!(tenant.issuer()));
            let expiry = claims.get("exp").and_then(Value::as_u64).unwrap_or_default();
            // An ID token is for an application, an access token for an API.
            let audience = claims.get("aud").and_then(Value::as_str).unwrap_or_default();
            let is_for_application = lock(&tenant.settings).application(audience).is_some();
            let is_valid = is_ours && is_for_application && expiry > tenant.clock.now().unix_seconds();
            let sub = claims.get("sub").and_then(Value::as_str).filter(|_| is_valid).ok_or_else(invalid)?;
            Ok(Wanted::User(sub.to_owned()))
        }
        (None, Some(provider), Some(account)) => {
            // Both forms of the id are taken: with the provider before it, and without.
            let account = account.strip_prefix(&format!("{provider}|")).map_or_else(|| account.clone(), str::to_owned);
            Ok(Wanted::Account(provider.to_owned(), account))
        }
        _ => Err(invalid_body("Data does not match any of: link_with; provider and user_id")),
    }
}

/// The id of the user who can be linked to the user `id`.
fn owner(users: &Users, id: &str, wanted: &Wanted) -> Result<String, Refusal> {
    let is_wanted = |identity: &Identity| match wanted {
        Wanted::Account(provider, account) => is_account(identity, provider, account),
        Wanted::User(_) => false,
    };
    let found = users.values().find_map(|user| match wanted {
        Wanted::User(sub) => (user.user_id == *sub).then_some((user, true)),
        Wanted::Account(..) => {
            let place = user.identities.iter().position(is_wanted)?;
            Some((user, place == 0))
        }
    });
    let none = || refused(StatusCode::BAD_REQUEST, "The account to be linked does not exist.", "inexistent_user");
    let (user, is_primary) = found.ok_or_else(none)?;
    if is_primary && user.user_id == id {
        let message = "Main identity and the new one are the same.";
        return Err(refused(StatusCode::BAD_REQUEST, message, "invalid_body"));
    }
    if !is_primary {
        let message = "Specified identity already linked to a user.";
        return Err(refused(StatusCode::CONFLICT, message, "identity_conflict"));
    }
    Ok(user.user_id.clone())
}

fn is_account(identity: &Identity, provider: &str, account: &str) -> bool {
    identity.provider == provider && identity.user_id.to_string() == account
}

/// Answers `DELETE /users/{id}/identities/{provider}/{account}`: the account makes a user of its own again.
pub(super) fn unlink(tenant: &Shared, caller: &Caller, segment: &str, named: (&str, &str)) -> Said {
    let id = user_id(segment)?;
    caller.needs(&[UPDATE], &OTHERS)?;
    let none = || refused(StatusCode::BAD_REQUEST, "The identity does not exist.", "inexistent_identity");
    let decoded = |segment: &str| percent::decode_utf8(segment).ok_or_else(none);
    let (provider, account) = (decoded(named.0)?, decoded(named.1)?);
    let identities = {
        let mut users = lock(&tenant.users);
        let user = users.get_mut(&id).ok_or_else(no_such_user)?;
        let place = user.identities.iter().position(|identity| is_account(identity, &provider, &account));
        let place = place.ok_or_else(none)?;
        if place == 0 {
            let message = "Main identity cannot be removed.";
            return Err(refused(StatusCode::BAD_REQUEST, message, "invalid_body"));
        }
        let mut identity = user.identities.remove(place);
        let identities = shown(user, caller);
        let profile = identity.profile_data.take();
        let name = profile.as_ref().and_then(|profile| profile.get("name")).and_then(Value::as_str);
        let alone = User::new(&format!("{provider}|{account}")).named(name.unwrap_or(&account)).with(identity);
        users.insert(alone.user_id.clone(), alone);
        identities
    };
    tenant.keep();
    Ok((StatusCode::OK, identities))
}

fn shown(user: &User, caller: &Caller) -> Value {
    user.to_json(caller.has("read:user_idp_tokens")).remove("identities").unwrap_or_default()
}
