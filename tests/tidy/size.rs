//! How long files and functions may be, and how many parameters a function may take.

use std::collections::BTreeMap;

use crate::function::{Function, functions};
use crate::text::sources;
use crate::{differences, holds};

/// Longest file, in lines. Why: over it, a file is about more than one noun.
const FILE_LINES_MAX: usize = 800;

/// Longest function, in lines. Why: over it, the order of the steps is hidden in them.
const FUNCTION_LINES_MAX: usize = 70;

/// Most parameters of a function. Why: over it, some of them are one thing.
const PARAMETERS_MAX: usize = 5;

/// Files over the law, with their present size. This list only shrinks: an entry must
/// say the size the file has now.
const LONG_FILES: &[(&str, usize)] = &[];

/// Functions over the law, with their present size. Shrinks likewise.
const LONG_FUNCTIONS: &[(&str, &str, usize)] = &[];

/// Functions with more parameters than the law allows. Shrinks likewise.
const WIDE_FUNCTIONS: &[(&str, &str, usize)] = &[];

#[test]
fn files_are_short_or_on_the_list_that_shrinks() {
    let long: BTreeMap<String, usize> = sources()
        .into_iter()
        .map(|source| (source.path, source.text.lines().count()))
        .filter(|(_, lines)| *lines > FILE_LINES_MAX)
        .collect();
    let listed = LONG_FILES.iter().map(|(path, lines)| ((*path).to_owned(), *lines)).collect();
    holds(&differences(&long, &listed, "LONG_FILES", "lines"));
}

#[test]
fn functions_are_short_or_on_the_list_that_shrinks() {
    let long = functions_where(|function| (function.lines > FUNCTION_LINES_MAX).then_some(function.lines));
    holds(&differences(&long, &listed(LONG_FUNCTIONS), "LONG_FUNCTIONS", "lines"));
}

#[test]
fn functions_take_few_parameters_or_are_on_the_list_that_shrinks() {
    let wide = functions_where(|function| (function.parameters > PARAMETERS_MAX).then_some(function.parameters));
    holds(&differences(&wide, &listed(WIDE_FUNCTIONS), "WIDE_FUNCTIONS", "parameters"));
}

fn listed(list: &[(&str, &str, usize)]) -> BTreeMap<String, usize> {
    list.iter().map(|(path, name, size)| (format!("{path}: fn {name}"), *size)).collect()
}

fn functions_where(measure: impl Fn(&Function) -> Option<usize>) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for source in sources() {
        for function in functions(&source.code) {
            if let Some(size) = measure(&function) {
                found.insert(format!("{}: fn {}", source.path, function.name), size);
            }
        }
    }
    found
}
