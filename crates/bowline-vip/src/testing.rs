//! What the unit tests of this crate share.

use crate::router::{Router, lease_for};
use bowline_sys::netns::{LinkState, Namespace};
use bowline_sys::rtnetlink::{Link, Rtnetlink};
use bowline_vrrp::{
    Addresses, Centiseconds, ChecksumForm, Config, Peers, Priority, Protocol, Settings, Transport, Vrid,
    WhenAllBad,
};
use std::io;
use std::time::Duration;

fn settings(vrid: u8, addresses: &[&str], source: &str) -> Settings {
    let interval = Centiseconds::new(10).unwrap();
    Settings {
        vrid: Vrid::new(vrid).unwrap(),
        protocol: Protocol::V3 { interval, checksum: ChecksumForm::PseudoHeader },
        addresses: Addresses::new(addresses.iter().map(|address| address.parse().unwrap()).collect())
            .unwrap(),
        source: source.parse().unwrap(),
        priority: Priority::new(254).unwrap(),
        rank: 0,
        preempt: false,
        preempt_delay: Duration::ZERO,
        peers: Peers::Any,
        transport: Transport::Multicast,
        bands: true,
        when_all_bad: WhenAllBad::Keep,
        stability: Duration::from_secs(2),
        lease: lease_for(interval.duration()),
    }
}

pub(crate) fn config(addresses: &[&str], source: &str) -> Config {
    Config::new(settings(1, addresses, source)).unwrap()
}

pub(crate) fn router(name: &str, interface: &str, vrid: u8, addresses: &[&str], source: &str) -> Router {
    let vrrp = Config::new(settings(vrid, addresses, source)).unwrap();
    Router { name: name.to_owned(), interface: interface.to_owned(), vrrp, virtual_mac: false, group: None }
}

/// What there is in time, which on a busy machine is long.
pub(crate) fn soon<T>(find: impl Fn() -> Option<T>) -> Option<T> {
    let start = std::time::Instant::now();
    loop {
        let found = find();
        if found.is_some() || start.elapsed() > Duration::from_secs(20) {
            return found;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The near end of a link and the far one, each in a namespace of its own, with these addresses; the link is up.
pub(crate) fn ends(addresses: &[&str]) -> Option<[(Namespace, Link); 2]> {
    let namespaces = match (Namespace::create(), Namespace::create()) {
        (Ok(near), Ok(far)) => [near, far],
        (Err(error), _) | (_, Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => {
            println!("skipped: making a network namespace needs root");
            return None;
        }
        (Err(error), _) | (_, Err(error)) => panic!("making a namespace: {error}"),
    };
    let [near, far] = &namespaces;
    near.join("lan0", far, "lan0").unwrap();
    for (namespace, address) in namespaces.iter().zip(addresses) {
        namespace.add_address("lan0", address.parse().unwrap(), 24).unwrap();
    }
    for namespace in &namespaces {
        namespace.set_link("lan0", LinkState::Up).unwrap();
    }
    Some(namespaces.map(|namespace| {
        let netlink = namespace.inside(Rtnetlink::open).unwrap().unwrap();
        let link = || netlink.interfaces().unwrap().by_name("lan0").unwrap().clone();
        let running = soon(|| Some(link()).filter(|link| link.running));
        (namespace, running.expect("a link that runs"))
    }))
}
