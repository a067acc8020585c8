//! Which paths a rule could be about that depends on who asks, while nobody is known who does.

use super::PathRule;
use crate::template;

/// Stands for a directive; no path has it.
const BLANK: char = '\u{1}';

/// What a pattern is made of.
#[derive(Clone, Copy)]
enum Token {
    One(char),
    /// A directive: some signs, without a slash.
    Value,
    /// A `+`: a segment, which may be empty.
    Segment,
    /// A `*` at the end.
    Rest,
}

impl PathRule {
    /// Whether it depends on who asks, and for some of them is about this path.
    #[must_use]
    pub fn might_be_about(&self, path: &str) -> bool {
        let Ok(pattern) = template::blanked(&self.pattern, BLANK) else { return false };
        pattern.contains(BLANK) && fits(&tokens(&pattern), path)
    }
}

fn tokens(pattern: &str) -> Vec<Token> {
    let (body, rest) = pattern.strip_suffix('*').map_or((pattern, None), |body| (body, Some(Token::Rest)));
    let mut tokens = Vec::new();
    for (place, segment) in body.split('/').enumerate() {
        tokens.extend((place > 0).then_some(Token::One('/')));
        if segment == "+" {
            tokens.push(Token::Segment);
        } else {
            tokens.extend(segment.chars().map(|sign| if sign == BLANK { Token::Value } else { Token::One(sign) }));
        }
    }
    tokens.extend(rest);
    tokens
}

/// Follows all ways through the pattern at once, so that many directives cost no more than their number
/// times the signs of the path.
fn fits(tokens: &[Token], path: &str) -> bool {
    // Whether what was read so far fits the first so many tokens; of a value, whether it has begun.
    let mut at = vec![false; tokens.len() + 1];
    at[0] = true;
    let mut begun = vec![false; tokens.len()];
    for sign in path.chars() {
        let before = at.clone();
        let mut begun_now = vec![false; tokens.len()];
        at.fill(false);
        for (place, token) in tokens.iter().enumerate() {
            // An empty segment, and nothing behind a star, are passed without a sign.
            let here = before[place] || (0..place).rev().take_while(|p| is_empty(tokens[*p])).any(|p| before[p]);
            match token {
                Token::One(wanted) => at[place + 1] |= here && *wanted == sign,
                Token::Value | Token::Segment => {
                    begun_now[place] = (here || begun[place]) && sign != '/';
                    at[place + 1] |= begun_now[place];
                }
                Token::Rest => {
                    begun_now[place] = here || begun[place];
                    at[place + 1] |= begun_now[place];
                }
            }
        }
        begun = begun_now;
    }
    let trailing = tokens.iter().rev().take_while(|token| is_empty(**token)).count();
    at[tokens.len() - trailing..].iter().any(|there| *there)
}

fn is_empty(token: Token) -> bool {
    matches!(token, Token::Segment | Token::Rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn might(pattern: &str, path: &str) -> bool {
        PathRule { pattern: pattern.to_owned(), ..PathRule::default() }.might_be_about(path)
    }

    #[test]
    fn a_directive_is_some_signs_of_one_segment() {
        for (pattern, path, fits) in [
            ("kv/{{identity.entity.name}}", "kv/ann", true),
            ("kv/{{identity.entity.name}}", "kv/", false),
            ("kv/{{identity.entity.name}}", "kv/a/b", false),
            ("kv/{{identity.entity.name}}/*", "kv/ann/", true),
            ("kv/{{identity.entity.name}}/*", "kv/ann/x/y", true),
            ("kv/{{identity.entity.name}}/*", "kv/ann", false),
            ("kv/{{identity.entity.name}}*", "kv/ann", true),
            ("kv/a-{{identity.entity.name}}-{{identity.entity.id}}/x", "kv/a-b-c-d/x", true),
            ("kv/a-{{identity.entity.name}}-{{identity.entity.id}}/x", "kv/a-b/x", false),
            ("+/{{identity.entity.name}}", "kv/ann", true),
            ("kv/{{identity.entity.name}}/+", "kv/ann/", true),
            ("kv/{{identity.entity.name}}/+/x", "kv/ann//x", true),
            ("kv/{{identity.entity.name}}/+/x", "kv/ann/x", false),
            ("{{identity.entity.name}}", "ann", true),
            ("{{identity.entity.name}}", "", false),
            ("kv/*", "kv/ann", false),
            ("kv/{{identity.entity.name}}", "other/ann", false),
        ] {
            assert_eq!(might(pattern, path), fits, "{pattern} and {path}");
        }
    }
}
