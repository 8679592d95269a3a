//! Network namespaces and the links between them, so that a machine that loses its link can be had without another machine.
//!
//! All of it needs `CAP_SYS_ADMIN` and `CAP_NET_ADMIN` (root, outside a confined container); without them the calls fail with
//! `EPERM` and change nothing. A namespace lives as long as its [`Namespace`] or a process in it; its links and addresses go with it.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

use crate::rtnetlink::Rtnetlink;

/// A network namespace, kept alive by this handle.
#[derive(Debug)]
pub struct Namespace {
    /// An open `/proc/.../ns/net`: namespaces(7), it keeps the namespace alive.
    link: File,
    /// Netlink sockets belong to the namespace they were made in, wherever they are used: so links are changed without entering.
    netlink: Rtnetlink,
}

/// Whether a link is to be up or down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// Carries packets, and so does its peer.
    Up,
    /// Carries nothing; its peer loses its carrier.
    Down,
}

impl Namespace {
    /// The namespace of the calling thread.
    ///
    /// # Errors
    /// When `/proc` is not mounted, or no netlink socket can be had.
    pub fn current() -> io::Result<Self> {
        Ok(Self { link: File::open("/proc/thread-self/ns/net")?, netlink: Rtnetlink::open()? })
    }

    /// Makes a namespace whose loopback is up. The calling thread is in its old one again afterwards.
    ///
    /// # Errors
    /// `EPERM` without the capabilities. After any other error the calling thread may be left in the new namespace, and should end.
    pub fn create() -> io::Result<Self> {
        let home = Self::current()?;
        // SAFETY: CLONE_FILES is not among the flags, the one that lets a thread lose sight of another's descriptors.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET) }?;
        let created = Self::current();
        home.enter()?;
        let created = created?;
        created.set_link("lo", LinkState::Up)?;
        Ok(created)
    }

    /// Moves the calling thread into the namespace; processes and threads that it starts from then on are in it too. To move a whole
    /// process call it before any other thread exists.
    ///
    /// # Errors
    /// `EPERM` without the capabilities.
    pub fn enter(&self) -> io::Result<()> {
        Ok(move_into_link_name_space(self.as_fd(), Some(LinkNameSpaceType::Network))?)
    }

    /// Runs `action` with the calling thread in the namespace, and brings the thread back. Sockets that it opens and processes that
    /// it starts stay in the namespace.
    ///
    /// # Errors
    /// When the namespace cannot be entered (then `action` did not run), or not left: then the calling thread should end.
    pub fn inside<T>(&self, action: impl FnOnce() -> T) -> io::Result<T> {
        let home = File::open("/proc/thread-self/ns/net")?;
        self.enter()?;
        let result = action();
        move_into_link_name_space(home.as_fd(), Some(LinkNameSpaceType::Network))?;
        Ok(result)
    }

    /// Joins this namespace to another by a pair of virtual Ethernet links (veth(4)): `name` here, `peer_name` there, both down.
    ///
    /// # Errors
    /// `EEXIST` when a name is taken, `EPERM` without the capabilities, `EINVAL` for a name that is none.
    pub fn join(&self, name: &str, peer: &Self, peer_name: &str) -> io::Result<()> {
        self.netlink.add_veth(name, peer_name, peer.as_fd())
    }

    /// Sets a link up or down.
    ///
    /// # Errors
    /// `ENODEV` when there is no such link, `EPERM` without the capabilities.
    pub fn set_link(&self, name: &str, state: LinkState) -> io::Result<()> {
        self.netlink.set_link(name, state == LinkState::Up)
    }

    /// Gives a link an address; IPv6 ones are usable at once (no duplicate address detection).
    ///
    /// # Errors
    /// `ENODEV` when there is no such link, `EEXIST` when it has the address, `EPERM` without the capabilities.
    pub fn add_address(&self, name: &str, address: IpAddr, prefix: u8) -> io::Result<()> {
        self.netlink.add_address(name, address, prefix)
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.as_fd()
    }
}

#[cfg(test)]
mod tests;
