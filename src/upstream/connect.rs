//! Connecting to a provider: TCP and TLS under one time limit, HTTP/1.1 or HTTP/2 as the provider chooses (ALPN).

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use hyper::http::Uri;
use hyper::service::Service;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;

use super::stall::Impatient;
use crate::config::Limits;

/// A connection on which nothing has been said yet.
pub(super) type Transport = Impatient<MaybeHttpsStream<TokioIo<TcpStream>>>;

/// What connections are made with; clones share it.
#[derive(Clone)]
pub(super) struct Connector(Arc<Settings>);

struct Settings {
    https: TowerToHyperService<HttpsConnector<HttpConnector>>,
    connect_timeout: Duration,
    idle_timeout: Duration,
}

/// There was no connection within `connect_timeout`.
#[derive(Debug, thiserror::Error)]
#[error("no connection within the time limit")]
pub(super) struct ConnectTimeout;

impl Connector {
    /// Trusts the platform's roots, or those in `SSL_CERT_FILE`.
    pub(super) fn new(limits: &Limits) -> std::io::Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // Divided among the addresses of a name, so that one that is dead does not use up the time of all.
        tcp.set_connect_timeout(Some(limits.connect_timeout));
        let https = HttpsConnectorBuilder::new()
            .try_with_platform_verifier()
            .map_err(std::io::Error::other)?
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(tcp);
        let https = TowerToHyperService::new(https);
        let (connect_timeout, idle_timeout) = (limits.connect_timeout, limits.idle_timeout);
        Ok(Self(Arc::new(Settings { https, connect_timeout, idle_timeout })))
    }

    /// A new connection to `origin`.
    pub(super) async fn connect(&self, origin: Uri) -> Result<Transport, Box<dyn StdError + Send + Sync>> {
        match tokio::time::timeout(self.0.connect_timeout, self.0.https.call(origin)).await {
            Ok(connected) => Ok(Impatient::new(connected?, self.0.idle_timeout)),
            Err(_) => Err(ConnectTimeout.into()),
        }
    }
}
