use super::*;

fn sample() -> Vec<u8> {
    let mut writer = Writer::new();
    writer.number(1, 5);
    writer.bytes(2, b"text");
    writer.number(3, 0);
    writer.number(400, u64::MAX);
    writer.end()
}

#[test]
fn a_record_reads_back_in_order_and_zeroes_are_left_out() {
    let bytes = sample();
    let mut reader = Reader::new(&bytes).unwrap();
    assert_eq!(reader.field().unwrap(), Some((1, Value::Number(5))));
    assert_eq!(reader.field().unwrap(), Some((2, Value::Bytes(b"text"))));
    assert_eq!(reader.field().unwrap(), Some((400, Value::Number(u64::MAX))));
    assert_eq!(reader.field().unwrap(), None);
}

#[test]
fn a_record_cut_anywhere_is_damaged_or_shorter_but_never_wrong() {
    let bytes = sample();
    for cut in 1..bytes.len() {
        let mut reader = Reader::new(&bytes[..cut]).unwrap();
        let mut fields = Vec::new();
        while let Ok(Some(field)) = reader.field() {
            fields.push(field);
        }
        let whole = [(1, Value::Number(5)), (2, Value::Bytes(b"text"))];
        assert!(whole.starts_with(&fields), "cut at {cut}: {fields:?}");
    }
}

#[test]
fn json_is_not_taken_for_a_record() {
    assert!(Reader::new(b"{}").is_err());
    assert!(Reader::new(b"").is_err());
}
