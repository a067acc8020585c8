use super::*;

#[test]
fn an_id_has_one_spelling() {
    let text = "01234567-89ab-cdef-0123-456789abcdef";
    assert_eq!(parse_id(text).map(|id| id_text(&id)).as_deref(), Some(text));
    for other in ["", "zz", "0123456789abcdef0123456789abcdef", "01234567-89AB-cdef-0123-456789abcdef", &text[1..]] {
        assert_eq!(parse_id(other), None, "{other}");
    }
}
