//! TLS handshakes that go through whatever the server shows, so that more can be said of its certificate than "handshake
//! failed". Whoever makes one judges the chain afterwards.

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error as TlsError, SignatureScheme};
use std::sync::{Arc, Mutex, PoisonError};

/// What a client shows: a chain and the key of its first certificate.
pub(crate) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// A configuration whose handshakes accept every chain, and of which every one shows that the server holds the key of its
/// certificate.
///
/// # Errors
///
/// The key of `identity` does not go with its certificate, or `shown`'s provider has no protocol version.
pub(crate) fn client_config(
    shown: Arc<Shown>,
    identity: Option<Identity>,
    protocols: &[&str],
) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(Arc::clone(&shown.provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(shown);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
    };
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    // A resumed session would show no certificate.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Lets every chain through, and keeps the last one if it is to.
#[derive(Debug)]
pub(crate) struct Shown {
    provider: Arc<CryptoProvider>,
    chain: Option<Mutex<Vec<CertificateDer<'static>>>>,
}

impl Shown {
    /// For connections that show their chain themselves once they are made.
    pub(crate) fn passing(provider: Arc<CryptoProvider>) -> Self {
        Self { provider, chain: None }
    }

    /// For a single handshake, whose chain is wanted also when it is broken off.
    pub(crate) fn keeping(provider: Arc<CryptoProvider>) -> Self {
        Self { provider, chain: Some(Mutex::default()) }
    }

    /// The chain that was kept, the server's own certificate first; empty when none was shown.
    pub(crate) fn take(&self) -> Vec<CertificateDer<'static>> {
        let kept = self.chain.as_ref().map(|chain| chain.lock().unwrap_or_else(PoisonError::into_inner));
        kept.map(|mut chain| std::mem::take(&mut *chain)).unwrap_or_default()
    }
}

impl ServerCertVerifier for Shown {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        if let Some(kept) = &self.chain {
            let chain =
                std::iter::once(end_entity).chain(intermediates).map(|shown| shown.clone().into_owned());
            *kept.lock().unwrap_or_else(PoisonError::into_inner) = chain.collect();
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
