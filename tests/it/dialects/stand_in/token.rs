//! The token endpoint of a stand-in. It takes a renewal in the one form that the facts name, and no parameter twice.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Response;
use hyper::body::Bytes;

use super::{Desk, path, said};
use crate::dialects::facts::{Client, Form, Grant, Renewal, Said};
use crate::support::Recorded;
use crate::support::canary::CLIENT_SECRET;

/// The client that is registered.
pub const CLIENT_ID: &str = "acme-client";

const INVALID_CLIENT: Said = Said { status: 401, headers: &[], body: r#"{"error":"invalid_client"}"# };
const INVALID_REQUEST: Said = Said { status: 400, headers: &[], body: r#"{"error":"invalid_request"}"# };

impl Desk {
    pub(super) fn login(&self, request: &Recorded) -> Response<Bytes> {
        let renewal = self.facts.renewal.expect("what has a token endpoint renews");
        let parameters = match parameters(request, &renewal) {
            Ok(parameters) => parameters,
            Err((complaint, answer)) => {
                self.ledger().complaints.push(format!("{complaint}: {request:?}"));
                return said(&answer);
            }
        };
        let mut ledger = self.ledger();
        let granted = match renewal.grant {
            Grant::RefreshToken => ledger.renew(&parameters["refresh_token"], renewal.rotates),
            Grant::Exchange => ledger.exchange(&parameters["fb_exchange_token"]).map(|access| (access, String::new())),
        };
        match granted {
            Err(way) => said(&renewal.dead[way]),
            Ok((access, refresh)) => {
                let body = renewal.answer.replace("{access}", &access).replace("{refresh}", &refresh);
                // Token endpoints set cookies, which go nowhere.
                let answer = Response::builder().header("set-cookie", "_device_id=1; path=/");
                answer.header("content-type", "application/json").body(Bytes::from(body)).unwrap()
            }
        }
    }
}

type Parameters = BTreeMap<String, String>;

/// The parameters of a renewal, or what is wrong with it.
fn parameters(request: &Recorded, renewal: &Renewal) -> Result<Parameters, (String, Said)> {
    let wrong = |complaint: &str| (complaint.to_owned(), INVALID_REQUEST);
    let (here, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let method = if renewal.grant == Grant::Exchange { "GET" } else { "POST" };
    if (request.method.as_str(), here) != (method, path(renewal.url)) {
        return Err(wrong("not where renewals are taken"));
    }
    if request.all("accept") != "application/json" {
        return Err(wrong("an answer in another form is asked for"));
    }
    let body = String::from_utf8(request.body.clone()).map_err(|_| wrong("no text"))?;
    let (expected, text) = match (renewal.grant, renewal.form) {
        (Grant::Exchange, _) => ("", query),
        (Grant::RefreshToken, Form::Form) => ("application/x-www-form-urlencoded", body.as_str()),
        (Grant::RefreshToken, Form::Json) => ("application/json", body.as_str()),
    };
    if request.all("content-type") != expected || (method == "POST" && !query.is_empty()) {
        return Err(wrong("written in another way"));
    }
    let pairs = if expected == "application/json" { json(text) } else { form(text) };
    let pairs = pairs.ok_or_else(|| wrong("unreadable"))?;
    let parameters: Parameters = pairs.iter().cloned().collect();
    if parameters.len() != pairs.len() {
        return Err(wrong("a parameter twice"));
    }
    let (grant, spent) = match renewal.grant {
        Grant::RefreshToken => ("refresh_token", "refresh_token"),
        Grant::Exchange => ("fb_exchange_token", "fb_exchange_token"),
    };
    let is = |name: &str, value: &str| parameters.get(name).map(String::as_str) == Some(value);
    if !is("grant_type", grant) || !parameters.contains_key(spent) {
        return Err(wrong("another grant"));
    }
    if renewal.needs.iter().any(|(name, value)| !is(name, value)) {
        return Err(wrong("a parameter is missing"));
    }
    let in_body = is("client_id", CLIENT_ID) && is("client_secret", CLIENT_SECRET);
    let has_any = parameters.contains_key("client_id") || parameters.contains_key("client_secret");
    let basic = format!("Basic {}", STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}")));
    let is_client = match renewal.client {
        Client::Post => in_body && request.all("authorization").is_empty(),
        Client::Basic => !has_any && request.all("authorization") == basic,
    };
    if is_client { Ok(parameters) } else { Err(("another client".to_owned(), INVALID_CLIENT)) }
}

fn json(text: &str) -> Option<Vec<(String, String)>> {
    let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).ok()?;
    fields.into_iter().map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect()
}

fn form(text: &str) -> Option<Vec<(String, String)>> {
    let decoded = |text: &str| {
        let text = text.replace('+', " ");
        Some(percent_encoding::percent_decode_str(&text).decode_utf8().ok()?.into_owned())
    };
    let pair = |pair: &str| pair.split_once('=').and_then(|(name, value)| Some((decoded(name)?, decoded(value)?)));
    text.split('&').map(pair).collect()
}
