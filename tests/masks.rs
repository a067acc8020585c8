//! What a command prints, with everything taken out that differs from run to run. What
//! must not live here: what is right.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

/// What differs from run to run, and how it is written where outputs are compared.
static VARYING: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    patterns(&[
        (r"127\.0\.0\.1:\d+", "<address>"),
        (r#""?(?P<name>running_sha256|build_date)"?: ("[^"\n]*"|[0-9a-f]{64})"#, "$name"),
        (r"\b[0-9a-f]{64}\b", "n/a"),
        ("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<uuid>"),
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| ?[+-]\d\d:?\d\d( UTC)?)", "<time>"),
        (r"\d\d \w{3} \d\d \d\d:\d\d UTC", "<time>"),
        (r"\b(hv)?[sb]\.[A-Za-z0-9_-]{20,}", "<token>"),
        (r"\b[a-z0-9_-]+_([0-9a-f]{8}){1,2}\b", "<accessor>"),
        (r"(vault|bulkhead)-cluster-[0-9a-f]{8}", "<cluster>"),
        (r"v?\d+\.\d+\.\d+([+-][\w.]+)?", "<version>"),
        (r#""[A-Za-z0-9+/]{44}"|"[0-9a-f]{66}""#, "\"<share>\""),
        (r"[A-Za-z0-9+/]{43}=|[A-Za-z0-9+/]{42}==", "<base64>"),
        (r#"(?P<name>"?encryptions"?:) \d+"#, "$name <n>"),
        (r"\b[A-Za-z0-9]{24}\b", "<accessor>"),
        (r"\b[A-Za-z0-9]{26}\b", "<otp>"),
        (r"<uuid>\.[A-Za-z0-9]{6}\b", "<uuid>"),
        (r"(?P<id><(token|accessor)>)\.[A-Za-z0-9]{6}\b", "$id.<ns>"),
        (r#"(?m)^(?P<name> *"?(namespace_)?id"?:? +"?)[A-Za-z0-9]{6}(?P<end>"?,?)$"#, "$name<ns>$end"),
        (r"(?m)\b[A-Za-z0-9]{6}(?P<rest> +(true|false) +\S+/ +(true|false) +<uuid>)$", "<ns>$rest"),
        (r"(?P<name>Encryption Count|Raft (Committed|Applied) Index|.raft_\w+_index.:) +\d+", "$name <n>"),
        (r#"(?m)^(?P<name> *"?ttl"?):? +\S+$"#, "$name <ttl>"),
        (r"\b(\d+h)?\d+m\d+s\b", "<duration>"),
        (r"\b1[78]\d{8}\b", "<unix>"),
    ])
});

/// Widths: those of columns follow from what stands in them.
static WIDTHS: LazyLock<Vec<(Regex, &str)>> =
    LazyLock::new(|| patterns(&[(r"-{3,}", "---"), (r"={2,}", "=="), (r"[ \t]+", " ")]));

static PRODUCTS: LazyLock<Vec<(Regex, &str)>> =
    LazyLock::new(|| patterns(&[(r"\b(OpenBao|Bulkhead|bulkhead|bao|Vault)\b", "<product>")]));

fn patterns(list: &[(&str, &'static str)]) -> Vec<(Regex, &'static str)> {
    list.iter().map(|(pattern, name)| (Regex::new(pattern).expect("a pattern of ours"), *name)).collect()
}

fn replaced(text: &str, patterns: &[(Regex, &str)]) -> String {
    patterns.iter().fold(text.to_owned(), |text, (pattern, name)| pattern.replace_all(&text, *name).into_owned())
}

/// A line without ids, times, widths and names of products.
pub fn line(line: &str, home: &Path) -> String {
    let line = replaced(&line.replace(&home.display().to_string(), "<dir>"), &VARYING);
    replaced(&replaced(&line, &WIDTHS), &PRODUCTS).trim_end().to_owned()
}

/// The lines of an output, likewise, without empty ones.
pub fn lines(text: &str, home: &Path) -> Vec<String> {
    text.lines().map(|text| line(text, home)).filter(|line| !line.is_empty()).collect()
}

/// An output without ids, times and names of products. Widths count, unless something in
/// it was taken out: indentation is part of JSON and YAML.
pub fn output(text: &str, home: &Path) -> String {
    let text = text.replace(&home.display().to_string(), "<dir>");
    let masked = replaced(&text, &VARYING);
    let named = replaced(&masked, &PRODUCTS);
    if masked == text {
        return named;
    }
    let shortened = |line: &str| {
        let start = line.len() - line.trim_start().len();
        format!("{}{}", &line[..start], replaced(line[start..].trim_end(), &WIDTHS))
    };
    named.lines().map(shortened).collect::<Vec<_>>().join("\n")
}

#[test]
fn widths_count_where_nothing_was_taken_out_and_indentation_always() {
    let home = Path::new("/home/x");
    assert_eq!(output("a     b\n---   -", home), "a     b\n---   -");
    assert_eq!(output("  at     127.0.0.1:80\n  -----  x", home), "  at <address>\n  --- x");
    assert_eq!(line("  at     127.0.0.1:80", home), " at <address>");
}
