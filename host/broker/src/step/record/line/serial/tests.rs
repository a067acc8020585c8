use super::*;

/// A certificate as far as its serial number, with a version before it or none.
fn begun(version: bool, serial: &[u8]) -> Vec<u8> {
    let element =
        |tag: u8, content: &[u8]| [&[tag, 0x82, 0, u8::try_from(content.len()).expect("short")][..], content].concat();
    let version = if version { element(0xa0, &[2, 1, 2]) } else { Vec::new() };
    element(0x30, &element(0x30, &[version, element(2, serial), vec![0x30, 0]].concat()))
}

#[test]
fn a_serial_number_is_told_in_decimal() {
    for (serial, told) in [
        (&[0][..], "0"),
        (&[1], "1"),
        (&[0, 0xff], "255"),
        (&[1, 0, 0, 0, 0, 0, 0, 0, 0], "18446744073709551616"),
        (&[0x7f; 20], "727885129180488904360266563744972327436484050815"),
    ] {
        assert_eq!(number(&begun(true, serial)).as_deref(), Some(told));
        assert_eq!(number(&begun(false, serial)).as_deref(), Some(told));
    }
}

#[test]
fn what_is_no_certificate_has_no_number() {
    let whole = begun(true, &[1]);
    for end in 0..whole.len() - 4 {
        assert_eq!(number(&whole[..end]), None, "cut at {end}");
    }
    assert_eq!(number(&begun(true, &[0x80])), None);
    assert_eq!(number(&begun(true, &[1; 21])), None);
    assert_eq!(number(&[0x30, 0x85, 1, 1, 1, 1, 1]), None);
}
