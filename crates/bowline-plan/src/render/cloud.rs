//! Commands that make a cloud's balancer what the plan takes it for: the front of a side whose mode is `external`.

use super::{NotRendered, bracketed, reached};
use crate::cluster::{Access, Cluster, Front, Mode, NodeRole};

/// Whose balancer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cloud {
    /// OpenStack's.
    Octavia,
    /// A Network Load Balancer of AWS.
    Elb,
}

/// What an API server says that takes requests: 401 and 403 are the answers where anonymous requests are off.
const ALIVE: &str = "200,401,403";
/// Between two checks by Octavia, in seconds; there are few balancers, and each API server answers in microseconds.
const OCTAVIA_DELAY: u32 = 5;
/// Of one check by Octavia, in seconds; it has to be less than the delay.
const OCTAVIA_TIMEOUT: u32 = 3;
/// Between two checks by a Network Load Balancer, in seconds; the least it takes.
const ELB_INTERVAL: u32 = 5;
/// Of one check by a Network Load Balancer, in seconds; the least it takes.
const ELB_TIMEOUT: u32 = 2;
/// How long a quiet connection lasts: a watch may be quiet for long, and Octavia's 50 s would cut it. Milliseconds.
const OCTAVIA_IDLE: u32 = 10_800_000;
/// Characters of the name of a balancer or target group of AWS.
const NAME_MAX: usize = 32;
/// The same for a Network Load Balancer, whose most is 6,000 s.
const ELB_IDLE: u32 = 6_000;

/// The commands, once for each port that the cloud is to take connections at.
///
/// # Errors
/// No side's mode is `external`.
pub fn cloud(cluster: &Cluster, cloud: Cloud) -> Result<String, NotRendered> {
    let ports = ports(cluster);
    if ports.is_empty() {
        return Err(NotRendered::new(
            "neither side is reached by way of a cloud's balancer",
            "set access.external.mode or access.internal.mode to external, with its address",
        ));
    }
    let members: Vec<Member> = reached(cluster, NodeRole::ControlPlane)
        .map(|(node, address)| Member { node: node.name.clone(), address })
        .collect();
    let many = ports.len() > 1;
    let mut text = String::new();
    for (port, fronts) in ports {
        let name = name(cluster.name(), many.then_some(port));
        let advertised: Vec<String> = fronts.iter().map(ToString::to_string).collect();
        text.push_str(&format!("# Advertised: {}\n", advertised.join(", ")));
        let balancer = Balancer { cluster, name: &name, port, members: &members };
        text.push_str(&match cloud {
            Cloud::Octavia => balancer.octavia(),
            Cloud::Elb => balancer.elb(),
        });
    }
    Ok(text)
}

/// What AWS takes for a name too: letters, digits and hyphens, not too many.
fn name(cluster: &str, port: Option<u16>) -> String {
    let end = port.map_or_else(|| "-api".to_owned(), |port| format!("-api-{port}"));
    let room = NAME_MAX.saturating_sub(end.len());
    let begin: String = cluster.chars().map(|c| if c == '.' { '-' } else { c }).take(room).collect();
    format!("{}{end}", begin.trim_end_matches('-'))
}

/// A server behind the balancer.
struct Member {
    node: String,
    address: core::net::IpAddr,
}

struct Balancer<'a> {
    cluster: &'a Cluster,
    name: &'a str,
    port: u16,
    members: &'a [Member],
}

/// By port, what is told to clients.
fn ports(cluster: &Cluster) -> std::collections::BTreeMap<u16, Vec<&Front>> {
    let fronts = |access: &'_ Access| match &access.mode {
        Mode::External(_) => true,
        Mode::NodeLocal | Mode::LoadBalancer | Mode::VirtualIp(_) | Mode::Direct => false,
    };
    let mut ports = std::collections::BTreeMap::<u16, Vec<&Front>>::new();
    for access in [cluster.internal(), cluster.external()].into_iter().filter(|access| fronts(access)) {
        if let Mode::External(fronts) = &access.mode {
            for front in fronts {
                let known = ports.entry(front.port.get()).or_default();
                if !known.contains(&front) {
                    known.push(front);
                }
            }
        }
    }
    ports
}

impl Balancer<'_> {
    fn octavia(&self) -> String {
        let Self { cluster, name, port, members } = self;
        let target = cluster.api_server().port;
        let (fall, rise) = (cluster.balancing().fall, cluster.balancing().rise);
        let mut text = format!(
            "# Set SUBNET to the subnet that the address is to be in; --vip-address names one that is free.\n\
             openstack loadbalancer create --name {name} --vip-subnet-id \"$SUBNET\" --wait\n\
             openstack loadbalancer listener create --name {name} --protocol TCP --protocol-port {port} \\\n  \
             --timeout-client-data {OCTAVIA_IDLE} --timeout-member-data {OCTAVIA_IDLE} --wait {name}\n\
             openstack loadbalancer pool create --name {name} --listener {name} --protocol TCP \\\n  \
             --lb-algorithm LEAST_CONNECTIONS --wait\n\
             openstack loadbalancer healthmonitor create --name {name} --type HTTPS --http-method GET --url-path /readyz \\\n  \
             --expected-codes {ALIVE} --delay {OCTAVIA_DELAY} --timeout {OCTAVIA_TIMEOUT} --max-retries {rise} \\\n  \
             --max-retries-down {fall} --wait {name}\n"
        );
        for Member { node, address } in *members {
            text.push_str(&format!(
                "openstack loadbalancer member create --name {node} --address {address} --protocol-port {target} --wait {name}\n"
            ));
        }
        text.push_str(&format!(
            "# For clients outside of OpenStack, a floating address: set NETWORK to the network that has them.\n\
             openstack floating ip create --port \"$(openstack loadbalancer show {name} -f value -c vip_port_id)\" \"$NETWORK\"\n"
        ));
        text
    }

    fn elb(&self) -> String {
        let Self { cluster, name, port, members } = self;
        let target = cluster.api_server().port;
        let (fall, rise) = (cluster.balancing().fall.get().max(2), cluster.balancing().rise.get().max(2));
        let is_v6 = members.iter().all(|member| member.address.is_ipv6());
        // IPv6 targets take a balancer of both families.
        let (family, stack) = if is_v6 { ("ipv6", "--ip-address-type dualstack ") } else { ("ipv4", "") };
        let targets: Vec<String> =
            members.iter().map(|member| format!("Id={},Port={target}", member.address)).collect();
        let mixed: Vec<String> = members
            .iter()
            .filter(|member| member.address.is_ipv6() != is_v6)
            .map(|member| {
                format!(
                    "# {} at {} is of the other family: not in this group.\n",
                    member.node,
                    bracketed(member.address)
                )
            })
            .collect();
        let targets: Vec<&String> = targets
            .iter()
            .zip(*members)
            .filter(|(_, member)| member.address.is_ipv6() == is_v6)
            .map(|(target, _)| target)
            .collect();
        let targets: Vec<&str> = targets.into_iter().map(String::as_str).collect();
        format!(
            "# Set SUBNETS to the subnets that the balancer is to be in, VPC to their network, and SCHEME to internal, or to\n\
             # internet-facing for clients elsewhere.\n{}\
             BALANCER=$(aws elbv2 create-load-balancer --name {name} --type network --scheme $SCHEME --subnets $SUBNETS {stack}\\\n  \
             --query 'LoadBalancers[0].LoadBalancerArn' --output text)\n\
             aws elbv2 modify-load-balancer-attributes --load-balancer-arn \"$BALANCER\" \\\n  \
             --attributes Key=load_balancing.cross_zone.enabled,Value=true\n\
             GROUP=$(aws elbv2 create-target-group --name {name} --protocol TCP --port {target} --vpc-id \"$VPC\" \\\n  \
             --target-type ip --ip-address-type {family} --health-check-protocol HTTPS --health-check-path /readyz \\\n  \
             --matcher '{{\"HttpCode\": \"{ALIVE}\"}}' --health-check-interval-seconds {ELB_INTERVAL} \\\n  \
             --health-check-timeout-seconds {ELB_TIMEOUT} --healthy-threshold-count {rise} --unhealthy-threshold-count {fall} \\\n  \
             --query 'TargetGroups[0].TargetGroupArn' --output text)\n\
             # A node that connects to itself through the balancer is refused while its own address is kept.\n\
             aws elbv2 modify-target-group-attributes --target-group-arn \"$GROUP\" \\\n  \
             --attributes Key=preserve_client_ip.enabled,Value=false\n\
             aws elbv2 register-targets --target-group-arn \"$GROUP\" --targets {}\n\
             LISTENER=$(aws elbv2 create-listener --load-balancer-arn \"$BALANCER\" --protocol TCP --port {port} \\\n  \
             --default-actions Type=forward,TargetGroupArn=\"$GROUP\" --query 'Listeners[0].ListenerArn' --output text)\n\
             aws elbv2 modify-listener-attributes --listener-arn \"$LISTENER\" \\\n  \
             --attributes Key=tcp.idle_timeout.seconds,Value={ELB_IDLE}\n",
            mixed.concat(),
            targets.join(" ")
        )
    }
}
