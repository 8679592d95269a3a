//! A virtual IP on the masters with nobody who balances: the holder's own API server answers, and an address whose API server does
//! not is handed to a master whose does.

use super::outage::STALL_MAX;
use super::{among_its_own, possible, skip, wait_for};
use bowline_lab::certs::{Authority, Validity};
use bowline_lab::failover::{PORT, SERVERS, VIP};
use bowline_lab::gauge::Gauge;
use bowline_lab::lan::{LINK, Lan};
use bowline_lab::outage::{Client, Settings};
use bowline_lab::peer::{Daemon, Running};
use bowline_lab::standin::{Command, Options, Standin};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

const CLIENT: &str = "client";
/// No watch is to go on after its server has ended.
const GRACE: Duration = Duration::from_millis(100);
/// So long after the trouble of all everything is as it will be: the longest wait of a Backup, and probes.
const AFTERWARDS: Duration = Duration::from_secs(3);
const STEP: Duration = Duration::from_millis(10);

/// Three masters, each with an API server that listens on all addresses and a daemon that listens on none.
struct Masters {
    // Before their hosts.
    daemons: Vec<Daemon>,
    servers: Vec<Standin>,
    authority: Authority,
    lan: Lan,
}

impl Masters {
    /// With the address on the first one.
    fn start() -> Option<Self> {
        let subject = among_its_own();
        if !possible(&[&subject]) {
            return None;
        }
        let names: Vec<&str> = SERVERS.into_iter().chain([CLIENT]).collect();
        let lan = Lan::new(&names).expect("a segment");
        let authority = Authority::new("stand-in authority").expect("an authority");
        let servers = SERVERS.map(|name| serve(&lan, name, &authority)).into();
        let mut masters = Self { daemons: Vec::new(), servers, authority, lan };
        let (description, ca) = (masters.description(), masters.authority.pem());
        for name in SERVERS {
            let files = [("ca.crt", ca.as_str())];
            let host = masters.lan.host(name);
            masters.daemons.push(subject.start_with(host, &description, &files).expect("a daemon"));
            wait_for("the first one to have it", || (masters.holders() == [SERVERS[0]]).then_some(()));
        }
        (0..SERVERS.len()).for_each(|place| masters.wait_ready(place));
        Some(masters)
    }

    fn description(&self) -> String {
        let node = |name: &str| {
            let address = self.lan.host(name).address();
            format!("  - {{name: {name}, roles: [control-plane], addresses: [{address}]}}\n")
        };
        let nodes: String = SERVERS.map(node).concat();
        format!(
            "apiVersion: bowline.dev/v1alpha1\nkind: Cluster\nmetadata: {{name: lab}}\nspec:\n  nodes:\n{nodes}  \
             apiServer: {{port: {PORT}, caFile: /tmp/ca.crt}}\n  access:\n    internal: {{mode: virtual-ip, port: \
             {PORT}}}\n    external: {{mode: virtual-ip, virtualIPs: [api], port: {PORT}}}\n  virtualIPs:\n  - {{name: \
             api, address: {VIP}, on: control-plane, balance: false, interval: 100ms, interface: {LINK}}}\n  admin: \
             {{listen: \"127.0.0.1:9643\"}}\n"
        )
    }

    fn holders(&self) -> Vec<String> {
        self.lan.holders(VIP.into()).expect("look at the hosts").into_iter().collect()
    }

    /// The place of the only one that has the address.
    fn holder(&self) -> usize {
        wait_for("one holder", || match self.holders().as_slice() {
            [name] => SERVERS.iter().position(|server| server == name),
            _ => None,
        })
    }

    /// Until it could take over.
    fn wait_ready(&mut self, place: usize) {
        let daemon = &mut self.daemons[place];
        wait_for(SERVERS[place], || daemon.is_ready().expect("ask for the status").then_some(()));
    }

    /// A client of the address, with long connections.
    fn client(&self) -> Client {
        let mut settings = Settings::new(SocketAddr::new(VIP.into(), PORT), self.authority.pem());
        settings.server_name = "kubernetes".to_owned();
        let start = || Client::start(settings).expect("a client");
        self.lan.host(CLIENT).namespace().inside(start).expect("enter")
    }

    /// Who answers at the address.
    fn answers(&self) -> String {
        let client = self.client();
        wait_for("an answer", || client.most_used_server())
    }
}

/// An API server on all addresses of its host, as kubeadm starts it.
fn serve(lan: &Lan, name: &str, authority: &Authority) -> Standin {
    let host = lan.host(name);
    let names = [name, "kubernetes"];
    let addresses: [IpAddr; 2] = [host.address().into(), VIP.into()];
    let identity =
        authority.server(name, &addresses, &names, Validity::Current).expect("an identity for a server");
    let listen = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), PORT);
    let options = Options { name: name.to_owned(), listen, identity, grace: GRACE };
    host.namespace().inside(|| Standin::start(options)).expect("enter").expect("an API server")
}

#[test]
fn a_master_whose_own_api_server_does_not_serve_hands_the_address_to_one_whose_does() {
    let Some(mut masters) = Masters::start() else { return };
    assert_eq!(masters.answers(), SERVERS[0]);
    for (trouble, remedy) in [
        (Command::NotReady, Some(Command::Ready)),
        (Command::Hang, Some(Command::Normal)),
        (Command::Stop, None),
    ] {
        let (before, client) = (masters.holder(), masters.client());
        assert!(client.wait_warm(super::PATIENCE), "{trouble}: {:?}", client.progress());
        let began = Instant::now();
        masters.servers[before].command(trouble).expect("told");
        let after = wait_for("another holder", || Some(masters.holder()).filter(|after| *after != before));
        assert_eq!(masters.answers(), SERVERS[after], "{trouble}");
        // Nobody is left behind with the API server that had the address.
        wait_for("everybody is served", || client.has_settled(began).then_some(()));
        let report = client.finish().expect("what a client saw").report(began, began);
        assert_eq!((report.talking.hung, report.silent.hung), (0, 0), "{trouble}: {report:?}");
        assert_eq!(
            (report.talking.redialled_hung, report.silent.redialled_hung),
            (0, 0),
            "{trouble}: {report:?}"
        );
        if let Some(remedy) = remedy {
            masters.servers[before].command(remedy).expect("told");
            masters.wait_ready(before);
            assert_eq!(masters.holder(), after, "{remedy}: it moves back");
        }
    }
}

#[test]
fn masters_of_whose_api_servers_none_is_ready_leave_the_address_where_it_is() {
    let Some(masters) = Masters::start() else { return };
    let gauge = Gauge::start().expect("a gauge");
    let began = Instant::now();
    masters.servers.iter().for_each(|server| server.command(Command::NotReady).expect("told"));
    let mut seen = BTreeSet::new();
    while began.elapsed() < AFTERWARDS {
        seen.extend(masters.holders());
        std::thread::sleep(STEP);
    }
    let stall = gauge.worst_since(began);
    if stall > STALL_MAX && seen.len() > 1 {
        // Hosts that stood still themselves may have been replaced for that.
        return skip(&format!("the machine stood still for {stall:?}"));
    }
    assert_eq!(seen, BTreeSet::from([SERVERS[0].to_owned()]));
    let can_serve =
        |daemon: &Daemon| daemon.virtual_ip("api").expect("ask for the status")["canServe"] == true;
    assert!(!masters.daemons.iter().any(can_serve), "it is known that nobody serves");
}
