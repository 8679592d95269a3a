use super::*;

fn v4(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

fn repr() -> Repr {
    Repr {
        vrid: Vrid::new(51).unwrap(),
        priority: 100,
        addresses: Addresses::new(vec![v4(100), v4(101)]).unwrap(),
        protocol: Protocol::V3 {
            interval: Centiseconds::new(20).unwrap(),
            checksum: ChecksumForm::PseudoHeader,
        },
    }
}

#[test]
fn what_was_written_is_read() {
    let group = Family::V4.group();
    let bytes = repr().emit(v4(1), group);
    let packet = Packet::new_checked(&bytes, Family::V4).unwrap();
    assert_eq!(Repr::parse(&packet, v4(1), group), Some(repr()));
}
