use super::{wrap, wrap_padded};

#[test]
fn no_line_is_wider_than_asked_where_words_allow_it() {
    let text =
        "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use.";
    assert!(wrap(text, 40).iter().all(|line| line.len() <= 40));
    assert_eq!(wrap(text, 40).join(" "), text);
}

#[test]
fn breaks_even_the_lines_out_as_the_peers_do() {
    let text = "* Invalid path for a versioned K/V secrets engine. See the API docs for the \
                appropriate API endpoints to use. If using the OpenBao CLI, use 'bao kv get' for this operation.";
    let expected = "  * Invalid path for a versioned K/V secrets engine. See the API docs for the\n  \
                    appropriate API endpoints to use. If using the OpenBao CLI, use 'bao kv get'\n  \
                    for this operation.";
    assert_eq!(wrap_padded(text, 2), expected);
}

#[test]
fn a_word_longer_than_the_line_stands_alone() {
    assert_eq!(wrap("a bbbbbbbbbb c", 4), ["a", "bbbbbbbbbb", "c"]);
    assert!(wrap("", 10).is_empty());
}
