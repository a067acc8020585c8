//! The summary lines of both runners.

use super::*;

#[test]
fn the_summaries_of_cargo_test_add_up() {
    let output = "running 2 tests\ntest result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n\
                  test result: FAILED. 3 passed; 4 failed; 0 ignored; 0 measured; 0 filtered out\n";
    assert_eq!(Counts::read(output), Counts { passed: 5, failed: 4, ignored: 1 });
}

#[test]
fn the_summary_of_nextest_is_read() {
    let output = "     Summary [   0.010s] 9 tests run: 7 passed (1 slow), 2 failed, 1 skipped\n";
    assert_eq!(Counts::read(output), Counts { passed: 7, failed: 2, ignored: 1 });
}

#[test]
fn lines_that_are_no_summary_do_not_count() {
    assert_eq!(Counts::read("12 passed; this is a log line\n"), Counts::default());
}
