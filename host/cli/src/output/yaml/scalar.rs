//! One YAML scalar: which quotes it needs and how it is escaped and folded. The rules
//! are libyaml's emitter's and YAML 1.1's implicit types, which the peers follow.

use std::fmt::Write;

/// Column behind which a line is folded at the next single space.
const FOLD_COLUMN: usize = 80;

/// First power of ten that is written with an exponent: Go's precision for `%g` when
/// it picks the digits itself.
const EXPONENT_MIN: i32 = 6;

/// How a string is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Single,
    Double,
    /// A block with `|`, for text of several lines.
    Literal,
}

/// Where a scalar begins, and where its next lines would.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) indent: usize,
    pub(super) column: usize,
}

impl Style {
    /// The simplest style that reads back as the same string.
    pub(super) fn of(text: &str) -> Self {
        if text.contains('\n') {
            let literal = text.chars().all(is_printable) && !text.ends_with(' ') && !text.contains(" \n");
            return if literal { Self::Literal } else { Self::Double };
        }
        if reads_as_other_type(text) || !text.chars().all(is_printable) {
            return Self::Double;
        }
        if text.starts_with(' ') || text.ends_with(' ') || has_indicator(text) { Self::Single } else { Self::Plain }
    }
}

/// A key, on one line whatever it holds.
pub(super) fn key(text: &str) -> String {
    let style = match Style::of(text) {
        Style::Literal => Style::Double,
        style => style,
    };
    // An empty key is the one scalar that is written plain and empty.
    if text.is_empty() { "\"\"".to_owned() } else { quote(text, style, None) }
}

/// A value in plain, single or double style, folded where it is long.
pub(super) fn flow(text: &str, style: Style, place: Place) -> String {
    quote(text, style, Some(place))
}

/// A block of lines, each indented, with the header that keeps its last newlines.
pub(super) fn literal(text: &str, indent: usize) -> String {
    let hint = if text.starts_with([' ', '\n']) { "2" } else { "" };
    let chomp = match text.strip_suffix('\n') {
        None => "-",
        Some(front) if front.is_empty() || front.ends_with('\n') => "+",
        Some(_) => "",
    };
    let mut block = format!("|{hint}{chomp}\n");
    let margin = " ".repeat(indent);
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        if !line.is_empty() {
            block.push_str(&margin);
            block.push_str(line);
        }
        block.push('\n');
    }
    block
}

/// A JSON number as the emitter writes it: whole if it fits 64 bits, else a float.
pub(super) fn number(literal: &str) -> String {
    if literal.parse::<i64>().is_ok() || literal.parse::<u64>().is_ok() {
        return literal.to_owned();
    }
    match literal.parse::<f64>() {
        Ok(float) => shortest_float(float),
        Err(_) => literal.to_owned(),
    }
}

/// Go's `%g` with the fewest digits: an exponent below 1e-4, and from 1e6 on.
fn shortest_float(float: f64) -> String {
    let scientific = format!("{float:e}");
    let (mantissa, exponent) = scientific.split_once('e').expect("the format has an exponent");
    let exponent: i32 = exponent.parse().expect("the format's exponent is a number");
    if (-4..EXPONENT_MIN).contains(&exponent) {
        return format!("{float}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

fn quote(text: &str, style: Style, place: Option<Place>) -> String {
    match style {
        Style::Plain => fold(text, place, "", |out, c| out.push(c)),
        Style::Single => {
            let body = fold(text, place.map(|p| Place { column: p.column + 1, ..p }), "", |out, c| {
                if c == '\'' {
                    out.push('\'');
                }
                out.push(c);
            });
            format!("'{body}'")
        }
        Style::Double | Style::Literal => {
            let body = fold(text, place.map(|p| Place { column: p.column + 1, ..p }), "\\", escape);
            format!("\"{body}\"")
        }
    }
}

/// Writes every character, and breaks the line at single spaces once it is long.
/// `before_space` protects a space that would start a line (double quotes only).
fn fold(text: &str, place: Option<Place>, before_space: &str, put: impl Fn(&mut String, char)) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::new();
    let mut column = place.map_or(0, |place| place.column);
    let mut after_space = false;
    for (position, c) in chars.iter().enumerate() {
        let inner = position > 0 && position + 1 < chars.len();
        let next_is_space = chars.get(position + 1) == Some(&' ');
        let at_break = *c == ' ' && inner && !after_space && (!next_is_space || !before_space.is_empty());
        match place {
            Some(place) if at_break && column > FOLD_COLUMN => {
                out.push('\n');
                out.push_str(&" ".repeat(place.indent));
                column = place.indent;
                if next_is_space {
                    out.push_str(before_space);
                }
            }
            _ => {
                let written = out.len();
                put(&mut out, *c);
                column += out[written..].chars().count();
            }
        }
        after_space = *c == ' ';
    }
    out
}

/// One character between double quotes.
fn escape(out: &mut String, c: char) {
    let short = match c {
        '\0' => "\\0",
        '\u{7}' => "\\a",
        '\u{8}' => "\\b",
        '\t' => "\\t",
        '\n' => "\\n",
        '\u{b}' => "\\v",
        '\u{c}' => "\\f",
        '\r' => "\\r",
        '\u{1b}' => "\\e",
        '"' => "\\\"",
        '\\' => "\\\\",
        '\u{85}' => "\\N",
        '\u{2028}' => "\\L",
        '\u{2029}' => "\\P",
        c if is_printable(c) => return out.push(c),
        c => {
            let code = c as u32;
            let escaped = match code {
                0..=0xff => write!(out, "\\x{code:02X}"),
                0x100..=0xffff => write!(out, "\\u{code:04X}"),
                _ => write!(out, "\\U{code:08X}"),
            };
            return escaped.expect("a String takes everything");
        }
    };
    out.push_str(short);
}

/// What libyaml writes without escaping; tabs and everything beyond the basic plane
/// are not among it.
fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}')
        && !matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}')
}

/// Whether YAML syntax would see something in the text that is not the text.
fn has_indicator(text: &str) -> bool {
    if text.starts_with("---") || text.starts_with("...") {
        return true;
    }
    let chars: Vec<char> = text.chars().collect();
    chars.iter().enumerate().any(|(position, c)| {
        let before_gap = chars.get(position + 1).is_none_or(|next| matches!(next, ' ' | '\t'));
        match c {
            '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`'
                if position == 0 =>
            {
                true
            }
            '?' | '-' if position == 0 => before_gap,
            ':' => before_gap,
            '#' => chars[position - 1] == ' ',
            _ => false,
        }
    })
}

/// Whether YAML 1.1 would read the bare text as null, bool, number or timestamp.
fn reads_as_other_type(text: &str) -> bool {
    const WORDS: [&str; 9] = ["y", "yes", "true", "on", "n", "no", "false", "off", "null"];
    let lower = text.to_ascii_lowercase();
    let title = text.chars().skip(1).all(|c| c.is_ascii_lowercase());
    let upper = !text.chars().any(|c| c.is_ascii_lowercase());
    if text.is_empty() || text == "~" || (WORDS.contains(&lower.as_str()) && (title || upper)) {
        return true;
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && (is_int(&unsigned.replace('_', ""))
            || is_float(&unsigned.replace('_', ""))
            || is_sexagesimal(unsigned)
            || is_timestamp(text))
}

fn is_int(digits: &str) -> bool {
    let lower = digits.to_ascii_lowercase();
    let (radix, body) = [("0x", 16), ("0o", 8), ("0b", 2)]
        .iter()
        .find_map(|(prefix, radix)| lower.strip_prefix(prefix).map(|body| (*radix, body)))
        .unwrap_or((10, lower.as_str()));
    u64::from_str_radix(body, radix).is_ok() && !body.starts_with('+')
}

/// `1`, `1.`, `1.5`, `.5`, each with an exponent or without.
fn is_float(text: &str) -> bool {
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (text, None),
    };
    let all_digits = |part: &str| part.chars().all(|c| c.is_ascii_digit());
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let number_fits = all_digits(whole) && all_digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    number_fits && exponent.is_none_or(|digits| !digits.is_empty() && all_digits(digits))
}

/// `12:30:45`: a number to the base of 60, in YAML 1.1.
fn is_sexagesimal(text: &str) -> bool {
    let text = text.split_once('.').map_or(text, |(front, _)| front);
    let mut parts = text.split(':');
    let first_fits =
        parts.next().is_some_and(|part| part.chars().all(|c| c.is_ascii_digit() || c == '_') && !part.is_empty());
    let rest: Vec<&str> = parts.collect();
    let fits = |part: &&str| part.len() <= 2 && part.parse::<u8>().is_ok_and(|value| value < 60);
    first_fits && !rest.is_empty() && rest.iter().all(fits)
}

/// `2001-1-1`, alone or with a time of day behind a space or `T`.
fn is_timestamp(text: &str) -> bool {
    let (date, time) = match text.split_once([' ', 'T', 't']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let parts: Vec<&str> = date.split('-').collect();
    let number_in = |part: &str, range: std::ops::RangeInclusive<u8>| {
        part.len() <= 2 && part.parse().is_ok_and(|n: u8| range.contains(&n))
    };
    let date_fits = match parts.as_slice() {
        [year, month, day] => {
            year.len() == 4 && year.parse::<u16>().is_ok() && number_in(month, 1..=12) && number_in(day, 1..=31)
        }
        _ => false,
    };
    date_fits && time.is_none_or(|time| time.split(':').count() >= 3 && time.starts_with(|c: char| c.is_ascii_digit()))
}
