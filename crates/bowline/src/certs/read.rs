//! Reads files of certificates and keys: PEM, or one certificate as DER.

use super::facts;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// A bundle of every public CA is about 250 KB; more than this holds something else.
const FILE_MAX: u64 = 1 << 20;

/// More than this in one file is no chain and no bundle.
const CERTIFICATES_MAX: usize = 1_000;

/// The first byte of every DER certificate: a SEQUENCE.
const DER_SEQUENCE: u8 = 0x30;

/// Why a file brought no certificate or key.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("{file}: cannot be read: {source}; give the path of a PEM or DER file")]
    Unreadable {
        /// As the user named it.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// The file is too large.
    #[error("{file}: is larger than 1 MiB; is it the right file?")]
    TooLarge {
        /// As the user named it.
        file: String,
    },
    /// The file holds something else.
    #[error("{file}: holds no certificate; give a PEM or DER file of certificates")]
    NoCertificate {
        /// As the user named it.
        file: String,
    },
    /// The file is damaged PEM.
    #[error("{file}: is not PEM: {message}; get the file again from where it was made")]
    BadPem {
        /// As the user named it.
        file: String,
        /// What is wrong.
        message: String,
    },
    /// More certificates than anybody needs.
    #[error("{file}: holds more than 1000 certificates; is it the right file?")]
    TooMany {
        /// As the user named it.
        file: String,
    },
    /// A certificate in the file is damaged.
    #[error("{file}: certificate {number} is damaged: {message}; get the file again from where it was made")]
    BadCertificate {
        /// As the user named it.
        file: String,
        /// Which, counted from 1.
        number: usize,
        /// What is wrong.
        message: String,
    },
    /// No key in the file.
    #[error("{file}: holds no private key; give a PEM file with one, without a pass phrase")]
    NoKey {
        /// As the user named it.
        file: String,
    },
    /// The key needs a pass phrase.
    #[error(
        "{file}: the private key is encrypted; decrypt it first, for instance with `openssl pkey -in {file}`"
    )]
    EncryptedKey {
        /// As the user named it.
        file: String,
    },
}

/// All certificates in the file at `path`, in their order; at least one, and every one can be parsed.
///
/// # Errors
///
/// The file cannot be read, is too large, or holds something else.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ReadError> {
    certificates_in(&path.display().to_string(), &read(path)?)
}

/// As [`certificates`], from the content of the file that the user knows as `file`.
///
/// # Errors
///
/// As [`certificates`].
pub fn certificates_in(file: &str, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, ReadError> {
    let file = || file.to_owned();
    let found = if bytes.first() == Some(&DER_SEQUENCE) {
        vec![CertificateDer::from(bytes.to_vec())]
    } else {
        let mut found = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(bytes) {
            let certificate =
                certificate.map_err(|error| ReadError::BadPem { file: file(), message: reason(&error) })?;
            if found.len() == CERTIFICATES_MAX {
                return Err(ReadError::TooMany { file: file() });
            }
            found.push(certificate);
        }
        found
    };
    if found.is_empty() {
        return Err(ReadError::NoCertificate { file: file() });
    }
    for (index, certificate) in found.iter().enumerate() {
        facts::parse(certificate).map_err(|message| ReadError::BadCertificate {
            file: file(),
            number: index + 1,
            message,
        })?;
    }
    Ok(found)
}

/// The first private key in the file at `path`: PKCS#8, PKCS#1 or SEC1, PEM.
///
/// # Errors
///
/// The file cannot be read, is too large, or holds no key that can be used without a pass phrase.
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, ReadError> {
    let file = || path.display().to_string();
    let bytes = read(path)?;
    let has = |marker: &str| bytes.windows(marker.len()).any(|window| window == marker.as_bytes());
    // PKCS#8 says it in the label, the older forms in a header.
    if has("BEGIN ENCRYPTED PRIVATE KEY") || has("Proc-Type: 4,ENCRYPTED") {
        return Err(ReadError::EncryptedKey { file: file() });
    }
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| match error {
        PemError::NoItemsFound => ReadError::NoKey { file: file() },
        error => ReadError::BadPem { file: file(), message: reason(&error) },
    })
}

/// What is wrong in words; the error is not ours and grows, hence the last arm.
fn reason(error: &PemError) -> String {
    match error {
        PemError::MissingSectionEnd { .. } => "it ends before its END line".to_owned(),
        PemError::IllegalSectionStart { .. } => "a BEGIN line is damaged".to_owned(),
        PemError::Base64Decode(_) => "what is between BEGIN and END is not base64".to_owned(),
        error => error.to_string(),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ReadError> {
    let file = || path.display().to_string();
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|opened| opened.take(FILE_MAX + 1).read_to_end(&mut bytes))
        .map_err(|source| ReadError::Unreadable { file: file(), source })?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(ReadError::TooLarge { file: file() });
    }
    Ok(bytes)
}
