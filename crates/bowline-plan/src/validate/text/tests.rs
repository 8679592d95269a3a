use super::*;

fn remedy<T>(read: Result<T, Unreadable>) -> String {
    read.err().expect("it was read").remedy
}

#[test]
fn durations() {
    let ms = |text| duration(text).ok().unwrap().as_millis();
    assert_eq!([ms("0s"), ms("100ms"), ms("30s"), ms("2m"), ms("1h")], [0, 100, 30_000, 120_000, 3_600_000]);
    assert_eq!(ms("999999999h"), 3_599_999_996_400_000);
    for text in ["", "s", "-1s", "1.5s", "1 s", "1d", "10000000000ms", "١s", "1sm", "99999999999999999999s"]
    {
        assert!(duration(text).is_err(), "{text} was read");
    }
    assert_eq!(remedy(duration("30")), "write 30s or 30ms");
}

#[test]
fn durations_are_shown_as_one_writes_them() {
    for text in ["0s", "100ms", "1500ms", "30s", "2m", "90s", "1h"] {
        assert_eq!(Shown(duration(text).ok().unwrap()).to_string(), text);
    }
}

#[test]
fn addresses_say_what_was_meant() {
    assert!(address("::").is_ok() && unicast_address("::").is_err());
    assert!(unicast_address("127.0.0.11").is_ok());
    assert!(virtual_address("fe80::1").is_ok() && unicast_address("fe80::1").is_err());
    assert_eq!(remedy(unicast_address("[fd00::1]")), "write fd00::1");
    assert_eq!(remedy(unicast_address("10.0.0.0/8")), "write 10.0.0.0");
    assert_eq!(remedy(unicast_address("[fd00::1]:6443")), "write fd00::1; ports have their own field");
    assert_eq!(remedy(unicast_address("::ffff:10.0.0.1")), "write 10.0.0.1");
    assert!(unicast_address("010.0.0.1").is_err());
}

#[test]
fn what_no_machine_can_have_is_no_address_of_one_and_cannot_move_either() {
    for text in [
        "0.0.0.0",
        "0.1.2.3",
        "224.0.0.18",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "ff02::12",
        "::ffff:10.0.0.1",
    ] {
        assert!(unicast_address(text).is_err(), "a machine has {text}");
        assert!(virtual_address(text).is_err(), "{text} moves");
    }
    for text in ["127.0.0.1", "127.9.9.9", "::1"] {
        assert!(unicast_address(text).is_ok(), "a cluster on one machine has {text}");
        assert!(virtual_address(text).is_err(), "{text} moves");
    }
    for text in ["1.0.0.1", "126.0.0.1", "223.255.255.254", "10.0.0.100", "fd00::100", "2001:db8::1"] {
        assert!(unicast_address(text).is_ok() && virtual_address(text).is_ok(), "{text} is refused");
    }
    assert_eq!(remedy(virtual_address("127.0.0.1")), "give a free address of the nodes' subnet");
}

#[test]
fn names() {
    let label = "a".repeat(63);
    for name in ["a", "cp1", "cp-1.example.net", "1.example", label.as_str()] {
        assert!(dns_name(name).is_ok(), "{name} was refused");
    }
    let (long_label, long_name) = ("a".repeat(64), "a.".repeat(127));
    for name in ["", ".", "a..b", "-a", "a-", "a_b", "a b", "ä", "1.2.3.4", "::1", &long_label, &long_name] {
        assert!(dns_name(name).is_err(), "{name} was read");
    }
    assert_eq!(remedy(dns_name("CP1.")), "write cp1");
}

#[test]
fn hosts_are_addresses_or_names() {
    assert!(matches!(host("api.example.net"), Ok(Host::Name(_))));
    assert!(matches!(host("fd00::1"), Ok(Host::Address(_))));
    assert!(host("10.0.0.300").is_err(), "a mistyped address is no name");
    assert!(
        subject_name("*.example.net").is_ok() && subject_name("*").is_err() && subject_name("a.*.b").is_err()
    );
}

#[test]
fn ranges() {
    let range = cidr("10.96.0.0/12").ok().unwrap();
    assert!(
        range.contains("10.111.255.255".parse().unwrap()) && !range.contains("10.112.0.0".parse().unwrap())
    );
    assert!(!range.contains("::".parse().unwrap()));
    assert_eq!(range.first_host().to_string(), "10.96.0.1");
    let range = cidr("fd00:10:96::/112").ok().unwrap();
    assert!(
        range.contains("fd00:10:96::ffff".parse().unwrap())
            && !range.contains("fd00:10:97::".parse().unwrap())
    );
    assert!(cidr("0.0.0.0/0").ok().unwrap().contains("255.255.255.255".parse().unwrap()));
    assert_eq!(remedy(cidr("10.96.0.1/12")), "write 10.96.0.0/12");
    for text in ["10.96.0.0", "10.96.0.0/33", "::/129", "10.96.0.0/", "/12", "10.96.0.0/-1"] {
        assert!(cidr(text).is_err(), "{text} was read");
    }
}

#[test]
fn versions() {
    let read = |text| version(text).ok();
    assert_eq!(read("1.32"), Some((1, 32)));
    assert_eq!(read("v1.30.4"), Some((1, 30)));
    assert_eq!([read("1"), read(""), read("latest"), read("1.x")], [None; 4]);
}

#[test]
fn the_admin_listener_is_not_for_others() {
    assert!(matches!(admin_listen("[::1]:9643"), Ok(AdminListen::Tcp(_))));
    assert!(matches!(admin_listen("unix:/run/bowline.sock"), Ok(AdminListen::Unix(_))));
    for text in ["0.0.0.0:9643", "10.0.0.1:9643", "localhost:9643", "127.0.0.1", "unix:run", ":9643"] {
        assert!(admin_listen(text).is_err(), "{text} was read");
    }
}
