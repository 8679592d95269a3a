use super::*;

#[test]
fn durations_have_two_units_at_most() {
    let spelled = [350, 12_000, 312_000, 11_100_000, 1_047_600_000].map(duration);
    assert_eq!(spelled, ["350ms", "12s", "5m12s", "3h5m", "12d3h"]);
}

/// Every name and address is whole, so that it can be copied, and everything fits a terminal.
#[test]
fn a_status_with_virtual_ips_is_read_in_80_columns() {
    let virtual_ip = |name: &str, address: &str, more: serde_json::Value| {
        let mut one = serde_json::json!({
            "name": name, "address": address, "interface": "enp65s0f0", "state": "backup",
            "holder": "balancer-2.rack7", "since": 1_000, "reason": "higher-heard", "priority": 250,
            "canServe": true, "fault": null, "heardFrom": "10.0.0.22", "heardMsAgo": 87
        });
        one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        one
    };
    let none = serde_json::json!({});
    let alone = serde_json::json!({
        "state": "fault", "fault": "not-serving", "holder": null, "heardFrom": null, "heardMsAgo": null
    });
    let six = "2001:db8:1234:5678:9abc:def0:1234:100";
    let peer =
        serde_json::json!({ "heardFrom": "fe80::5054:ff:fe12:3456", "holder": "balancer-2.dc1.example.net" });
    let status = serde_json::json!({
        "schema": Status::SCHEMA, "node": "balancer-1", "version": "1.0.0", "generation": 2, "uptimeMs": 312_000,
        "draining": false, "listeners": [], "pools": [], "endpoints": [],
        "virtualIPs": [
            virtual_ip("api", "10.0.0.100", none.clone()),
            virtual_ip("api", "10.0.0.101", none),
            virtual_ip("other", "10.0.0.102", alone),
            virtual_ip("api-6", "fe80::200:5eff:fe00:24e", peer.clone()),
            virtual_ip("api-6", six, peer),
        ],
    });
    let status: Status = serde_json::from_value(status).unwrap();
    let expected = "\
node balancer-1, version 1.0.0, plan 2, up 5m12s

virtual IP api, 10.0.0.100, 10.0.0.101 on enp65s0f0
STATE   FOR    REASON        HOLDER            PRIO  HEARD
backup  5m11s  higher-heard  balancer-2.rack7  250   10.0.0.22 87ms ago

virtual IP other, 10.0.0.102 on enp65s0f0
STATE               FOR    REASON        HOLDER  PRIO  HEARD
fault: not-serving  5m11s  higher-heard  -       250   -

virtual IP api-6, fe80::200:5eff:fe00:24e, 2001:db8:1234:5678:9abc:def0:1234:100
  on enp65s0f0
STATE   backup
FOR     5m11s
REASON  higher-heard
HOLDER  balancer-2.dc1.example.net
PRIO    250
HEARD   fe80::5054:ff:fe12:3456 87ms ago

no listener
";
    assert_eq!(text(&status), expected);
}
