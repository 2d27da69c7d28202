//! The authorization code flow of a native application (RFC 8252): a browser on this machine, which comes back to a port of
//! ours, with a proof that nobody else can give for the code (RFC 7636).

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Url;
use tokio::net::TcpListener;

use super::super::session::granted::Granted;
use super::super::session::tenant::{Form, Http, legible};
use super::super::session::{Failure, say};
use super::browser::Browser;
use super::{Request, SCOPE};
use crate::random;
use crate::secret::Secret;

mod callback;

use callback::Returned;

/// Tenants compare callback URLs to the letter, ports included, so these few can be allowed there.
const PORTS: [u16; 3] = [18737, 18738, 18739];

/// How long the browser may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// What goes out with the browser, and what its return is checked by.
struct Flight {
    redirect_uri: String,
    state: String,
    /// What only this process knows until it asks for the token.
    verifier: Secret,
}

/// Sends `browser` to the tenant, and waits for it to return. `None` where that cannot be done from here.
pub(super) async fn login(
    http: &Http,
    request: &Request,
    browser: &Browser,
    port: Option<u16>,
) -> Result<Option<Granted>, Failure> {
    let Some(endpoint) = &request.issuer.authorization_endpoint else { return Ok(None) };
    let Some(listener) = listen(port).await? else { return Ok(None) };
    let address = listener.local_addr().map_err(|error| Failure::io("callback", &error))?;
    let flight = Flight::new(format!("http://{address}/callback"))?;
    let url = flight.url(endpoint, request)?;
    if !browser.open(&url) {
        return Ok(None);
    }
    say(&format!("A browser opens for you to log in. If none does, open this page:\n\n  {url}\n\nor try --device"));
    let returned = tokio::time::timeout(PATIENCE, callback::wait(listener, &flight.state)).await;
    let returned = returned.map_err(|_| Failure::not_logged_in("the browser did not return in time; try again"))?;
    let code = code(returned, request)?;
    let form = Form::new(&[
        ("grant_type", "authorization_code"),
        ("client_id", &request.client_id),
        ("redirect_uri", &flight.redirect_uri),
    ]);
    let form = form.secret("code", &code).secret("code_verifier", &flight.verifier);
    let granted = http.grant(&request.issuer.token_endpoint, &form).await;
    granted.map(Some).map_err(|trouble| trouble.failure(&format!("the tenant {}", request.issuer.issuer)))
}

/// A port that the browser can return to: `port`, or one of the usual if one is free.
async fn listen(port: Option<u16>) -> Result<Option<TcpListener>, Failure> {
    let bind = async |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    if let Some(port) = port {
        let listener = bind(port).await.map_err(|error| Failure::io(format_args!("127.0.0.1:{port}"), &error))?;
        return Ok(Some(listener));
    }
    for port in PORTS {
        match bind(port).await {
            Ok(listener) => return Ok(Some(listener)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(Failure::io(format_args!("127.0.0.1:{port}"), &error)),
        }
    }
    Ok(None)
}

impl Flight {
    fn new(redirect_uri: String) -> Result<Self, Failure> {
        let no_randomness = || Failure::failed("the system has no randomness to give");
        let name = || random::name().ok_or_else(no_randomness);
        // RFC 7636 §4.1: 43 characters or more, hard to guess.
        Ok(Self { redirect_uri, state: name()?, verifier: Secret::new(name()? + &name()?) })
    }

    fn url(&self, endpoint: &str, request: &Request) -> Result<String, Failure> {
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, self.verifier.expose().as_bytes()));
        let parameters = [
            ("response_type", "code"),
            ("client_id", &request.client_id),
            ("redirect_uri", &self.redirect_uri),
            ("scope", SCOPE),
            ("audience", &request.audience),
            ("state", &self.state),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        let url = Url::parse_with_params(endpoint, parameters);
        url.map(String::from).map_err(|error| Failure::failed(format!("the tenant's {}: {error}", legible(endpoint))))
    }
}

/// The code of a browser that returned from the right issuer (RFC 9207 §2.4), if it was given one.
fn code(returned: Returned, request: &Request) -> Result<Secret, Failure> {
    let is_right = match &returned.issuer {
        Some(issuer) => *issuer == request.issuer.issuer,
        None => !request.issuer.names_itself,
    };
    if !is_right {
        return Err(Failure::failed("the browser returned from another issuer than it was sent to"));
    }
    match (returned.code, returned.error) {
        (Some(code), None) => Ok(code),
        (_, Some((error, description))) if error == "access_denied" => Err(Failure::denied(&legible(&description))),
        (_, Some((error, description))) => {
            Err(Failure::failed(format!("the tenant refuses: {} {}", legible(&error), legible(&description))))
        }
        (None, None) => Err(Failure::failed("the browser returned with nothing")),
    }
}
