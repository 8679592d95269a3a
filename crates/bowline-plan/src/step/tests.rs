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
