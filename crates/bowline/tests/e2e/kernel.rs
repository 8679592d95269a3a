//! Machines as network namespaces, joined by veth pairs whose links are cut: what loopback cannot show. Needs root.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bowline_lab::certs::Validity;
use bowline_sys::netns::{LinkState, Namespace};

use crate::harness::{
    Cluster, Daemon, Fleet, PATIENCE, Process, Scratch, apart, installed, output, root, skip, wait_for,
};
use crate::outage::{observe, sound, start_client, told};

/// In a namespace of its own every port is free.
const PORT: u16 = 6443;

/// How long a fault is watched.
const OBSERVED: Duration = Duration::from_secs(4);

/// Three machines with an API server each, and this thread on a fourth that has a link to each of them.
pub(crate) struct Network {
    here: Namespace,
    machines: Vec<Namespace>,
    links: Vec<(IpAddr, IpAddr, u8)>,
    pub(crate) fleet: Fleet,
}

#[derive(Clone, Copy)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    /// This end of link `number` and the other one: addresses for documentation (RFC 5737, RFC 3849), and the prefix.
    fn link(self, number: u8) -> (IpAddr, IpAddr, u8) {
        match self {
            Family::V4 => {
                let end = |host| IpAddr::from(Ipv4Addr::new(192, 0, 2, number * 4 + host));
                (end(1), end(2), 30)
            }
            Family::V6 => {
                let end =
                    |host| IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, u16::from(number), 0, 0, 0, host));
                (end(1), end(2), 64)
            }
        }
    }
}

impl Network {
    /// Moves this thread, with all that it starts from now on, to the fourth machine.
    pub(crate) fn enter(scratch: &Scratch, family: Family) -> Network {
        let here = Namespace::create().expect("make a namespace");
        let links: Vec<(IpAddr, IpAddr, u8)> = (1..=3).map(|number| family.link(number)).collect();
        let mut machines = Vec::new();
        for (index, (own, other, prefix)) in links.iter().enumerate() {
            let machine = Namespace::create().expect("make a namespace");
            let name = link_name(index);
            here.join(&name, &machine, "eth0").expect("join two namespaces");
            for (namespace, link, address) in [(&here, name.as_str(), own), (&machine, "eth0", other)] {
                namespace.add_address(link, *address, *prefix).expect("give a link an address");
                namespace.set_link(link, LinkState::Up).expect("set a link up");
            }
            machines.push(machine);
        }
        let addresses: Vec<IpAddr> = links.iter().map(|(_, other, _)| *other).collect();
        let mut fleet = Fleet::stopped(scratch, &addresses, PORT, Validity::Current);
        for (api, machine) in fleet.apis.iter_mut().zip(&machines) {
            machine.inside(|| api.start()).expect("start a server on its machine");
        }
        here.enter().expect("enter a namespace");
        Network { here, machines, links, fleet }
    }

    /// Cuts the link to a machine at its far end.
    pub(crate) fn cut(&self, index: usize) {
        self.machines[index].set_link("eth0", LinkState::Down).expect("cut a link");
    }

    /// Mends the link that was cut.
    fn mend(&self, index: usize) {
        let (_, address, prefix) = self.links[index];
        self.machines[index].set_link("eth0", LinkState::Up).expect("mend a link");
        if address.is_ipv6() {
            // The kernel drops a link's IPv6 addresses with the link (and keeps its IPv4 ones).
            self.machines[index].add_address("eth0", address, prefix).expect("give a link its address back");
        }
    }
}

/// Where balancers take clients: any port but the API servers', so that nothing reaches these by accident.
const BALANCER_PORT: u16 = 8443;

/// Adds a machine for a balancer on link `number`, which reaches the API servers through this thread's machine, and starts it there.
fn add_balancer(
    scratch: &Scratch,
    network: &Network,
    number: u8,
    balancers: &[(String, IpAddr)],
) -> (Namespace, Daemon) {
    let (own, other, prefix) = Family::V4.link(number);
    let machine = Namespace::create().expect("make a namespace");
    let link = format!("to-lb{number}");
    network.here.join(&link, &machine, "eth0").expect("join two namespaces");
    for (namespace, link, address) in [(&network.here, link.as_str(), own), (&machine, "eth0", other)] {
        namespace.add_address(link, address, prefix).expect("give a link an address");
        namespace.set_link(link, LinkState::Up).expect("set a link up");
    }
    let mut cluster = Cluster::balancer(&network.fleet);
    cluster.balancers = balancers.to_vec();
    cluster.listen = SocketAddr::new(other, BALANCER_PORT);
    let start = || {
        route_through(own);
        Daemon::start(scratch, cluster)
    };
    let daemon = machine.inside(start).expect("start a balancer on its machine");
    (machine, daemon)
}

/// Sends what is not for a neighbour through `gateway`.
fn route_through(gateway: IpAddr) {
    output(std::process::Command::new("ip").args(["route", "add", "default", "via", &gateway.to_string()]));
}

#[test]
fn kernel_outage_killed_balancer_is_invisible_to_a_node() {
    if !root() || !installed("ip") {
        return skip("network namespaces with routes need root and iproute2");
    }
    observe("balancer-killed", |scratch| {
        let network = Network::enter(scratch, Family::V4);
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("forward between the machines");
        for (machine, (gateway, ..)) in network.machines.iter().zip(&network.links) {
            machine.inside(|| route_through(*gateway)).expect("give a machine a route");
        }
        let balancers: Vec<(String, IpAddr)> =
            [11, 12].map(|number| (format!("lb{number}"), Family::V4.link(number).1)).to_vec();
        let mut running = [11, 12].map(|number| add_balancer(scratch, &network, number, &balancers));
        let mut cluster = Cluster::node_local(&network.fleet);
        cluster.balancers = balancers;
        cluster.listen.set_port(BALANCER_PORT);
        let node = Daemon::start(scratch, cluster);
        node.wait_graded("ready", 2);
        let client = start_client(&node, &network.fleet)?;
        let used = |name: &str| node.endpoint(name)["connections"].as_u64() > Some(0);
        let (_, preferred) = running.iter_mut().find(|(_, one)| used(one.node())).expect("a balancer in use");
        let began = Instant::now();
        preferred.process.kill();
        let complete = Instant::now();
        std::thread::sleep(OBSERVED);
        let report = told("a balancer killed", sound(client)?.report(began, complete));
        assert_eq!(report.figures.failed, 0, "{report:?}");
        assert!(report.figures.requests > 200, "{report:?}");
        assert_eq!((report.talking.redialled_hung, report.silent.redialled_hung), (0, 0), "{report:?}");
        Ok(())
    });
}

fn link_name(index: usize) -> String {
    format!("to-cp{}", index + 1)
}

/// The observation of a link that is cut.
fn observe_cut(name: &str, family: Family) {
    if !root() {
        return skip("network namespaces need root");
    }
    observe(name, |scratch| {
        let network = Network::enter(scratch, family);
        let daemon = Daemon::start(scratch, Cluster::round_robin(&network.fleet));
        daemon.wait_graded("ready", 3);
        let client = start_client(&daemon, &network.fleet)?;
        let began = Instant::now();
        network.cut(1);
        let complete = Instant::now();
        std::thread::sleep(OBSERVED);
        let report = told(name, sound(client)?.report(began, complete));
        assert_eq!(report.figures.failed, 0, "{report:?}");
        assert!(report.figures.requests > 200, "{report:?}");
        assert!(report.figures.extra < Duration::from_millis(900), "{report:?}");
        assert_eq!(daemon.graded("dead"), ["cp2"]);
        network.mend(1);
        daemon.wait_graded("ready", 3);
        Ok(())
    });
}

#[test]
fn kernel_outage_link_cut_over_ipv4_fails_no_new_request() {
    observe_cut("cut-v4", Family::V4);
}

#[test]
fn kernel_outage_link_cut_over_ipv6_fails_no_new_request() {
    observe_cut("cut-v6", Family::V6);
}

#[test]
fn kernel_client_that_is_gone_is_noticed_by_keep_alive() {
    if !root() {
        return skip("network namespaces need root");
    }
    apart(|| {
        let scratch = Scratch::new("gone");
        let network = Network::enter(&scratch, Family::V4);
        let (own, other, prefix) = Family::V4.link(9);
        let client = Namespace::create().expect("make a namespace");
        network.here.join("to-client", &client, "eth0").expect("join two namespaces");
        for (namespace, link, address) in [(&network.here, "to-client", own), (&client, "eth0", other)] {
            namespace.add_address(link, address, prefix).expect("give a link an address");
            namespace.set_link(link, LinkState::Up).expect("set a link up");
        }
        let mut cluster = Cluster::balancer(&network.fleet);
        cluster.balancers = vec![("lb1".to_owned(), own)];
        cluster.listen = SocketAddr::new(own, PORT);
        cluster.balancing = "keepAlive: {idle: 1s, interval: 1s, probes: 2}".to_owned();
        let daemon = Daemon::start(&scratch, cluster);
        daemon.wait_connections(0);
        let stream = client.inside(|| TcpStream::connect(daemon.address())).expect("enter").expect("connect");
        daemon.wait_connections(1);
        client.set_link("eth0", LinkState::Down).expect("cut the client's link");
        let cut = Instant::now();
        daemon.wait_connections(0);
        eprintln!("gone: noticed after {:?}", cut.elapsed());
        assert!(cut.elapsed() >= Duration::from_secs(1), "it went for another reason");
        drop(stream);
    });
}

#[test]
fn kernel_client_that_is_silent_but_there_is_kept() {
    if !root() {
        return skip("network namespaces need root");
    }
    apart(|| {
        let scratch = Scratch::new("silent");
        let network = Network::enter(&scratch, Family::V4);
        let mut cluster = Cluster::balancer(&network.fleet);
        cluster.balancing = "keepAlive: {idle: 1s, interval: 1s, probes: 2}".to_owned();
        let daemon = Daemon::start(&scratch, cluster);
        let mut stream = TcpStream::connect(daemon.address()).expect("connect");
        // Past all keep-alive questions, which the client's kernel answers.
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("set a timeout");
        let waited = stream.read(&mut [0]).expect_err("nothing to read, and no end");
        assert_eq!(waited.kind(), std::io::ErrorKind::WouldBlock, "{waited}");
    });
}

/// HAProxy before the network's servers, at this address; ended with the handle.
pub(crate) fn haproxy(scratch: &Scratch, fleet: &Fleet, address: SocketAddr) -> Process {
    let mut text = format!(
        "defaults\n    mode tcp\n    timeout connect 5s\n    timeout client 1m\n    timeout server 1m\n    option redispatch\n\
         listen api\n    bind {address}\n    balance roundrobin\n    option httpchk GET /readyz\n    \
         default-server check check-ssl verify none\n"
    );
    for api in &fleet.apis {
        text += &format!("    server {} {}\n", api.name, api.address);
    }
    let path = scratch.file("haproxy.cfg", &text);
    let mut command = std::process::Command::new("haproxy");
    let mut process = Process::start(scratch.path(), "haproxy", command.args(["-db", "-f"]).arg(path));
    wait_for("HAProxy's listener", PATIENCE, || {
        process.must_run();
        TcpStream::connect(address).ok()
    });
    process
}
