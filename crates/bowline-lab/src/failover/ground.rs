//! What every balancer meets: a segment with three API servers and a client.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::{BALANCERS, PATIENCE, POLL, PORT, SERVERS, Site, VIP};
use crate::certs::{Authority, Validity};
use crate::lan::{Host, Lan};
use crate::outage::{Client, Settings};
use crate::standin::{Options, Standin};

/// The host of the client.
const CLIENT: &str = "client";

/// The segment with its API servers. Balancers that run on it have to be dropped before it.
#[derive(Debug)]
pub struct Ground {
    site: Site,
    servers: Vec<Standin>,
    lan: Lan,
}

impl Ground {
    /// Makes the segment and starts the servers.
    ///
    /// # Errors
    /// When something does not come up.
    pub fn new() -> anyhow::Result<Self> {
        let names: Vec<&str> = BALANCERS.into_iter().chain(SERVERS).chain([CLIENT]).collect();
        let lan = Lan::new(&names)?;
        let authority = Authority::new("stand-in authority")?;
        let servers =
            SERVERS.iter().map(|name| serve(&lan, name, &authority)).collect::<anyhow::Result<Vec<_>>>()?;
        let list = |names: &[&str]| -> Vec<_> {
            names.iter().map(|name| ((*name).to_owned(), lan.host(name).address())).collect()
        };
        let site = Site { servers: list(&SERVERS), balancers: list(&BALANCERS), authority: authority.pem() };
        Ok(Self { site, servers, lan })
    }

    /// What balancers are told of it.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The segment.
    pub fn lan(&self) -> &Lan {
        &self.lan
    }

    /// The API servers, for faults of their own.
    pub fn servers(&self) -> &[Standin] {
        &self.servers
    }

    /// The host from which clients come.
    pub fn client_host(&self) -> &Host {
        self.lan.host(CLIENT)
    }

    /// Starts a client of the virtual IP, and waits until it is served.
    ///
    /// # Errors
    /// When it is not served in time.
    pub fn client(&self) -> anyhow::Result<Client> {
        let mut settings = Settings::new(SocketAddr::new(IpAddr::V4(VIP), PORT), self.site.authority.clone());
        settings.server_name = "kubernetes".to_owned();
        let client = self.client_host().namespace().inside(|| Client::start(settings))??;
        ensure!(client.wait_warm(PATIENCE), "the client is not served: {:?}", client.progress());
        Ok(client)
    }

    /// Who has the virtual IP now.
    ///
    /// # Errors
    /// When a host cannot be looked into.
    pub fn holders(&self) -> anyhow::Result<BTreeSet<String>> {
        self.lan.holders(VIP.into())
    }

    /// Waits until `host` alone has the virtual IP.
    ///
    /// # Errors
    /// When that does not come.
    pub fn wait_holder(&self, host: &str) -> anyhow::Result<()> {
        let holders = self.wait_holders(PATIENCE, |holders| holders.len() == 1 && holders.contains(host))?;
        ensure!(holders.is_none(), "the address is on {holders:?}, not on {host}");
        Ok(())
    }

    /// Waits until the holders are as wanted, for `limit` at most; who they are when that did not come.
    ///
    /// # Errors
    /// When a host cannot be looked into.
    pub(super) fn wait_holders(
        &self,
        limit: Duration,
        wanted: impl Fn(&BTreeSet<String>) -> bool,
    ) -> anyhow::Result<Option<BTreeSet<String>>> {
        let deadline = Instant::now() + limit;
        loop {
            let holders = self.holders()?;
            if wanted(&holders) {
                return Ok(None);
            }
            if Instant::now() >= deadline {
                return Ok(Some(holders));
            }
            std::thread::sleep(POLL);
        }
    }

    pub(super) fn server_addresses(&self) -> Vec<Ipv4Addr> {
        self.site.servers.iter().map(|(_, address)| *address).collect()
    }
}

/// Starts an API server on its host.
fn serve(lan: &Lan, name: &str, authority: &Authority) -> anyhow::Result<Standin> {
    /// No server is stopped here.
    const GRACE: Duration = Duration::from_secs(1);
    let host = lan.host(name);
    let address = host.address();
    let names = [name, "kubernetes", "localhost"];
    let identity = authority.server(name, &[address.into(), VIP.into()], &names, Validity::Current)?;
    let options = Options {
        name: name.to_owned(),
        listen: SocketAddr::new(address.into(), PORT),
        identity,
        grace: GRACE,
    };
    host.namespace().inside(|| Standin::start(options))?.with_context(|| format!("starting {name}"))
}
