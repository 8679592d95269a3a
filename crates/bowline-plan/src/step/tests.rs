use super::*;
use crate::plan::{API_SERVERS, BALANCERS};

const NODES: &str = "apiVersion: bowline.dev/v1alpha1\nkind: Cluster\nspec:\n  nodes:\n  \
    - {name: cp1, roles: [control-plane], addresses: [10.0.0.11]}\n  \
    - {name: lb1, roles: [load-balancer], addresses: [10.0.0.31]}\n  \
    - {name: w1}\n";

fn plan_of(node: &str, rest: &str) -> NodePlan {
    let cluster = crate::load("x", format!("{NODES}{rest}").as_bytes()).unwrap();
    crate::plan(&cluster, 1).nodes[node].clone()
}

fn kinds(steps: &[Step]) -> Vec<&'static str> {
    let kind = |step: &Step| match step {
        Step::AddPool { .. } => "add-pool",
        Step::ChangePool { .. } => "change-pool",
        Step::AddListener(_) => "add-listener",
        Step::RetargetListener(_) => "retarget-listener",
        Step::CloseListener { .. } => "close-listener",
        Step::RemovePool { .. } => "remove-pool",
        Step::SetVirtualRouter(_) => "set-virtual-router",
        Step::RemoveVirtualRouter { .. } => "remove-virtual-router",
        Step::SetHosts(_) => "set-hosts",
    };
    steps.iter().map(kind).collect()
}

#[test]
fn equal_plans_need_no_step() {
    let plan = plan_of("w1", "");
    assert_eq!(diff(&plan, &plan), []);
}

#[test]
fn a_change_of_mode_retargets_the_listeners_that_stay() {
    let (old, new) = (plan_of("w1", ""), plan_of("w1", "  access: {internal: {mode: load-balancer}}\n"));
    let steps = diff(&old, &new);
    assert_eq!(kinds(&steps), ["add-pool", "retarget-listener", "retarget-listener", "remove-pool"]);
    assert!(matches!(&steps[0], Step::AddPool { name, .. } if name == BALANCERS));
    assert!(matches!(&steps[3], Step::RemovePool { name } if name == API_SERVERS));
}

#[test]
fn another_port_opens_before_the_old_one_closes() {
    let (old, new) = (plan_of("w1", ""), plan_of("w1", "  access: {internal: {port: 7443}}\n"));
    let kinds = kinds(&diff(&old, &new));
    assert_eq!(kinds, ["add-listener", "add-listener", "close-listener", "close-listener"]);
}

#[test]
fn another_timer_changes_the_pool_alone() {
    let (old, new) = (plan_of("w1", ""), plan_of("w1", "  balancing: {probeInterval: 5s}\n"));
    assert_eq!(kinds(&diff(&old, &new)), ["change-pool"]);
}

#[test]
fn a_virtual_ip_comes_after_its_listener_and_goes_before_it() {
    let vip = "  virtualIPs: [{name: api, address: 10.0.0.100, on: load-balancer}]\n";
    let without = "  access: {external: {mode: direct}}\n";
    let (old, new) = (plan_of("lb1", without), plan_of("lb1", vip));
    assert_eq!(kinds(&diff(&old, &new)), ["change-pool", "add-listener", "set-virtual-router"]);
    assert_eq!(kinds(&diff(&new, &old)), ["change-pool", "remove-virtual-router", "close-listener"]);
    let faster = plan_of("lb1", &vip.replace("on:", "interval: 50ms, on:"));
    assert_eq!(kinds(&diff(&new, &faster)), ["set-virtual-router"]);
    let mut running = old.clone();
    diff(&old, &new).iter().for_each(|step| running.apply(step));
    assert_eq!(running, new);
    diff(&new, &old).iter().for_each(|step| running.apply(step));
    assert_eq!(running, old);
}

#[test]
fn another_name_changes_the_hosts_file_alone() {
    let named = "  access: {internal: {names: [api.internal]}}\n";
    let (old, new) = (plan_of("w1", ""), plan_of("w1", named));
    assert_eq!(kinds(&diff(&old, &new)), ["set-hosts"]);
    let lines: Vec<String> =
        new.hosts.iter().map(|line| format!("{} {}", line.address, line.names.join(" "))).collect();
    assert_eq!(lines, ["127.0.0.1 api.internal", "::1 api.internal"]);
}
