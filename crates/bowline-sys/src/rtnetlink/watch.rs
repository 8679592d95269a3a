//! Changes of links and addresses, as the kernel tells them.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_recv_buffer_size_force};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, socket_with};

use super::wire;
use super::{Address, Link};
use crate::netlink::{DATAGRAM_MAX, Message, messages, receive};

/// `RTMGRP_LINK`, `RTMGRP_IPV4_IFADDR`, `RTMGRP_IPV6_IFADDR` of linux/rtnetlink.h.
const GROUPS: u32 = 0x1 | 0x10 | 0x100;

/// Room for changes that are not read yet: a few thousand, as when a node starts hundreds of pods at once.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// One change. What is told is the state after it, so that the same can be told twice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// A link is there, or is different.
    Link(Link),
    /// A link is gone.
    LinkGone(Link),
    /// An address is there, is different, or was renewed.
    Address(Address),
    /// An address is gone: removed, expired, or with its link.
    AddressGone(Address),
    /// The kernel had more to tell than there was room for: only reading everything anew tells what is.
    Overrun,
}

/// A socket that hears of every change of links and addresses in its namespace.
///
/// To miss nothing, open it first and read links and addresses then.
#[derive(Debug)]
pub struct Watch {
    socket: OwnedFd,
    buffer: Vec<u8>,
    /// Read, but not asked for yet.
    pending: VecDeque<Change>,
}

impl Watch {
    /// For the namespace of the calling thread; needs no privilege. Registered with epoll it is readable when there are changes.
    ///
    /// # Errors
    /// When descriptors or kernel memory are exhausted.
    pub fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        // Beyond the limit of the host with CAP_NET_ADMIN, else up to it.
        if set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER).is_err() {
            set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER)?;
        }
        bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
        Ok(Self { socket, buffer: vec![0; DATAGRAM_MAX], pending: VecDeque::new() })
    }

    /// The next change; `None` when there is none for now. Never waits.
    ///
    /// # Errors
    /// When the kernel's message is malformed; the next call goes on behind it.
    pub fn next_change(&mut self) -> io::Result<Option<Change>> {
        // Ends: each round takes a datagram off the socket's bounded queue.
        while self.pending.is_empty() {
            let datagram = match receive(&self.socket, &mut self.buffer, RecvFlags::empty()) {
                Ok(datagram) => datagram,
                Err(error) => {
                    return match Errno::from_io_error(&error) {
                        Some(Errno::AGAIN) => Ok(None),
                        Some(Errno::NOBUFS) => Ok(Some(Change::Overrun)),
                        _ => Err(error),
                    };
                }
            };
            for message in messages(datagram) {
                self.pending.extend(change(&message?));
            }
        }
        Ok(self.pending.pop_front())
    }
}

fn change(message: &Message<'_>) -> Option<Change> {
    match message.kind {
        wire::RTM_NEWLINK => wire::link(message.body).map(Change::Link),
        wire::RTM_DELLINK => wire::link(message.body).map(Change::LinkGone),
        wire::RTM_NEWADDR => wire::address(message.body).map(Change::Address),
        wire::RTM_DELADDR => wire::address(message.body).map(Change::AddressGone),
        _ => None,
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests;
