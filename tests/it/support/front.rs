//! TLS in front of a proxy, for clients that send a token over `https` alone.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::child;

/// A port at which TLS ends, and what proves who is there. Stops when it is dropped.
pub struct Front {
    listener: Option<TcpListener>,
    port: u16,
    shown: CertifiedKey<rcgen::KeyPair>,
    task: Option<AbortHandle>,
}

impl Front {
    /// At `localhost`. Its port is known before there is a proxy, which has to know where it is seen.
    pub async fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shown = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        Self { listener: Some(listener), port, shown, task: None }
    }

    /// `https://localhost:PORT`.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// A file with whom a client has to trust.
    pub fn authority(&self) -> PathBuf {
        let file = child::folder().join("authority.pem");
        std::fs::write(&file, self.shown.cert.pem()).unwrap();
        file
    }

    /// Hands everything on to `proxy` from now on.
    pub fn lead_to(&mut self, proxy: SocketAddr) {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.shown.signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.shown.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = self.listener.take().unwrap();
        let task = tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut caller) = acceptor.accept(caller).await else { return };
                    let Ok(mut proxy) = TcpStream::connect(proxy).await else { return };
                    let _ = tokio::io::copy_bidirectional(&mut caller, &mut proxy).await;
                });
            }
        });
        self.task = Some(task.abort_handle());
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
