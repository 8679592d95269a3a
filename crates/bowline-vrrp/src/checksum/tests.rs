use super::*;

/// RFC 1071 section 3: 00 01 f2 03 f4 f5 f6 f7 sums up to ddf2.
#[test]
fn the_example_of_the_rfc() {
    assert_eq!(fold(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])), 0xddf2);
}

#[test]
fn an_odd_byte_is_filled_up() {
    assert_eq!(sum(&[0x12, 0x34, 0x56]), 0x1234 + 0x5600);
}

/// By hand: 3133 + 6401 + 0014 + 0a00 + 0064 = 9fac, its complement 6053. The pseudo-header adds 0a00 + 0001 + e000 + 0012 +
/// 000c + 0070 = ea8f: 18a3b folds to 8a3c, its complement is 75c3.
#[test]
fn both_forms_over_ipv4() {
    let message = [0x31, 0x33, 0x64, 0x01, 0x00, 0x14, 0, 0, 10, 0, 0, 100];
    let (source, group) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([224, 0, 0, 18]));
    assert_eq!(compute(&message, ChecksumForm::MessageOnly, source, group), 0x6053);
    assert_eq!(compute(&message, ChecksumForm::PseudoHeader, source, group), 0x75c3);
    for form in [ChecksumForm::MessageOnly, ChecksumForm::PseudoHeader] {
        let mut message = message;
        let field = compute(&message, form, source, group).to_be_bytes();
        message[OFFSET..OFFSET + 2].copy_from_slice(&field);
        assert!(is_right(&message, form, source, group));
        message[2] ^= 1;
        assert!(!is_right(&message, form, source, group));
    }
}
