use super::*;

const MAC: Mac = Mac([2, 0, 0, 0, 0, 0x0a]);

fn four() -> IpAddr {
    "192.0.2.100".parse().unwrap()
}

fn six() -> IpAddr {
    "2001:db8::64".parse().unwrap()
}

#[test]
fn a_gratuitous_arp_is_a_broadcast_request_for_the_senders_own_address() {
    let expected = [
        &[0xff; 6][..],
        &MAC.0,
        &[0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1],
        &MAC.0,
        &[192, 0, 2, 100],
        &[0xff; 6],
        &[192, 0, 2, 100],
    ]
    .concat();
    assert_eq!(Frame::announcement(four(), MAC, Role::Router).bytes(), expected);
}

#[test]
fn a_probe_in_ipv4_has_no_sender() {
    let expected = [
        &[0xff; 6][..],
        &MAC.0,
        &[0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1],
        &MAC.0,
        &[0; 4],
        &[0; 6],
        &[192, 0, 2, 100],
    ]
    .concat();
    assert_eq!(Frame::probe(four(), MAC).bytes(), expected);
}

#[test]
fn an_advertisement_goes_to_all_nodes_and_overrides() {
    let frame = Frame::announcement(six(), MAC, Role::Host);
    let bytes = frame.bytes();
    let IpAddr::V6(address) = six() else { unreachable!() };
    assert_eq!(bytes.len(), 86);
    assert_eq!(bytes[..14], [0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0x0a, 0x86, 0xdd]);
    assert_eq!(bytes[14..22], [0x60, 0, 0, 0, 0, 32, 58, 255]);
    assert_eq!(bytes[22..38], address.octets());
    assert_eq!(bytes[38..54], ALL_NODES.octets());
    assert_eq!(bytes[54..56], [136, 0]);
    // By another implementation of RFC 8200 8.1.
    assert_eq!(bytes[56..58], [0xf8, 0x5b]);
    assert_eq!(bytes[58..62], [0x20, 0, 0, 0]);
    assert_eq!(bytes[62..78], address.octets());
    assert_eq!(bytes[78..], [2, 1, 2, 0, 0, 0, 0, 0x0a]);
    let router = Frame::announcement(six(), MAC, Role::Router);
    assert_eq!(router.bytes()[56..59], [0x78, 0x5b, 0xa0]);
}

#[test]
fn a_probe_in_ipv6_goes_to_the_solicited_nodes_from_nobody() {
    let frame = Frame::probe(six(), MAC);
    let bytes = frame.bytes();
    assert_eq!(bytes.len(), 78);
    assert_eq!(bytes[..6], [0x33, 0x33, 0xff, 0, 0, 0x64]);
    assert_eq!(bytes[18..22], [0, 24, 58, 255]);
    assert_eq!(bytes[22..38], [0; 16]);
    assert_eq!(bytes[38..54], "ff02::1:ff00:64".parse::<Ipv6Addr>().unwrap().octets());
    assert_eq!(bytes[54..62], [135, 0, 0x4c, 0x27, 0, 0, 0, 0]);
}

#[test]
fn what_is_written_is_read() {
    for address in [four(), six()] {
        let family = Family::of(address);
        let read = |frame: Frame| claim(family, frame.bytes());
        let announced = read(Frame::announcement(address, MAC, Role::Host));
        assert_eq!(announced, Some(Claim { address, mac: MAC, kind: ClaimKind::Has }));
        let probed = read(Frame::probe(address, MAC));
        assert_eq!(probed, Some(Claim { address, mac: MAC, kind: ClaimKind::Wants }));
    }
}

#[test]
fn a_frame_that_is_cut_claims_nothing_and_one_that_is_padded_the_same() {
    for address in [four(), six()] {
        let family = Family::of(address);
        for frame in [Frame::announcement(address, MAC, Role::Host), Frame::probe(address, MAC)] {
            let bytes = frame.bytes();
            for length in 0..bytes.len() {
                assert_eq!(claim(family, &bytes[..length]), None, "{length} bytes of {frame:?}");
            }
            let padded = [bytes, &[0xee; 18]].concat();
            assert_eq!(claim(family, &padded), claim(family, bytes));
        }
    }
}

#[test]
fn any_byte_that_differs_in_an_ipv6_message_makes_it_invalid() {
    let frame = Frame::announcement(six(), MAC, Role::Host);
    // The Ethernet header and the first four bytes of IPv6's are not covered.
    for offset in 18..frame.bytes().len() {
        let mut bytes = frame.bytes().to_vec();
        bytes[offset] ^= 0x11;
        assert_eq!(claim(Family::V6, &bytes), None, "byte {offset}");
    }
}

#[test]
fn an_arp_answer_is_a_claim_and_a_question_of_another_is_one_for_its_sender() {
    let mut bytes = Frame::announcement(four(), MAC, Role::Host).bytes().to_vec();
    let has = |address: [u8; 4]| Some(Claim { address: address.into(), mac: MAC, kind: ClaimKind::Has });
    bytes[21] = 2;
    assert_eq!(claim(Family::V4, &bytes), has([192, 0, 2, 100]), "an answer");
    bytes[38..42].copy_from_slice(&[192, 0, 2, 7]);
    assert_eq!(claim(Family::V4, &bytes), has([192, 0, 2, 100]), "the target does not matter");
    bytes[28..32].copy_from_slice(&[0; 4]);
    assert_eq!(claim(Family::V4, &bytes), None, "an answer from nobody");
    bytes[17] = 0xdd;
    assert_eq!(claim(Family::V4, &bytes), None, "not for IPv4");
}

#[test]
fn options_are_passed_over_and_one_without_length_ends_them() {
    let option = |kind: u8, length: u8| [kind, length, 2, 0, 0, 0, 0, 0x0a];
    assert_eq!(target_link_layer(&[option(1, 1), option(2, 1)].concat()), Some(MAC));
    assert_eq!(target_link_layer(&[option(1, 0), option(2, 1)].concat()), None);
    assert_eq!(target_link_layer(&[option(1, 3), option(2, 1)].concat()), None);
    assert_eq!(target_link_layer(&[]), None);
}
