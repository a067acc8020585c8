//! The functions of templates.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{TEXT_BYTES_MAX, Value, layout, too_long};
use crate::Cx;

/// Most random signs at a time.
const RANDOM_MAX: i64 = 512;

/// Widest that `printf` makes a value.
const WIDTH_MAX: usize = 512;

/// How much of a hash `truncate_sha256` puts in place of what it cuts off, in signs.
const HASH_SIGNS: usize = 8;

/// All of them.
const NAMES: [&str; 14] = [
    "base64",
    "hex",
    "lowercase",
    "printf",
    "random",
    "replace",
    "sha256",
    "timestamp",
    "truncate",
    "truncate_sha256",
    "unix_time",
    "unix_time_millis",
    "uppercase",
    "uuid",
];

pub(super) fn is_known(name: &str) -> bool {
    NAMES.contains(&name)
}

/// Calls a function.
pub(super) fn call(cx: &Cx, name: &str, arguments: Vec<Value>) -> Result<Value, String> {
    let mut arguments = Arguments { function: name, wanted: 0, given: arguments.len(), rest: arguments.into_iter() };
    let text = match name {
        "printf" => return printf(&mut arguments).map(Value::Text),
        "random" => random(cx, arguments.number()?)?,
        "truncate" => truncate(arguments.number()?, &arguments.text()?)?,
        "truncate_sha256" => truncate_sha256(cx, arguments.number()?, &arguments.text()?)?,
        "uppercase" => arguments.text()?.to_uppercase(),
        "lowercase" => arguments.text()?.to_lowercase(),
        "replace" => replace(&arguments.text()?, &arguments.text()?, &arguments.text()?)?,
        "sha256" => sha256(cx, &arguments.text()?)?,
        "base64" => STANDARD.encode(arguments.text()?),
        "hex" => hex(arguments.text()?.as_bytes()),
        "unix_time" => (cx.now_ms() / 1000).to_string(),
        "unix_time_millis" => cx.now_ms().to_string(),
        "timestamp" => layout::format(cx.now_ms(), &arguments.text()?),
        "uuid" => cx.uuid(),
        _ => return Err(format!("function {name:?} not defined")),
    };
    arguments.end()?;
    if text.len() > TEXT_BYTES_MAX { Err(too_long()) } else { Ok(Value::Text(text)) }
}

struct Arguments<'a> {
    function: &'a str,
    wanted: usize,
    given: usize,
    rest: std::vec::IntoIter<Value>,
}

impl Arguments<'_> {
    fn next(&mut self) -> Result<Value, String> {
        self.wanted += 1;
        let few =
            || format!("wrong number of args for {}: want {} or more, got {}", self.function, self.wanted, self.given);
        self.rest.next().ok_or_else(few)
    }

    fn text(&mut self) -> Result<String, String> {
        match self.next()? {
            Value::Text(text) => Ok(text),
            Value::Number(_) => Err(format!("{}: expected string, not a number", self.function)),
        }
    }

    fn number(&mut self) -> Result<i64, String> {
        match self.next()? {
            Value::Number(number) => Ok(number),
            Value::Text(_) => Err(format!("{}: expected integer", self.function)),
        }
    }

    fn end(&self) -> Result<(), String> {
        if self.rest.len() == 0 {
            return Ok(());
        }
        Err(format!("wrong number of args for {}: want {}, got {}", self.function, self.wanted, self.given))
    }
}

/// Letters and digits, each as likely as any other.
fn random(cx: &Cx, signs: i64) -> Result<String, String> {
    const SIGNS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    if !(0..=RANDOM_MAX).contains(&signs) {
        return Err(format!("random: length must be from 0 to {RANDOM_MAX} but was {signs}"));
    }
    let wanted = usize::try_from(signs).unwrap_or(0);
    let mut text = String::with_capacity(wanted);
    while text.len() < wanted {
        let missing = u32::try_from(wanted - text.len()).unwrap_or(0);
        // Numbers above the last whole round would make the first signs likelier.
        let whole = cx.random(missing * 2).into_iter().filter(|byte| *byte < 248);
        text.extend(whole.take(missing as usize).map(|byte| char::from(SIGNS[usize::from(byte) % SIGNS.len()])));
    }
    Ok(text)
}

/// At most so many bytes, and no sign in part.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

fn truncate(bytes: i64, text: &str) -> Result<String, String> {
    let room = usize::try_from(bytes).ok().filter(|bytes| *bytes > 0);
    let room = room.ok_or_else(|| format!("max length must be > 0 but was {bytes}"))?;
    Ok(cut(text, room).to_owned())
}

fn truncate_sha256(cx: &Cx, bytes: i64, text: &str) -> Result<String, String> {
    let room = usize::try_from(bytes).ok().filter(|bytes| *bytes > HASH_SIGNS);
    let room = room.ok_or_else(|| format!("max length must be > {HASH_SIGNS} but was {bytes}"))?;
    if text.len() <= room {
        return Ok(text.to_owned());
    }
    let kept = cut(text, room - HASH_SIGNS);
    Ok(format!("{kept}{}", &sha256(cx, &text[kept.len()..])?[..HASH_SIGNS]))
}

fn replace(from: &str, to: &str, text: &str) -> Result<String, String> {
    let found = text.matches(from).count();
    if text.len().saturating_add(found.saturating_mul(to.len())) > TEXT_BYTES_MAX {
        return Err(too_long());
    }
    Ok(text.replace(from, to))
}

fn sha256(cx: &Cx, text: &str) -> Result<String, String> {
    Ok(hex(&cx.hash("sha2-256", text.as_bytes()).map_err(|error| error.to_string())?))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A verb of a format: `%-10.3s`.
#[derive(Default)]
struct Verb {
    left: bool,
    zeros: bool,
    width: usize,
    precision: Option<usize>,
}

fn printf(arguments: &mut Arguments<'_>) -> Result<String, String> {
    let format = arguments.text()?;
    let mut out = String::new();
    let mut signs = format.chars().peekable();
    while let Some(c) = signs.next() {
        if c != '%' {
            out.push(c);
        } else if signs.next_if_eq(&'%').is_some() {
            out.push('%');
        } else {
            let mut verb = Verb::default();
            while let Some(flag) = signs.next_if(|c| matches!(c, '-' | '0')) {
                verb.left |= flag == '-';
                verb.zeros |= flag == '0';
            }
            verb.width = digits(&mut signs)?;
            if signs.next_if_eq(&'.').is_some() {
                verb.precision = Some(digits(&mut signs)?);
            }
            let letter = signs.next().ok_or("printf: the format ends in the middle of a verb")?;
            out.push_str(&verb.print(letter, arguments)?);
        }
        if out.len() > TEXT_BYTES_MAX {
            return Err(too_long());
        }
    }
    arguments.end().map(|()| out)
}

fn digits(signs: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<usize, String> {
    let mut number = 0;
    while let Some(digit) = signs.next_if(char::is_ascii_digit) {
        number = number * 10 + digit.to_digit(10).unwrap_or(0) as usize;
        if number > WIDTH_MAX {
            return Err(format!("printf: a width is over {WIDTH_MAX}"));
        }
    }
    Ok(number)
}

impl Verb {
    fn print(&self, letter: char, arguments: &mut Arguments<'_>) -> Result<String, String> {
        let value = match letter {
            's' => arguments.text()?,
            'd' => arguments.number()?.to_string(),
            'v' => arguments.next()?.text(),
            other => return Err(format!("printf: %{other} is not supported in templates of user names")),
        };
        let shown: String = match self.precision {
            Some(precision) if letter != 'd' => value.chars().take(precision).collect(),
            _ => value,
        };
        let missing = self.width.saturating_sub(shown.chars().count());
        let fill = if self.zeros && !self.left { "0" } else { " " };
        Ok(if self.left { shown + &fill.repeat(missing) } else { fill.repeat(missing) + &shown })
    }
}
