//! Functions in a text, with their sizes.

use crate::blank::code_only;

/// A function's name and size.
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) lines: usize,
    pub(crate) parameters: usize,
}

/// Every function with a body.
pub(crate) fn functions(code: &str) -> Vec<Function> {
    let mut found = Vec::new();
    let mut rest = 0;
    while let Some(at) = code[rest..].find("fn ").map(|at| at + rest) {
        rest = at + 3;
        let starts_word = !code[..at].ends_with(|last: char| last.is_alphanumeric() || last == '_');
        let name: String = code[rest..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if !starts_word || name.is_empty() {
            continue;
        }
        let Some(open) = body_start(code, rest) else { continue };
        let close = closing(code, open);
        let lines = code[at..close].matches('\n').count() + 1;
        found.push(Function { name, lines, parameters: parameters(&code[rest..open]) });
    }
    found
}

/// Where a function's body opens, unless it is a declaration.
fn body_start(code: &str, from: usize) -> Option<usize> {
    let mut depth = 0i32;
    for (place, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b';' if depth == 0 => return None,
            b'{' if depth == 0 => return Some(place),
            _ => {}
        }
    }
    None
}

fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0i32;
    for (place, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return place;
        }
    }
    code.len()
}

/// How many parameters a signature has, `self` not counted.
pub(crate) fn parameters(signature: &str) -> usize {
    let mut depth = 0i32;
    let mut list = String::new();
    let mut before = ' ';
    // Angle brackets before the list are generics; `->` closes nothing.
    for c in signature.chars() {
        match c {
            '(' | '[' | '<' => depth += 1,
            ')' | ']' => depth -= 1,
            '>' if before != '-' => depth -= 1,
            _ => {}
        }
        if list.is_empty() && c == '(' && depth == 1 {
            list.push(' ');
        } else if !list.is_empty() {
            if depth == 0 {
                break;
            }
            // Commas within types do not separate parameters.
            list.push(if depth > 1 && c == ',' { ' ' } else { c });
        }
        before = c;
    }
    let is_self = |part: &str| matches!(part.trim_start_matches(['&', ' ']).trim_start_matches("mut "), "self");
    list.split(',').map(str::trim).filter(|part| !part.is_empty() && !is_self(part)).count()
}

#[test]
fn blanking_out_spares_code_and_line_breaks() {
    let text = "let a = \"fn b() {\"; // fn c() {\nlet d = r#\"\"}\"#; let e = '{'; fn f<'a>(g: &'a str) {}\n";
    let code = code_only(text);
    assert_eq!(code.len(), text.len());
    assert_eq!(code.matches('\n').count(), 2);
    let found = functions(&code);
    assert_eq!(found.iter().map(|function| function.name.as_str()).collect::<Vec<_>>(), ["f"]);
    assert_eq!(found[0].parameters, 1);
}

#[test]
fn parameters_are_counted_without_self_and_without_commas_of_types() {
    assert_eq!(
        parameters("f<A: Fn(u8, u8) -> u8, B>(&mut self, a: A, b: HashMap<u8, (u8, u8)>) -> Result<u8, u8> "),
        2
    );
    assert_eq!(parameters("f() "), 0);
}
