//! What the unit tests of this crate share.

use crate::router::{Router, lease_for};
use bowline_vrrp::{
    Addresses, Centiseconds, ChecksumForm, Config, Peers, Priority, Protocol, Settings, Transport, Vrid,
    WhenAllBad,
};
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
