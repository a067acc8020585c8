//! Password policies: what a generated password must hold, and the generator itself.
//! Where policies are kept and who may read them is not known here.

mod generate;
mod parse;

/// Fewest characters of a password. Source: Vault, password policies.
pub const LENGTH_MIN: usize = 4;

/// Most characters of a password. Source: Vault, password policies.
pub const LENGTH_MAX: usize = 100;

/// How a password is made up. Only [`PasswordPolicy::parse`] and the default make one,
/// so whatever a policy asks for can be fulfilled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordPolicy {
    length: usize,
    /// Characters of all rules, sorted, each once: all are equally likely.
    alphabet: Vec<char>,
    rules: Vec<CharsetRule>,
}

/// So many of a password's characters must be among these.
#[derive(Clone, Debug, PartialEq, Eq)]
struct CharsetRule {
    /// Sorted, each once.
    charset: Vec<char>,
    /// Never 0: what demands nothing is part of the alphabet alone.
    min_chars: usize,
}

/// Why a text is no password policy. The texts are those that clients of Vault know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordPolicyError {
    /// The text is neither HCL nor JSON.
    #[error("invalid password policy: unable to decode: {0}")]
    Syntax(crate::hcl::HclError),
    /// `length` is no number.
    #[error(
        "invalid password policy: failed to decode configuration: decoding failed due to the following \
         error(s):\n\n'length' expected type 'int', got unconvertible type '{0}'"
    )]
    Length(&'static str),
    /// A rule is no rule, or of no known type.
    #[error("invalid password policy: unable to parse rules: {0}")]
    Rule(String),
    /// Together the rules make no sense; every fault is named.
    #[error("invalid password policy: {}", listed(.0))]
    Meaning(Vec<String>),
    /// Too short or too long.
    #[error("passwords must be between {LENGTH_MIN} and {LENGTH_MAX} characters")]
    Bounds,
}

/// Faults in the form that Vault lists several in.
fn listed(faults: &[String]) -> String {
    let count = faults.len();
    let noun = if count == 1 { "error" } else { "errors" };
    let lines: String = faults.iter().map(|fault| format!("\t* {fault}\n")).collect();
    format!("{count} {noun} occurred:\n{lines}\n")
}

impl Default for PasswordPolicy {
    /// The policy of plugins whose role names none. Source: Vault, database secrets
    /// engine: 20 characters with a lower and an upper case letter, a digit and a dash.
    fn default() -> Self {
        let rule = |charset: &str| (charset.chars().collect(), 1);
        let rules = ["abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789", "-"].map(rule);
        Self::new(20, rules.to_vec())
    }
}

impl PasswordPolicy {
    fn new(length: usize, rules: Vec<(Vec<char>, usize)>) -> Self {
        let mut alphabet: Vec<char> = rules.iter().flat_map(|(charset, _)| charset).copied().collect();
        once_each(&mut alphabet);
        let demanding = rules.into_iter().filter(|(_, min_chars)| *min_chars > 0);
        let rules = demanding
            .map(|(mut charset, min_chars)| {
                once_each(&mut charset);
                CharsetRule { charset, min_chars }
            })
            .collect();
        Self { length, alphabet, rules }
    }
}

impl CharsetRule {
    fn holds(&self, candidate: &[char]) -> bool {
        candidate.iter().filter(|c| self.charset.binary_search(c).is_ok()).count() >= self.min_chars
    }
}

/// A character written twice is no more likely than another.
fn once_each(charset: &mut Vec<char>) {
    charset.sort_unstable();
    charset.dedup();
}

#[cfg(test)]
mod tests;
