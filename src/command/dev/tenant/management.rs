//! The Management API: `GET /api/v2/users/{id}`.

use hyper::http::header::AUTHORIZATION;
use hyper::http::{HeaderMap, Method, Request, Response, StatusCode};
use serde_json::{Map, Value};

use super::keys::Unverified;
use super::wire::Refusal;
use super::{Shared, lock};
use crate::command::dev::answer::{Parameters, json};
use crate::command::dev::http::Body;
use crate::percent;

/// One of these opens the endpoint.
const READ_USERS: &str = "read:users";

/// This one adds the token fields.
const READ_IDP_TOKENS: &str = "read:user_idp_tokens";

/// Answers any request below `/api/v2/`.
pub(super) fn answer<B>(tenant: &Shared, request: &Request<B>) -> Response<Body> {
    let rate_limit = lock(&tenant.settings).rate_limit;
    let quota = lock(&tenant.bucket).take(&tenant.clock, rate_limit);
    let mut response = if quota.refused {
        let message = "Global limit has been reached";
        Refusal::new(StatusCode::TOO_MANY_REQUESTS, message, "too_many_requests").response()
    } else {
        match user(tenant, request) {
            Ok(user) => json(StatusCode::OK, &Value::Object(user)),
            Err(refusal) => refusal.response(),
        }
    };
    quota.write(&mut response);
    response
}

fn user<B>(tenant: &Shared, request: &Request<B>) -> Result<Map<String, Value>, Refusal> {
    let segment = request.uri().path().strip_prefix("/api/v2/users/").filter(|_| request.method() == Method::GET);
    // A raw slash makes another path, which no operation has.
    let segment = segment.filter(|segment| !segment.contains('/')).ok_or_else(Refusal::no_such_path)?;
    let scope = scope(tenant, request.headers())?;
    let id = user_id(segment)?;
    lock(&tenant.asked).push(id.clone());
    let granted = |name: &str| scope.split(' ').any(|scope| scope == name);
    if !granted(READ_USERS) && !granted(READ_IDP_TOKENS) {
        let message = "Insufficient scope, expected any of: read:users,read:user_idp_tokens,read:current_user";
        return Err(Refusal::new(StatusCode::FORBIDDEN, message, "insufficient_scope"));
    }
    let selection = Selection::from_query(request.uri().query().unwrap_or_default())?;
    let users = lock(&tenant.users);
    let user = users
        .get(&id)
        .ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "The user does not exist.", "inexistent_user"))?;
    let mut members = user.to_json(granted(READ_IDP_TOKENS));
    members.retain(|name, _| selection.shows(name));
    Ok(members)
}

/// The id out of its one path segment. Everything but RFC 3986's unreserved characters has to be encoded, as Auth0's own
/// tools do it: a `|` sent as it is breaks at the first strict intermediary.
fn user_id(segment: &str) -> Result<String, Refusal> {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
    let decoded = percent::decode_utf8(segment);
    match decoded {
        Some(id) if !segment.is_empty() && segment.bytes().all(unreserved) => Ok(id),
        Some(_) | None => {
            let message = format!(
                "Path validation error: 'Object didn't pass validation for format user-id: {segment}' on property id \
                 (The user_id of the user to retrieve)."
            );
            Err(Refusal::new(StatusCode::BAD_REQUEST, message, "invalid_uri"))
        }
    }
}

/// The scope of the management token in the request.
fn scope(tenant: &Shared, headers: &HeaderMap) -> Result<String, Refusal> {
    let malformed = || Refusal::new(StatusCode::BAD_REQUEST, "Bad HTTP authentication header format", "Bearer");
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let line = lines.next().ok_or_else(|| Refusal::unauthorized("Missing authentication"))?;
    if lines.next().is_some() {
        return Err(malformed());
    }
    let token = line.to_str().ok().and_then(|line| line.strip_prefix("Bearer ")).ok_or_else(malformed)?;
    let claims = match lock(&tenant.keys).verified(token) {
        Ok(claims) => claims,
        Err(Unverified::Malformed) => return Err(malformed()),
        Err(Unverified::Signature) => {
            return Err(Refusal::unauthorized("Invalid signature received for JSON Web Token validation"));
        }
    };
    let expiry = claims.get("exp").and_then(Value::as_u64).unwrap_or_default();
    if expiry <= tenant.clock.now().unix_seconds() {
        return Err(Refusal::unauthorized("Expired token received for JSON Web Token validation"));
    }
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let audience = tenant.management_audience();
    if text("aud") != Some(&audience) {
        let found = claims.get("aud").cloned().unwrap_or_default();
        return Err(Refusal::unauthorized(format!("Bad audience: {found}")));
    }
    // A management token works only at the domain that minted it.
    if text("iss") != Some(&tenant.issuer()) {
        return Err(Refusal::unauthorized("Invalid token"));
    }
    Ok(text("scope").unwrap_or_default().to_owned())
}

/// Which fields of the record were asked for.
struct Selection {
    fields: Vec<String>,
    include: bool,
}

impl Selection {
    fn from_query(query: &str) -> Result<Self, Refusal> {
        let refused = |what: &str| {
            let message = format!("Query validation error: '{what}'");
            Refusal::new(StatusCode::BAD_REQUEST, message, "invalid_query_string")
        };
        let parameters = Parameters::from_form(query).ok_or_else(|| refused("Malformed or repeated parameter"))?;
        if let Some(unknown) = parameters.names().find(|name| !["fields", "include_fields"].contains(name)) {
            return Err(refused(&format!("Additional properties not allowed: {unknown}")));
        }
        let include = match parameters.get("include_fields") {
            None | Some("true") => true,
            Some("false") => false,
            Some(other) => return Err(refused(&format!("Expected type boolean but found {other}"))),
        };
        let fields = parameters.get("fields").unwrap_or_default();
        let fields = fields.split(',').map(str::trim).filter(|field| !field.is_empty()).map(str::to_owned).collect();
        Ok(Self { fields, include })
    }

    fn shows(&self, name: &str) -> bool {
        self.fields.is_empty() || self.fields.iter().any(|field| field == name) == self.include
    }
}
