//! From a planned virtual router to one that can run here: which interface, which source address, which protocol.

use bowline_plan::{Detection, NodePlan, Peers as Accept, VirtualRouter, WhenAllBad as Planned};
use bowline_sys::rtnetlink::{Interfaces, Link, Reserved, Rtnetlink};
use bowline_vip::{Router, lease_for};
use bowline_vrrp::{
    Addresses, CAN_SERVE_MIN, Centiseconds, ChecksumForm, Config, Password, Peers, Priority, Protocol,
    Seconds, Settings, Transport, Vrid, WhenAllBad,
};
use std::net::IpAddr;
use std::time::Duration;

/// What "can serve" must last when nothing is tracked: there is nothing to be seen late.
const UNTRACKED: Duration = Duration::ZERO;

/// All of `plan`, or everything that is wrong, a line each.
pub(super) fn routers(plan: &NodePlan) -> Result<Vec<Router>, Vec<String>> {
    let interfaces = Rtnetlink::open()
        .and_then(|rtnetlink| rtnetlink.interfaces())
        .map_err(|error| vec![format!("virtual IPs: this machine's interfaces cannot be listed: {error}")])?;
    let mut problems = Vec::new();
    let mut routers = Vec::new();
    for router in &plan.virtual_routers {
        match one(plan, router, &interfaces) {
            Ok(router) => routers.push(router),
            Err(problem) => problems.push(format!("virtual IP {}: {problem}", router.name)),
        }
    }
    if problems.is_empty() { Ok(routers) } else { Err(problems) }
}

fn one(plan: &NodePlan, router: &VirtualRouter, interfaces: &Interfaces) -> Result<Router, String> {
    let link = interface(router, interfaces)?;
    refuse_reserved(router, link, interfaces)?;
    let source = source(router, link, interfaces)?;
    let others: Vec<IpAddr> = router.peers.iter().filter_map(|peer| peer.address).collect();
    let transport = match router.unicast {
        true => Transport::Unicast(others.as_slice().into()),
        false => Transport::Multicast,
    };
    let is_ours_alone = match router.accept {
        Accept::Planned => true,
        Accept::Any => false,
    };
    // Multicast over IPv6 comes from link-local addresses, which no description has; that it comes from this link, its hop limit
    // shows.
    let by_source = is_ours_alone && (router.unicast || source.is_ipv4());
    let peers = if by_source { Peers::Planned(others.into()) } else { Peers::Any };
    let priorities = router.peers.iter().map(|peer| peer.priority).chain([router.priority]);
    let settings = Settings {
        vrid: Vrid::new(router.vrid).ok_or("its vrid is 0; give it one from 1 to 255")?,
        protocol: protocol(router)?,
        addresses: Addresses::new(router.addresses.clone()).map_err(|error| error.to_string())?,
        source,
        priority: Priority::new(router.priority).ok_or("its priority is 0; give it one from 1 to 255")?,
        rank: u8::try_from(router.rank).unwrap_or(u8::MAX),
        preempt: router.preempt,
        preempt_delay: router.preempt_delay,
        peers,
        transport,
        bands: is_ours_alone && priorities.min().is_some_and(|least| least >= CAN_SERVE_MIN),
        when_all_bad: match router.when_all_bad {
            Planned::Keep => WhenAllBad::Keep,
            Planned::Release => WhenAllBad::Release,
        },
        stability: stability(plan, router),
        lease: lease_for(router.interval),
    };
    let vrrp = Config::new(settings).map_err(|error| error.to_string())?;
    Ok(Router {
        name: router.name.clone(),
        interface: link.name.clone(),
        vrrp,
        virtual_mac: router.virtual_mac,
        group: router.group.clone(),
    })
}

/// The one that was named, else the one whose subnet has the address.
fn interface<'a>(router: &VirtualRouter, interfaces: &'a Interfaces) -> Result<&'a Link, String> {
    if let Some(name) = &router.interface {
        let missing = || format!("this machine has no interface {name}; correct `interface`");
        return interfaces.by_name(name).ok_or_else(missing);
    }
    let wanted = router.addresses.iter().copied().find(|address| !is_link_local(*address));
    let address = wanted.ok_or("it has no address but a link-local one; name its `interface`")?;
    let link = match interfaces.with_subnet_of(address).as_slice() {
        [link] => *link,
        [] => {
            return Err(format!(
                "no interface of this machine has a subnet with {address} in it; name one as `interface`, or \
                 correct the address"
            ));
        }
        several => {
            let names: Vec<&str> = several.iter().map(|link| link.name.as_str()).collect();
            return Err(format!(
                "{address} is in the subnets of {}; name one as `interface`",
                names.join(" and ")
            ));
        }
    };
    let is_beside = |address: &IpAddr| {
        is_link_local(*address)
            || interfaces.with_subnet_of(*address).iter().any(|other| other.index == link.index)
    };
    match router.addresses.iter().find(|address| !is_beside(address)) {
        None => Ok(link),
        Some(apart) => Err(format!(
            "{apart} is in no subnet of {}, where {address} is; give it a virtual IP of its own, name the \
             `interface` of both, or correct it",
            link.name
        )),
    }
}

/// The ends of a subnet mean the subnet, or everybody in it: only the interface knows where they are.
fn refuse_reserved(router: &VirtualRouter, link: &Link, interfaces: &Interfaces) -> Result<(), String> {
    let reserved = |address: &IpAddr| {
        interfaces.reserved(link.index, *address).map(|(what, prefix)| (*address, what, prefix))
    };
    let Some((address, what, prefix)) = router.addresses.iter().find_map(reserved) else { return Ok(()) };
    let what = match what {
        Reserved::Network => "the network address",
        Reserved::Broadcast => "the broadcast address",
        Reserved::RouterAnycast => "the anycast address of the routers",
    };
    Err(format!(
        "{address} is {what} of its /{prefix} on {}; use a free address between the first and the last of it",
        link.name
    ))
}

/// Where adverts come from (RFC 9568 section 5.1.1.1, 5.1.2.1).
fn source(router: &VirtualRouter, link: &Link, interfaces: &Interfaces) -> Result<IpAddr, String> {
    let address = router.addresses.first().copied().ok_or("it has no address")?;
    if address.is_ipv6() && !router.unicast {
        let missing = || format!("{} has no link-local address to send adverts from; is IPv6 on?", link.name);
        // One that the kernel still asks about, as at boot, or that comes with the carrier, is waited for (`Fault::NoSource`).
        let coming = interfaces.coming_link_local(link.index);
        let coming = coming.or_else(|| interfaces.promised_link_local(link.index));
        return coming.map(IpAddr::V6).ok_or_else(missing);
    }
    let here = |source: &IpAddr| interfaces.having(*source).any(|found| found.interface == link.index);
    let planned = router.source.filter(here);
    // Peers know this node by its planned address: another one they would not listen to.
    if planned.is_none() && (router.unicast || router.accept == Accept::Planned) {
        return Err(match router.source {
            Some(source) => format!(
                "this node's address {source} is not on {}, where its adverts are to come from; correct the \
                 node's `addresses` or `interface`, or accept other senders by `peers: any`",
                link.name
            ),
            None => "this node has no address of the virtual IP's family; add one to its `addresses`".into(),
        });
    }
    let any = || interfaces.source_for(link.index, address);
    planned
        .or_else(any)
        .ok_or_else(|| format!("{} has no address to send adverts from; give it one", link.name))
}

fn protocol(router: &VirtualRouter) -> Result<Protocol, String> {
    let interval = router.interval;
    if router.version == 2 {
        let whole = (interval.subsec_nanos() == 0).then(|| u8::try_from(interval.as_secs()).ok()).flatten();
        let interval = whole.and_then(Seconds::new);
        let password = router.password.as_ref().map(|text| Password::new(text.as_bytes())).transpose();
        return Ok(Protocol::V2 {
            interval: interval.ok_or("version 2 has intervals of 1 s to 255 s, in whole seconds")?,
            password: password.map_err(|error| error.to_string())?,
        });
    }
    let centiseconds = u16::try_from(interval.as_millis() / 10).ok().and_then(Centiseconds::new);
    Ok(Protocol::V3 {
        interval: centiseconds.ok_or("version 3 has intervals of 10 ms to 40.95 s")?,
        checksum: ChecksumForm::PseudoHeader,
    })
}

/// By how much two nodes can differ in when they see one and the same outage.
fn stability(plan: &NodePlan, router: &VirtualRouter) -> Duration {
    let pool = plan.tracked_pool(router).and_then(|pool| plan.pools.get(pool));
    pool.map_or(UNTRACKED, |pool| Detection::from(&pool.probe).difference())
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// The node that sends from `holder`, by its name where the plan knows it.
pub(super) fn node_of(holder: IpAddr, status: &bowline_vip::Status, plan: Option<&VirtualRouter>) -> String {
    if holder == status.source {
        return OURSELVES.to_owned();
    }
    let peers = plan.map(|plan| plan.peers.as_slice()).unwrap_or_default();
    let known = peers.iter().find(|peer| peer.address == Some(holder));
    known.map_or_else(|| holder.to_string(), |peer| peer.node.clone())
}

/// Stands for this node until its name is filled in.
pub(super) const OURSELVES: &str = "";
