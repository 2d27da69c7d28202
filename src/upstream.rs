//! The one way out to providers: a pooled client for each, HTTP/1.1 or HTTP/2 as the provider chooses (ALPN).

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::uri::{Authority, Scheme};
use http::{Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tower_service::Service;

use crate::body::{BodyError, RequestBody, Upload};
use crate::config::{Config, Limits};
use crate::provider::Provider;

/// Idle connections to a provider are kept this long; providers' edges close theirs after one to several minutes.
const POOL_IDLE: Duration = Duration::from_secs(55);
/// A pooled HTTP/2 connection whose network path has died swallows requests until a ping notices.
const H2_PING_INTERVAL: Duration = Duration::from_secs(20);
const H2_PING_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest head of an answer, in bytes, and in HTTP/1.1 also how much of a body is read ahead.
const ANSWER_HEAD_BYTES_MAX: usize = 256 * 1024;

/// Why a provider gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// No connection: name unknown, refused, no route.
    #[error("the provider cannot be reached")]
    Unreachable(#[source] legacy::Error),
    /// No TLS: certificate not valid for it, or no common version.
    #[error("no secure connection to the provider can be made")]
    Tls(#[source] legacy::Error),
    /// No connection within `connect_timeout`.
    #[error("the provider cannot be reached in time")]
    ConnectTimeout(#[source] legacy::Error),
    /// The connection broke before the answer's head was complete.
    #[error("the provider broke the connection off before it answered")]
    Terminated(#[source] legacy::Error),
    /// An answer that is not HTTP, or not one to this request.
    #[error("the provider's answer is not proper HTTP")]
    Protocol(#[source] Option<legacy::Error>),
    /// The head of the answer did not begin within `first_byte_timeout`.
    #[error("the provider did not answer in time")]
    FirstByteTimeout,
    /// The provider stopped taking the request's body.
    #[error("the provider took no more of the request's body")]
    UploadStalled,
    /// The caller's own request broke off.
    #[error("the request's body broke off")]
    Caller(#[source] legacy::Error),
    /// The provider is not one this client was built for.
    #[error("the provider has no client")]
    NoClient,
}

type ProviderClient = Client<Connector, RequestBody>;

/// The clients of all configured providers. Each has a pool of its own, so one provider's slowness is not another's.
pub struct Upstream {
    clients: BTreeMap<Arc<str>, ProviderClient>,
    first_byte_timeout: Duration,
    idle_timeout: Duration,
}

impl Upstream {
    /// Clients for the providers of `config`. Nothing is connected yet.
    ///
    /// # Errors
    /// When the platform's TLS roots cannot be loaded.
    pub fn new(config: &Config) -> std::io::Result<Self> {
        let connector = Connector::new(&config.limits)?;
        let client = |name: &String| (Arc::from(name.as_str()), client(connector.clone()));
        Ok(Self {
            clients: config.providers.keys().map(client).collect(),
            first_byte_timeout: config.limits.first_byte_timeout,
            idle_timeout: config.limits.idle_timeout,
        })
    }

    /// Sends a request and waits for the head of the answer. Redirects, cookies, encodings: whatever comes is handed
    /// back. A request that provably never left (an idle connection closed under it) is sent once more by the pool;
    /// nothing else is repeated.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub async fn send(
        &self,
        provider: &Provider,
        request: Request<RequestBody>,
        upload: Option<Arc<Upload>>,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let client = self.clients.get(provider.name()).ok_or(UpstreamError::NoClient)?;
        let mut answer = client.request(request);
        let early = match upload {
            Some(upload) => self.while_uploading(&mut answer, &upload).await?,
            None => None,
        };
        let response = match early {
            Some(response) => response,
            None => tokio::time::timeout(self.first_byte_timeout, answer)
                .await
                .map_err(|_| UpstreamError::FirstByteTimeout)?
                .map_err(classify)?,
        };
        // RFC 9110 §15.2.2: nobody asked for another protocol.
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(UpstreamError::Protocol(None));
        }
        Ok(response)
    }

    /// Waits until the body has been handed on or an answer came earlier. There is no limit to how long that may take
    /// as long as bytes move.
    async fn while_uploading(
        &self,
        answer: &mut legacy::ResponseFuture,
        upload: &Upload,
    ) -> Result<Option<Response<Incoming>>, UpstreamError> {
        let mut moved = 0;
        loop {
            tokio::select! {
                biased;
                early = &mut *answer => return early.map(Some).map_err(classify),
                () = upload.end() => return Ok(None),
                () = tokio::time::sleep(self.idle_timeout) => {
                    if upload.bytes() == moved {
                        return Err(UpstreamError::UploadStalled);
                    }
                    moved = upload.bytes();
                }
            }
        }
    }
}

/// The address of `target` at `provider`, put together from parts and never from text.
///
/// # Errors
/// When the parts do not make an address, which a checked configuration and target always do.
pub fn address(
    scheme: &Scheme,
    authority: &Authority,
    target: &http::uri::PathAndQuery,
) -> Result<Uri, http::uri::InvalidUriParts> {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(scheme.clone());
    parts.authority = Some(authority.clone());
    parts.path_and_query = Some(target.clone());
    Uri::from_parts(parts)
}

fn client(connector: Connector) -> ProviderClient {
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE)
        .http1_max_buf_size(ANSWER_HEAD_BYTES_MAX)
        .http2_keep_alive_interval(H2_PING_INTERVAL)
        .http2_keep_alive_timeout(H2_PING_TIMEOUT)
        .http2_max_header_list_size(u32::try_from(ANSWER_HEAD_BYTES_MAX).unwrap_or(u32::MAX))
        .build(connector)
}

/// What broke, found in the chain of causes.
fn classify(error: legacy::Error) -> UpstreamError {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(&error);
    let mut is_protocol = false;
    while let Some(current) = cause {
        if current.is::<ConnectTimeout>() {
            return UpstreamError::ConnectTimeout(error);
        }
        if current.is::<rustls::Error>() {
            return UpstreamError::Tls(error);
        }
        if let Some(BodyError::Caller(_)) = current.downcast_ref() {
            return UpstreamError::Caller(error);
        }
        if let Some(hyper) = current.downcast_ref::<hyper::Error>() {
            is_protocol |= hyper.is_parse();
        }
        // An io::Error shows what it wraps as its own words, not as its source.
        let wrapped = current.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = wrapped.map(|inner| inner as &(dyn StdError + 'static)).or_else(|| current.source());
    }
    match (error.is_connect(), is_protocol) {
        (true, _) => UpstreamError::Unreachable(error),
        (false, true) => UpstreamError::Protocol(Some(error)),
        (false, false) => UpstreamError::Terminated(error),
    }
}

/// TCP and TLS under one time limit. A clone is one reference: the client makes one for every request, most of which
/// find a pooled connection and never use it.
#[derive(Clone)]
struct Connector(Arc<Transport>);

struct Transport {
    https: HttpsConnector<HttpConnector>,
    timeout: Duration,
}

#[derive(Debug, thiserror::Error)]
#[error("no connection within the time limit")]
struct ConnectTimeout;

impl Connector {
    fn new(limits: &Limits) -> std::io::Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let https = HttpsConnectorBuilder::new()
            .try_with_platform_verifier()
            .map_err(std::io::Error::other)?
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(tcp);
        Ok(Self(Arc::new(Transport { https, timeout: limits.connect_timeout })))
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = Box<dyn StdError + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, address: Uri) -> Self::Future {
        let transport = Arc::clone(&self.0);
        Box::pin(async move {
            let mut https = transport.https.clone();
            match tokio::time::timeout(transport.timeout, https.call(address)).await {
                Ok(connected) => connected,
                Err(_) => Err(ConnectTimeout.into()),
            }
        })
    }
}
