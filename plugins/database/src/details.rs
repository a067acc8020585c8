//! What a driver is told: a JSON object that the engine passes on, and knows seven members of.

use std::collections::BTreeMap;

use bulkhead_sdk::json::{self, Object};
use bulkhead_sdk::prelude::*;
use bulkhead_sdk::url::percent_decoded;

/// Members that are secret whatever the driver, and never shown. Beyond the two that Vault hides:
/// each of the others is, or contains, a private key in one of its drivers.
const SECRETS: [&str; 8] = [
    "password",
    "private_key",
    "tls_certificate_key",
    "tls_key",
    "pem_bundle",
    "pem_json",
    "secret_key",
    "service_account_json",
];

/// When the connection was reset last, in milliseconds since 1970: the engine's own, and in here so that the sessions
/// from before are those of another config. Not shown.
pub(crate) const RESET_AT: &str = "reset_at_ms";

/// In place of a password in a URL.
const MASK: &str = "xxxxx";

/// The placeholder that a driver puts the password in for.
const PLACEHOLDER: &str = "{{password}}";

/// A JSON object with the root's password in it. There is no `Debug`.
#[derive(Clone)]
pub(crate) struct Details(Secret<String>);

impl Default for Details {
    fn default() -> Self {
        Self::new("{}".to_owned())
    }
}

impl Details {
    /// Takes JSON text of an object.
    pub(crate) const fn new(json: String) -> Self {
        Self(Secret::new(json))
    }

    /// The JSON text.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The text that a member has; empty if it is missing or no text.
    pub(crate) fn text(&self, name: &str) -> Result<String> {
        for member in json::members(self.expose().as_bytes())? {
            let (known, value) = member?;
            if known == name {
                return Ok(json::unquote(value).unwrap_or_default().into_owned());
            }
        }
        Ok(String::new())
    }

    /// The number that a member has, also if it is written as a text; 0 if it is missing, or none that is not below 0.
    pub(crate) fn number(&self, name: &str) -> Result<u64> {
        for member in json::members(self.expose().as_bytes())? {
            let (known, value) = member?;
            if known == name {
                return Ok(json::unquote(value).as_deref().unwrap_or(value).parse().unwrap_or(0));
            }
        }
        Ok(0)
    }

    /// With the members of another object over its own, but for some.
    pub(crate) fn merged(&self, over: &[u8], without: &[&str]) -> Result<Self> {
        let mut all = BTreeMap::new();
        for member in json::members(self.expose().as_bytes())? {
            let (name, value) = member?;
            all.insert(name.into_owned(), value);
        }
        for member in json::members(over)? {
            let (name, value) = member?;
            if !without.contains(&&*name) {
                all.insert(name.into_owned(), value);
            }
        }
        let object = all.iter().fold(Object::new(), |object, (name, value)| object.json(name, value));
        Ok(Self::new(object.end()))
    }

    /// With another password.
    pub(crate) fn with_password(&self, password: &Secret<String>) -> Result<Self> {
        let over = Object::new().text("password", password.expose()).end();
        self.merged(over.as_bytes(), &[])
    }

    /// The same, of which no session has been begun.
    pub(crate) fn reset_at(&self, now_ms: u64) -> Result<Self> {
        self.merged(Object::new().number(RESET_AT, now_ms).end().as_bytes(), &[])
    }

    /// Without what is secret, as JSON text.
    pub(crate) fn shown(&self) -> Result<String> {
        let mut object = Object::new();
        for member in json::members(self.expose().as_bytes())? {
            let (name, value) = member?;
            if SECRETS.contains(&&*name) || name == RESET_AT {
                continue;
            }
            object = match json::unquote(value) {
                Some(url) if name == "connection_url" => object.text(&name, &masked(&url)),
                _ => object.json(&name, value),
            };
        }
        Ok(object.end())
    }

    /// Whether the URL has a password of its own, which rotating would not reach.
    pub(crate) fn has_password_in_url(&self) -> Result<bool> {
        let url = self.text("connection_url")?;
        Ok(masked(&url) != url)
    }
}

/// A URL, or a DSN of another form, without the password in it: that before the last `@` of the part
/// with the host, and that of a parameter `password`.
fn masked(url: &str) -> String {
    let text = masked_before_host(url);
    let is_url = text.contains("://");
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let is_between = |sign: char| sign.is_whitespace() || "?&;".contains(sign);
        let name = rest.find(|sign| sign == '=' || is_between(sign)).unwrap_or(rest.len());
        let begin = name + assignment(&rest[name..]);
        if begin == name || !is_password(&rest[..name]) {
            // On to the next name.
            let next = rest[name..].chars().next().map_or(name, |sign| name + sign.len_utf8());
            out.push_str(&rest[..next]);
            rest = &rest[next..];
            continue;
        }
        let end = begin + value_length(&rest[begin..], is_url);
        let value = &rest[begin..end];
        let inner = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\'')).unwrap_or(value);
        out.push_str(&rest[..begin]);
        out.push_str(if inner.is_empty() || inner == PLACEHOLDER { value } else { MASK });
        rest = &rest[end..];
    }
    out
}

/// The length of what is between a name and its value, which may have spaces on either side; 0 if there is none.
fn assignment(text: &str) -> usize {
    let after = text.trim_start().strip_prefix('=').map(str::trim_start);
    after.map_or(0, |after| text.len() - after.len())
}

/// Whether a parameter of this name is a password, however it is written.
fn is_password(name: &str) -> bool {
    let name = percent_decoded(name, true).unwrap_or_else(|| name.to_owned());
    name.to_ascii_lowercase().ends_with("password")
}

/// How long the value is that a text begins with. Rather too much of a text is masked than too little.
fn value_length(text: &str, is_url: bool) -> usize {
    let after = text.strip_prefix(PLACEHOLDER);
    if after.is_some_and(|after| after.is_empty() || after.starts_with(|sign: char| " \t\r\n&;#".contains(sign))) {
        return PLACEHOLDER.len();
    }
    if is_url {
        return text.find(['&', '#']).unwrap_or(text.len());
    }
    let is_quoted = text.starts_with('\'');
    let mut signs = text.char_indices().skip(usize::from(is_quoted));
    while let Some((at, sign)) = signs.next() {
        match sign {
            '\\' => drop(signs.next()),
            '\'' if is_quoted => return at + 1,
            sign if !is_quoted && sign.is_whitespace() => return at,
            _ => {}
        }
    }
    text.len()
}

fn masked_before_host(url: &str) -> String {
    let begin = url.find("://").map_or(0, |at| at + 3);
    // A password may have a slash or question mark that nobody escaped; a parameter may have an `@`.
    let query = url[begin..].find('?').map_or(url.len(), |at| begin + at);
    let is_query = url[begin..query].contains(['@', '/']);
    let end = url[begin..if is_query { query } else { url.len() }].rfind('@');
    let Some(end) = end.map(|at| begin + at) else { return url.to_owned() };
    let Some(colon) = url[begin..end].find(':').map(|at| begin + at + 1) else { return url.to_owned() };
    if colon == end || &url[colon..end] == PLACEHOLDER {
        return url.to_owned();
    }
    [&url[..colon], MASK, &url[end..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_in_a_url_is_shown() {
        for (url, shown) in [
            ("postgresql://u:p@h:1/db", "postgresql://u:xxxxx@h:1/db"),
            ("postgresql://u:p/w@h/db", "postgresql://u:xxxxx@h/db"),
            ("postgresql://u:p@w@h/db?a=b@c", "postgresql://u:xxxxx@h/db?a=b@c"),
            ("postgresql://u:p?w@h/db", "postgresql://u:xxxxx@h/db"),
            ("u:p@tcp(h:3306)/", "u:xxxxx@tcp(h:3306)/"),
            ("host=h password=p user=u", "host=h password=xxxxx user=u"),
            ("postgresql://h/db?password=p&user=u", "postgresql://h/db?password=xxxxx&user=u"),
            ("postgresql://h/db?PASSWORD=p", "postgresql://h/db?PASSWORD=xxxxx"),
            ("postgresql://h/db?a=b&pass%77ord=p;q r#f", "postgresql://h/db?a=b&pass%77ord=xxxxx#f"),
            ("host=h password = p user=u", "host=h password = xxxxx user=u"),
            ("host=h password= p&q user=u", "host=h password= xxxxx user=u"),
            (r"host=h password='p \' q' user=u", "host=h password=xxxxx user=u"),
            (r"host=h password=p\ q user=u", "host=h password=xxxxx user=u"),
            ("host=h password='p q", "host=h password=xxxxx"),
            ("password\n=\np", "password\n=\nxxxxx"),
        ] {
            assert_eq!(masked(url), shown);
        }
    }

    #[test]
    fn a_url_without_a_password_is_shown_as_it_is() {
        for url in [
            "postgresql://{{username}}:{{password}}@h:1/db?sslmode=disable",
            "{{username}}:{{password}}@tcp(h:3306)/",
            "postgresql://h:5432/db",
            "postgresql://u@h:5432/db",
            "postgresql://h:5432/db?user=a@b",
            "h:6379",
            "host=h password={{password}}",
            "host=h user='{{username}}' password='{{password}}' dbname=d",
            "server=h;password={{password}};database=d",
            "postgresql://h/db?password={{password}}&user={{username}}",
            "password_encryption=md5",
            "host=h password=''",
            "",
        ] {
            assert_eq!(masked(url), url);
        }
    }

    #[test]
    fn members_are_put_over_those_there_were() {
        let details = Details::new(r#"{"a":1.50,"b":"x","password":"p"}"#.to_owned());
        let merged = details.merged(br#"{"b":[1],"name":"n","c":null}"#, &["name"]).unwrap();
        assert_eq!(merged.expose(), r#"{"a":1.50,"b":[1],"c":null,"password":"p"}"#);
        assert_eq!(merged.shown().unwrap(), r#"{"a":1.50,"b":[1],"c":null}"#);
        let reset = merged.reset_at(7).unwrap();
        assert_eq!(reset.expose(), r#"{"a":1.50,"b":[1],"c":null,"password":"p","reset_at_ms":7}"#);
        assert_eq!(reset.shown().unwrap(), merged.shown().unwrap());
        assert_eq!(merged.with_password(&Secret::new("q\"".to_owned())).unwrap().text("password").unwrap(), "q\"");
    }
}
