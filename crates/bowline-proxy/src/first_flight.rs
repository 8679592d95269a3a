//! A client's first bytes, kept until something comes back, and whether they may be sent to a second endpoint.
//!
//! A TLS ClientHello without early data asks a server for nothing but an answer: no request is in it, and a server that got
//! one and is then left has done nothing (RFC 8446, 4.1.2 and 4.2.10; RFC 5246, 7.4.1.2). So a client whose endpoint says
//! nothing can be moved to another one without knowing. Any other first bytes may be a request, and are never sent twice.

/// The longest first flight kept for a second endpoint, in bytes: a ClientHello with a post-quantum key share is under 2 KiB,
/// and one record carries 16 KiB at most.
pub(crate) const FIRST_FLIGHT_MAX: usize = 16 * 1024;

const RECORD_HANDSHAKE: u8 = 22;
const HANDSHAKE_CLIENT_HELLO: u8 = 1;
const EXTENSION_EARLY_DATA: u16 = 42;

/// The bytes a client has sent while nothing has come back; nothing is kept of what can't be a ClientHello.
#[derive(Debug)]
pub(crate) struct Kept(Option<Vec<u8>>);

impl Kept {
    /// Nothing has been sent yet.
    pub(crate) const fn new() -> Self {
        Self(Some(Vec::new()))
    }

    /// Keeps nothing, now and later.
    pub(crate) const fn never() -> Self {
        Self(None)
    }

    /// The client has sent `bytes`, and there is room to keep so many.
    pub(crate) fn add(&mut self, bytes: &[u8], room: usize) {
        let Some(kept) = &mut self.0 else { return };
        let hello = kept.first().or(bytes.first()).is_none_or(|&kind| kind == RECORD_HANDSHAKE);
        if hello && kept.len() + bytes.len() <= FIRST_FLIGHT_MAX && bytes.len() <= room {
            kept.extend_from_slice(bytes);
        } else {
            self.0 = None;
        }
    }

    /// Whether nothing will be kept any more.
    pub(crate) const fn is_over(&self) -> bool {
        self.0.is_none()
    }

    /// Bytes that are kept.
    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, Vec::len)
    }

    /// Everything the client has sent, when it may be sent to somebody else.
    pub(crate) fn repeatable(&self) -> Option<&[u8]> {
        self.0.as_deref().filter(|kept| classify(kept) == FirstFlight::Repeatable)
    }
}

/// What the bytes a client has sent so far are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FirstFlight {
    /// The beginning of what may become a ClientHello.
    Incomplete,
    /// One whole ClientHello without early data and nothing after it.
    Repeatable,
    /// Anything else.
    Unique,
}

/// Classifies the first `bytes` of a client.
pub(crate) fn classify(bytes: &[u8]) -> FirstFlight {
    let mut message = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while !rest.is_empty() {
        match rest {
            [RECORD_HANDSHAKE, 3, _, high, low, body @ ..] => {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                if length == 0 || length > FIRST_FLIGHT_MAX {
                    return FirstFlight::Unique;
                }
                let Some((fragment, after)) = body.split_at_checked(length) else {
                    return if starts_a_hello(&message, body) {
                        FirstFlight::Incomplete
                    } else {
                        FirstFlight::Unique
                    };
                };
                message.extend_from_slice(fragment);
                rest = after;
            }
            [RECORD_HANDSHAKE] | [RECORD_HANDSHAKE, 3, ..] => return FirstFlight::Incomplete,
            _ => return FirstFlight::Unique,
        }
    }
    let mut reader = Reader(&message);
    let Some(kind) = reader.take(1) else { return FirstFlight::Incomplete };
    if kind != [HANDSHAKE_CLIENT_HELLO] {
        return FirstFlight::Unique;
    }
    let Some(length) = reader.number(3) else { return FirstFlight::Incomplete };
    match reader.0.len() {
        have if have < length => FirstFlight::Incomplete,
        have if have > length => FirstFlight::Unique,
        _ => match has_early_data(reader) {
            Some(false) => FirstFlight::Repeatable,
            Some(true) | None => FirstFlight::Unique,
        },
    }
}

/// Whether what has come of the first record can still be a ClientHello.
fn starts_a_hello(message: &[u8], fragment: &[u8]) -> bool {
    message.first().or(fragment.first()).is_none_or(|&kind| kind == HANDSHAKE_CLIENT_HELLO)
}

/// Walks a ClientHello's body to its extensions; `None` when it is malformed.
fn has_early_data(mut hello: Reader<'_>) -> Option<bool> {
    hello.take(2 + 32)?; // legacy_version, random
    hello.vector(1)?; // legacy_session_id
    hello.vector(2)?; // cipher_suites
    hello.vector(1)?; // legacy_compression_methods
    if hello.0.is_empty() {
        return Some(false); // TLS 1.2 allows a hello without extensions
    }
    let mut extensions = Reader(hello.vector(2)?);
    if !hello.0.is_empty() {
        return None;
    }
    while !extensions.0.is_empty() {
        let kind = extensions.number(2)?;
        extensions.vector(2)?;
        if kind == usize::from(EXTENSION_EARLY_DATA) {
            return Some(true);
        }
    }
    Some(false)
}

/// Bytes still to be read; every accessor is `None` past the end.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// A big-endian number of `width` bytes.
    fn number(&mut self, width: usize) -> Option<usize> {
        Some(self.take(width)?.iter().fold(0, |number, &byte| number << 8 | usize::from(byte)))
    }

    /// A vector behind a length of `width` bytes.
    fn vector(&mut self, width: usize) -> Option<&'a [u8]> {
        let length = self.number(width)?;
        self.take(length)
    }
}

#[cfg(test)]
mod tests;
