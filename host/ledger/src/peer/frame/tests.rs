use super::*;

async fn written(frames: &[(u64, usize)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (call, length) in frames {
        let frame = Frame { call: *call, message: vec![7; *length].into() };
        write(&mut bytes, &frame).await.unwrap();
    }
    bytes
}

#[tokio::test]
async fn frames_come_out_as_they_went_in() {
    let bytes = written(&[(1, 0), (2, 5), (u64::MAX, 700_000)]).await;
    let mut stream = &bytes[..];
    for (call, length) in [(1, 0), (2, 5), (u64::MAX, 700_000)] {
        let frame = read(&mut stream).await.unwrap().unwrap();
        assert_eq!((frame.call, frame.message.len()), (call, length));
    }
    assert!(read(&mut stream).await.unwrap().is_none());
}

#[tokio::test]
async fn a_frame_that_is_cut_off_is_an_error() {
    let bytes = written(&[(1, 20)]).await;
    for end in 1..bytes.len() {
        assert!(read(&mut &bytes[..end]).await.is_err(), "cut at {end}");
    }
}

#[tokio::test]
async fn a_length_over_the_limit_is_refused_before_it_is_allocated() {
    for length in [0, 7, (MESSAGE_BYTES_MAX + NUMBER_BYTES + 1) as u32, u32::MAX] {
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.extend_from_slice(&[0; 64]);
        assert!(read(&mut &bytes[..]).await.is_err(), "{length}");
    }
    let message = vec![0; MESSAGE_BYTES_MAX + 1].into();
    assert!(write(&mut Vec::new(), &Frame { call: 1, message }).await.is_err());
}

#[tokio::test]
async fn another_protocol_is_not_greeted() {
    assert!(greeted(&mut &b"GET / HTTP/1.1\r\nhost: here\r\n\r\n"[..]).await.is_err());
    assert!(greeted(&mut &b"BkPeer2\n0123456701234567"[..]).await.is_err());
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&5_u64.to_be_bytes());
    bytes.extend_from_slice(&6_u64.to_be_bytes());
    assert_eq!(greeted(&mut &bytes[..]).await.unwrap(), Greeting { from: 5, to: 6 });
}
