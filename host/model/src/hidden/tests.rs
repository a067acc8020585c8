use super::*;

#[test]
fn a_buffer_that_grows_keeps_what_it_had() {
    let mut buffer = HiddenBuffer::with_capacity(1);
    buffer.extend(0..=255_u8);
    buffer.extend((0..=255_u8).filter(|b| b % 2 == 0));
    buffer.push(b"end");
    let bytes = buffer.into_hidden();
    assert_eq!(bytes.expose().len(), 256 + 128 + 3);
    assert_eq!((bytes.expose()[255], bytes.expose()[256 + 127]), (255, 254));
    assert!(bytes.expose().ends_with(b"end"));
}
