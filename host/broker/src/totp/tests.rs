use bulkhead_model::hidden::Hidden;

use super::{Algorithm, Digits, Scheme, base32, qr};

fn scheme(algorithm: Algorithm, digits: Digits, skew: u8) -> Scheme {
    Scheme { algorithm, digits, period_secs: 30, skew }
}

/// The secrets of RFC 6238, appendix B: the same digits, as long as the hash is.
fn secret(algorithm: Algorithm) -> Vec<u8> {
    let bytes = match algorithm {
        Algorithm::Sha1 => 20,
        Algorithm::Sha256 => 32,
        Algorithm::Sha512 => 64,
    };
    b"1234567890".iter().copied().cycle().take(bytes).collect()
}

/// RFC 6238, appendix B: seconds, then the codes by SHA-1, SHA-256 and SHA-512.
const VECTORS: [(u64, [&str; 3]); 6] = [
    (59, ["94287082", "46119246", "90693936"]),
    (1_111_111_109, ["07081804", "68084774", "25091201"]),
    (1_111_111_111, ["14050471", "67062674", "99943326"]),
    (1_234_567_890, ["89005924", "91819424", "93441116"]),
    (2_000_000_000, ["69279037", "90698825", "38618901"]),
    (20_000_000_000, ["65353130", "77737706", "47863826"]),
];

const ALGORITHMS: [Algorithm; 3] = [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512];

#[test]
fn codes_are_those_of_the_rfc() {
    for (secs, codes) in VECTORS {
        for (algorithm, code) in ALGORITHMS.into_iter().zip(codes) {
            let (long, short) = (scheme(algorithm, Digits::Eight, 0), scheme(algorithm, Digits::Six, 0));
            let step = long.step_at(secs * 1000);
            assert_eq!(long.code(&secret(algorithm), step).expose(), code, "{algorithm:?} at {secs}");
            // The last six of the eight, as both are remainders of the same number.
            assert_eq!(short.code(&secret(algorithm), step).expose(), &code[2..], "{algorithm:?} at {secs}");
        }
    }
}

#[test]
fn a_code_holds_in_its_period_and_with_a_skew_in_those_beside_it() {
    for algorithm in ALGORITHMS {
        for digits in [Digits::Six, Digits::Eight] {
            let (strict, lax) = (scheme(algorithm, digits, 0), scheme(algorithm, digits, 1));
            let secret = secret(algorithm);
            let code = strict.code(&secret, 100);
            let table =
                [(98, false, false), (99, false, true), (100, true, true), (101, false, true), (102, false, false)];
            for (step, holds, holds_with_skew) in table {
                let now_ms = step * 30_000 + 29_999;
                let found = |scheme: Scheme| scheme.steps_of(&secret, code.expose(), now_ms);
                assert_eq!(found(strict), if holds { vec![100] } else { vec![] }, "{algorithm:?} in {step}");
                assert_eq!(found(lax), if holds_with_skew { vec![100] } else { vec![] }, "{algorithm:?} in {step}");
            }
        }
    }
}

// a passcode with a space is none, so it cannot come again as another text.
#[test]
fn what_is_no_code_is_none() {
    let scheme = scheme(Algorithm::Sha1, Digits::Six, 1);
    let secret = secret(Algorithm::Sha1);
    let code = scheme.code(&secret, 1);
    for other in ["", "1", &code.expose()[1..], &format!("{} ", code.expose()), &format!("0{}", code.expose())] {
        assert!(scheme.steps_of(&secret, other, 30_000).is_empty(), "{other:?}");
    }
    assert_eq!(scheme.steps_of(&secret, code.expose(), 30_000), [1]);
    // Nor does a clock at either end make it fail.
    assert_eq!(scheme.steps_of(&secret, scheme.code(&secret, 0).expose(), 0), [0]);
    assert!(scheme.steps_of(&secret, "000000", u64::MAX).len() < 4);
}

#[test]
fn a_secret_is_told_in_base32_as_the_rfc_has_it() {
    let table = [
        ("", ""),
        ("f", "MY"),
        ("fo", "MZXQ"),
        ("foo", "MZXW6"),
        ("foob", "MZXW6YQ"),
        ("fooba", "MZXW6YTB"),
        ("foobar", "MZXW6YTBOI"),
    ];
    for (bytes, text) in table {
        assert_eq!(base32(bytes.as_bytes()).expose(), text);
    }
}

#[test]
fn a_url_holds_all_that_an_app_has_to_know_and_nobody_can_add_to_it() {
    let scheme = Scheme { period_secs: 60, ..scheme(Algorithm::Sha256, Digits::Eight, 1) };
    let url = scheme.url(b"foobar", "My Org: x&secret=AAAA?", "id");
    let issuer = "My%20Org:%20x%26secret%3DAAAA%3F";
    let expected =
        format!("otpauth://totp/{issuer}:id?algorithm=SHA256&digits=8&issuer={issuer}&period=60&secret=MZXW6YTBOI");
    assert_eq!(url.expose(), &expected);
}

/// The parts of a PNG: names and contents, with their sums checked.
fn parts(png: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut rest = png.strip_prefix(b"\x89PNG\r\n\x1a\n").expect("the signature");
    let mut found = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[..4].try_into().expect("four bytes")) as usize;
        let named = &rest[4..8 + length];
        let sum = u32::from_be_bytes(rest[8 + length..12 + length].try_into().expect("four bytes"));
        assert_eq!(qr::crc32(named), sum);
        found.push((String::from_utf8_lossy(&named[..4]).into_owned(), named[4..].to_vec()));
        rest = &rest[12 + length..];
    }
    found
}

/// Rows of a picture of one bit a dot, out of deflate's blocks that are stored as they are.
fn rows(zlib: &[u8], pixels: usize) -> Vec<Vec<bool>> {
    let (mut rest, mut bytes) = (&zlib[2..zlib.len() - 4], Vec::new());
    loop {
        let (is_last, length) = (rest[0] == 1, usize::from(u16::from_le_bytes([rest[1], rest[2]])));
        assert_eq!(!u16::from_le_bytes([rest[1], rest[2]]), u16::from_le_bytes([rest[3], rest[4]]));
        bytes.extend_from_slice(&rest[5..5 + length]);
        rest = &rest[5 + length..];
        if is_last {
            break;
        }
    }
    assert!(rest.is_empty());
    let row_bytes = 1 + pixels.div_ceil(8);
    assert_eq!(bytes.len(), row_bytes * pixels);
    let bits = |row: &[u8]| (0..pixels).map(|at| row[1 + at / 8] & (0x80 >> (at % 8)) != 0).collect();
    bytes.chunks(row_bytes).map(bits).collect()
}

#[test]
fn the_picture_of_a_url_is_a_png_with_its_squares() {
    let url = Hidden::new(format!("otpauth://totp/{}", "a".repeat(100)));
    for pixels in [200, 57, 1024] {
        let png = qr::png(&url, pixels).expect("it fits");
        let parts = parts(png.expose());
        assert_eq!(parts.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["IHDR", "IDAT", "IEND"]);
        assert_eq!(parts[0].1[..10], [&pixels.to_be_bytes()[..], &pixels.to_be_bytes(), &[1, 0]].concat());
        let rows = rows(&parts[1].1, pixels as usize);
        let dark = rows.iter().flatten().filter(|light| !**light).count();
        assert!(dark > rows.len() * rows.len() / 8, "{dark} of {pixels} by {pixels}");
        // The first square in the corner: seven modules dark, seven of its left side.
        let top = rows.iter().position(|row| row.contains(&false)).expect("a dark row");
        let left = rows[top].iter().position(|light| !light).expect("a dark dot");
        let wide = rows[top][left..].iter().take_while(|light| !**light).count();
        let high = rows[top..].iter().take_while(|row| !row[left]).count();
        assert_eq!((wide, wide % 7), (high, 0));
    }
}

#[test]
fn a_picture_that_is_too_small_for_its_squares_is_none() {
    assert!(qr::png(&Hidden::new("otpauth://totp/a".repeat(8)), 20).is_none());
    assert!(qr::png(&Hidden::new("otpauth://totp/a".repeat(500)), 1000).is_none());
}
