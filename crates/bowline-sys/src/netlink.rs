//! netlink(7): requests to the kernel and what it answers. Names and numbers are those of linux/netlink.h; everything is in host
//! byte order. What the kernel says is checked like any other input: a message that lies about its length is an error.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};

/// `struct nlmsghdr`: length, type, flags, sequence number, port.
pub(crate) const NLMSG_HDRLEN: usize = 16;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLMSG_ALIGNTO: usize = 4;

const NLM_F_REQUEST: u16 = 0x01;
const NLM_F_ACK: u16 = 0x04;
/// The notification that the request causes is sent to the asker too.
pub(crate) const NLM_F_ECHO: u16 = 0x08;
const NLM_F_DUMP_INTR: u16 = 0x10;
const NLM_F_DUMP: u16 = 0x300;
pub(crate) const NLM_F_REPLACE: u16 = 0x100;
pub(crate) const NLM_F_EXCL: u16 = 0x200;
pub(crate) const NLM_F_CREATE: u16 = 0x400;

/// `struct nlattr`: length with this header, type.
const NLA_HDRLEN: usize = 4;
/// The two upper bits of an attribute's type are flags: nested, and in network byte order.
const NLA_TYPE_MASK: u16 = 0x3fff;

/// The kernel fills at most 32 KiB of a dump at once; one message of another kind is far smaller.
pub(crate) const DATAGRAM_MAX: usize = 64 * 1024;

/// The kernel answers before the request returns; that nothing comes means an answer was dropped for want of memory.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Messages of earlier requests that were given up; they are skipped, but not for ever.
const STALE_MAX: usize = 1024;

/// How often a list that changed while it was read is read again.
const DUMP_ATTEMPTS: usize = 8;

/// A socket to one part of the kernel, for the namespace in which it was opened.
#[derive(Debug)]
pub(crate) struct Netlink {
    socket: OwnedFd,
    /// The number of the last request. The lock makes request and answer one step for threads that share the socket.
    sequence: Mutex<u32>,
}

/// One message, without its header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    pub(crate) body: &'a [u8],
}

impl Netlink {
    /// A socket for `protocol`; none is `NETLINK_ROUTE`. Unbound and unconnected: requests go to the kernel, which answers.
    pub(crate) fn open(protocol: Option<Protocol>) -> io::Result<Self> {
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
        set_socket_timeout(&socket, Timeout::Recv, Some(ANSWER_WITHIN))?;
        Ok(Self { socket, sequence: Mutex::new(0) })
    }

    /// Sends a request and waits until the kernel has done it.
    pub(crate) fn ask(&self, kind: u16, flags: u16, request: &Encoder) -> io::Result<()> {
        self.ask_and_hear(kind, flags, request, |_| ())
    }

    /// The same; `hear` gets the messages that come before the acknowledgement.
    pub(crate) fn ask_and_hear(
        &self,
        kind: u16,
        flags: u16,
        request: &Encoder,
        mut hear: impl FnMut(Message<'_>),
    ) -> io::Result<()> {
        let mut last = self.sequence.lock().unwrap_or_else(PoisonError::into_inner);
        *last = last.wrapping_add(1);
        let sequence = *last;
        let bytes = request.message(kind, flags | NLM_F_REQUEST | NLM_F_ACK, sequence)?;
        send(&self.socket, &bytes, SendFlags::empty())?;
        self.answers(sequence, |message| match acknowledgement(&message) {
            Some(result) => result.map(|()| true),
            None => {
                hear(message);
                Ok(false)
            }
        })
    }

    /// Sends several requests in one system call and hears what became of each, in the order of `requests`.
    pub(crate) fn ask_all(&self, kind: u16, requests: &[Encoder]) -> io::Result<Vec<io::Result<()>>> {
        let mut last = self.sequence.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = Vec::new();
        let first = last.wrapping_add(1);
        for request in requests {
            *last = last.wrapping_add(1);
            bytes.extend_from_slice(&request.message(kind, NLM_F_REQUEST | NLM_F_ACK, *last)?);
        }
        send(&self.socket, &bytes, SendFlags::empty())?;
        let mut results = Vec::with_capacity(requests.len());
        for offset in 0..requests.len() {
            let sequence = first.wrapping_add(u32::try_from(offset).unwrap_or(u32::MAX));
            let mut result = Ok(());
            self.answers(sequence, |message| {
                let Some(answer) = acknowledgement(&message) else { return Ok(false) };
                result = answer;
                Ok(true)
            })?;
            results.push(result);
        }
        Ok(results)
    }

    /// Reads a whole list; `read` makes an entry of a message, or passes over it. A list that changed meanwhile is read again.
    pub(crate) fn dump<T>(
        &self,
        kind: u16,
        request: &Encoder,
        read: impl Fn(Message<'_>) -> Option<T>,
    ) -> io::Result<Vec<T>> {
        for _ in 0..DUMP_ATTEMPTS {
            if let Some(list) = self.dump_once(kind, request, &read)? {
                return Ok(list);
            }
        }
        Err(io::Error::new(io::ErrorKind::ResourceBusy, "the kernel's list changed each time it was read"))
    }

    /// `None` when the list changed while it was read.
    fn dump_once<T>(
        &self,
        kind: u16,
        request: &Encoder,
        read: &impl Fn(Message<'_>) -> Option<T>,
    ) -> io::Result<Option<Vec<T>>> {
        let mut last = self.sequence.lock().unwrap_or_else(PoisonError::into_inner);
        *last = last.wrapping_add(1);
        let sequence = *last;
        send(
            &self.socket,
            &request.message(kind, NLM_F_REQUEST | NLM_F_DUMP, sequence)?,
            SendFlags::empty(),
        )?;
        let (mut list, mut changed) = (Vec::new(), false);
        self.answers(sequence, |message| {
            changed |= message.flags & NLM_F_DUMP_INTR != 0;
            if message.kind == NLMSG_DONE {
                // Says what kept the kernel from listing the rest; older ones say nothing.
                return outcome(u32_at(message.body, 0).unwrap_or(0)).map(|()| true);
            }
            if let Some(result) = acknowledgement(&message) {
                return result.map(|()| true);
            }
            list.extend(read(message));
            Ok(false)
        })?;
        Ok((!changed).then_some(list))
    }

    /// Hands the messages that answer `sequence` to `hear`, until it says that this was the last.
    fn answers(
        &self,
        sequence: u32,
        mut hear: impl FnMut(Message<'_>) -> io::Result<bool>,
    ) -> io::Result<()> {
        let mut stale = 0;
        let mut buffer = vec![0; DATAGRAM_MAX];
        while stale < STALE_MAX {
            for message in messages(receive(&self.socket, &mut buffer, RecvFlags::empty())?) {
                let message = message?;
                if message.sequence != sequence {
                    stale += 1;
                } else if hear(message)? {
                    return Ok(());
                }
            }
        }
        Err(no_answer())
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// One datagram; one that is longer than the buffer is an error, because what is missing would be.
pub(crate) fn receive<'a>(socket: &OwnedFd, buffer: &'a mut [u8], flags: RecvFlags) -> io::Result<&'a [u8]> {
    let (_, length) = rustix::io::retry_on_intr(|| recv(socket, &mut *buffer, flags | RecvFlags::TRUNC))?;
    buffer.get(..length).ok_or_else(malformed)
}

/// What an error message says: the outcome of a request. `None` for any other message.
fn acknowledgement(message: &Message<'_>) -> Option<io::Result<()>> {
    if message.kind != NLMSG_ERROR {
        return None;
    }
    Some(u32_at(message.body, 0).ok_or_else(malformed).and_then(outcome))
}

/// Zero, or an error's negative number.
fn outcome(code: u32) -> io::Result<()> {
    match code.cast_signed() {
        code @ ..0 => Err(io::Error::from_raw_os_error(code.saturating_neg())),
        0.. => Ok(()),
    }
}

/// The messages of a datagram.
pub(crate) fn messages(datagram: &[u8]) -> impl Iterator<Item = io::Result<Message<'_>>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let split = split_message(rest);
        rest = split.as_ref().map_or(&[], |(_, rest)| rest);
        Some(split.map(|(message, _)| message).ok_or_else(malformed))
    })
}

/// The first message, and what follows it.
pub(crate) fn split_message(bytes: &[u8]) -> Option<(Message<'_>, &[u8])> {
    let length = usize::try_from(u32_at(bytes, 0)?).ok()?;
    let message = Message {
        kind: u16_at(bytes, 4)?,
        flags: u16_at(bytes, 6)?,
        sequence: u32_at(bytes, 8)?,
        body: bytes.get(NLMSG_HDRLEN..length)?,
    };
    // The last one need not be padded.
    Some((message, bytes.get(length.next_multiple_of(NLMSG_ALIGNTO)..).unwrap_or(&[])))
}

/// Attributes, as type and value; what is malformed ends them.
pub(crate) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(rest, 0)?);
        let kind = u16_at(rest, 2)? & NLA_TYPE_MASK;
        let value = rest.get(NLA_HDRLEN..length)?;
        rest = rest.get(length.next_multiple_of(NLMSG_ALIGNTO)..).unwrap_or(&[]);
        Some((kind, value))
    })
}

/// The byte at `offset`.
pub(crate) fn u8_at(bytes: &[u8], offset: usize) -> Option<u8> {
    bytes.get(offset).copied()
}

/// The 16-bit number at `offset`.
pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes.get(offset..)?.first_chunk().copied().map(u16::from_ne_bytes)
}

/// The 32-bit number at `offset`.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

pub(crate) fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the kernel's netlink message is malformed")
}

fn no_answer() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the kernel gave no answer to a netlink request")
}

/// A name as the kernel takes it.
pub(crate) fn c_string(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

/// Message bodies and nested attributes.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    pub(crate) bytes: Vec<u8>,
}

impl Encoder {
    /// A fixed structure, which stands before the attributes; its length is a multiple of four.
    pub(crate) fn structure(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// `struct nlattr`: length with this header, type, value, padding to a multiple of 4.
    pub(crate) fn attribute(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(NLA_HDRLEN + value.len()).expect("attributes are far below 64 KiB");
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(NLMSG_ALIGNTO), 0);
    }

    /// The whole message, with its header.
    fn message(&self, kind: u16, flags: u16, sequence: u32) -> io::Result<Vec<u8>> {
        let length = NLMSG_HDRLEN + self.bytes.len();
        let length = u32::try_from(length).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let mut message = Vec::with_capacity(NLMSG_HDRLEN + self.bytes.len());
        message.extend_from_slice(&length.to_ne_bytes());
        message.extend_from_slice(&kind.to_ne_bytes());
        message.extend_from_slice(&flags.to_ne_bytes());
        message.extend_from_slice(&sequence.to_ne_bytes());
        // The port: the kernel knows from whom it comes.
        message.extend_from_slice(&[0; 4]);
        message.extend_from_slice(&self.bytes);
        Ok(message)
    }
}

#[cfg(test)]
mod tests;
