//! What stripping keeps and what it drops.

use super::*;

fn section(id: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![id, u8::try_from(body.len()).expect("a short section")];
    bytes.extend_from_slice(body);
    bytes
}

fn custom(name: &str) -> Vec<u8> {
    let mut body = vec![u8::try_from(name.len()).expect("a short name")];
    body.extend_from_slice(name.as_bytes());
    body.extend_from_slice(b"payload");
    section(0, &body)
}

#[test]
fn stripping_drops_names_and_keeps_code_and_the_world() {
    let header = b"\0asm\x01\0\0\0".to_vec();
    let kept = [header.clone(), section(1, b"\0"), custom("component-type:kv"), section(10, b"\0")].concat();
    let all = [
        header,
        section(1, b"\0"),
        custom("name"),
        custom("component-type:kv"),
        custom("producers"),
        section(10, b"\0"),
    ];
    assert_eq!(strip(&all.concat()), Some(kept));
}

#[test]
fn a_module_that_ends_within_a_section_is_refused() {
    let broken = [b"\0asm\x01\0\0\0".as_slice(), &[1, 9, 0]].concat();
    assert_eq!(strip(&broken), None);
}

#[test]
fn a_section_size_may_take_several_bytes() {
    assert_eq!(leb128(&[0xe5, 0x8e, 0x26]), Some((624_485, 3)));
    assert_eq!(leb128(&[0x80]), None);
}
