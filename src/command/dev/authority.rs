//! `dev --tls`: an authority of this run's own, and what it vouches for. Its private key is nowhere but in here, and gone
//! with the one certificate it has signed.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, Error, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

use super::World;
use crate::clock::Timestamp;
use crate::config::Tls;
use crate::secret::Secret;

/// As long as the callers' tokens that lie beside it.
const LIFE: Duration = Duration::from_secs(86_400);

/// For clocks that are not quite right: a container's, a virtual machine's.
const LEEWAY: Duration = Duration::from_secs(3600);

/// What callers are shown, and whom they are to trust for it. All in PEM.
pub(super) struct Shown {
    /// The authority's own certificate.
    pub(super) authority: String,
    /// The proxy's.
    pub(super) certificate: String,
    /// The proxy's private key.
    pub(super) key: String,
}

impl Shown {
    /// For a proxy in front of `world` that listens on `listen`, by every name it is called by on this machine.
    pub(super) fn new(world: &World, listen: IpAddr) -> io::Result<Self> {
        // OpenSSL takes no `*` for the whole of what stands before a last label, so the hosts are named one by one too.
        let hosts = world.providers().map(|(provider, _)| format!("{}.localhost", provider.settings().name));
        let addresses = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into(), listen];
        let names = ["localhost", "*.localhost"].map(str::to_owned).into_iter().chain(hosts);
        let names = names.chain(addresses.map(|address| address.to_string()));
        Self::named(names.collect(), world.clock.now()).map_err(io::Error::other)
    }

    fn named(mut names: Vec<String>, now: Timestamp) -> Result<Self, Error> {
        names.sort();
        names.dedup();
        let authority = CertifiedIssuer::self_signed(authority(now)?, KeyPair::generate()?)?;
        let mut params = lasting(CertificateParams::new(names)?, now, "localhost");
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &authority)?;
        Ok(Self {
            authority: pem("CERTIFICATE", authority.der()),
            certificate: pem("CERTIFICATE", certificate.der()),
            key: pem("PRIVATE KEY", key.serialized_der()),
        })
    }

    /// The same for a proxy's configuration.
    pub(super) fn tls(&self) -> Tls {
        Tls { certificates: self.certificate.clone(), key: Secret::new(self.key.as_str()) }
    }
}

/// RFC 7468 §2: Base64 in lines of 64 characters, between two that say what it is.
fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, behind) = rest.split_at(rest.len().min(64));
        pem.extend([line, "\n"]);
        rest = behind;
    }
    pem + &format!("-----END {label}-----\n")
}

/// It vouches for servers alone and for no other authority. (Held to names of this machine, RFC 5280 §4.2.1.10, rustls would
/// refuse it for the `*` in one of them.)
fn authority(now: Timestamp) -> Result<CertificateParams, Error> {
    let mut params = lasting(CertificateParams::new(Vec::new())?, now, "idp-proxy dev, this run's own authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    Ok(params)
}

fn lasting(mut params: CertificateParams, now: Timestamp, name: &str) -> CertificateParams {
    let now = date_time_ymd(1970, 1, 1) + Duration::from_secs(now.unix_seconds());
    (params.not_before, params.not_after) = (now - LEEWAY, now + LIFE);
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
