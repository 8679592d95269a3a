//! TLS 1.3 as both sides of the load speak it: ECDSA P-256, X25519, a full handshake each time; and the one request.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

use crate::certs::{Authority, Validity};

/// What a client asks.
pub(super) const REQUEST: &[u8] = b"GET /version HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Ends each request: none has a body.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// What it gets: an answer to a balancer's probe as well, for which the status is what counts. The body has 110 bytes.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 110\r\n\r\n\
    {\"major\":\"1\",\"minor\":\"34\",\"gitVersion\":\"v1.34.0\",\"gitCommit\":\"5f3c\",\"compiler\":\"gc\",\
    \"platform\":\"linux/amd64\"}\n";

/// Most plaintext taken at a time; a request and an answer are far smaller.
const PLAINTEXT: usize = 4096;

/// The name that the backend's certificate is for.
const NAME: &str = "localhost";

/// A client's settings: it trusts the backend's authority, verifies as every client does, and resumes nothing.
#[derive(Clone, Debug)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl ClientTls {
    /// With the authority that `load serve` has written.
    ///
    /// # Errors
    /// When the file cannot be read or holds no certificate.
    pub fn read(authority: &Path) -> anyhow::Result<ClientTls> {
        let pem =
            std::fs::read_to_string(authority).with_context(|| format!("read {}", authority.display()))?;
        ClientTls::new(&pem)
    }

    /// With an authority in PEM.
    ///
    /// # Errors
    /// When it holds no certificate.
    pub fn new(authority: &str) -> anyhow::Result<ClientTls> {
        let mut roots = RootCertStore::empty();
        let certificate =
            CertificateDer::from_pem_slice(authority.as_bytes()).context("read the authority")?;
        roots.add(certificate).context("use the authority")?;
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = rustls::client::Resumption::disabled();
        Ok(ClientTls { config: Arc::new(config), name: NAME.try_into().context("the server's name")? })
    }

    pub(super) fn session(&self) -> anyhow::Result<ClientConnection> {
        ClientConnection::new(self.config.clone(), self.name.clone()).context("begin a TLS session")
    }
}

/// The backend's settings, and its authority in PEM.
pub(super) fn server() -> anyhow::Result<(Arc<ServerConfig>, String)> {
    let authority = Authority::new("load").context("make a certificate authority")?;
    let addresses = [IpAddr::V4(Ipv4Addr::LOCALHOST)];
    let identity = authority
        .server("load", &addresses, &["kubernetes", NAME], Validity::Current)
        .context("make a certificate")?;
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).context("read it")?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).context("read its key")?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .context("use the certificate")?;
    config.send_tls13_tickets = 0;
    Ok((Arc::new(config), authority.pem()))
}

fn provider() -> Arc<CryptoProvider> {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.kx_groups = vec![rustls::crypto::aws_lc_rs::kx_group::X25519];
    Arc::new(provider)
}

/// What one read gave a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The answer is not there yet.
    Waiting,
    /// The answer is there, whole.
    Answered,
}

/// Takes what has arrived and sends what that asks for. The stream is readable, or blocks.
///
/// # Errors
/// When the connection has ended, or what came is not TLS or not the answer.
pub(super) fn advance(
    session: &mut ClientConnection,
    stream: &mut (impl Read + Write),
) -> io::Result<Progress> {
    if session.read_tls(stream)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let arrived = session.process_new_packets().map_err(io::Error::other)?.plaintext_bytes_to_read();
    send(|to| session.write_tls(to), stream)?;
    if arrived == 0 {
        return Ok(Progress::Waiting);
    }
    let mut plaintext = [0; PLAINTEXT];
    let length = session.reader().read(&mut plaintext)?;
    // The backend writes an answer at once and within one record, so it is never seen in part.
    if plaintext.get(..length) == Some(ANSWER) {
        return Ok(Progress::Answered);
    }
    Err(io::Error::other("not the answer that was asked for"))
}

/// Sends what the session has to send, in as few writes as it takes.
pub(super) fn send<W: Write>(
    mut write: impl FnMut(&mut W) -> io::Result<usize>,
    stream: &mut W,
) -> io::Result<()> {
    while write(stream)? > 0 {}
    Ok(())
}

/// The backend's side of [`advance`]: answers each request in what `from` has.
///
/// # Errors
/// When the connection has ended, in good order or not.
pub(super) fn serve(
    session: &mut ServerConnection,
    from: &mut impl Read,
    stream: &mut impl Write,
) -> io::Result<()> {
    if session.read_tls(from)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let taken = session.process_new_packets();
    if let Ok(state) = &taken
        && state.plaintext_bytes_to_read() > 0
    {
        let mut plaintext = [0; PLAINTEXT];
        let length = session.reader().read(&mut plaintext)?;
        let requests = plaintext.get(..length).unwrap_or_default();
        for _ in requests.windows(HEAD_END.len()).filter(|end| *end == HEAD_END) {
            session.writer().write_all(ANSWER)?;
        }
    }
    // An alert, too, when what came was not TLS.
    send(|to| session.write_tls(to), stream)?;
    taken.map(|_| ()).map_err(io::Error::other)
}

#[cfg(test)]
mod tests;
