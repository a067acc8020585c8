use proptest::prelude::*;

use super::*;

/// A header of version 2.
fn version_2(version_and_command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).expect("is short").to_be_bytes();
    [BINARY, &[version_and_command, family], &length, body].concat()
}

const V4: [u8; 12] = [10, 1, 2, 3, 127, 0, 0, 1, 0x15, 0xb3, 0x20, 0x08];

fn v6() -> Vec<u8> {
    let [source, destination] = ["2001:db8::7", "::1"].map(|text| text.parse::<Ipv6Addr>().expect("one").octets());
    [&source[..], &destination, &[0x15, 0xb3, 0x20, 0x08]].concat()
}

fn at(text: &str) -> Client {
    Client::At(text.parse().expect("an address"))
}

/// Headers, and whom they name.
fn headers() -> Vec<(Vec<u8>, Client)> {
    let longest =
        "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
    assert_eq!(longest.len(), TEXT_BYTES_MAX);
    vec![
        (b"PROXY TCP4 10.1.2.3 127.0.0.1 5555 8200\r\n".to_vec(), at("10.1.2.3:5555")),
        (b"PROXY TCP6 2001:db8::7 ::1 5555 8200\r\n".to_vec(), at("[2001:db8::7]:5555")),
        (b"PROXY UNKNOWN\r\n".to_vec(), Client::Itself),
        (longest.into(), Client::Itself),
        (version_2(0x21, 0x11, &V4), at("10.1.2.3:5555")),
        (version_2(0x21, 0x11, &[&V4[..], b"\x04\0\x01x"].concat()), at("10.1.2.3:5555")),
        (version_2(0x21, 0x21, &v6()), at("[2001:db8::7]:5555")),
        (version_2(0x21, 0x31, &[b'/'; 216]), Client::Nowhere),
        (version_2(0x21, 0x00, b"whatever"), Client::Itself),
        (version_2(0x20, 0x11, &V4), Client::Itself),
        (version_2(0x20, 0x00, b""), Client::Itself),
    ]
}

#[test]
fn a_header_is_whole_at_its_last_byte_and_not_before_whatever_follows() {
    for (header, client) in headers() {
        for so_far in 0..header.len() {
            assert_eq!(read(&header[..so_far]), Ok(Beginning::Undecided), "{so_far} bytes of {header:?}");
        }
        let whole = Ok(Beginning::Header(header.len(), client));
        assert_eq!(read(&header), whole);
        assert_eq!(read(&[&header[..], b"GET / HTTP/1.1\r\n"].concat()), whole);
    }
}

#[test]
fn what_begins_otherwise_is_no_header() {
    for bytes in [&b"GET / HTTP/1.1\r\n"[..], b"POST", b"PUT", b"PROXX", b"PROXYTCP4 ", b"\x16\x03\x01", b"\r\n\r\nGET"]
    {
        assert_eq!(read(bytes), Ok(Beginning::Other), "{bytes:?}");
    }
}

#[test]
fn a_header_of_text_that_cannot_be_is_refused() {
    for line in [
        "TCP4 10.1.2.3 127.0.0.1 5555",
        "TCP4 10.1.2.3 127.0.0.1 5555 8200 9",
        "TCP4  10.1.2.3 127.0.0.1 5555 8200",
        "TCP4 10.1.2.3 127.0.0.1 5555 8200 ",
        "TCP4 ::1 ::1 5555 8200",
        "TCP6 10.1.2.3 127.0.0.1 5555 8200",
        "TCP4 10.1.2.03 127.0.0.1 5555 8200",
        "TCP4 10.1.2.3 nowhere 5555 8200",
        "TCP4 10.1.2.3 127.0.0.1 +555 8200",
        "TCP4 10.1.2.3 127.0.0.1 65536 8200",
        "TCP4 10.1.2.3 127.0.0.1 5555 ",
        "TCP4 10.1.2.3\n127.0.0.1 5555 8200 8200",
        "tcp4 10.1.2.3 127.0.0.1 5555 8200",
        "UDP4 10.1.2.3 127.0.0.1 5555 8200",
        "",
        "TCP4 \u{e9} 127.0.0.1 5555 8200",
    ] {
        assert!(read(format!("PROXY {line}\r\n").as_bytes()).is_err(), "{line:?}");
    }
    let endless = [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; TEXT_BYTES_MAX]].concat();
    assert_eq!(read(&endless), Err(Malformed("has no end")));
    assert_eq!(read(&[&endless[..], b"\r\n"].concat()), Err(Malformed("has no end")));
}

#[test]
fn a_binary_header_that_cannot_be_is_refused() {
    for (header, why) in [
        (version_2(0x11, 0x11, &V4), "is of an unknown version or command"),
        (version_2(0x22, 0x11, &V4), "is of an unknown version or command"),
        (version_2(0x21, 0x11, &V4[..11]), "is shorter than its addresses"),
        (version_2(0x21, 0x21, &v6()[..35]), "is shorter than its addresses"),
        (version_2(0x21, 0x31, &[0; 215]), "is shorter than its addresses"),
        (version_2(0x21, 0x12, &V4), "is of another transport than TCP"),
        (version_2(0x21, 0x41, &V4), "is of another transport than TCP"),
        (version_2(0x21, 0x11, &[0; BINARY_BYTES_MAX])[..FIXED_BYTES].to_vec(), "is too long"),
    ] {
        assert_eq!(read(&header), Err(Malformed(why)), "{header:?}");
    }
    let longest = version_2(0x20, 0, &[0; BINARY_BYTES_MAX - FIXED_BYTES]);
    assert_eq!(read(&longest), Ok(Beginning::Header(BINARY_BYTES_MAX, Client::Itself)));
}

proptest! {
    #[test]
    fn what_is_decided_stays_so_whatever_else_comes(start in 0..2_usize, bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let bytes = [[TEXT, BINARY][start], &bytes].concat();
        let whole = read(&bytes);
        for so_far in 0..bytes.len() {
            let part = read(&bytes[..so_far]);
            prop_assert!(part == Ok(Beginning::Undecided) || part == whole);
        }
    }
}
