//! The guard's side.

use super::word::{Will, Word};
use bowline_sys::announce::{Announcer, Envelope};
use bowline_sys::epoll::{Epoll, Event, Events, Interest};
use bowline_sys::rtnetlink::{Lease, Rtnetlink};
use bowline_sys::vrrp_socket::{Family, Membership, VrrpSocket};
use bowline_sys::{child, sched};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// What the daemon may say before it has said a whole line: adverts to [`bowline_vrrp::PEERS_MAX`] peers with
/// [`bowline_vrrp::ADDRESSES_MAX`] addresses each, in hexadecimal, several times over.
const LINE_MAX: usize = 1 << 20;

/// How long a daemon may take to end, which gives back much memory first; then two holders are the greater evil.
pub(super) const GONE_WITHIN: Duration = Duration::from_millis(80);

const WORDS: u64 = 0;
const PARENT: u64 = 1;

/// Watches over the process that started this one through [`crate::GuardCommand`], until that has ended; then sends adverts of
/// priority 0 for the routers that were Active there, and removes their addresses.
///
/// # Errors
/// When it cannot watch. What it cannot do in the end is said on standard error.
pub fn watch_over() -> io::Result<()> {
    child::ignore_requests_to_end();
    // Without it the guard is later, on a busy machine only.
    let _ = sched::be_real_time();
    let words = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    words.set_nonblocking(true)?;
    let epoll = Epoll::new()?;
    epoll.add(&words, WORDS, Interest::READABLE)?;
    let netlink = Rtnetlink::open()?;
    let mut watch = Watch { words, epoll, netlink, parent: None, line: Vec::new(), armed: BTreeMap::new() };
    let mut events = Events::with_capacity(2);
    loop {
        watch.epoll.wait(&mut events, None)?;
        // What was said last counts, whichever sign came first.
        match watch.listen()? {
            Heard::Farewell => return Ok(()),
            Heard::End => break,
            Heard::Nothing => {}
        }
        let ended = |event: Event| event.token() == PARENT;
        if (0..events.len()).filter_map(|index| events.get(index)).any(ended) {
            break;
        }
    }
    watch.take_leave();
    watch.wait_gone();
    watch.remove();
    Ok(())
}

struct Watch {
    words: UnixStream,
    epoll: Epoll,
    netlink: Rtnetlink,
    /// Readable when the daemon has ended. Without it the end of its words is the only sign, which comes a moment before.
    parent: Option<OwnedFd>,
    line: Vec<u8>,
    armed: BTreeMap<u32, Armed>,
}

/// Everything that can be made ready beforehand.
struct Armed {
    will: Will,
    way: io::Result<Way>,
}

/// How adverts get to the link: as the daemon's do.
enum Way {
    /// From the interface's own Ethernet address, as the kernel sends them.
    OfKernel(VrrpSocket),
    /// From the virtual router's (RFC 9568 section 7.2), as whole frames.
    Framed(Announcer, Envelope),
}

impl Way {
    fn send(&self, source: IpAddr, to: IpAddr, advert: &[u8]) -> io::Result<()> {
        match self {
            Self::OfKernel(socket) => socket.send(source, to, advert),
            Self::Framed(announcer, envelope) => announcer.send_advert(envelope, advert),
        }
    }
}

enum Heard {
    /// Nothing more for now.
    Nothing,
    Farewell,
    End,
}

impl Watch {
    /// Everything that was said since the last time.
    fn listen(&mut self) -> io::Result<Heard> {
        let mut buffer = [0; 4096];
        loop {
            let count = match self.words.read(&mut buffer) {
                Ok(0) => return Ok(Heard::End),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Heard::Nothing),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // Reset: it ended before it was told that we had read everything.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(Heard::End),
                Err(error) => return Err(error),
            };
            for byte in buffer.iter().take(count) {
                if *byte != b'\n' {
                    self.line.push(*byte);
                    continue;
                }
                if self.obey()? {
                    return Ok(Heard::Farewell);
                }
            }
            if self.line.len() > LINE_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a line without an end"));
            }
        }
    }

    /// Whether it was the last word.
    fn obey(&mut self) -> io::Result<bool> {
        let line = std::mem::take(&mut self.line);
        let word = std::str::from_utf8(&line).ok().and_then(Word::parse);
        match word {
            Some(Word::Daemon { pid }) => {
                self.parent = child::watch_parent(pid).ok();
                if let Some(parent) = &self.parent {
                    self.epoll.add(parent, PARENT, Interest::READABLE)?;
                }
            }
            Some(Word::Armed { router, will }) => {
                let way = self.open(&will);
                self.armed.insert(router, Armed { will, way });
            }
            Some(Word::Disarmed { router }) => drop(self.armed.remove(&router)),
            Some(Word::Farewell) => return Ok(true),
            None => return Err(io::Error::new(io::ErrorKind::InvalidData, "a line that says nothing")),
        }
        Ok(false)
    }

    fn open(&self, will: &Will) -> io::Result<Way> {
        if let Some(of) = will.virtual_link.filter(|_| will.is_multicast()) {
            let envelope = Envelope::of_adverts(of.mac(), will.source);
            return Ok(Way::Framed(Announcer::open(will.interface)?, envelope));
        }
        let links = self.netlink.links()?;
        let link = links.iter().find(|link| link.index == will.interface).ok_or(io::ErrorKind::NotFound)?;
        let socket = VrrpSocket::open(link, Family::of(will.source), Membership::None)?;
        socket.stop_receiving()?;
        Ok(Way::OfKernel(socket))
    }

    /// Adverts first: a successor waits before it takes over.
    fn take_leave(&self) {
        for Armed { will, way } in self.armed.values() {
            let send =
                |way: &Way| will.adverts.iter().try_for_each(|(to, bytes)| way.send(will.source, *to, bytes));
            let sent = match way {
                Ok(way) => send(way).err().map(|error| error.to_string()),
                Err(error) => Some(error.to_string()),
            };
            if let Some(error) = sent {
                eprintln!("bowline guard: cannot say that {} leaves: {error}", will.source);
            }
        }
    }

    /// The end of its words is not the daemon's end: the kernel closes one descriptor after the other, and what is closed after the
    /// address is gone can reset nobody, neither the connections of clients nor those that wait in a listener's queue.
    fn wait_gone(&self) {
        let Some(parent) = &self.parent else { return };
        let wait = || -> io::Result<()> {
            let epoll = Epoll::new()?;
            epoll.add(parent, PARENT, Interest::READABLE)?;
            epoll.wait(&mut Events::with_capacity(1), Some(GONE_WITHIN))
        };
        if let Err(error) = wait() {
            eprintln!("bowline guard: cannot wait for the daemon's end: {error}");
        }
    }

    fn remove(&self) {
        for Armed { will, .. } in self.armed.values() {
            if let Some(of) = will.virtual_link {
                let (name, addresses) = (of.link_name(), &will.addresses);
                match self.netlink.remove_virtual_link(of, will.before) {
                    Ok(_) => {
                        eprintln!("bowline guard: the daemon is gone, and so is {name} with {addresses:?}")
                    }
                    Err(error) => eprintln!(
                        "bowline guard: {name} stays, and its addresses until their lease ends: {error}"
                    ),
                }
                continue;
            }
            for &address in &will.addresses {
                let lease = Lease { interface: will.interface, address, valid: NonZeroU32::MIN };
                match self.netlink.remove(&lease) {
                    Ok(_) => eprintln!("bowline guard: the daemon is gone, and so is {address}"),
                    Err(error) => eprintln!("bowline guard: {address} stays until its lease ends: {error}"),
                }
            }
        }
    }
}
