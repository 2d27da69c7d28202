//! The tenant's place: the three endpoints that the proxy calls, a delay that can be set, and counts of every call.
//!
//! `POST /bench/config {"delay_ms", "fail", "ends"}` sets how user records are answered and begins the counts anew;
//! `GET /bench/stats` tells them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::child::say_listening;
use crate::keys::Signer;
use crate::upstream::TOKEN_PREFIX;

/// How the tenant behaves.
#[derive(Default, Serialize, Deserialize)]
pub struct Behaviour {
    /// How long a user record takes.
    pub delay_ms: u64,
    /// User records answer 500.
    pub fail: bool,
    /// The tokens in user records have ended, and can be renewed.
    pub ends: bool,
}

/// What the tenant saw since its behaviour was last set.
#[derive(Default, Serialize, Deserialize)]
pub struct Stats {
    /// Reads of a user record.
    pub users: u64,
    /// The most of them at one time.
    pub peak: u64,
    /// Grants of a management token.
    pub tokens: u64,
    /// Reads of the key set.
    pub key_sets: u64,
    /// Anything else: a row that sees one has a tenant that lacks something.
    pub unknown: u64,
    /// How long user records took in fact: a timer rounds up, and this share is not the proxy's.
    pub mean_delay_us: u64,
}

#[derive(Default)]
struct Counts {
    delay_ms: AtomicU64,
    fail: AtomicBool,
    ends: AtomicBool,
    users: AtomicU64,
    running: AtomicU64,
    peak: AtomicU64,
    tokens: AtomicU64,
    key_sets: AtomicU64,
    unknown: AtomicU64,
    held_us: AtomicU64,
}

struct Tenant {
    signer: Signer,
    base: String,
    counts: Counts,
}

/// `role-tenant KEY_FILE`
pub fn run(arguments: &[String]) {
    let [key] = arguments else { panic!("role-tenant KEY_FILE") };
    let signer = Signer::load(key.as_ref());
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let tenant = Arc::new(Tenant { signer, base: format!("http://{address}"), counts: Counts::default() });
        say_listening(address);
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let tenant = Arc::clone(&tenant);
            tokio::spawn(async move {
                let service = service_fn(move |request| answer(Arc::clone(&tenant), request));
                drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
            });
        }
    });
}

async fn answer(tenant: Arc<Tenant>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let counts = &tenant.counts;
    let (status, body) = match (request.method(), path.as_str()) {
        (&Method::GET, "/.well-known/jwks.json") => {
            counts.key_sets.fetch_add(1, Relaxed);
            (StatusCode::OK, tenant.signer.key_set())
        }
        (&Method::POST, "/oauth/token") => {
            counts.tokens.fetch_add(1, Relaxed);
            (StatusCode::OK, tenant.management_token())
        }
        (&Method::GET, path) if path.starts_with("/api/v2/users/") => {
            tenant.user(path.trim_start_matches("/api/v2/users/")).await
        }
        (&Method::GET, "/bench/stats") => (StatusCode::OK, serde_json::to_value(counts.read()).unwrap()),
        (&Method::POST, "/bench/config") => {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            counts.reset(&serde_json::from_slice(&body).unwrap());
            (StatusCode::OK, Value::Null)
        }
        _ => {
            counts.unknown.fetch_add(1, Relaxed);
            (StatusCode::NOT_FOUND, json!({"statusCode": 404, "error": "Not Found"}))
        }
    };
    let response = Response::builder().status(status).header("content-type", "application/json");
    Ok(response.body(Full::new(Bytes::from(body.to_string()))).unwrap())
}

impl Tenant {
    fn management_token(&self) -> Value {
        const SCOPES: &str = "read:users read:user_idp_tokens";
        let audience = format!("{}/api/v2/", self.base);
        let token =
            self.signer.sign(&self.signer.claims(&format!("{}/", self.base), "bench@clients", &audience, SCOPES));
        json!({"access_token": token, "token_type": "Bearer", "expires_in": 86_400, "scope": SCOPES})
    }

    async fn user(&self, id: &str) -> (StatusCode, Value) {
        static FILL: LazyLock<String> = LazyLock::new(|| "0123456789abcdef".repeat(10));
        let begun = Instant::now();
        let counts = &self.counts;
        counts.users.fetch_add(1, Relaxed);
        counts.peak.fetch_max(counts.running.fetch_add(1, Relaxed) + 1, Relaxed);
        match counts.delay_ms.load(Relaxed) {
            0 => {}
            delay => tokio::time::sleep(Duration::from_millis(delay)).await,
        }
        counts.running.fetch_sub(1, Relaxed);
        counts.held_us.fetch_add(u64::try_from(begun.elapsed().as_micros()).unwrap(), Relaxed);
        if counts.fail.load(Relaxed) {
            return (StatusCode::INTERNAL_SERVER_ERROR, json!({"statusCode": 500, "error": "Internal Server Error"}));
        }
        let id = percent_encoding::percent_decode_str(id).decode_utf8().unwrap();
        let number = id.rsplit('|').next().unwrap();
        let mut identity = json!({
            "provider": "github", "connection": "github", "user_id": "1", "isSocial": true,
            "access_token": format!("{TOKEN_PREFIX}_{number:0>10}_{}", *FILL),
        });
        let mut user = json!({"user_id": id, "blocked": false});
        if counts.ends.load(Relaxed) {
            identity["refresh_token"] = json!(format!("refresh_{number:0>10}_{}", *FILL));
            identity["expires_in"] = json!(1);
            user["last_login"] = json!("2026-01-01T00:00:00.000Z");
        }
        user["identities"] = json!([identity]);
        (StatusCode::OK, user)
    }
}

impl Counts {
    fn read(&self) -> Stats {
        let users = self.users.load(Relaxed);
        Stats {
            users,
            peak: self.peak.load(Relaxed),
            tokens: self.tokens.load(Relaxed),
            key_sets: self.key_sets.load(Relaxed),
            unknown: self.unknown.load(Relaxed),
            mean_delay_us: self.held_us.load(Relaxed) / users.max(1),
        }
    }

    fn reset(&self, behaviour: &Behaviour) {
        self.delay_ms.store(behaviour.delay_ms, Relaxed);
        self.fail.store(behaviour.fail, Relaxed);
        self.ends.store(behaviour.ends, Relaxed);
        for count in [&self.users, &self.peak, &self.tokens, &self.key_sets, &self.unknown, &self.held_us] {
            count.store(0, Relaxed);
        }
    }
}
