use super::*;

fn filter<'a>(addresses: &'a [IpAddr], port: Option<u16>) -> Filter<'a> {
    Filter { side: Side::Local, addresses, port }
}

#[test]
fn answers_are_read_and_every_prefix_is_safe() {
    let mut body = vec![AF_INET6, 1, 0, 0];
    body.extend_from_slice(&[0x19, 0x2b, 0xc0, 0x00]);
    body.extend_from_slice(&"::ffff:192.0.2.1".parse::<Ipv6Addr>().unwrap().octets());
    body.extend_from_slice(&"2001:db8::1".parse::<Ipv6Addr>().unwrap().octets());
    body.extend_from_slice(&[3, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    body.extend_from_slice(&[0; 20]);
    let read = connection(&body).unwrap();
    assert_eq!(read.local, "192.0.2.1:6443".parse().unwrap(), "mapped, told as what it is");
    assert_eq!(read.remote, "[2001:db8::1]:49152".parse().unwrap());
    // The request to end it names it as the kernel did.
    assert_eq!(one(&read.id).bytes[8..], body[4..52]);
    for length in 0..body.len() {
        assert_eq!(connection(&body[..length]).is_some(), length >= 52, "{length} bytes");
    }
    body[0] = 1;
    assert!(connection(&body).is_none(), "another family");
}

#[test]
fn a_family_without_addresses_is_not_asked() {
    let six = ["2001:db8::1".parse().unwrap()];
    assert_eq!(conditions(&filter(&six, None), AF_INET).unwrap(), None);
    assert!(conditions(&filter(&six, None), AF_INET6).unwrap().is_some());
    let four = ["192.0.2.1".parse().unwrap()];
    assert!(conditions(&filter(&four, None), AF_INET).unwrap().is_some());
    assert!(conditions(&filter(&four, None), AF_INET6).unwrap().is_some(), "mapped ones");
    assert_eq!(conditions(&filter(&[], None), AF_INET6).unwrap(), None);
}

#[test]
fn one_address_is_one_condition_that_accepts_at_the_end_and_refuses_behind_it() {
    let addresses = ["192.0.2.1".parse().unwrap()];
    let program = conditions(&filter(&addresses, Some(6443)), AF_INET).unwrap().unwrap();
    let refuse = 20_u16.to_ne_bytes();
    let port = 6443_i32.to_ne_bytes();
    let expected = [&[7, 16][..], &refuse, &[2, 32, 0, 0], &port, &[192, 0, 2, 1]].concat();
    assert_eq!(program, expected);
}

#[test]
fn more_addresses_than_a_jump_reaches_are_refused_and_not_cut() {
    let addresses = vec!["2001:db8::1".parse().unwrap(); ADDRESSES_MAX + 1];
    assert!(conditions(&filter(&addresses[..ADDRESSES_MAX], None), AF_INET6).unwrap().is_some());
    let error = conditions(&filter(&addresses, None), AF_INET6).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}
