//! The strict reader takes what is right and nothing else.

use bulkhead_tests::exposition::parse;

#[test]
fn what_is_right_is_read() {
    let text = "# HELP a_b How many.\n# TYPE a_b gauge\na_b 1\na_b{x=\"q\\\"\\\\\\n\",y=\"\"} -2.5e3\n\
                # TYPE t summary\nt{quantile=\"0.5\"} NaN\nt_sum 3\nt_count 1\n\
                # TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n";
    let told = parse(text).unwrap();
    assert_eq!(told.sum("a_b", &[("x", "q\"\\\n")]), Some(-2500.0));
    assert_eq!(told.samples.len(), 9);
}

#[test]
fn what_breaks_a_rule_is_not() {
    for (what, text) in [
        ("no end", "# TYPE a gauge\na 1"),
        ("no type", "a 1\n"),
        ("another family", "# TYPE a gauge\nb 1\n"),
        ("two types", "# TYPE a gauge\na 1\n# TYPE a gauge\na{x=\"1\"} 1\n"),
        ("no sample", "# TYPE a gauge\n"),
        ("twice", "# TYPE a gauge\na 1\na 2\n"),
        ("a bad name", "# TYPE a-b gauge\na-b 1\n"),
        ("a bad label", "# TYPE a gauge\na{x-y=\"1\"} 1\n"),
        ("an open value", "# TYPE a gauge\na{x=\"1} 1\n"),
        ("a bad escape", "# TYPE a gauge\na{x=\"\\t\"} 1\n"),
        ("a bad number", "# TYPE a gauge\na one\n"),
        ("inf as Rust writes it", "# TYPE a gauge\na inf\n"),
        ("a negative counter", "# TYPE a counter\na -1\n"),
        ("a bare summary", "# TYPE a summary\na 1\n"),
        ("falling buckets", "# TYPE h histogram\nh_bucket{le=\"1\"} 3\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n"),
        ("an open end", "# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_sum 3\nh_count 2\n"),
    ] {
        assert!(parse(text).is_err(), "{what} was taken");
    }
}
