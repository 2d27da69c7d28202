//! Providers behind TLS, with certificates of an authority of the test's own.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use http::{Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ClientConfig, HandshakeKind, NamedGroup, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::child;

/// Who signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Named otherwise than what it signs: OpenSSL takes a certificate for self-signed that names itself as its issuer.
        params.distinguished_name.push(DnType::CommonName, "authority of the tests");
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
        Shown { certificate: params.signed_by(&key, &self.0).unwrap(), key }
    }

    /// A connection to `address`, to a server that this authority vouches for, in one of these protocols.
    pub async fn connect(&self, address: &str, protocols: &[&str]) -> io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let versions =
            ClientConfig::builder_with_provider(hybrid_first()).with_safe_default_protocol_versions().unwrap();
        let mut config = versions.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let address: SocketAddr = address.parse().unwrap();
        let stream = TcpStream::connect(address).await?;
        TlsConnector::from(Arc::new(config)).connect(address.ip().into(), stream).await
    }

    /// A client that trusts this authority alone.
    pub fn client(&self) -> reqwest::ClientBuilder {
        let root = reqwest::Certificate::from_pem(self.0.pem().as_bytes()).unwrap();
        reqwest::Client::builder().no_proxy().tls_certs_only([root])
    }
}

/// The cryptography of a client that would rather not have today's traffic read later.
fn hybrid_first() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups.sort_by_key(|group| group.name() != NamedGroup::X25519MLKEM768);
    Arc::new(provider)
}

/// A certificate and its key.
pub struct Shown {
    certificate: Certificate,
    key: KeyPair,
}

impl Shown {
    /// Puts them into `folder`, each in the file that `tls = { cert = "cert.pem", key = "key.pem" }` names.
    pub fn put(&self, folder: &Path) {
        std::fs::write(folder.join("cert.pem"), self.certificate.pem()).unwrap();
        self.put_key(folder);
    }

    /// Puts the key there alone.
    pub fn put_key(&self, folder: &Path) {
        std::fs::write(folder.join("key.pem"), self.key.serialize_pem()).unwrap();
    }

    /// A certificate that only its owner vouches for.
    pub fn self_signed(name: &str) -> Self {
        let (params, key) = (CertificateParams::new([name.to_owned()]).unwrap(), KeyPair::generate().unwrap());
        Self { certificate: params.self_signed(&key).unwrap(), key }
    }
}

#[derive(Default)]
struct Seen {
    connections: usize,
    requests: Vec<(Version, String)>,
    takes_trailers: Vec<bool>,
    exchanged: Vec<NamedGroup>,
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
        let provider = Arc::new(aws_lc_rs::default_provider());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(shown.key.serialize_der()));
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
                    let session = stream.get_ref().1;
                    // What a client has to be asked for once more was not its first choice.
                    let first_choice = session.negotiated_key_exchange_group().map(|group| group.name());
                    let first_choice = first_choice.filter(|_| session.handshake_kind() == Some(HandshakeKind::Full));
                    seen.lock().unwrap().exchanged.extend(first_choice);
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

    /// The key exchanges that clients chose at once.
    pub fn exchanged(&self) -> Vec<NamedGroup> {
        self.seen.lock().unwrap().exchanged.clone()
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
