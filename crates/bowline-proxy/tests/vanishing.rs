//! Peers that vanish: no FIN, no RST, only silence. In network namespaces of the test's own, whose link is cut.

mod common;

use bowline_pool::Evidence;
use bowline_proxy::EndReason;
use bowline_sys::netns::{LinkState, Namespace};
use common::*;
use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;

/// The proxy's namespace and another machine's, joined by a link.
struct Machines {
    here: Namespace,
    there: Namespace,
}

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 77, 0, 1));
const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 77, 0, 2));

impl Machines {
    /// `None` without the right to make namespaces.
    fn new() -> Option<Self> {
        let (Ok(here), Ok(there)) = (Namespace::create(), Namespace::create()) else {
            println!("skipped: making a network namespace needs root");
            return None;
        };
        here.join("link0", &there, "link0").unwrap();
        for (machine, address) in [(&here, HERE), (&there, THERE)] {
            machine.add_address("link0", address, 24).unwrap();
            machine.set_link("link0", LinkState::Up).unwrap();
        }
        Some(Self { here, there })
    }

    /// From now on every packet between the two is lost, and neither of them is told: the route stays, the carrier is gone.
    fn cut(&self) {
        self.there.set_link("link0", LinkState::Down).unwrap();
    }

    fn proxy_before(&self, endpoint: SocketAddr) -> (Bench, SocketAddr) {
        let proxy = || {
            let bench = Bench::with_keep_alive(1, 100, QUICK);
            bench.proxy.set_pool(POOL, Arc::new(pool(&[endpoint])));
            let address = bench.proxy.open(LISTENER, (HERE, 0).into(), POOL).unwrap();
            (bench, address)
        };
        self.here.inside(proxy).unwrap()
    }
}

#[test]
fn a_client_is_reset_when_its_endpoint_vanishes() {
    let Some(machines) = Machines::new() else { return };
    let listener = machines.there.inside(|| TcpListener::bind((THERE, 0)).unwrap()).unwrap();
    let (bench, address) = machines.proxy_before(listener.local_addr().unwrap());
    let mut client = machines.here.inside(|| connect(address)).unwrap();
    let mut server = accept(&listener);
    // Its first flight is over, so that its keep-alive is set.
    client.write_all(b"x").unwrap();
    read(&mut server, 1);
    bench.memory.wait_for(evidence(0, Evidence::UnansweredFlight));
    server.write_all(b"y").unwrap();
    read(&mut client, 1);
    machines.cut();
    assert_reset(&client);
    bench.memory.wait_for(ended(EndReason::EndpointTimedOut));
}

#[test]
fn an_endpoint_is_reset_when_its_client_vanishes() {
    let Some(machines) = Machines::new() else { return };
    let listener = machines.here.inside(|| TcpListener::bind((HERE, 0)).unwrap()).unwrap();
    let (bench, address) = machines.proxy_before(listener.local_addr().unwrap());
    let _client = machines.there.inside(|| connect(address)).unwrap();
    let server = accept(&listener);
    machines.cut();
    assert_reset(&server);
    bench.memory.wait_for(ended(EndReason::ClientTimedOut));
}

#[test]
fn an_endpoint_without_a_way_to_it_is_unreachable() {
    let Some(machines) = Machines::new() else { return };
    let elsewhere = "10.78.0.1:6443".parse().unwrap();
    let (bench, address) = machines.proxy_before(elsewhere);
    let _client = machines.here.inside(|| connect(address)).unwrap();
    bench.memory.wait_for(evidence(0, Evidence::Unreachable));
}
