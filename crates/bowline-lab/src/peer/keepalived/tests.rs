use super::*;

/// As keepalived 2.2.7 writes it.
const FILE: &str = "VRRP Instance: lab
  Advertisements:
    Received: 12
    Sent: 17
  Became master: 1
  Released master: 0
  Packet Errors:
    Length: 0
    TTL: 3
    Invalid Type: 0
    Advertisement Interval: 0
    Address List: 1
  Authentication Errors:
    Invalid Type: 2
    Type Mismatch: 0
    Failure: 0
  Priority Zero:
    Received: 0
    Sent: 5
";

#[test]
fn counters_are_read_by_heading_and_name() {
    let statistics = Statistics::read(FILE);
    assert_eq!(statistics.get("Advertisements/Received"), Some(12));
    assert_eq!(statistics.get("Became master"), Some(1));
    assert_eq!(statistics.get("Priority Zero/Sent"), Some(5));
    assert_eq!(statistics.get("Packet Errors/Fragments"), None);
    let errors = [
        ("Packet Errors/TTL", 3),
        ("Packet Errors/Address List", 1),
        ("Authentication Errors/Invalid Type", 2),
    ];
    assert_eq!(statistics.errors(), errors.map(|(name, value)| (name.to_owned(), value)));
}

#[test]
fn two_instances_are_added_up() {
    let statistics = Statistics::read(&FILE.repeat(2));
    assert_eq!(statistics.get("Packet Errors/TTL"), Some(6));
}
