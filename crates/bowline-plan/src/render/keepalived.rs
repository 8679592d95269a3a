//! keepalived.conf with the same virtual routers, as far as keepalived has what they need.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::BTreeMap;

use super::{NotRendered, bracketed, node_plan, reached};
use crate::cluster::{Cluster, NodeRole, Track, WhenAllBad};
use crate::plan::{Authentication, Plan, VirtualRouter};

/// The priority of an address's owner (RFC 9568 section 5.2.4).
const OWNER: u8 = 255;
/// What a node that cannot serve loses: it comes behind all that can.
const CANNOT_SERVE: &str = "-128";
/// Between two looks for an API server, in seconds.
const LOOK: u32 = 1;
/// What means something to keepalived in a quoted word too: its end, escapes, variables, blocks.
const NOT_IN_QUOTES: [char; 6] = ['"', '\'', '\\', '$', '{', '}'];
/// What a look may take, in seconds, for each API server.
const LOOK_TIMEOUT: u32 = 1;

/// The configuration of a node, with `interface` for virtual IPs that name none.
///
/// # Errors
/// There is no such node, it takes part in no virtual IP, or an interface is not known.
pub fn keepalived(
    cluster: &Cluster,
    plan: &Plan,
    node: &str,
    interface: Option<&str>,
) -> Result<String, NotRendered> {
    let part = node_plan(plan, node)?;
    let routers = &part.virtual_routers;
    if routers.is_empty() {
        return Err(NotRendered::new(
            format!("{node} takes part in no virtual IP"),
            "`bowline plan` shows which nodes do",
        ));
    }
    let mut text = format!(
        "global_defs {{\n    router_id {node}\n    enable_script_security\n    script_user root\n}}\n"
    );
    let looks = |balance: bool| {
        routers.iter().any(|router| router.balance == balance && router.track == Track::ApiServer)
    };
    if looks(true) {
        let port = cluster.api_server().port.get();
        let servers = reached(cluster, NodeRole::ControlPlane);
        let servers: Vec<String> =
            servers.map(|(_, address)| SocketAddr::new(address, port).to_string()).collect();
        text.push_str(&script("an_api_server", &servers));
        text.push_str("\nvrrp_track_process haproxy {\n    process haproxy\n}\n");
    }
    if looks(false) {
        text.push_str(&script("own_api_server", &[own_server(cluster, node)]));
    }
    for router in routers {
        text.push_str(&instance(router, interface)?);
    }
    text.push_str(&groups(routers));
    Ok(text)
}

/// Any answer is one of an API server that takes requests; 5xx is none.
fn script(name: &str, servers: &[String]) -> String {
    let timeout = LOOK_TIMEOUT;
    let total = u32::try_from(servers.len()).unwrap_or(u32::MAX).saturating_mul(timeout).saturating_add(1);
    format!(
        "\nvrrp_script {name} {{\n    script \"/bin/sh -c 'for server in {}; do case $(/usr/bin/curl --silent --insecure \
         --max-time {timeout} --output /dev/null --write-out %{{http_code}} https://$server/readyz) in 200|401|403|429) exit 0;; \
         esac; done; exit 1'\"\n    interval {LOOK}\n    timeout {total}\n    fall 2\n    rise 2\n}}\n",
        servers.join(" ")
    )
}

fn own_server(cluster: &Cluster, name: &str) -> String {
    let port = cluster.api_server().port;
    let node = cluster.nodes().iter().find(|node| node.name.eq_ignore_ascii_case(name));
    let bind = node.map_or(cluster.api_server().bind_address, |node| cluster.bind_address(node));
    let host = if bind.is_unspecified() { "127.0.0.1".to_owned() } else { bracketed(bind) };
    format!("{host}:{port}")
}

fn instance(router: &VirtualRouter, interface: Option<&str>) -> Result<String, NotRendered> {
    let Some(interface) = router.interface.as_deref().or(interface) else {
        let message =
            format!("the virtual IP {} names no interface, which keepalived has to know", router.name);
        return Err(NotRendered::new(message, "give it `interface`, or --interface NAME here"));
    };
    let mut text = format!(
        "\nvrrp_instance {} {{\n    state BACKUP\n    version {}\n    interface {interface}\n    virtual_router_id {}\n    \
         priority {}\n    advert_int {}\n",
        router.name,
        router.version,
        router.vrid,
        router.priority,
        seconds(router.interval)
    );
    if router.preempt && !router.preempt_delay.is_zero() {
        text.push_str(&format!("    preempt_delay {}\n", seconds(router.preempt_delay)));
    }
    if !router.preempt && router.priority != OWNER {
        text.push_str("    nopreempt\n");
    }
    text.push_str(caveat(router));
    if router.virtual_mac {
        text.push_str("    use_vmac\n");
        // With unicast it wants this. With multicast it would hear nobody whose adverts come from the virtual MAC.
        text.push_str(if router.unicast { "    vmac_xmit_base\n" } else { "" });
    }
    if router.unicast {
        text.push_str(&unicast(router)?);
    }
    if let (Authentication::Password, Some(password)) = (router.authentication, &router.password) {
        text.push_str(&format!(
            "    authentication {{\n        auth_type PASS\n        auth_pass {}\n    }}\n",
            quoted(router, password)?
        ));
    }
    text.push_str("    virtual_ipaddress {\n");
    for address in &router.addresses {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        text.push_str(&format!("        {address}/{bits}\n"));
    }
    text.push_str("    }\n");
    text.push_str(&tracked(router));
    text.push_str("}\n");
    Ok(text)
}

/// What keepalived does otherwise than asked for.
fn caveat(router: &VirtualRouter) -> &'static str {
    let is_owner = router.priority == OWNER;
    match (router.track, router.preempt || is_owner, router.when_all_bad) {
        (Track::ApiServer, false, WhenAllBad::Keep) => {
            "    # Asked for: the holder keeps the address when no node reaches an API server. With nopreempt keepalived cannot:\n    \
             # lowered priorities would make nobody take over from a holder that cannot serve, so it gives up instead, and\n    \
             # nobody has the address until an API server is back.\n"
        }
        (Track::ApiServer, true, WhenAllBad::Keep) if is_owner => {
            "    # The owner's priority cannot be lowered: it gives the address up when it reaches no API server.\n"
        }
        (Track::ApiServer | Track::None, _, WhenAllBad::Keep | WhenAllBad::Release) => "",
    }
}

/// A password as one word. Quotes keep comments (`#`, `!`) from beginning in it; nothing keeps the rest from its meaning.
fn quoted(router: &VirtualRouter, password: &str) -> Result<String, NotRendered> {
    if password.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Ok(password.to_owned());
    }
    match password.chars().find(|c| NOT_IN_QUOTES.contains(c)) {
        None => Ok(format!("\"{password}\"")),
        Some(wrong) => {
            let message = format!(
                "the password of virtual IP {} has a {wrong} in it, which keepalived would take for something else",
                router.name
            );
            Err(NotRendered::new(message, "give it another password: letters and digits are always safe"))
        }
    }
}

fn unicast(router: &VirtualRouter) -> Result<String, NotRendered> {
    let unknown = |whose: &str| {
        NotRendered::new(
            format!(
                "the virtual IP {} is unicast, and no address of {whose} in its family is described",
                router.name
            ),
            "give the node one among its `addresses`",
        )
    };
    let source = router.source.ok_or_else(|| unknown("this node"))?;
    let mut text = format!("    unicast_src_ip {source}\n    unicast_peer {{\n");
    for peer in &router.peers {
        let address: IpAddr = peer.address.ok_or_else(|| unknown(&peer.node))?;
        text.push_str(&format!("        {address}\n"));
    }
    text.push_str("    }\n");
    Ok(text)
}

/// What a holder has to have. keepalived knows two ways to lose it: less priority, and giving up.
fn tracked(router: &VirtualRouter) -> String {
    if router.track == Track::None {
        return String::new();
    }
    // Where nobody preempts, nobody takes over from a holder that only has less priority.
    let weight = match (router.preempt, router.when_all_bad) {
        (true, WhenAllBad::Keep) if router.priority != OWNER => format!(" weight {CANNOT_SERVE}"),
        (true, WhenAllBad::Keep | WhenAllBad::Release) | (false, WhenAllBad::Keep | WhenAllBad::Release) => {
            String::new()
        }
    };
    let script = if router.balance { "an_api_server" } else { "own_api_server" };
    let mut text = format!("    track_script {{\n        {script}{weight}\n    }}\n");
    if router.balance {
        text.push_str(&format!("    track_process {{\n        haproxy{weight}\n    }}\n"));
    }
    text
}

/// Virtual routers that move together.
fn groups(routers: &[VirtualRouter]) -> String {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for router in routers {
        if let Some(group) = &router.group {
            groups.entry(group).or_default().push(&router.name);
        }
    }
    groups
        .iter()
        .filter(|(_, members)| members.len() > 1)
        .map(|(group, members)| {
            let members: String = members.iter().map(|member| format!("        {member}\n")).collect();
            format!("\nvrrp_sync_group {group} {{\n    group {{\n{members}    }}\n}}\n")
        })
        .collect()
}

/// Seconds with as many hundredths as there are: `1`, `0.1`, `0.25`.
fn seconds(duration: Duration) -> String {
    let whole = duration.as_secs();
    let hundredths = duration.subsec_millis() / 10;
    match (hundredths, hundredths % 10) {
        (0, _) => whole.to_string(),
        (_, 0) => format!("{whole}.{}", hundredths / 10),
        (_, _) => format!("{whole}.{hundredths:02}"),
    }
}
