//! What a token endpoint's answer says, leniently: providers bend RFC 6749 §5 in every place.

use std::time::Duration;

use serde_json::{Map, Value};

use super::endpoint::{Class, Granted};
use crate::percent;
use crate::secret::Secret;

/// An answer's meaning.
pub(super) enum Reading {
    Granted(Granted),
    Refused(Class),
    /// It failed, and does not say how far it had come.
    Unsure,
}

/// Codes by which providers say that a refresh token is not accepted any more.
const DEAD: [&str; 7] = [
    "invalid_grant",
    // GitHub.
    "bad_refresh_token",
    // Slack.
    "invalid_refresh_token",
    "token_revoked",
    "token_expired",
    "account_inactive",
    // Microsoft.
    "interaction_required",
];

/// Codes by which they say that the client is the one at fault: the refresh token is as good as before.
const CLIENT: [&str; 6] = [
    "invalid_client",
    "unauthorized_client",
    // GitHub.
    "incorrect_client_credentials",
    // Slack.
    "bad_client_secret",
    "invalid_client_id",
    "invalid_team_for_non_distributed_app",
];

/// Codes by which they say that they have failed themselves, also with status 200 (Slack).
const FAILED: [&str; 3] = ["server_error", "temporarily_unavailable", "service_unavailable"];

/// Codes that Slack documents with the words that part of it may have succeeded.
const UNSURE: [&str; 2] = ["internal_error", "fatal_error"];

/// X says `invalid_request` with this for a dead refresh token.
const X_DEAD: &str = "Value passed for the token was invalid.";

/// How Facebook's messages begin when the client is at fault: a wrong secret, or an application that is wrong or gone.
/// The codes beside them (1 or 100, 101 or 190) are those of other failures as well.
const FACEBOOK_CLIENT: [&str; 2] = ["Error validating client secret", "Error validating application"];

/// Reads an answer; `None` if it is neither.
pub(super) fn read(body: &[u8]) -> Option<Reading> {
    let fields = fields(body)?;
    if fields.get("error").and_then(Value::as_str).is_some_and(|code| UNSURE.contains(&code)) {
        return Some(Reading::Unsure);
    }
    if let Some(class) = refusal(&fields) {
        return Some(Reading::Refused(class));
    }
    let text = |name: &str| fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    Some(Reading::Granted(Granted {
        access_token: Secret::new(text("access_token")?),
        refresh_token: text("refresh_token").map(Secret::new),
        expires_in: fields.get("expires_in").and_then(seconds),
        scope: text("scope").or_else(|| text("scopes")).map(str::to_owned),
    }))
}

/// JSON, or the form that GitHub and Facebook once answered in.
fn fields(body: &[u8]) -> Option<Map<String, Value>> {
    if let Ok(Value::Object(fields)) = serde_json::from_slice(body) {
        return Some(fields);
    }
    let text = str::from_utf8(body).ok()?.trim();
    let decoded = |text: &str| {
        let text = text.replace('+', " ");
        percent::decode_utf8(&text)
    };
    let pairs = text.split('&').map(|pair| {
        let (name, value) = pair.split_once('=')?;
        Some((decoded(name)?, Value::String(decoded(value)?)))
    });
    pairs.collect()
}

fn refusal(fields: &Map<String, Value>) -> Option<Class> {
    let error = fields.get("error");
    if let Some(class) = in_own_words(fields) {
        return Some(class);
    }
    // Facebook's errors are objects, and so are Fitbit's lists of them.
    if let Some(code) = error.and_then(|error| error.get("code")).and_then(Value::as_u64) {
        let message = error.and_then(|error| error.get("message")).and_then(Value::as_str).unwrap_or_default();
        return Some(facebook(code, message));
    }
    let fitbit = fields.get("errors").and_then(|errors| errors.get(0)?.get("errorType"));
    let status = fields.get("status").filter(|status| status.is_string());
    let code = error.or(fitbit).or(status).and_then(Value::as_str).filter(|code| !code.is_empty());
    let is_not_ok = fields.get("ok") == Some(&Value::Bool(false));
    let Some(code) = code else { return is_not_ok.then_some(Class::Provider4xx) };
    // A word that is none of an error's, beside a token: `status: "ok"`.
    if error.is_none() && fitbit.is_none() && fields.contains_key("access_token") {
        return None;
    }
    let describes = fields.get("error_description").and_then(Value::as_str);
    Some(match code {
        _ if DEAD.contains(&code) => Class::DeadGrant,
        "invalid_request" if describes == Some(X_DEAD) => Class::DeadGrant,
        _ if CLIENT.contains(&code) => Class::WrongClient,
        _ if FAILED.contains(&code) => Class::Provider5xx,
        _ => Class::Provider4xx,
    })
}

/// Refusals without a code of RFC 6749 §5.2, or with one that says less.
fn in_own_words(fields: &Map<String, Value>) -> Option<Class> {
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let strava = fields.get("errors").and_then(|errors| errors.get(0)?.get("resource")?.as_str());
    let is_reddits = fields.get("error").and_then(Value::as_u64) == Some(400) && text("message") == Some("Bad Request");
    match (text("status"), text("reason"), strava) {
        // HubSpot, with `invalid_request` beside it or nothing.
        (Some("BAD_REFRESH_TOKEN"), _, _) => Some(Class::DeadGrant),
        // Zoom, with `invalid_grant` beside it or, in earlier years, `invalid_request`.
        (_, Some("Invalid Token!"), _) => Some(Class::DeadGrant),
        (_, _, Some("RefreshToken")) => Some(Class::DeadGrant),
        (_, _, Some("Application")) => Some(Class::WrongClient),
        _ => is_reddits.then_some(Class::DeadGrant),
    }
}

/// What Facebook's codes mean. The message comes first, for some of them mean several things.
fn facebook(code: u64, message: &str) -> Class {
    match code {
        _ if FACEBOOK_CLIENT.iter().any(|said| message.starts_with(said)) => Class::WrongClient,
        101 => Class::WrongClient,
        // The access token, which is what is exchanged: its session, and itself.
        102 | 190 => Class::DeadGrant,
        // "Unknown" and "service", which pass.
        1 | 2 => Class::Provider5xx,
        _ => Class::Provider4xx,
    }
}

/// A life in seconds: a number, a text, a fraction. None of it, or none above zero, is no life told.
fn seconds(value: &Value) -> Option<Duration> {
    let seconds = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    Duration::try_from_secs_f64(seconds.floor()).ok().filter(|life| !life.is_zero())
}
