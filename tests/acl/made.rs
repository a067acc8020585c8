//! Policies and requests by chance, over so few names that rules meet each other and what is asked.

use std::fmt::Write as _;

/// Choices that a seed repeats (SplitMix64).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn of(seed: u64) -> Self {
        Self(seed)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn among<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

const NAMES: [&str; 3] = ["a", "b", "ab"];
const CAPABILITIES: [&str; 9] = ["create", "read", "update", "delete", "list", "patch", "scan", "sudo", "deny"];
const KEYS: [&str; 3] = ["x", "y", "z"];
const VALUES: [&str; 4] = ["1", "2", "p", "pq"];

const FILTERS: [&str; 3] =
    ["{{ .path }}{{ .key }}", "kv/b/{{ .key }}", "{{ .path | replace \"kv/a\" \"kv/b\" }}{{ .key | lowercase }}"];

/// One to three segments below the mount.
fn path(chance: &mut Chance, names: &[&str]) -> String {
    let segments: Vec<&str> = (0..=chance.below(3)).map(|_| chance.among(names)).collect();
    format!("kv/{}", segments.join("/"))
}

/// The path of a rule: with `+` here and there, and perhaps a glob or a slash at its end.
fn rule_path(chance: &mut Chance) -> String {
    let mut names = NAMES.to_vec();
    names.extend(["+"; 3]);
    let end = chance.among(&["", "", "", "*", "*", "/*", "/*", "/", "/+"]);
    let path = match chance.below(12) {
        0 => "kv/".to_owned(),
        1 => chance.among(&["", "k", "kv", "+/a", "+/+"]).to_owned(),
        _ => path(chance, &names),
    };
    // That alone is no path of a rule.
    (path + end).replace("+*", "+")
}

fn list(values: &[&str]) -> String {
    let quoted: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
    format!("[{}]", quoted.join(", "))
}

/// Rules about parameters: which keys, with which values.
fn parameters(chance: &mut Chance) -> String {
    let mut text = String::from("{ ");
    let mut keys = KEYS.to_vec();
    keys.push("*");
    for key in keys {
        if chance.one_in(2) {
            continue;
        }
        let patterns = ["1", "2", "p*", "*q", "pq", "*"];
        let values: Vec<&str> = (0..chance.below(3)).map(|_| chance.among(&patterns)).collect();
        write!(text, "{key:?} = {} ", list(&values)).unwrap();
        text.push_str("\n    ");
    }
    text + "}"
}

/// One policy in HCL.
pub(crate) fn policy(chance: &mut Chance) -> String {
    let mut text = String::new();
    for _ in 0..2 + chance.below(7) {
        let mut capabilities: Vec<&str> = (0..8).map(|_| chance.among(&CAPABILITIES[..8])).collect();
        if chance.one_in(12) {
            capabilities.push("deny");
        }
        writeln!(text, "path {:?} {{\n  capabilities = {}", rule_path(chance), list(&capabilities)).unwrap();
        for kind in ["allowed_parameters", "denied_parameters"] {
            if chance.one_in(3) {
                writeln!(text, "  {kind} = {}", parameters(chance)).unwrap();
            }
        }
        if chance.one_in(8) {
            let required = chance.among(&KEYS);
            writeln!(text, "  required_parameters = [{required:?}]").unwrap();
        }
        if chance.one_in(10) {
            writeln!(text, "  min_wrapping_ttl = \"{}s\"", chance.among(&[1, 60])).unwrap();
        }
        if chance.one_in(10) {
            writeln!(text, "  max_wrapping_ttl = \"{}s\"", chance.among(&[60, 120])).unwrap();
        }
        if chance.one_in(12) {
            writeln!(text, "  pagination_limit = {}", chance.among(&[1, 5])).unwrap();
        }
        let lists = capabilities.contains(&"list");
        if lists && chance.one_in(5) {
            writeln!(text, "  list_scan_response_keys_filter_path = {:?}", chance.among(&FILTERS)).unwrap();
        }
        if chance.one_in(12) {
            writeln!(text, "  expiration = \"{}\"", chance.among(&["2020-01-01T00:00:00Z", "2120-01-01T00:00:00Z"]))
                .unwrap();
        }
        text.push_str("}\n");
    }
    text
}

/// What a client asks.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) method: &'static str,
    /// With a query, where there is one.
    pub(crate) path: String,
    pub(crate) body: Option<serde_json::Value>,
    pub(crate) wrap: Option<&'static str>,
}

pub(crate) fn asked(chance: &mut Chance) -> Asked {
    let method = chance.among(&["GET", "GET", "LIST", "SCAN", "PUT", "PUT", "PUT", "DELETE"]);
    let mut path = path(chance, &NAMES);
    let lists = matches!(method, "LIST" | "SCAN");
    if lists && chance.one_in(2) {
        path.push('/');
    }
    if lists && chance.one_in(3) {
        let limit = chance.among(&[-1, 0, 1, 3, 9]);
        write!(path, "?limit={limit}").unwrap();
    }
    let body = (method == "PUT").then(|| {
        let keys: Vec<&str> = KEYS.into_iter().filter(|_| chance.one_in(2)).collect();
        let pairs = keys.into_iter().map(|key| (key.to_owned(), chance.among(&VALUES).into()));
        serde_json::Value::Object(pairs.collect())
    });
    let wrap = chance.one_in(6).then(|| chance.among(&["30", "60", "90", "300"]));
    Asked { method, path, body, wrap }
}
