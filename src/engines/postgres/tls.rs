//! TLS to the server, as strict as the datasource says.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::definitions::regular;
use crate::definitions::spec::datasource::{Tls, TlsMode};
use crate::engines::EngineError;

/// Builds the connector; `None` where TLS is off. Reads the file of authorities, if one is named.
///
/// # Errors
/// [`EngineError::Unavailable`] where that file cannot be read or holds no certificate.
pub(super) fn connector(tls: Option<&Tls>) -> Result<Option<MakeRustlsConnect>, EngineError> {
    let Some(tls) = tls else { return Ok(None) };
    let provider = Arc::new(ring::default_provider());
    match (tls.mode, &tls.ca_file) {
        (TlsMode::Disable, _) => Ok(None),
        (TlsMode::Require, _) => {
            let verifier = Arc::new(AnyCertificate(provider.clone()));
            client(provider, verifier).map(Some)
        }
        (TlsMode::Verify, Some(file)) => {
            let verifier =
                WebPkiServerVerifier::builder_with_provider(authorities(file)?, provider.clone())
                    .build()
                    .map_err(|error| EngineError::Unavailable(format!("{file}: {error}")))?;
            client(provider, verifier).map(Some)
        }
        (TlsMode::Verify, None) => {
            // The web's authorities come with a connector that wants a process default; a second one changes nothing.
            let _ = CryptoProvider::install_default(ring::default_provider());
            Ok(Some(MakeRustlsConnect::with_webpki_roots()))
        }
    }
}

fn client(
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
) -> Result<MakeRustlsConnect, EngineError> {
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| EngineError::Unavailable(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn authorities(file: &str) -> Result<Arc<RootCertStore>, EngineError> {
    let unreadable = |reason: String| EngineError::Unavailable(format!("ca_file {file}: {reason}"));
    let mut roots = RootCertStore::empty();
    let opened = regular::open(Path::new(file)).map_err(|error| unreadable(error.to_string()))?;
    for certificate in CertificateDer::pem_reader_iter(opened) {
        let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unreadable(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unreadable("no certificate in it".into()));
    }
    Ok(Arc::new(roots))
}

/// `require`: encrypts, and takes whatever certificate the server shows. The handshake itself is still checked.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
