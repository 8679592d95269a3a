//! Whom probes trust and who they say they are: files that are read again when they change.

use crate::handshake::{Identity, Shown, client_config};
use bowline_pool::Certificate;
use hyper::header::HeaderValue;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, Error as TlsError, RootCertStore};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A bundle of every public CA is about 250 KB; more than this is not a credential.
const FILE_MAX: u64 = 1 << 20;

/// Where the credentials of probes lie; all absent is an unverified, anonymous probe.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Files {
    /// PEM bundle that the certificates of API servers must be signed by.
    pub ca: Option<PathBuf>,
    /// PEM chain that we show.
    pub client_certificate: Option<PathBuf>,
    /// The key of that chain, PEM.
    pub client_key: Option<PathBuf>,
    /// Bearer token.
    pub token: Option<PathBuf>,
}

/// What is wrong with one of the files.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{field}: {message}")]
pub struct FileProblem {
    /// The field of the description that names the file, below `spec.apiServer`.
    pub field: &'static str,
    /// What is wrong, naming the file.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

/// The content of the files, ready for use.
#[derive(Debug)]
pub struct Material {
    tls: Arc<ClientConfig>,
    /// The chain that `tls` shows, if any.
    identity: Vec<CertificateDer<'static>>,
    verifier: Option<Arc<WebPkiServerVerifier>>,
    token: Option<HeaderValue>,
}

impl Material {
    /// The configuration of a handshake; it accepts every chain, which [`Material::judge`] then judges.
    pub fn tls(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.tls)
    }

    /// The client certificate that handshakes show, with its chain; empty for none.
    pub fn identity(&self) -> &[CertificateDer<'static>] {
        &self.identity
    }

    /// The `Authorization` header, when a token is given.
    pub fn authorization(&self) -> Option<&HeaderValue> {
        self.token.as_ref()
    }

    /// What the CA bundle says about `chain`, end entity first, shown by the server at `name`.
    pub fn judge(&self, chain: &[CertificateDer<'_>], name: &ServerName<'_>) -> Certificate {
        let Some(verifier) = &self.verifier else { return Certificate::Unverified };
        let Some((end_entity, intermediates)) = chain.split_first() else {
            return Certificate::Rejected("the server shows no certificate".into());
        };
        match verifier.verify_server_cert(end_entity, intermediates, name, &[], UnixTime::now()) {
            Ok(_) => Certificate::Verified,
            Err(TlsError::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Certificate::NameMismatch,
            Err(TlsError::InvalidCertificate(error)) => Certificate::Rejected(rejection(&error)),
            Err(error) => Certificate::Rejected(error.to_string()),
        }
    }
}

/// The verdict in words an operator can act on. `CertificateError` is not ours and grows, hence the last arm.
fn rejection(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "certificate expired".into(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "certificate not valid yet".into()
        }
        CertificateError::UnknownIssuer => "certificate not signed by the CA in caFile".into(),
        CertificateError::BadSignature => "certificate signature does not match the CA in caFile".into(),
        // The verifier's own words, such as CaUsedAsEndEntity, without the wrapping around them.
        CertificateError::Other(error) => format!("certificate not accepted: {}", error.0),
        other => format!("certificate not accepted: {other}"),
    }
}

/// What a look at the files brought.
#[derive(Debug)]
pub enum Refresh {
    /// No file has changed.
    Unchanged,
    /// At least one has, and the new content is in use.
    Changed,
    /// At least one has, but they cannot be used; the old content stays until they change once more.
    Failed(Vec<FileProblem>),
}

/// The files and what was last read from them; shared by all probers of the daemon.
#[derive(Debug)]
pub struct Credentials {
    files: Files,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    stamps: [Option<Stamp>; 4],
    material: Arc<Material>,
}

/// What tells a file's versions apart without reading it; a swapped symbolic link changes the inode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Credentials {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// Every file that is missing, unreadable, too large, or not what its field asks for.
    pub fn load(files: Files) -> Result<Self, Vec<FileProblem>> {
        let stamps = stamps(&files);
        let material = Arc::new(read(&files)?);
        Ok(Self { files, state: Mutex::new(State { stamps, material }) })
    }

    /// The content to use now; looks whether the files have changed, which costs one `stat` each.
    pub fn current(&self) -> (Arc<Material>, Refresh) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = stamps(&self.files);
        let refresh = if stamps == state.stamps {
            Refresh::Unchanged
        } else {
            state.stamps = stamps;
            match read(&self.files) {
                Ok(material) => {
                    state.material = Arc::new(material);
                    Refresh::Changed
                }
                Err(problems) => Refresh::Failed(problems),
            }
        };
        (Arc::clone(&state.material), refresh)
    }
}

fn stamps(files: &Files) -> [Option<Stamp>; 4] {
    [&files.ca, &files.client_certificate, &files.client_key, &files.token].map(|path| {
        let metadata = std::fs::metadata(path.as_ref()?).ok()?;
        Some(Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        })
    })
}

fn read(files: &Files) -> Result<Material, Vec<FileProblem>> {
    let mut problems = Vec::new();
    let mut keep = |problem| problems.push(problem);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = files.ca.as_deref().and_then(|path| read_ca(path, &provider).map_err(&mut keep).ok());
    let chain = files
        .client_certificate
        .as_deref()
        .and_then(|path| read_certificates("clientCertFile", path).map_err(&mut keep).ok());
    let key = files.client_key.as_deref().and_then(|path| read_key(path).map_err(&mut keep).ok());
    let token = files.token.as_deref().and_then(|path| read_token(path).map_err(&mut keep).ok());
    if !problems.is_empty() {
        return Err(problems);
    }
    let identity = chain.clone().unwrap_or_default();
    let tls = Arc::new(tls_config(&provider, chain.zip(key), files).map_err(|problem| vec![problem])?);
    Ok(Material { tls, identity, verifier, token })
}

fn tls_config(
    provider: &Arc<CryptoProvider>,
    identity: Option<Identity>,
    files: &Files,
) -> Result<ClientConfig, FileProblem> {
    let shown = Arc::new(Shown::passing(Arc::clone(provider)));
    client_config(shown, identity, &["http/1.1"]).map_err(|error| {
        let key = files.client_key.as_deref().unwrap_or(Path::new("")).display();
        FileProblem {
            field: "clientKeyFile",
            message: format!("{key} does not go with the client certificate: {error}"),
            remedy: "give the key that belongs to clientCertFile".into(),
        }
    })
}

fn read_ca(path: &Path, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, FileProblem> {
    const FIELD: &str = "caFile";
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates(FIELD, path)? {
        roots.add(certificate).map_err(|error| FileProblem {
            field: FIELD,
            message: format!("{} holds a certificate that cannot be used: {error}", path.display()),
            remedy: "give a PEM bundle of CA certificates".into(),
        })?;
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build().map_err(
        |error| FileProblem {
            field: FIELD,
            message: format!("{} cannot be used: {error}", path.display()),
            remedy: "give a PEM bundle of CA certificates".into(),
        },
    )
}

fn read_certificates(field: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, FileProblem> {
    let problem = |message| FileProblem { field, message, remedy: "give a PEM file of certificates".into() };
    let bytes = read_file(field, path)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| problem(format!("{} is not PEM: {error}", path.display())))?;
    if certificates.is_empty() {
        return Err(problem(format!("{} holds no certificate", path.display())));
    }
    Ok(certificates)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, FileProblem> {
    const FIELD: &str = "clientKeyFile";
    let bytes = read_file(FIELD, path)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| FileProblem {
        field: FIELD,
        message: format!("{} holds no private key: {error}", path.display()),
        remedy: "give a PEM file with one private key without a pass phrase".into(),
    })
}

fn read_token(path: &Path) -> Result<HeaderValue, FileProblem> {
    const FIELD: &str = "tokenFile";
    let bytes = read_file(FIELD, path)?;
    let token = bytes.trim_ascii();
    let value = [b"Bearer ", token].concat();
    match HeaderValue::from_bytes(&value) {
        Ok(mut header) if !token.is_empty() => {
            header.set_sensitive(true);
            Ok(header)
        }
        Ok(_) | Err(_) => Err(FileProblem {
            field: FIELD,
            message: format!("{} holds no bearer token", path.display()),
            remedy: "give a file with the token on one line".into(),
        }),
    }
}

fn read_file(field: &'static str, path: &Path) -> Result<Vec<u8>, FileProblem> {
    let problem = |message| FileProblem {
        field,
        message,
        remedy: format!("make the file readable on this node, or correct {field}"),
    };
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| problem(format!("cannot read {}: {error}", path.display())))?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(problem(format!("{} is larger than 1 MiB", path.display())));
    }
    Ok(bytes)
}
