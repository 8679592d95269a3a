//! Sums were worked out by another program, bytes by the RFCs' figures.

use super::*;

const MAC: Mac = Mac([2, 0, 0, 0, 0, 11]);

fn v4(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("text"), 16).expect("hex");
    digits.chunks(2).map(pair).collect()
}

/// Version 3, VRID 51, priority 100, 192.0.2.100, 100 ms.
fn v3() -> Forge {
    let mut forge = Forge::new(3, 51, 100, v4("192.0.2.11"), MAC, &[v4("192.0.2.100")]);
    forge.interval = 10;
    forge
}

#[test]
fn a_version_3_advert_is_written_as_the_rfc_draws_it() {
    let expected = bytes(
        "01005e000012 02000000000b 0800
         45c0 0020 0000 0000 ff70 1890 c000020b e0000012
         31 33 64 01 000a 05c2 c0000264",
    );
    assert_eq!(v3().frame(), expected);
}

#[test]
fn sums_are_those_of_another_program() {
    let field = |sum| {
        let mut forge = v3();
        forge.sum = sum;
        forge.frame()[40..42].to_vec()
    };
    assert_eq!(field(Some(Sum::MessageOnly)), bytes("a85c"));
    assert_eq!(field(Some(Sum::PseudoHeader)), bytes("05c2"));
    assert_eq!(field(Some(Sum::Flipped(0x0101))), bytes("04c3"));
    assert_eq!(field(Some(Sum::Value(7))), bytes("0007"));
    let v2 =
        Forge::new(2, 51, 100, v4("192.0.2.11"), MAC, &[v4("192.0.2.100")]).with_password("sesame").frame();
    assert_eq!(v2[34..], bytes("2133640101016339c0000264 736573616d650000"));
    let mut v6 = Forge::new(3, 51, 100, v4("fe80::ff:fe00:b"), MAC, &[v4("fe80::100")]);
    v6.interval = 100;
    assert_eq!(v6.frame()[54..62], bytes("31336401 0064 6dbd"));
}

#[test]
fn what_is_written_is_read() {
    let read =
        |forge: &Forge| Frame::read(&forge.frame()).and_then(|frame| frame.advert()).expect("an advert");
    let advert = read(&v3());
    assert_eq!((advert.version, advert.kind, advert.vrid, advert.priority), (3, 1, 51, 100));
    assert_eq!((advert.interval, advert.checksum, advert.length), (10, Checksum::PseudoHeader, 12));
    assert_eq!(advert.addresses, [v4("192.0.2.100")]);
    let mut odd = v3();
    (odd.sum, odd.tail, odd.fifth_byte) = (Some(Sum::MessageOnly), vec![9; 3], 5);
    let advert = read(&odd);
    assert_eq!((advert.checksum, advert.trailing, advert.fifth_byte), (Checksum::MessageOnly, 3, 5));
    odd.sum = Some(Sum::Flipped(1));
    assert_eq!(read(&odd).checksum, Checksum::Wrong);
    let v2 = Forge::new(2, 1, 255, v4("192.0.2.11"), MAC, &[v4("192.0.2.100"), v4("192.0.2.101")]);
    let advert = read(&v2.with_password("bowline9x"));
    assert_eq!((advert.fifth_byte, advert.interval, advert.addresses.len()), (1, 1, 2));
    assert_eq!(
        (advert.authentication.as_slice(), advert.checksum),
        (&b"bowline9"[..], Checksum::MessageOnly)
    );
    let v6 = Forge::new(3, 1, 1, v4("fe80::1"), MAC, &[v4("fe80::100"), v4("2001:db8::100")]);
    let advert = read(&v6);
    assert_eq!((advert.checksum, advert.length), (Checksum::PseudoHeader, 40));
    assert_eq!(advert.addresses, [v4("fe80::100"), v4("2001:db8::100")]);
}

#[test]
fn the_headers_of_an_advert_are_read() {
    let mut forge = v3();
    (forge.hop_limit, forge.options) = (254, vec![0x94, 4, 0, 0]);
    let frame = Frame::read(&forge.frame()).expect("a frame");
    let Content::Vrrp(packet) = &frame.content else { panic!("{frame:?}") };
    assert_eq!(
        (packet.hop_limit, packet.traffic_class, packet.options, packet.header_sound),
        (254, 0xc0, 4, true)
    );
    assert_eq!((packet.source, packet.destination), (v4("192.0.2.11"), v4("224.0.0.18")));
    assert_eq!((frame.source, frame.destination), (MAC, Mac([1, 0, 0x5e, 0, 0, 0x12])));
}

#[test]
fn announcements_are_told_from_questions_and_answers() {
    let (vip, other) = (v4("192.0.2.100"), v4("192.0.2.101"));
    let frame = Frame::read(&announcement(vip, MAC)).expect("a frame");
    assert!(frame.announces(vip) && !frame.announces(other), "{frame:?}");
    assert_eq!(frame.claims(vip), Some(MAC));
    let frame = Frame::read(&question(v4("192.0.2.11"), MAC, vip)).expect("a frame");
    assert!(!frame.announces(vip) && frame.claims(vip).is_none(), "{frame:?}");
    let vip = v4("2001:db8::100");
    let frame = Frame::read(&announcement(vip, MAC)).expect("a frame");
    assert!(frame.announces(vip), "{frame:?}");
    assert_eq!(frame.claims(vip), Some(MAC));
    let frame = Frame::read(&question(v4("fe80::b"), MAC, vip)).expect("a frame");
    assert!(!frame.announces(vip) && frame.claims(vip).is_none(), "{frame:?}");
    assert_eq!(frame.destination, Mac([0x33, 0x33, 0xff, 0, 1, 0]));
}

#[test]
fn no_prefix_of_a_frame_is_too_short_to_be_looked_at() {
    let v6 = Forge::new(3, 1, 1, v4("fe80::1"), MAC, &[v4("fe80::100")]).frame();
    let frames =
        [v3().frame(), v6, announcement(v4("192.0.2.100"), MAC), announcement(v4("2001:db8::100"), MAC)];
    for whole in frames {
        for length in 0..whole.len() {
            let frame = Frame::read(&whole[..length]);
            assert!(
                frame.is_none_or(|frame| frame.advert().is_none_or(|advert| advert.length < whole.len()))
            );
        }
        assert!(Frame::read(&whole).is_some());
    }
}
