//! Whole Ethernet frames, sent and received on one link (packet(7)): what a wire looks like, whoever is talking on it.
//!
//! Needs `CAP_NET_RAW`. A socket belongs to the namespace in which it was opened, wherever it is used later.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::ioctl::{Getter, ioctl};
use rustix::net::addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque};
use rustix::net::netdevice::name_to_index;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrAny, SocketFlags, SocketType, bind, recvfrom, send,
    socket_with,
};
use rustix::time::{ClockId, Timespec, clock_gettime};
use socket2::{SockFilter, SockRef};

/// `ETH_P_ALL` of `linux/if_ether.h`: every protocol, and frames on their way out as well.
const ETH_P_ALL: u16 = 0x0003;
/// `PACKET_OUTGOING` of `linux/if_packet.h`.
const PACKET_OUTGOING: u8 = 4;
/// Where `struct sockaddr_ll` holds its packet type: after family, protocol, index and hardware type.
const PKTTYPE_OFFSET: usize = 10;
/// `SIOCGSTAMPNS_OLD` of `asm-generic/sockios.h`: when the frame received last arrived. The first call turns time stamps on.
const SIOCGSTAMPNS: u32 = 0x8907;
/// An older stamp is none: the clock was set meanwhile.
const AGE_MAX: Duration = Duration::from_secs(10);

/// `struct sockaddr_ll` (packet(7)), as far as binding needs it filled.
#[repr(C)]
struct LinkAddress {
    family: u16,
    /// In network byte order.
    protocol: u16,
    index: i32,
    unused: [u8; 12],
}

// SAFETY: the pointer is to a live, fully initialized value of exactly the length passed with it, laid out as `sockaddr_ll`.
unsafe impl SocketAddrArg for LinkAddress {
    unsafe fn with_sockaddr<R>(&self, f: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R) -> R {
        f(std::ptr::from_ref(self).cast(), size_of::<Self>() as SocketAddrLen)
    }
}

/// Which way a frame went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the link into this host.
    Incoming,
    /// From this host to the link.
    Outgoing,
}

/// What [`PacketSocket::receive`] knows beside the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Of the frame, of which no more than the buffer holds was kept.
    pub length: usize,
    /// Which way it went.
    pub direction: Direction,
    /// How long ago the kernel saw the frame, by its own stamp; zero for the first frames after the first socket of the machine
    /// was opened, before the kernel has turned stamps on.
    pub age: Duration,
}

/// A socket for the frames of one link.
#[derive(Debug)]
pub struct PacketSocket {
    socket: OwnedFd,
}

impl PacketSocket {
    /// Opens it on `interface` of the calling thread's namespace; calls on it never block.
    ///
    /// # Errors
    /// `ENODEV` when there is no such link, `EPERM` without the capability.
    pub fn open(interface: &str) -> io::Result<Self> {
        // Without a protocol nothing is received before the socket is bound to its link.
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)?;
        let index = i32::try_from(name_to_index(&socket, interface)?)
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        let family = AddressFamily::PACKET.as_raw();
        bind(&socket, &LinkAddress { family, protocol: ETH_P_ALL.to_be(), index, unused: [0; 12] })?;
        let socket = Self { socket };
        socket.age();
        Ok(socket)
    }

    /// Takes up to `bytes` of unread frames instead of the default of some hundred.
    ///
    /// # Errors
    /// `EPERM` without `CAP_NET_ADMIN`.
    pub fn set_receive_buffer(&self, bytes: usize) -> io::Result<()> {
        Ok(rustix::net::sockopt::set_socket_recv_buffer_size_force(&self.socket, bytes)?)
    }

    /// Receives from now on only what is sent to a group or to everybody; the rest costs nothing but a look of the kernel.
    ///
    /// # Errors
    /// When the kernel has no packet filter.
    pub fn only_groups(&self) -> io::Result<()> {
        /// Load a byte of the frame; jump if one of the bits is set; take that much of the frame: linux/bpf_common.h.
        const LOAD_BYTE: u16 = 0x30;
        const IF_SET: u16 = 0x45;
        const TAKE: u16 = 0x06;
        /// The first bit on the wire of a destination that is no single host's (IEEE 802.3).
        const GROUP: u32 = 1;
        let program = [
            SockFilter::new(LOAD_BYTE, 0, 0, 0),
            SockFilter::new(IF_SET, 0, 1, GROUP),
            SockFilter::new(TAKE, 0, 0, u32::MAX),
            SockFilter::new(TAKE, 0, 0, 0),
        ];
        SockRef::from(&self.socket).attach_filter(&program)
    }

    /// Sends a frame as it stands, Ethernet header included; the kernel adds nothing. Other sockets of this host receive it as
    /// [`Direction::Outgoing`], this one does not.
    ///
    /// # Errors
    /// `ENETDOWN` when the link is down, `EMSGSIZE` when the frame is longer than the link takes.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        send(&self.socket, frame, SendFlags::empty())?;
        Ok(())
    }

    /// The next frame, none when none waits.
    ///
    /// # Errors
    /// `ENETDOWN` once each time the link goes down.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Received>> {
        match recvfrom(&self.socket, buffer, RecvFlags::TRUNC) {
            Ok((_, length, from)) => {
                let direction = from.as_ref().map_or(Direction::Incoming, direction);
                Ok(Some(Received { length, direction, age: self.age() }))
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The age of the frame received last, zero when it has no stamp.
    fn age(&self) -> Duration {
        // SAFETY: the kernel writes a `timespec` for this request, which is what `Timespec` is on 64-bit Linux.
        let stamp = unsafe { ioctl(&self.socket, Getter::<SIOCGSTAMPNS, Timespec>::new()) };
        let now = clock_gettime(ClockId::Realtime);
        let nanos = |time: Timespec| i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec);
        stamp
            .ok()
            .and_then(|stamp| u64::try_from(nanos(now) - nanos(stamp)).ok())
            .map(Duration::from_nanos)
            .filter(|age| *age <= AGE_MAX)
            .unwrap_or_default()
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn direction(from: &SocketAddrAny) -> Direction {
    if from.address_family() != AddressFamily::PACKET || (from.addr_len() as usize) <= PKTTYPE_OFFSET {
        return Direction::Incoming;
    }
    // SAFETY: the address is longer than the offset, and all bytes up to its length were written by the kernel.
    let kind = unsafe { from.as_ptr().cast::<u8>().add(PKTTYPE_OFFSET).read() };
    if kind == PACKET_OUTGOING { Direction::Outgoing } else { Direction::Incoming }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netns::{LinkState, Namespace};
    use std::time::Instant;

    /// An Ethernet protocol set aside for experiments (IEEE 802), so that the kernel itself never sends it.
    const EXPERIMENT: [u8; 2] = [0x88, 0xb5];
    const LIMIT: Duration = Duration::from_secs(10);

    /// The next of our frames that is there already, if one is.
    fn poll(socket: &PacketSocket) -> Option<(Vec<u8>, Received)> {
        let mut buffer = [0; 2048];
        while let Some(received) = socket.receive(&mut buffer).expect("receive") {
            if buffer[12..14] == EXPERIMENT {
                return Some((buffer[..received.length].to_vec(), received));
            }
        }
        None
    }

    /// Sends `frame` until `socket` gets one: a link that has just come up drops what is sent for a while.
    fn sent_until_received(
        sender: &PacketSocket,
        frame: &[u8],
        socket: &PacketSocket,
    ) -> (Vec<u8>, Received) {
        let deadline = Instant::now() + LIMIT;
        loop {
            sender.send(frame).expect("send");
            let again = Instant::now() + Duration::from_millis(5);
            while Instant::now() < again {
                if let Some(found) = poll(socket) {
                    return found;
                }
                std::thread::yield_now();
            }
            assert!(Instant::now() < deadline, "no frame came");
        }
    }

    #[test]
    fn a_frame_goes_out_and_comes_in_as_it_was_sent() {
        let Ok(left) = Namespace::create() else {
            return println!("skipped: making a network namespace needs root");
        };
        let right = Namespace::create().expect("a second namespace");
        left.join("left0", &right, "right0").expect("join");
        left.set_link("left0", LinkState::Up).expect("up");
        right.set_link("right0", LinkState::Up).expect("up");
        let sender = left.inside(|| PacketSocket::open("left0")).expect("enter").expect("open");
        let watcher = left.inside(|| PacketSocket::open("left0")).expect("enter").expect("open");
        let receiver = right.inside(|| PacketSocket::open("right0")).expect("enter").expect("open");
        let frame = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 1], &EXPERIMENT, b"bowline"].concat();
        let (bytes, received) = sent_until_received(&sender, &frame, &receiver);
        assert_eq!((bytes.as_slice(), received.direction), (&frame[..], Direction::Incoming));
        let (bytes, received) = poll(&watcher).expect("a frame that went out");
        assert_eq!((bytes.as_slice(), received.direction), (&frame[..], Direction::Outgoing));
        assert!(left.inside(|| PacketSocket::open("none0")).expect("enter").is_err());
    }

    #[test]
    fn what_is_for_a_single_host_is_left_out_when_that_is_asked_for() {
        let Ok(left) = Namespace::create() else {
            return println!("skipped: making a network namespace needs root");
        };
        let right = Namespace::create().expect("a second namespace");
        left.join("left0", &right, "right0").expect("join");
        left.set_link("left0", LinkState::Up).expect("up");
        right.set_link("right0", LinkState::Up).expect("up");
        let sender = left.inside(|| PacketSocket::open("left0")).expect("enter").expect("open");
        let receiver = right.inside(|| PacketSocket::open("right0")).expect("enter").expect("open");
        receiver.only_groups().expect("a filter");
        let frame = |to: u8, word: &[u8]| [&[to; 6][..], &[2, 0, 0, 0, 0, 1], &EXPERIMENT, word].concat();
        // Before each frame for everybody one that is not: none of those may arrive.
        let deadline = Instant::now() + LIMIT;
        let mut arrived = 0;
        while arrived < 3 {
            sender.send(&frame(0x02, b"single")).expect("send");
            sender.send(&frame(0xff, b"everybody")).expect("send");
            while let Some((bytes, _)) = poll(&receiver) {
                assert!(bytes.ends_with(b"everybody"), "{bytes:?}");
                arrived += 1;
            }
            assert!(Instant::now() < deadline, "no frame came");
            std::thread::yield_now();
        }
    }

    #[test]
    fn the_age_of_a_frame_is_counted_from_its_arrival() {
        const WAITED: Duration = Duration::from_millis(50);
        let Ok(left) = Namespace::create() else {
            return println!("skipped: making a network namespace needs root");
        };
        let right = Namespace::create().expect("a second namespace");
        left.join("left0", &right, "right0").expect("join");
        left.set_link("left0", LinkState::Up).expect("up");
        right.set_link("right0", LinkState::Up).expect("up");
        let sender = left.inside(|| PacketSocket::open("left0")).expect("enter").expect("open");
        let receiver = right.inside(|| PacketSocket::open("right0")).expect("enter").expect("open");
        let frame = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 1], &EXPERIMENT, &[0; 46]].concat();
        sent_until_received(&sender, &frame, &receiver);
        let deadline = Instant::now() + LIMIT;
        loop {
            // Those of before are of an age that nobody knows.
            while poll(&receiver).is_some() {}
            let before = Instant::now();
            sender.send(&frame).expect("send");
            while before.elapsed() < WAITED {
                std::thread::yield_now();
            }
            let found = poll(&receiver).map(|(_, received)| received.age);
            assert!(found.is_none_or(|age| age <= before.elapsed()), "{found:?}");
            if found.is_some_and(|age| age > WAITED / 2) {
                return;
            }
            // The kernel turns stamps on a moment after the first socket asks for them.
            assert!(Instant::now() < deadline, "no frame has a stamp: {found:?}");
        }
    }
}
