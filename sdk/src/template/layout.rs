//! Times in the layouts of Go, which show how one certain moment is to be written. Always in UTC.

use crate::time::rfc3339;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const DAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];

/// What stands in a layout, longer ones before those that they begin with.
const CHUNKS: [&str; 35] = [
    "January",
    "Jan",
    "Monday",
    "Mon",
    "MST",
    "2006",
    "-07:00:00",
    "-070000",
    "-07:00",
    "-0700",
    "-07",
    "Z07:00:00",
    "Z070000",
    "Z07:00",
    "Z0700",
    "Z07",
    "002",
    "01",
    "02",
    "03",
    "04",
    "05",
    "06",
    "__2",
    "_2",
    "15",
    "PM",
    "pm",
    "1",
    "2",
    "3",
    "4",
    "5",
    ".0",
    ".9",
];

/// A moment.
struct Moment {
    text: String,
    at_ms: u64,
}

/// A time in a layout.
pub(super) fn format(at_ms: u64, layout: &str) -> String {
    let moment = Moment { text: rfc3339(at_ms), at_ms };
    let mut out = String::new();
    let mut rest = layout;
    while let Some(first) = rest.chars().next() {
        let found = CHUNKS.iter().find(|chunk| rest.starts_with(**chunk) && stands(rest, chunk));
        let length = match found {
            Some(&chunk @ (".0" | ".9")) => {
                let digits = rest[1..].bytes().take_while(|b| *b == chunk.as_bytes()[1]).count();
                out.push_str(&moment.fraction(digits, chunk == ".9"));
                digits + 1
            }
            Some(chunk) => {
                out.push_str(&moment.chunk(chunk));
                chunk.len()
            }
            None => {
                out.push(first);
                first.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    out
}

/// Words go on, and so do digits: `Janet` and `.012` are just texts.
fn stands(rest: &str, chunk: &str) -> bool {
    let after = rest[chunk.len()..].trim_start_matches(['0', '9']);
    match chunk {
        "Jan" | "Mon" => !rest[chunk.len()..].starts_with(|c: char| c.is_ascii_lowercase()),
        ".0" | ".9" => !after.starts_with(|c: char| c.is_ascii_digit()),
        _ => true,
    }
}

impl Moment {
    /// The digits of RFC 3339 at a place: `2026-01-02T03:04:05…`.
    fn digits(&self, from: usize, to: usize) -> &str {
        self.text.get(from..to).unwrap_or_default()
    }

    fn number(&self, from: usize, to: usize) -> usize {
        self.digits(from, to).parse().unwrap_or(0)
    }

    fn chunk(&self, chunk: &str) -> String {
        let (month, day, hour) = (self.number(5, 7), self.number(8, 10), self.number(11, 13));
        let hour_of_12 = if hour % 12 == 0 { 12 } else { hour % 12 };
        let month_name = MONTHS[(month + 11) % 12];
        let day_name = DAYS[usize::try_from(self.at_ms / 86_400_000 % 7).unwrap_or(0)];
        match chunk {
            "2006" => self.digits(0, 4).to_owned(),
            "06" => self.digits(2, 4).to_owned(),
            "January" => month_name.to_owned(),
            "Jan" => month_name[..3].to_owned(),
            "Monday" => day_name.to_owned(),
            "Mon" => day_name[..3].to_owned(),
            "MST" => "UTC".to_owned(),
            "-07:00:00" => "+00:00:00".to_owned(),
            "-070000" => "+000000".to_owned(),
            "-07:00" => "+00:00".to_owned(),
            "-0700" => "+0000".to_owned(),
            "-07" => "+00".to_owned(),
            "01" => self.digits(5, 7).to_owned(),
            "1" => month.to_string(),
            "02" => self.digits(8, 10).to_owned(),
            "2" => day.to_string(),
            "_2" => format!("{day:>2}"),
            "002" => format!("{:03}", self.day_of_year()),
            "__2" => format!("{:>3}", self.day_of_year()),
            "15" => self.digits(11, 13).to_owned(),
            "03" => format!("{hour_of_12:02}"),
            "3" => hour_of_12.to_string(),
            "04" => self.digits(14, 16).to_owned(),
            "4" => self.number(14, 16).to_string(),
            "05" => self.digits(17, 19).to_owned(),
            "5" => self.number(17, 19).to_string(),
            "PM" => if hour < 12 { "AM" } else { "PM" }.to_owned(),
            "pm" => if hour < 12 { "am" } else { "pm" }.to_owned(),
            _ => "Z".to_owned(),
        }
    }

    fn day_of_year(&self) -> usize {
        const DAYS_BEFORE: [usize; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
        let (year, month) = (self.number(0, 4), self.number(5, 7));
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        DAYS_BEFORE[(month + 11) % 12] + self.number(8, 10) + usize::from(is_leap && month > 2)
    }

    /// The part of the second, with its point; `trimmed`: without zeros at its end.
    fn fraction(&self, digits: usize, trimmed: bool) -> String {
        let nanos = format!("{:03}000000", self.at_ms % 1000);
        let mut shown = format!(".{nanos:0<digits$}");
        shown.truncate(digits + 1);
        if trimmed {
            let kept = shown.trim_end_matches('0').trim_end_matches('.').len();
            shown.truncate(kept);
        }
        shown
    }
}
