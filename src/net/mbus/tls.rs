//! TLS of gateways: version 1.3 alone, with certificates on both sides.

use std::io;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

/// Why there is no TLS. Nothing of a key is repeated.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The server's certificate is none.
    #[error("mbus.tls_cert_file holds no certificates in PEM")]
    Certificate,
    /// The server's key is none.
    #[error("mbus.tls_key_file holds no private key in PEM")]
    Key,
    /// The certificates of those who sign gateways' are none.
    #[error("mbus.tls_client_ca_file holds no certificates in PEM")]
    Authorities,
    /// They do not go together.
    #[error("the certificates and keys of [mbus] do not go together: {0}")]
    Config(#[source] rustls::Error),
    /// The verifier of gateways cannot be made.
    #[error("mbus.tls_client_ca_file cannot be used: {0}")]
    Verifier(#[source] rustls::client::VerifierBuilderError),
}

/// The texts of three files in PEM.
#[derive(Clone, Copy)]
pub struct TlsFiles<'a> {
    /// The server's certificate, and those between it and its authority.
    pub certificates: &'a [u8],
    /// The server's private key.
    pub key: &'a [u8],
    /// Who may sign certificates of gateways.
    pub authorities: &'a [u8],
}

impl std::fmt::Debug for TlsFiles<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsFiles").finish_non_exhaustive()
    }
}

/// What makes TLS of a connection. A gateway has to show a certificate that an authority signed;
/// whose it is, is asked afterwards.
///
/// # Errors
///
/// [`TlsError`].
pub fn acceptor(files: TlsFiles<'_>) -> Result<TlsAcceptor, TlsError> {
    let certificates = certificates_of(files.certificates).ok_or(TlsError::Certificate)?;
    let key = PrivateKeyDer::from_pem_slice(files.key).map_err(|_| TlsError::Key)?;
    let mut roots = RootCertStore::empty();
    for authority in certificates_of(files.authorities).ok_or(TlsError::Authorities)? {
        roots.add(authority).map_err(TlsError::Config)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let verifier = verifier.build().map_err(TlsError::Verifier)?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Config)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates, key)
        .map_err(TlsError::Config)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The certificates of a text; none if there is none, or one is damaged.
fn certificates_of(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    certificates.ok().filter(|found| !found.is_empty())
}

/// The certificate that the other side showed, in DER.
pub(super) fn certificate_of<S>(
    stream: &tokio_rustls::server::TlsStream<S>,
) -> io::Result<CertificateDer<'static>> {
    let (_, session) = stream.get_ref();
    let shown = session.peer_certificates().and_then(<[_]>::first);
    let shown = shown.ok_or_else(|| io::Error::other("no certificate was shown"))?;
    Ok(shown.clone().into_owned())
}
