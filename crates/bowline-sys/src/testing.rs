//! What the kernel tests of this crate share: two namespaces with a link between them, waiting, and counting allocations.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use crate::epoll::{Epoll, Events, Interest};
use crate::netns::{LinkState, Namespace};
use crate::rtnetlink::{Link, Rtnetlink};

/// Far more than anything inside one machine takes; only a failing test waits so long.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A namespace, or the reason why there is none.
pub(crate) fn create() -> Option<Namespace> {
    match Namespace::create() {
        Ok(namespace) => Some(namespace),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            println!("skipped: making a network namespace needs root");
            None
        }
        Err(error) => panic!("making a namespace: {error}"),
    }
}

/// One end of a link.
pub(crate) struct End {
    pub(crate) namespace: Namespace,
    pub(crate) netlink: Rtnetlink,
    pub(crate) name: &'static str,
}

impl End {
    fn new(name: &'static str) -> Option<Self> {
        let namespace = create()?;
        let netlink = namespace.inside(Rtnetlink::open).unwrap().unwrap();
        Some(Self { namespace, netlink, name })
    }

    /// The link's state now.
    pub(crate) fn link(&self) -> Link {
        self.netlink.interfaces().unwrap().by_name(self.name).unwrap().clone()
    }

    /// Runs `action` in the namespace.
    pub(crate) fn inside<T>(&self, action: impl FnOnce() -> T) -> T {
        self.namespace.inside(action).unwrap()
    }

    /// Whether the namespace has the address.
    pub(crate) fn has(&self, address: IpAddr) -> bool {
        self.netlink.interfaces().unwrap().having(address).next().is_some()
    }
}

/// `left0` with 192.0.2.1/24 and 2001:db8::1/64, joined to `right0` with .2 and ::2, both up; link-local addresses usable.
pub(crate) fn pair() -> Option<(End, End)> {
    let (left, right) = (End::new("left0")?, End::new("right0")?);
    left.namespace.join("left0", &right.namespace, "right0").unwrap();
    for (end, addresses) in [(&left, ["192.0.2.1", "2001:db8::1"]), (&right, ["192.0.2.2", "2001:db8::2"])] {
        // With duplicate address detection a link-local address is tentative for more than a second.
        let detection = format!("/proc/sys/net/ipv6/conf/{}/accept_dad", end.name);
        end.inside(|| std::fs::write(detection, "0")).unwrap();
        end.namespace.add_address(end.name, addresses[0].parse().unwrap(), 24).unwrap();
        end.namespace.add_address(end.name, addresses[1].parse().unwrap(), 64).unwrap();
        end.namespace.set_link(end.name, LinkState::Up).unwrap();
    }
    for end in [&left, &right] {
        // Before it runs, what is sent is dropped.
        until("link that carries packets", || {
            let interfaces = end.netlink.interfaces().unwrap();
            let link = interfaces.by_name(end.name).unwrap();
            link.running && interfaces.link_local(link.index).is_some()
        });
    }
    Some((left, right))
}

/// Waits until `condition` holds, which nothing announces.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < LIMIT, "no {what} within {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until there is something to be read.
pub(crate) fn readable(source: impl AsFd) {
    let epoll = Epoll::new().unwrap();
    epoll.add(source, 0, Interest::READABLE).unwrap();
    let mut events = Events::with_capacity(1);
    epoll.wait(&mut events, Some(LIMIT)).unwrap();
    assert!(!events.is_empty(), "nothing to be read within {LIMIT:?}");
}

/// How often the calling thread has allocated until now.
pub(crate) fn allocations() -> u64 {
    ALLOCATIONS.get()
}

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counting.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: everything is handed to the system's allocator as it came; the counter, which is made without allocating and has no
// destructor, touches no memory of the caller.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.dealloc(pointer, layout) }
    }
}
