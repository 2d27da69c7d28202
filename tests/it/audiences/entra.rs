//! A stand-in for Microsoft's login: one refresh token of the user's, and an access token for each API.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use http::Response;
use hyper::body::Bytes;
use idp_proxy::command::dev::provider::Issued;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::support::{Recorded, Upstream};

pub const GRAPH: &str = "https://graph.microsoft.com";
pub const SHAREPOINT: &str = "https://acme.sharepoint.com";

/// What the login has issued, and to what the user has consented.
#[derive(Clone, Default)]
pub struct Entra(Arc<Mutex<Ledger>>);

#[derive(Default)]
struct Ledger {
    issued: u32,
    /// A new one comes each time, and the old one goes on working.
    refresh: BTreeSet<String>,
    /// By access token, what it is for.
    access: BTreeMap<String, &'static str>,
    consents: BTreeSet<&'static str>,
    /// What was spent, and for what, in order.
    renewals: Vec<(String, &'static str)>,
}

impl Ledger {
    fn issue(&mut self, audience: &'static str) -> (String, String) {
        self.issued += 1;
        let (access, refresh) = (format!("at-{}", self.issued), format!("rt-{}", self.issued));
        self.access.insert(access.clone(), audience);
        self.refresh.insert(refresh.clone());
        (access, refresh)
    }
}

impl Entra {
    /// The user signs in, for Graph.
    pub fn sign_in(&self) -> Issued {
        let (access_token, refresh) = self.0.lock().unwrap().issue(GRAPH);
        Issued { access_token, refresh_token: Some(refresh), expires_in: Some(3600) }
    }

    pub fn consent(&self, audience: &'static str) {
        self.0.lock().unwrap().consents.insert(audience);
    }

    pub fn withdraw_consent(&self, audience: &str) {
        self.0.lock().unwrap().consents.remove(audience);
    }

    /// Every access token for that API is dead from now on.
    pub fn kill(&self, audience: &str) {
        self.0.lock().unwrap().access.retain(|_, of| *of != audience);
    }

    /// What was spent for that API, in order.
    pub fn spent_for(&self, audience: &str) -> Vec<String> {
        let ledger = self.0.lock().unwrap();
        ledger.renewals.iter().filter(|(_, of)| *of == audience).map(|(spent, _)| spent.clone()).collect()
    }

    /// The token endpoint.
    pub async fn login(&self) -> Upstream {
        let entra = self.clone();
        let login = Upstream::recording(move |request| {
            let (status, body) = entra.token(request);
            let answer = Response::builder().status(status).header("content-type", "application/json");
            answer.body(body.to_string().into()).unwrap()
        });
        // The client proves itself in the form.
        login.await.allow(&["no authorization"])
    }

    /// The API that takes tokens for `audience` and no others.
    pub async fn api(&self, audience: &'static str) -> Upstream {
        let entra = self.clone();
        Upstream::recording(move |request| {
            let token = request.all("authorization").replace("Bearer ", "");
            if entra.0.lock().unwrap().access.get(&token) == Some(&audience) {
                return Response::new(Bytes::from_static(b"{}"));
            }
            let why =
                "3000003;reason=\"Invalid audience Uri 'https://graph.microsoft.com'.\";category=\"invalid_client\"";
            let refused = Response::builder().status(401).header("x-ms-diagnostics", why);
            refused.header("www-authenticate", "Bearer realm=\"acme\"").body(Bytes::new()).unwrap()
        })
        .await
    }

    fn token(&self, request: &Recorded) -> (u16, Value) {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
        let form: BTreeMap<String, String> =
            body.split('&').filter_map(|pair| pair.split_once('=')).map(|(k, v)| (decoded(k), decoded(v))).collect();
        let field = |name: &str| form.get(name).map(String::as_str);
        let refuse = |code: &str, words: &str| (400, json!({ "error": code, "error_description": words }));
        if (request.method.as_str(), request.target.as_str()) != ("POST", "/common/oauth2/v2.0/token") {
            return (404, json!({}));
        }
        if field("grant_type") != Some("refresh_token") || form.len() > 5 {
            return refuse("invalid_request", "AADSTS900144");
        }
        if (field("client_id"), field("client_secret")) != (Some("app"), Some("shh")) {
            return (401, json!({ "error": "invalid_client", "error_description": "AADSTS7000215" }));
        }
        let audience = match field("scope") {
            // What was granted at first.
            None => GRAPH,
            Some(scope) => {
                match [GRAPH, SHAREPOINT].into_iter().find(|one| scope == format!("{one}/.default offline_access")) {
                    Some(audience) => audience,
                    None => return refuse("invalid_scope", "AADSTS70011"),
                }
            }
        };
        let mut ledger = self.0.lock().unwrap();
        let Some(spent) = field("refresh_token").filter(|token| ledger.refresh.contains(*token)) else {
            return refuse("invalid_grant", "AADSTS70000");
        };
        ledger.renewals.push((spent.to_owned(), audience));
        if audience != GRAPH && !ledger.consents.contains(audience) {
            return refuse("invalid_grant", "AADSTS65001: The user or administrator has not consented");
        }
        let (access, refresh) = ledger.issue(audience);
        (200, json!({ "token_type": "Bearer", "access_token": access, "refresh_token": refresh, "expires_in": 3600 }))
    }
}
