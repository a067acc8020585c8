//! Line breaking for prose: help, warnings, the advice after `operator init`.

/// Widest line, in bytes, as the peers' terminals expect it.
pub(crate) const LINE_BYTES_MAX: usize = 78;

/// Cost of a line that is too long, next to which every other raggedness is small.
const OVERFLOW_COST: usize = 100_000;

/// The words of `text` in lines of at most `width` bytes, broken so that the sum of
/// the squared gaps at the line ends is smallest (a greedy break reads worse, and
/// would differ from the peers' output).
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let breaks = best_breaks(&words, width);
    let mut lines = Vec::new();
    let mut start = 0;
    while start < words.len() {
        lines.push(words[start..breaks[start]].join(" "));
        start = breaks[start];
    }
    lines
}

/// [`wrap`] to the standard width, every line indented by `pad` spaces.
pub(crate) fn wrap_padded(text: &str, pad: usize) -> String {
    let indent = " ".repeat(pad);
    let lines = wrap(text, LINE_BYTES_MAX - pad);
    lines.iter().map(|line| format!("{indent}{line}")).collect::<Vec<_>>().join("\n")
}

/// For every word, where the line that starts with it best ends.
fn best_breaks(words: &[&str], width: usize) -> Vec<usize> {
    let count = words.len();
    let mut cost = vec![usize::MAX; count + 1];
    let mut breaks = vec![count; count];
    cost[count] = 0;
    for start in (0..count).rev() {
        if line_bytes(&words[start..]) <= width {
            cost[start] = 0;
            continue;
        }
        let mut line = 0;
        for end in start + 1..=count {
            line += words[end - 1].len() + usize::from(end > start + 1);
            let gap = width.abs_diff(line);
            let over = if line > width { OVERFLOW_COST } else { 0 };
            let total = gap * gap + over + cost[end];
            if total < cost[start] {
                cost[start] = total;
                breaks[start] = end;
            }
            if line > width {
                break;
            }
        }
    }
    breaks
}

fn line_bytes(words: &[&str]) -> usize {
    words.iter().map(|word| word.len()).sum::<usize>() + words.len().saturating_sub(1)
}

#[cfg(test)]
mod tests;
