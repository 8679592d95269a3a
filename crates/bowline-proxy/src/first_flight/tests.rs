use super::*;
use proptest::prelude::*;

/// First flights of real clients on the wire: OpenSSL 3.0 with TLS 1.3 and 1.2, curl 7.88 offering HTTP/2.
const CAPTURED: [&[u8]; 3] = [
    include_bytes!("../../tests/wire/openssl-tls13.bin"),
    include_bytes!("../../tests/wire/openssl-tls12.bin"),
    include_bytes!("../../tests/wire/curl-h2.bin"),
];

/// A ClientHello in one record, with the given extensions as (type, length).
fn hello(extensions: &[(u16, u16)]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]); // random
    body.push(0); // no session id
    body.extend([0, 2, 0x13, 0x01]); // one cipher suite
    body.extend([1, 0]); // no compression
    let listed: Vec<u8> = extensions
        .iter()
        .flat_map(|&(kind, length)| {
            let head = [kind.to_be_bytes(), length.to_be_bytes()].concat();
            head.into_iter().chain(std::iter::repeat_n(0, usize::from(length)))
        })
        .collect();
    body.extend((listed.len() as u16).to_be_bytes());
    body.extend(listed);
    let mut message = vec![1, 0];
    message.extend((body.len() as u16).to_be_bytes());
    message.extend(body);
    record(&message)
}

fn record(fragment: &[u8]) -> Vec<u8> {
    let mut record = vec![22, 3, 1];
    record.extend((fragment.len() as u16).to_be_bytes());
    record.extend(fragment);
    record
}

#[test]
fn a_real_hello_is_repeatable_and_every_prefix_of_it_is_incomplete() {
    for bytes in CAPTURED {
        assert_eq!(classify(bytes), FirstFlight::Repeatable);
        for end in 0..bytes.len() {
            assert_eq!(classify(&bytes[..end]), FirstFlight::Incomplete, "the first {end} bytes");
        }
    }
}

#[test]
fn anything_behind_the_hello_makes_it_unique() {
    for bytes in CAPTURED {
        for more in [&[0][..], &[22], &[22, 3, 3, 0, 1, 1], &[23, 3, 3, 0, 1, 9], &[21, 3, 3, 0, 2, 1, 0]] {
            let longer = [bytes, more].concat();
            assert_ne!(classify(&longer), FirstFlight::Repeatable, "followed by {more:?}");
        }
    }
}

#[test]
fn a_hello_in_several_records_is_repeatable() {
    let bytes = CAPTURED[0];
    let split: Vec<u8> = bytes[5..].chunks(100).flat_map(record).collect();
    assert_eq!(classify(&split), FirstFlight::Repeatable);
    assert_eq!(classify(&split[..split.len() - 1]), FirstFlight::Incomplete);
}

#[test]
fn early_data_is_a_request_and_never_sent_twice() {
    assert_eq!(classify(&hello(&[(0, 4), (51, 10)])), FirstFlight::Repeatable);
    assert_eq!(classify(&hello(&[(0, 4), (42, 0), (41, 8)])), FirstFlight::Unique);
}

#[test]
fn what_is_no_hello_is_unique() {
    let short_extensions = {
        let mut bytes = hello(&[(0, 4)]);
        let end = bytes.len();
        bytes[end - 5] = 9; // the extension claims more than there is
        bytes
    };
    let cases: [&[u8]; 8] = [
        b"GET /version HTTP/1.1\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &[22, 3, 1, 0, 0],
        &[22, 3, 1, 0xff, 0xff, 1],
        &[22, 3, 1, 0, 4, 2, 0, 0, 0],
        &[22, 2, 0],
        &[23, 3, 3, 0, 1, 0],
        &short_extensions,
    ];
    for bytes in cases {
        assert_eq!(classify(bytes), FirstFlight::Unique, "{bytes:?}");
    }
    assert_eq!(classify(&[]), FirstFlight::Incomplete);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        classify(&bytes);
    }

    #[test]
    fn a_damaged_hello_never_panics(at in 0usize..4000, value: u8, which in 0usize..3) {
        let mut bytes = CAPTURED[which].to_vec();
        let at = at % bytes.len();
        bytes[at] = value;
        classify(&bytes);
    }
}
