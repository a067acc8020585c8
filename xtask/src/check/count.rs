//! How many tests ran, read from what the runners print.

use std::fmt::Display;

/// Test counts of a step, or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
}

impl Counts {
    /// Adds up every summary line of `cargo test` and `cargo nextest`.
    pub(crate) fn read(output: &str) -> Self {
        let mut counts = Self::default();
        for line in output.lines().filter(|line| is_summary(line)) {
            let numbers = line.split([';', ',', '.', ':', '(']).filter_map(number_and_word);
            for (number, word) in numbers {
                match word {
                    "passed" => counts.passed += number,
                    "failed" | "timed" => counts.failed += number,
                    "ignored" | "skipped" => counts.ignored += number,
                    _ => {}
                }
            }
        }
        counts
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

impl Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} tests passed, {} failed, {} ignored", self.passed, self.failed, self.ignored)
    }
}

fn is_summary(line: &str) -> bool {
    line.starts_with("test result:") || line.trim_start().starts_with("Summary [")
}

/// `12 passed` out of a piece such as ` 12 passed`.
fn number_and_word(piece: &str) -> Option<(u64, &str)> {
    let mut words = piece.split_whitespace();
    Some((words.next()?.parse().ok()?, words.next()?))
}

#[cfg(test)]
mod tests;
