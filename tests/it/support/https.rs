//! Providers behind TLS, with certificates of an authority of the test's own.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use http::{Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

use super::child;

/// Who signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A file for `SSL_CERT_FILE`.
    pub fn file(&self) -> PathBuf {
        let file = child::folder().join("authority.pem");
        std::fs::write(&file, self.0.pem()).unwrap();
        file
    }

    /// What a server at `name` shows.
    pub fn certificate(&self, name: &str) -> Shown {
        self.sign(CertificateParams::new([name.to_owned()]).unwrap())
    }

    /// The same, with a validity that is over.
    pub fn expired_certificate(&self, name: &str) -> Shown {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 1, 1));
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Shown {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Shown { certificate: certificate.der().to_vec(), key: key.serialize_der() }
    }
}

/// A certificate and its key.
pub struct Shown {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Shown {
    /// A certificate that only its owner vouches for.
    pub fn self_signed(name: &str) -> Self {
        let (params, key) = (CertificateParams::new([name.to_owned()]).unwrap(), KeyPair::generate().unwrap());
        Self { certificate: params.self_signed(&key).unwrap().der().to_vec(), key: key.serialize_der() }
    }
}

#[derive(Default)]
struct Seen {
    connections: usize,
    requests: Vec<(Version, String)>,
    takes_trailers: Vec<bool>,
}

/// A provider behind TLS that answers with the body it was sent. Stops when it is dropped.
pub struct Https {
    pub port: u16,
    seen: Arc<Mutex<Seen>>,
    task: AbortHandle,
}

impl Https {
    /// Shows `shown` and chooses among these protocols.
    pub async fn start(shown: Shown, protocols: &[&str]) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(shown.key));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![shown.certificate.into()], key)
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::<Mutex<Seen>>::default();
        let kept = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, seen) = (acceptor.clone(), Arc::clone(&kept));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    seen.lock().unwrap().connections += 1;
                    let service = service_fn(|request| answer(request, Arc::clone(&seen)));
                    let server = auto::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { port, seen, task: task.abort_handle() }
    }

    /// Connections on which the handshake succeeded.
    pub fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    /// Versions and targets of the requests that arrived.
    pub fn requests(&self) -> Vec<(Version, String)> {
        self.seen.lock().unwrap().requests.clone()
    }
}

impl Https {
    /// Whether each request said `TE: trailers`.
    pub fn takes_trailers(&self) -> Vec<bool> {
        self.seen.lock().unwrap().takes_trailers.clone()
    }
}

impl Drop for Https {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(request: Request<Incoming>, seen: Arc<Mutex<Seen>>) -> Result<Response<Full<Bytes>>, Infallible> {
    {
        let mut seen = seen.lock().unwrap();
        seen.requests.push((request.version(), request.uri().path().to_owned()));
        seen.takes_trailers.push(request.headers().get("te").is_some_and(|value| value == "trailers"));
    }
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    Ok(Response::new(Full::new(body)))
}
