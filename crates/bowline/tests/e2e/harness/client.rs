//! Clients inside the test's process: plain HTTP for the admin listener, TLS for the API.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::PATIENCE;

/// One GET on a connection of its own: status and body.
///
/// # Errors
/// When there is no answer.
pub(crate) fn http_get(address: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    request(&mut stream, path)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(split(&answer))
}

/// A TLS connection to an API server, through whatever is in between.
pub(crate) struct Tls(StreamOwned<ClientConnection, TcpStream>);

impl Tls {
    /// Connects and completes the handshake; the server must be one of `ca`'s, by the name `kubernetes`.
    ///
    /// # Errors
    /// When the connection or the handshake fails.
    pub(crate) fn connect(address: SocketAddr, ca: &str) -> std::io::Result<Tls> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca.as_bytes()) {
            roots.add(certificate.expect("read a CA certificate")).expect("trust a CA certificate");
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("choose TLS versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("kubernetes").expect("a server's name");
        let session = ClientConnection::new(Arc::new(config), name).map_err(std::io::Error::other)?;
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut tls = StreamOwned::new(session, stream);
        tls.conn.complete_io(&mut tls.sock)?;
        Ok(Tls(tls))
    }

    /// One GET, after which the server may close: status, and the name of the server that answered.
    ///
    /// # Errors
    /// When there is no whole answer.
    pub(crate) fn get(&mut self, path: &str) -> std::io::Result<(u16, String)> {
        write!(self.0, "GET {path} HTTP/1.1\r\nHost: kubernetes\r\n\r\n")?;
        let head = String::from_utf8_lossy(&self.through(b"\r\n\r\n")?).into_owned();
        if header(&head, "transfer-encoding").as_deref() == Some("chunked") {
            // The last chunk is empty, and no body that tests ask for has such a line.
            self.through(b"\r\n0\r\n\r\n")?;
        } else {
            let length = header(&head, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
            self.0.read_exact(&mut vec![0; length])?;
        }
        Ok((status(&head), header(&head, "server").unwrap_or_default()))
    }

    /// Reads until the bytes end with `mark`.
    fn through(&mut self, mark: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(mark) {
            let mut byte = [0];
            self.0.read_exact(&mut byte)?;
            bytes.push(byte[0]);
        }
        Ok(bytes)
    }

    /// Begins a request whose answer does not end.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub(crate) fn begin(&mut self, path: &str) -> std::io::Result<()> {
        write!(self.0, "GET {path} HTTP/1.1\r\nHost: kubernetes\r\n\r\n")
    }

    /// Waits for any further bytes; the number of bytes, none at the connection's end.
    ///
    /// # Errors
    /// When the connection fails, or nothing comes for as long as tests wait.
    pub(crate) fn more(&mut self) -> std::io::Result<usize> {
        self.0.read(&mut [0; 4096])
    }
}

fn request(stream: &mut impl Write, path: &str) -> std::io::Result<()> {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: kubernetes\r\nConnection: close\r\n\r\n")
}

fn split(answer: &str) -> (u16, String) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    (status(head), body.to_owned())
}

fn status(head: &str) -> u16 {
    head.split_whitespace().nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

fn header(head: &str, name: &str) -> Option<String> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}
