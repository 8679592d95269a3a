use super::*;

#[test]
fn attributes_are_padded_to_four_and_their_length_is_not() {
    let mut encoder = Encoder::default();
    encoder.attribute(3, b"lo\0");
    assert_eq!(encoder.bytes, [&7_u16.to_ne_bytes()[..], &3_u16.to_ne_bytes(), b"lo\0\0"].concat());
}

#[test]
fn what_is_encoded_is_decoded() {
    let mut encoder = Encoder::default();
    encoder.attribute(3, b"lo\0");
    encoder.attribute(4 | 0x8000, &7_u32.to_ne_bytes());
    let bytes = encoder.message(17, 5, 9).unwrap();
    let (message, rest) = split_message(&bytes).unwrap();
    assert_eq!((message.kind, message.flags, message.sequence, rest), (17, 5, 9, &[][..]));
    let attributes: Vec<_> = attributes(message.body).collect();
    assert_eq!(attributes, [(3, &b"lo\0"[..]), (4, &7_u32.to_ne_bytes())]);
}

#[test]
fn every_prefix_of_a_datagram_is_safe() {
    let mut encoder = Encoder::default();
    encoder.attribute(3, b"name\0");
    let message = encoder.message(17, 5, 9).unwrap();
    let datagram = [&message[..], &message].concat();
    for length in 0..datagram.len() {
        let whole = messages(&datagram[..length]).filter(Result::is_ok).count();
        assert_eq!(whole, usize::from(length >= message.len()), "{length} bytes");
        for start in 0..length {
            attributes(&datagram[start..length]).for_each(drop);
        }
    }
    assert_eq!(messages(&datagram).filter(Result::is_ok).count(), 2);
}

#[test]
fn a_length_that_ends_nowhere_ends_the_messages() {
    for length in [0_u32, 1, 15, 17, u32::MAX] {
        let bytes = [&length.to_ne_bytes()[..], &[0; 12]].concat();
        let results: Vec<_> = messages(&bytes).collect();
        assert_eq!(results.len(), 1, "length {length}");
        assert!(results[0].is_err(), "length {length}");
    }
    assert_eq!(attributes(&[0; 64]).count(), 0, "an attribute shorter than its header");
}

#[test]
fn acknowledgements_are_read_and_anything_else_is_none() {
    let outcome = |kind: u16, body: &[u8]| acknowledgement(&Message { kind, flags: 0, sequence: 0, body });
    let code = |code: i32| code.to_ne_bytes();
    assert!(outcome(NLMSG_ERROR, &code(0)).unwrap().is_ok());
    let exists = outcome(NLMSG_ERROR, &code(-17)).unwrap().expect_err("EEXIST");
    assert_eq!(exists.kind(), io::ErrorKind::AlreadyExists);
    assert!(outcome(16, &code(0)).is_none());
    for length in 0..4 {
        let error = outcome(NLMSG_ERROR, &code(0)[..length]).unwrap().expect_err("cut off");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}

#[test]
fn the_kernels_refusals_are_errors_and_the_socket_goes_on() {
    let netlink = Netlink::open(None).unwrap();
    // RTM_GETLINK of an interface that is not there.
    let of_link = |index: i32| {
        let mut request = Encoder::default();
        request.structure(&[0; 4]);
        request.structure(&index.to_ne_bytes());
        request.structure(&[0; 8]);
        request
    };
    let (nothing, loopback) = (i32::MAX, 1);
    for _ in 0..3 {
        assert_eq!(netlink.ask(18, 0, &of_link(nothing)).unwrap_err().raw_os_error(), Some(19), "ENODEV");
        netlink.ask(18, 0, &of_link(loopback)).unwrap();
    }
    let several = [nothing, loopback, nothing].map(of_link);
    let results: Vec<_> = netlink.ask_all(18, &several).unwrap().iter().map(Result::is_ok).collect();
    assert_eq!(results, [false, true, false]);
}
